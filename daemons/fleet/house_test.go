package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/linkspec"
	"sallyport/daemons/demo/seed"
)

// Deadlines of a house; the machine may be busy.
const (
	readyWithin = 2 * time.Minute
	endWithin   = time.Minute
)

// daemons are the children of demo.
var daemons = []string{"bookingd", "gatewayd", "syncd", "centrald"}

// house is one appliance and its central site, run by demo.
type house struct {
	dir   string // what -state names
	state string // of the preset in it
	args  []string

	Addresses map[string]string `json:"addresses"`
	Link      string            `json:"link"`
	People    seed.People       `json:"people"`

	cmd   *exec.Cmd
	said  *bytes.Buffer // demo's own output; read it after ended
	ended chan struct{} // closed when demo has ended

	mu       sync.Mutex // guards what follows
	staff    map[string]*browser
	stations map[string]*browser
}

// open starts a house from an empty folder. The test's end stops it and looks at how it ended.
func open(t *testing.T, args ...string) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "fl") // a socket's path may be 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &house{
		dir: dir, state: filepath.Join(dir, "county-jail"), args: args,
		staff: map[string]*browser{}, stations: map[string]*browser{},
	}
	t.Cleanup(func() {
		h.tellIfFailed(t)
		h.stop(t)
		h.keepsSecrets(t)
	})
	h.start(t)
	return h
}

// start runs demo over the folder and waits until everything is up.
func (h *house) start(t *testing.T) {
	t.Helper()
	ready := filepath.Join(h.dir, "ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "demo"), append([]string{"-free-ports", "-state", h.dir, "-ready", ready}, h.args...)...)
	// It dies with this process even when that is killed, and takes its own children along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	h.said = &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = h.said, h.said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.cmd, h.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		_ = cmd.Wait() // its state is read where it is stopped
	}(h.ended)
	doortest.Eventually(t, readyWithin, "the house to be ready", func() bool {
		select {
		case <-h.ended:
			t.Fatalf("demo ended: %v\n%s", cmd.ProcessState, h.said)
		default:
		}
		_, err := os.Stat(ready)
		return err == nil
	})
	raw, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, h); err != nil {
		t.Fatal(err)
	}
}

// stop ends the house as Ctrl-C or systemd would: exit code 0, and no daemon is left. Doing it twice is harmless.
func (h *house) stop(t *testing.T) {
	t.Helper()
	if h.cmd == nil {
		return
	}
	cmd := h.cmd
	h.cmd = nil
	pids := map[string]int{}
	for _, name := range daemons {
		pids[name] = h.pid(name)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("stop demo: %v", err)
	}
	select {
	case <-h.ended:
	case <-time.After(endWithin):
		t.Errorf("demo did not end within %v", endWithin)
		for _, pid := range pids {
			if pid > 0 && alive(pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		_ = cmd.Process.Kill()
		<-h.ended
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("demo ended with %d:\n%s", code, h.said)
	}
	for name, pid := range pids {
		if pid > 0 && alive(pid) {
			t.Errorf("%s (%d) outlived demo", name, pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if log := h.log(name); pid > 0 && !strings.HasSuffix(strings.TrimSpace(lastLine(log)), "op="+name) {
			t.Errorf("%s did not say that it stopped: %s", name, lastLine(log))
		}
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// pid is the process of a daemon at this moment, 0 when there is none.
func (h *house) pid(name string) int {
	raw, err := os.ReadFile(filepath.Join(h.state, "run", name+".pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0
	}
	return pid
}

// kill ends a daemon as a crash does, and returns its process number. Demo starts it again, as systemd would.
func (h *house) kill(t *testing.T, name string) int {
	t.Helper()
	pid := h.pid(name)
	if pid == 0 {
		t.Fatalf("%s has no process", name)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %s: %v", name, err)
	}
	return pid
}

// back waits until a killed daemon runs again.
func (h *house) back(t *testing.T, name string, was int) {
	t.Helper()
	doortest.Eventually(t, time.Minute, name+" to be back", func() bool { pid := h.pid(name); return pid != was && pid != 0 && alive(pid) })
}

func (h *house) log(name string) string {
	raw, err := os.ReadFile(filepath.Join(h.state, "run", name+".log"))
	if err != nil {
		return ""
	}
	return string(raw)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// tellIfFailed shows the ends of the daemons' logs, so that a failure explains itself.
func (h *house) tellIfFailed(t *testing.T) {
	if !t.Failed() {
		return
	}
	for _, name := range daemons {
		lines := strings.Split(strings.TrimSpace(h.log(name)), "\n")
		t.Logf("%s:\n%s", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

// keepsSecrets looks for what must never stand in a log: names, numbers, addresses, PINs, passwords, tokens.
func (h *house) keepsSecrets(t *testing.T) {
	var secrets []string
	for _, v := range h.People.Visitors {
		secrets = append(secrets, v.Phone, v.Email, v.PIN, v.Name)
	}
	for _, i := range h.People.Inmates {
		secrets = append(secrets, i.Number, i.PIN, i.Name, i.Born)
	}
	for _, s := range h.People.Staff {
		secrets = append(secrets, s.Password, s.TOTP)
	}
	secrets = append(secrets, newcomer.First, newcomer.Last, newcomer.Phone, newcomer.Email, "SPG1.", "SPR1.")
	for _, name := range daemons {
		log := h.log(name)
		for _, s := range secrets {
			if at := strings.Index(log, s); at >= 0 && s != "" {
				t.Errorf("the log of %s tells a secret: ...%s", name, log[max(0, at-120):min(len(log), at+len(s)+20)])
			}
		}
	}
}

// socket is centrald's own, at the central site.
func (h *house) socket() string { return filepath.Join(h.state, "run", linkspec.CentralSocket) }
