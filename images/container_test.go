//go:build image

package images_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/appliance/api/doortest"
)

// container is the image's root, booted whole by systemd-nspawn in a network and a mount namespace of its own. It has no
// disk and no firmware; everything else is what the box runs.
type container struct {
	root string
	net  string     // its networks
	seed string     // file of its site
	disk *smallDisk // its data; nil: in memory, for one start

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
	log   *console
	init  int // its first process, as this machine counts
}

// console gathers what a container prints.
type console struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// imageRoot unpacks the root of the image under test into a folder of the workshop. IMAGE_ROOT names one that is unpacked.
func imageRoot(t *testing.T) string {
	t.Helper()
	if at := os.Getenv("IMAGE_ROOT"); at != "" {
		return at
	}
	disk := diskImage(t)
	out := filepath.Dir(disk)
	slot := found(t, strings.TrimSuffix(disk, ".raw")+".root-x86-64.*.raw")[0]
	tools, dir := filepath.Join(out, "tools"), filepath.Join(workshop(t), "root")
	// The tools of the build read the format that they have written; their libraries are newer than this machine's.
	if said, err := said(t, filepath.Join(tools, "lib64/ld-linux-x86-64.so.2"), "--library-path", filepath.Join(tools, "usr/lib/x86_64-linux-gnu"),
		filepath.Join(tools, "usr/bin/fsck.erofs"), "--extract="+dir, slot); err != nil {
		t.Fatalf("unpack the root: %v\n%s", err, said)
	}
	return dir
}

// veths are the cables: the end here and the end in the container.
var veths = map[string]string{"wan0": "v-wan", "kiosk0": "v-kiosk", "tablet0": "v-tablet", "staff0": "v-staff", "mgmt0": "v-mgmt"}

// boot makes the networks of a container with a seed in them, and starts it.
func boot(t *testing.T, root string, seed func(relay net.Addr) []byte, mail func(net.Listener)) *container {
	t.Helper()
	c := unbooted(t, root, seed, mail)
	c.start(t)
	return c
}

