//go:build image

package images_test

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/appliance/api/doortest"
	daemon "sallyport/appliance/unit"
	"sallyport/daemons/demo/mailbox"
)

// TestContainer boots the image's root without firmware and disk, and looks inside, which a box does not let anybody do.
func TestContainer(t *testing.T) {
	began := time.Now()
	mails := mailbox.New()
	c := boot(t, imageRoot(t), func(relay net.Addr) []byte { return seedFor(t, relay) }, func(ln net.Listener) {
		done := make(chan error, 1)
		go func() { done <- mails.ServeSMTP(t.Context(), ln) }()
		t.Cleanup(func() {
			_ = ln.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
	s := &site{mails: mails}
	t.Run("everything runs", func(t *testing.T) {
		var said string
		doortest.Eventually(t, 10*time.Minute, "the verdict", func() bool {
			raw, err := os.ReadFile(c.file("/run/sallyport/verdict"))
			said = strings.TrimSpace(string(raw))
			return err == nil && verdict.MatchString(said)
		})
		doortest.Eventually(t, time.Minute, "the end of the boot", func() bool {
			out, _ := c.runs(t, "systemctl", "is-system-running")
			return slices.Contains([]string{"running", "degraded"}, strings.TrimSpace(out))
		})
		t.Logf("booted after %.0f s", time.Since(began).Seconds())
		if !strings.HasSuffix(said, "verdict=good failed=[]") {
			t.Errorf("the verdict is %s", said)
		}
		if out, err := c.runs(t, "systemctl", "--failed", "--plain", "--no-legend", "--no-pager"); err != nil || strings.TrimSpace(out) != "" {
			t.Errorf("systemctl --failed: %v\n%s", err, out)
		}
		for _, name := range []string{"bookingd.service", "gatewayd.service", "gatewayd-split.service", "sallyport-doors.target", "boot-complete.target"} {
			if out, _ := c.runs(t, "systemctl", "is-active", name); strings.TrimSpace(out) != "active" {
				t.Errorf("%s is %s", name, strings.TrimSpace(out))
			}
		}
	})
	t.Run("systemd of the image understands the units", func(t *testing.T) {
		args := []string{"systemd-analyze", "verify", "--man=no", "--recursive-errors=no"}
		for _, u := range units(t) {
			if u.ofTheBox() {
				args = append(args, "/usr/lib/systemd/system/"+u.name)
			}
		}
		if out, err := c.runs(t, args...); err != nil || strings.TrimSpace(out) != "" {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
		out, err := c.runs(t, "systemd-analyze", "security", "--no-pager")
		if err != nil {
			t.Errorf("systemd-analyze security: %v", err)
		}
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 2 && (strings.HasPrefix(f[0], "sallyport") || slices.Contains(daemons, f[0])) {
				t.Logf("%-32s %s", f[0], f[1])
			}
		}
	})
	t.Run("nobody of ours is root, no shell, no login", func(t *testing.T) { c.tame(t) })
	t.Run("ports", c.scan)
	t.Run("datagrams", c.scanUDP)
	t.Run("names", func(t *testing.T) {
		c.asks(t, "10.20.0.1", "kiosk.harbour.internal.", dnsmessage.RCodeSuccess, "10.20.0.1")
		c.asks(t, "10.21.0.1", "tablet.harbour.internal.", dnsmessage.RCodeSuccess, "10.21.0.1")
		c.asks(t, "10.20.0.1", "www.example.com.", dnsmessage.RCodeRefused, "")
	})
	ca := c.authority(t)
	s.claim = strings.TrimSpace(read(t, c.file("/var/lib/sallyport/booking/claim-code")))
	s.doors = doorsOf(t, ca, func(name string) dialer { return c.dial(addressOf(name) + ":443") })
	t.Run("first visit", s.firstVisit)
	t.Run("the health page names the version", func(t *testing.T) {
		want := daemon.ImageVersion(c.file(daemon.OSRelease))
		if h := s.setup.Do(t, 200, "GET", "health", nil); want == "" || h["version"] != want {
			t.Errorf("it says %v, the image says %q", h["version"], want)
		}
	})
	t.Run("media answers in every zone", func(t *testing.T) {
		for _, at := range []string{"10.0.2.15", "10.20.0.1", "10.21.0.1", "10.1.30.5"} {
			if err := c.inside(func() error { asksSTUN(t, at, at+":50000"); return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("a daemon that hangs is replaced", func(t *testing.T) {
		before := c.pid(t, "bookingd.service")
		if out, err := c.runs(t, "systemctl", "kill", "--signal=STOP", "bookingd.service"); err != nil {
			t.Fatalf("stop it: %v\n%s", err, out)
		}
		stopped := time.Now()
		doortest.Eventually(t, time.Minute, "another bookingd", func() bool {
			now := c.pid(t, "bookingd.service")
			out, _ := c.runs(t, "systemctl", "is-active", "bookingd.service")
			return now != "0" && now != before && strings.TrimSpace(out) == "active"
		})
		if took := time.Since(stopped); took > 30*time.Second {
			t.Errorf("it took %v, more than its watchdog's 20 s and a start", took)
		} else {
			t.Logf("replaced after %.1f s", took.Seconds())
		}
	})
}

// authority is the pool with the box's own.
func (c *container) authority(t *testing.T) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(read(t, c.file("/var/lib/sallyport/site/authority.crt")))) {
		t.Fatal("first boot made no authority")
	}
	return pool
}

func (c *container) pid(t *testing.T, name string) string {
	t.Helper()
	out, err := c.runs(t, "systemctl", "show", "--value", "--property=MainPID", name)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(out)
}

// addressOf is where a door is in the tests' site.
func addressOf(door string) string {
	return map[string]string{"visitor": "10.0.2.15", "kiosk": "10.20.0.1", "staff": "10.1.30.5", "setup": "10.1.99.5"}[door]
}

// tame holds that the programs that speak to people or networks have users of their own, and that nothing waits for a
// person who logs in.
func (c *container) tame(t *testing.T) {
	users := map[string]int{}
	for _, p := range c.processes(t) {
		name := filepath.Base(p.program)
		users[name] = p.uid
		switch name {
		case "bookingd", "gatewayd", "syncd", "sallyportctl":
			if p.uid == 0 {
				t.Errorf("%s runs as root", p.program)
			}
		case "sh", "bash", "dash", "login", "agetty", "sulogin", "sshd":
			t.Errorf("%s runs", p.program)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(users)) {
		t.Logf("%-24s uid %d", name, users[name])
	}
	for _, name := range []string{"bookingd", "gatewayd"} {
		if _, ok := users[name]; !ok {
			t.Errorf("%s does not run", name)
		}
	}
	for _, path := range []string{"/usr/bin/bash", "/usr/bin/dash", "/usr/bin/sh", "/usr/sbin/agetty", "/usr/sbin/sulogin", "/usr/sbin/sshd"} {
		if _, err := os.Lstat(c.file(path)); err == nil {
			t.Errorf("the image has %s", path)
		}
	}
}

// asks asks a zone's responder for a name, from that zone.
func (c *container) asks(t *testing.T, server, name string, want dnsmessage.RCode, address string) {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 4711, RecursionDesired: true})
	if err := b.StartQuestions(); err != nil {
		t.Fatal(err)
	}
	if err := b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}); err != nil {
		t.Fatal(err)
	}
	question, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	if err := c.inside(func() error {
		conn, err := net.Dial("udp4", server+":53")
		if err != nil {
			return err
		}
		defer conn.Close()
		buf := make([]byte, 1500)
		for range 5 {
			if _, err := conn.Write(question); err != nil {
				return err
			}
			if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
				return err
			}
			if n, err := conn.Read(buf); err == nil {
				raw = buf[:n]
				return nil
			}
		}
		return fmt.Errorf("%s does not answer", server)
	}); err != nil {
		t.Error(err)
		return
	}
	var m dnsmessage.Message
	if err := m.Unpack(raw); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, a := range m.Answers {
		if r, ok := a.Body.(*dnsmessage.AResource); ok {
			got = net.IP(r.A[:]).String()
		}
	}
	if m.RCode != want || got != address {
		t.Errorf("%s says of %s: %v %q, want %v %q", server, name, m.RCode, got, want, address)
	}
}
