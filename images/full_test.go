//go:build image

package images_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/clock"
	"sallyport/daemons/demo/mailbox"
	consoles "sallyport/provisioning/console"
	"sallyport/provisioning/phases"
)

// smallDisk is a file system of a few hundred MiB in memory, in a mount namespace that ends with the test: the data of a
// container that is started more than once.
type smallDisk struct {
	namespace string // file of the mount namespace
	path      string // in it
	here      string // the same folder, for this process
}

// newDisk makes an empty one.
func newDisk(t *testing.T, size int64) *smallDisk {
	t.Helper()
	needsRoot(t, "to mount")
	dir := workshop(t)
	holder := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-ec",
		`mount -t tmpfs -o "size=$2,mode=0755" tmpfs "$1"; exec sleep infinity`, "sh", dir, fmt.Sprint(size))
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	d := &smallDisk{namespace: fmt.Sprintf("/proc/%d/ns/mnt", holder.Process.Pid), path: dir, here: fmt.Sprintf("/proc/%d/root%s", holder.Process.Pid, dir)}
	doortest.Eventually(t, 10*time.Second, "a small disk", func() bool {
		var st unix.Statfs_t
		return unix.Statfs(d.here, &st) == nil && st.Type == unix.TMPFS_MAGIC
	})
	return d
}

// fill writes until there is no room for another byte.
func (d *smallDisk) fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(filepath.Join(d.here, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// free takes away what fill has written.
func (d *smallDisk) free(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.here, name)); err != nil {
		t.Fatal(err)
	}
}

// judged waits for the verdict of a start.
func (c *container) judged(t *testing.T) (line string) {
	t.Helper()
	doortest.Eventually(t, 10*time.Minute, "the verdict", func() bool {
		raw, err := os.ReadFile(c.file("/run/sallyport/verdict"))
		line = strings.TrimSpace(string(raw))
		return err == nil && verdict.MatchString(line)
	})
	t.Log(line)
	return line
}

// pageShows waits until the page of the box's console has a line like this. A container has no terminal for it, so the page
// is made here, of the files that the box has.
func (c *container) pageShows(t *testing.T, line *regexp.Regexp) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := &screen{want: line, found: cancel}
	page := consoles.Console{
		Machine: &phases.Machine{
			State: c.file("/var/lib/sallyport"), Run: c.file("/run/sallyport"), Root: c.file("/usr"), Sys: c.file("/sys"), Contained: true,
			Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler),
		},
		In: strings.NewReader(""), Out: seen, Addresses: func() []string { return nil },
	}
	if err := page.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	if !line.MatchString(seen.text.String()) {
		t.Errorf("the console does not say %q:\n%s", line, seen.text.String())
	}
}

// screen gathers what is shown until it is what was wanted.
type screen struct {
	want  *regexp.Regexp
	found func()
	text  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	defer func() {
		if s.want.Match(s.text.Bytes()) {
			s.found()
		}
	}()
	return s.text.Write(p)
}

// TestFullDisk fills the data disk of a box with a visit on it: it gives its reserve up, serves on and says so; with the
// reserve used up as well it still comes up, its doors read on and refuse in words what they cannot write; with room again
// all is as it was.
func TestFullDisk(t *testing.T) {
	mails := mailbox.New()
	var served sync.WaitGroup
	c := unbooted(t, imageRoot(t), func(relay net.Addr) []byte { return seedFor(t, relay) }, func(ln net.Listener) {
		served.Go(func() {
			if err := mails.ServeSMTP(t.Context(), ln); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(func() { _ = ln.Close(); served.Wait() })
	})
	c.disk = newDisk(t, 400<<20)
	c.start(t)
	if line := c.judged(t); !strings.HasSuffix(line, "verdict=good failed=[]") {
		t.Fatalf("with room: %s", line)
	}
	s := &site{mails: mails, claim: strings.TrimSpace(read(t, c.file("/var/lib/sallyport/booking/claim-code")))}
	s.doors = doorsOf(t, c.authority(t), func(name string) dialer { return c.dial(addressOf(name) + ":443") })
	s.firstVisit(t)
	reserve := filepath.Join(c.disk.here, phases.ReserveFile)
	if _, err := os.Stat(reserve); err != nil {
		t.Fatalf("no room is laid aside: %v", err)
	}
	again := func(t *testing.T) string {
		t.Helper()
		c.stop(t)
		for _, d := range s.doors {
			d.Client.CloseIdleConnections() // to a box that is gone
		}
		c.start(t)
		return c.judged(t)
	}
	// Whoever is signed in reads on, and is told why nothing can be changed.
	refuses := func(t *testing.T) {
		t.Helper()
		s.stands(t)
		if a := s.setup.Ask(t, "POST", "units", map[string]any{"name": "C Wing"}); a.Status != 503 || a.Code() != "disk.full" || !strings.Contains(string(a.Raw), "The disk is full") {
			t.Errorf("a new unit: %d %s", a.Status, a.Raw)
		}
	}
	step := func(name string, do func(t *testing.T)) {
		if !t.Run(name, do) {
			t.FailNow() // the later steps need this one
		}
	}

	step("full at the start: the reserve is given up", func(t *testing.T) {
		c.disk.fill(t, "filler")
		if line := again(t); !strings.Contains(line, "verdict=bad failed=[phases") {
			t.Errorf("%s: want bad, for its phases", line)
		}
		c.pageShows(t, regexp.MustCompile(`Phase disk failed: The disk was full, and its reserve has been given up`))
		if _, err := os.Stat(reserve); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the reserve is still there: %v", err)
		}
		s.still(t)
	})
	step("full while it runs: what cannot be written is refused in words", func(t *testing.T) {
		c.disk.fill(t, "more")
		refuses(t)
		if out, err := c.runs(t, "sallyportctl", "health"); err == nil || !strings.Contains(out, "disk: 0 % free") {
			t.Errorf("the health of a full box (%v):\n%s", err, out)
		}
	})
	step("full at the start, without a reserve", func(t *testing.T) {
		if line := again(t); !strings.Contains(line, "verdict=bad") {
			t.Errorf("%s: want bad", line)
		}
		c.pageShows(t, regexp.MustCompile(`Phase disk failed: The disk is full`))
		refuses(t)
	})
	step("with room again", func(t *testing.T) {
		c.disk.free(t, "filler")
		c.disk.free(t, "more")
		if line := again(t); !strings.HasSuffix(line, "verdict=good failed=[]") {
			t.Errorf("%s: want good", line)
		}
		if _, err := os.Stat(reserve); err != nil {
			t.Errorf("no room is laid aside anew: %v", err)
		}
		s.still(t)
	})
}
