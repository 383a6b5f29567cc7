package images_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bench runs our units without systemd, as systemd would: it opens their sockets, hands them over by name, shows each
// daemon the credentials of its unit and no others, and waits for READY. Paths of the box lie below one folder, its
// addresses are loopback ones of this run, and everybody has the user of the test.
type bench struct {
	dir string // stands for /
	bin string
	at  map[string]string // the box's addresses and interfaces, here

	linked []string // sockets that the site opens

	mu      sync.Mutex          // guards what follows
	open    map[string]string   // socket units to the address at which they listen
	running map[string]*process // by unit
}

// process is one started unit.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	files []*os.File
}

// newBench builds the programs and makes an empty box.
func newBench(t *testing.T) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "sp") // a socket's path may be 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: dir, bin: filepath.Join(dir, "usr/bin"), at: map[string]string{}, open: map[string]string{}, running: map[string]*process{}}
	t.Cleanup(func() {
		b.stop(t)
		if t.Failed() {
			b.tell(t)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for _, d := range []string{b.bin, b.path("/run/sallyport"), b.path("/var/lib/sallyport")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := said(t, "go", "build", "-o", b.bin+"/", "../daemons/bookingd", "../daemons/gatewayd"); err != nil {
		t.Fatalf("build the daemons: %v\n%s", err, out)
	}
	return b
}

// path is where a path of the box lies here.
func (b *bench) path(p string) string { return filepath.Join(b.dir, p) }

// here rewrites a text of the box: paths, addresses and users.
func (b *bench) here(text string) string {
	for _, p := range []string{"/run/sallyport", "/var/lib/sallyport", "/usr/bin/"} {
		text = strings.ReplaceAll(text, p, b.dir+p)
	}
	for from, to := range b.at {
		if !strings.Contains(from, ".") {
			continue // an interface
		}
		text = strings.ReplaceAll(text, from, to)
	}
	return ownUser(text)
}

// socket opens a socket unit as it is written.
func (b *bench) socket(t *testing.T, u unit) *os.File {
	t.Helper()
	var f interface{ File() (*os.File, error) }
	stream, packet := u.last("ListenStream"), u.last("ListenDatagram")
	host := "127.0.0.1"
	if device := u.last("BindToDevice"); device != "" && b.at[device] != "" {
		host = b.at[device]
	}
	switch {
	case strings.HasPrefix(stream, "/"):
		at := b.here(stream)
		if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		ln, err := net.Listen("unix", at)
		if err != nil {
			t.Fatalf("%s: %v", u.path, err)
		}
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
		defer ln.Close()
		b.open[u.name], f = at, ln.(*net.UnixListener)
	case stream != "":
		ln, err := net.Listen("tcp4", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatalf("%s: %v", u.path, err)
		}
		defer ln.Close()
		b.open[u.name], f = ln.Addr().String(), ln.(*net.TCPListener)
	case packet != "":
		pc, err := net.ListenPacket("udp4", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatalf("%s: %v", u.path, err)
		}
		defer pc.Close()
		b.open[u.name], f = pc.LocalAddr().String(), pc.(*net.UDPConn)
	default:
		t.Fatalf("%s listens on nothing", u.path)
	}
	file, err := f.File()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// start starts a service with those of its sockets that linked names, or all of the unix ones, and waits until it is ready.
func (b *bench) start(t *testing.T, name string, linked func(socket string) bool) {
	t.Helper()
	all := units(t)
	at := slices.IndexFunc(all, func(u unit) bool { return u.name == name })
	if at < 0 {
		t.Fatalf("%s is not there", name)
	}
	u := all[at]
	p := &process{ended: make(chan struct{})}
	var names []string
	for _, s := range opens(t)[name] {
		if strings.HasPrefix(s.last("ListenStream"), "/") || linked(s.name) {
			p.files = append(p.files, b.socket(t, s))
			names = append(names, s.last("FileDescriptorName"))
		}
	}
	notify := b.path("/run/" + name + ".notify")
	if err := os.Remove(notify); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	log, err := os.OpenFile(b.path("/run/"+name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// The sockets are for the process whose number is in LISTEN_PID; a shell knows its own before it becomes the daemon.
	args := append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, strings.Fields(b.here(u.last("ExecStart")))...)
	p.cmd = exec.Command("sh", args...)
	p.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify, "CREDENTIALS_DIRECTORY="+b.credentials(t, u),
		fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	p.cmd.ExtraFiles, p.cmd.Stdout, p.cmd.Stderr = p.files, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // its state is read where it is stopped
	}()
	b.mu.Lock()
	b.running[name] = p
	b.mu.Unlock()
	b.await(t, name, p, ready)
}

// await returns when a daemon has said READY=1.
func (b *bench) await(t *testing.T, name string, p *process, ready *net.UnixConn) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	buf := make([]byte, 4096)
	for {
		if err := ready.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := ready.Read(buf)
		if err == nil && slices.Contains(strings.Split(string(buf[:n]), "\n"), "READY=1") {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("%s ended before it was ready: %v", name, p.cmd.ProcessState)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s was not ready within a minute", name)
		}
	}
}

// credentials is a folder with what a unit loads, as systemd shows it to the daemon.
func (b *bench) credentials(t *testing.T, u unit) string {
	t.Helper()
	dir := b.path("/run/credentials/" + u.name)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	otherwise := map[string]string{} // what a unit has where first boot made nothing
	for _, value := range u.all("SetCredential") {
		name, text, _ := strings.Cut(value, ":")
		otherwise[name] = strings.ReplaceAll(text, `\n`, "\n")
	}
	for _, value := range u.all("LoadCredential") {
		name, from, _ := strings.Cut(value, ":")
		raw, err := os.ReadFile(b.path(from))
		if text, ok := otherwise[name]; ok && errors.Is(err, fs.ErrNotExist) {
			raw, err = []byte(text), nil
		}
		if err != nil {
			t.Fatalf("%s loads %s, which first boot has not made: %v", u.path, name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// stop ends what runs, the last started first, and holds that each ends with 0.
func (b *bench) stop(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for name, p := range b.running {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		select {
		case <-p.ended:
		case <-ctx.Done():
			t.Errorf("%s did not end", name)
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ended with %d", name, code)
		}
		for _, f := range p.files {
			_ = f.Close()
		}
		delete(b.running, name)
	}
}

// tell shows the ends of the logs, so that a failure explains itself.
func (b *bench) tell(t *testing.T) {
	t.Helper()
	logs, err := filepath.Glob(b.path("/run/*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range logs {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		lines := strings.Split(string(bytes.TrimSpace(raw)), "\n")
		t.Logf("%s:\n%s", filepath.Base(path), strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
}

// numbers are lines of a configuration that are true of the box only: its users, and the program that opens its firewall.
var numbers = regexp.MustCompile(`(?m)^(\w+_uids) = \[.*\]$|^egress = .*\n`)

// ownUser rewrites them for a machine where everybody is the user of the test and no firewall is in the way.
func ownUser(text string) string {
	return numbers.ReplaceAllStringFunc(text, func(line string) string {
		key, _, _ := strings.Cut(line, " ")
		if key == "egress" {
			return ""
		}
		return fmt.Sprintf("%s = [%d]", key, os.Getuid())
	})
}