// unbooted makes what a container has before it starts, and keeps from one start to the next: its networks and its seed.
func unbooted(t *testing.T, root string, seed func(relay net.Addr) []byte, mail func(net.Listener)) *container {
	t.Helper()
	needs(t, "systemd-nspawn", "systemd-container")
	needsRoot(t, "to make namespaces")
	c := &container{root: root}
	// The namespaces come first, so that the relay for mail can be in them before the box asks for it.
	holder := exec.Command("unshare", "--net", "sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	t.Cleanup(func() {
		if c.cmd == nil {
			return
		}
		if t.Failed() {
			t.Logf("the journal:\n%s", c.journal())
		}
		c.stop(t)
	})
	c.net = fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid)
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	doortest.Eventually(t, 10*time.Second, "a network namespace", func() bool {
		theirs, err := os.Readlink(c.net)
		return err == nil && theirs != own
	})
	c.ip(t, "link", "set", "lo", "up")
	var ln net.Listener
	if err := c.inside(func() (err error) { ln, err = net.Listen("tcp4", "0.0.0.0:0"); return err }); err != nil {
		t.Fatal(err)
	}
	mail(ln)
	c.seed = filepath.Join(t.TempDir(), "site")
	if err := os.WriteFile(c.seed, seed(ln.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// start starts the container, whose end is the test's at the latest, and gives each cable's end here an address in its zone.
func (c *container) start(t *testing.T) {
	t.Helper()
	args := []string{"--net=" + c.net}
	var disk string
	if c.disk != nil {
		args = append(args, "--mount="+c.disk.namespace)
		disk = "--bind=" + c.disk.path + ":/var/lib/sallyport"
	}
	args = append(args, "--", "unshare", "--mount", "--propagation", "private", "sh", "-ec",
		`mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"`, "sh",
		"systemd-nspawn", "--quiet", "--directory="+c.root, "--volatile=overlay", "--register=no", "--keep-unit", "--private-network",
		"--console=read-only", "--machine=sallyport-test", "--load-credential=site:"+c.seed)
	if disk != "" {
		args = append(args, disk)
	}
	for box, here := range veths {
		args = append(args, "--network-veth-extra="+here+":"+box)
	}
	// /var of a container is in memory; the units that open the disk have none to open.
	args = append(args, "--boot", "systemd.mask=var.mount", "luks=no", "systemd.log_color=0")
	cmd, ended := exec.Command("nsenter", args...), make(chan struct{})
	c.ended, c.log, c.init = ended, &console{}, 0
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	cmd.Stdout, cmd.Stderr = c.log, c.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.cmd = cmd
	go func() {
		defer close(ended)
		_ = cmd.Wait() // a container is ended by a signal
	}()
	doortest.Eventually(t, time.Minute, "the container's first process", func() bool {
		select {
		case <-ended:
			t.Fatalf("systemd-nspawn ended:\n%s", c.log)
		default:
		}
		c.init = firstOf(cmd.Process.Pid)
		return c.init > 0
	})
	c.cable(t)
}

// stop has the container shut itself down, and ends it when it does not.
func (c *container) stop(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Logf("end the container: %v", err)
	}
	select {
	case <-c.ended:
	case <-time.After(time.Minute):
		if c.init > 0 {
			_ = syscall.Kill(c.init, syscall.SIGKILL) // with it, the kernel ends all of its processes
		}
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}

// cable gives this side of each cable an address in its zone.
func (c *container) cable(t *testing.T) {
	t.Helper()
	for here, address := range map[string]string{
		"v-wan": "10.0.2.2/24", "v-kiosk": "10.20.0.254/24", "v-tablet": "10.21.0.254/23", "v-staff": "10.1.30.1/24", "v-mgmt": "10.1.99.1/24",
	} {
		c.ip(t, "addr", "add", address, "dev", here)
		c.ip(t, "link", "set", here, "up")
	}
}

func (c *container) ip(t *testing.T, args ...string) {
	t.Helper()
	var out string
	var err error
	doortest.Eventually(t, 20*time.Second, "ip "+strings.Join(args, " "), func() bool { // nspawn may still be making the cable
		out, err = said(t, "nsenter", append([]string{"--net=" + c.net, "ip"}, args...)...)
		return err == nil || !strings.Contains(out, "Cannot find device") && !strings.Contains(out, "does not exist")
	})
	if err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// firstOf finds the container's own systemd below nspawn, 0 when it has none yet.
func firstOf(pid int) int {
	for _, child := range children(pid) {
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child)); err == nil && strings.TrimSpace(string(name)) == "systemd" {
			return child
		}
		if found := firstOf(child); found > 0 {
			return found
		}
	}
	return 0
}

func children(pid int) (all []int) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	for _, f := range strings.Fields(string(raw)) {
		if n, err := strconv.Atoi(f); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// inside runs fn with this thread in the network of the zones. Sockets that fn makes stay there.
func (c *container) inside(fn func() error) (err error) {
	runtime.LockOSThread()
	defer func() {
		if err == nil || !errors.Is(err, errStranded) {
			// A thread that ends would take the children along that it has started: it goes back and is used again.
			runtime.UnlockOSThread()
		}
	}()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer own.Close()
	theirs, err := os.Open(c.net)
	if err != nil {
		return err
	}
	defer theirs.Close()
	if err := unix.Setns(int(theirs.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	said := fn()
	if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("%w: %w", errStranded, err)
	}
	return said
}

// errStranded is a thread that could not leave the network of the zones; nothing else may run on it.
var errStranded = errors.New("the thread cannot go back to its own network")

// dial reaches an address of the box from its zone.
func (c *container) dial(address string) dialer {
	return func(ctx context.Context) (conn net.Conn, err error) {
		err = c.inside(func() (err error) {
			var d net.Dialer
			conn, err = d.DialContext(ctx, "tcp4", address)
			return err
		})
		return conn, err
	}
}

// runs runs a program of the box in it, and returns what it printed.
func (c *container) runs(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return said(t, "nsenter", append([]string{"--target=" + strconv.Itoa(c.init), "--all", "--root", "--wd", "--"}, args...)...)
}

// journal is what the units said.
func (c *container) journal() string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nsenter", "--target="+strconv.Itoa(c.init), "--all", "--root", "--wd", "--",
		"journalctl", "--no-pager", "-b", "-o", "short-monotonic", "-n", "1500", "-p", "info").CombinedOutput()
	if err != nil {
		return c.log.String()
	}
	var lines []string
	for line := range strings.Lines(string(out)) { // a daemon that was ended for hanging tells what each goroutine did
		if !dumped.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-80):], "")
}

// dumped are the lines of such a dump, and what the health check says again and again.
var dumped = regexp.MustCompile(`goroutine |fp=0x|created by |\.go:\d+|a check is not well|\]: (runtime|internal|sync|net|sallyport)[./]`)

// file is a file of the running box.
func (c *container) file(path string) string { return fmt.Sprintf("/proc/%d/root%s", c.init, path) }

// processes are those of the box, with the program and the user of each.
func (c *container) processes(t *testing.T) (all []task) {
	t.Helper()
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", c.init))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range found(t, "/proc/[0-9]*") {
		if ns, err := os.Readlink(dir + "/ns/pid"); err != nil || ns != own {
			continue
		}
		exe, err := os.Readlink(dir + "/exe")
		if err != nil {
			continue // it has ended meanwhile
		}
		info, err := os.ReadFile(dir + "/status")
		if err != nil {
			continue
		}
		p := task{program: exe}
		for line := range strings.Lines(string(info)) {
			if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
				p.uid, _ = strconv.Atoi(strings.Fields(rest)[1])
			}
		}
		all = append(all, p)
	}
	return all
}

// task is a process as the machine sees it.
type task struct {
	program string
	uid     int
}
