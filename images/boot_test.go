//go:build image

package images_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/images/guest"
)

// bootWithin bounds a boot on an emulated, busy processor; a quiet machine of two cores takes about 190 s.
const bootWithin = 20 * time.Minute

// What the box says on its serial line.
var (
	verdict  = regexp.MustCompile(`SALLYPORT version=(\S+) slot=(\S+) verdict=(\S+) failed=\[([^\]]*)\]`)
	claim    = regexp.MustCompile(`Claim code: ([A-Z2-7]{4}(?:-[A-Z2-7]{4}){3})`)
	recovery = regexp.MustCompile(`Recovery key: ([a-z]{8}(?:-[a-z]{8}){7})`)
)

// diskImage is the disk image under test: IMAGE, or the newest that `make image` has built.
func diskImage(t *testing.T) string {
	t.Helper()
	if lack := guest.Lacking(); lack != "" {
		lacking(t, lack)
	}
	if at := os.Getenv("IMAGE"); at != "" {
		return at
	}
	names, err := filepath.Glob("../build/image/out/sallyport_*.raw")
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.Count(filepath.Base(n), ".") > 3 }) // single partitions
	if len(names) == 0 {
		lacking(t, "no image in build/image/out (make image)")
	}
	slices.SortFunc(names, func(a, b string) int { return age(t, a).Compare(age(t, b)) })
	return names[len(names)-1]
}

func age(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// workshop is a folder for boxes, outside of the temporary directory: they have disks of gigabytes.
func workshop(t *testing.T) string {
	t.Helper()
	if err := os.MkdirAll("../build/image/boot", 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("../build/image/boot", "box")
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("KEEP") != "" {
			t.Logf("kept: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// cards are the box's ports as the site file of the tests has them.
func cards() []guest.Card {
	return []guest.Card{
		{Name: "wan0", MAC: "02:00:00:00:01:01", Net: "10.0.2.0/24", Box: "10.0.2.15", Host: "10.0.2.2", Ports: []string{"tcp/443", "tcp/3478", "udp/3478", "udp/50000"}},
		{Name: "kiosk0", MAC: "02:00:00:00:01:02", Net: "10.20.0.0/24", Box: "10.20.0.1", Host: "10.20.0.254", Ports: []string{"tcp/443", "udp/50000", "udp/53"}},
		{Name: "tablet0", MAC: "02:00:00:00:01:05", Net: "10.21.0.0/23", Box: "10.21.0.1", Host: "10.21.0.254", Ports: []string{"tcp/443", "udp/50000", "udp/53"}},
		{Name: "staff0", MAC: "02:00:00:00:01:03", Net: "10.1.30.0/24", Box: "10.1.30.5", Host: "10.1.30.1", Ports: []string{"tcp/443", "udp/50000"}},
		{Name: "mgmt0", MAC: "02:00:00:00:01:04", Net: "10.1.99.0/24", Box: "10.1.99.5", Host: "10.1.99.1", Ports: []string{"tcp/443"}},
	}
}

// start switches a box on; the test's end cuts its power and, after a failure, shows what it said last.
func start(t *testing.T, b *guest.Box) *guest.Run {
	t.Helper()
	r, err := b.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Cut()
		if t.Failed() {
			t.Logf("the serial line's last lines:\n%s", r.Tail(60))
		}
	})
	return r
}

// says waits until the serial line says something, and returns its groups.
func says(t *testing.T, r *guest.Run, within time.Duration, pattern *regexp.Regexp) []string {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), within, fmt.Errorf("not within %v", within))
	defer cancel()
	m, after, err := r.Expect(ctx, pattern)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%4.0f s: %s", after.Seconds(), secretless(m[0]))
	return m
}

// secretless leaves out of the log what only a console may show.
func secretless(line string) string {
	if head, _, cut := strings.Cut(line, ": "); cut && (claim.MatchString(line) || recovery.MatchString(line)) {
		return head
	}
	return line
}

// healthy waits for a good verdict with nothing failed, and returns version and slot.
func healthy(t *testing.T, r *guest.Run) (version, slot string) {
	t.Helper()
	m := says(t, r, bootWithin, verdict)
	if m[3] != "good" || m[4] != "" {
		t.Fatalf("the verdict is %s", m[0])
	}
	return m[1], m[2]
}

// authority asks the setup door for its certificate and returns the pool of the box's own authority, when the console has
// shown its fingerprint.
func authorityOf(t *testing.T, r *guest.Run, at string) *x509.CertPool {
	t.Helper()
	var chain []*x509.Certificate
	wait(t, 3*time.Minute, "the setup door", func() bool {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 30 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true, ServerName: "sallyport.harbour.example"}}
		conn, err := d.DialContext(t.Context(), "tcp", at)
		if err != nil {
			return false
		}
		defer conn.Close()
		chain = conn.(*tls.Conn).ConnectionState().PeerCertificates
		return true
	})
	pool := x509.NewCertPool()
	pool.AddCert(chain[len(chain)-1])
	return pool
}

// TestBoot is a box's first day: firmware to a good verdict, everything that a person does until the first visit stands,
// and the second boot.
func TestBoot(t *testing.T) {
	mails, relay := mailServer(t)
	box, err := guest.New(t.Context(), workshop(t), diskImage(t))
	if err != nil {
		t.Fatal(err)
	}
	box.Cards, box.Credentials = cards(), map[string][]byte{"site": seedFor(t, relay)}
	r := start(t, box)
	s := &site{mails: mails}
	t.Run("first boot", func(t *testing.T) {
		version, slot := healthy(t, r)
		if slot != "a" || version == "" {
			t.Errorf("version %q in slot %q", version, slot)
		}
		key := recovery.FindStringSubmatch(r.Text())
		code := claim.FindStringSubmatch(r.Text())
		if code == nil {
			code = says(t, r, 2*time.Minute, claim)
		}
		if key == nil {
			t.Error("no recovery key was shown")
		}
		s.claim = code[1]
	})
	if t.Failed() {
		return
	}
	s.doors = doorsOf(t, authorityOf(t, r, box.At("mgmt0", "tcp/443")), func(name string) dialer {
		return at(func() string { return box.At(zoneOf(name), "tcp/443") })
	})
	t.Run("first visit", s.firstVisit)
	if t.Failed() {
		return
	}
	t.Run("media answers in two zones", func(t *testing.T) {
		asksSTUN(t, "wan0", box.At("wan0", "udp/50000"))
		asksSTUN(t, "kiosk0", box.At("kiosk0", "udp/50000"))
	})
	t.Run("second boot", func(t *testing.T) {
		off(t, r)
		again := start(t, box)
		healthy(t, again)
		if recovery.MatchString(again.Text()) {
			t.Error("the recovery key is shown a second time")
		}
		if claim.MatchString(again.Text()) {
			t.Error("a claim code is shown for a box that has an owner")
		}
		s.still(t)
	})
}

// off presses the button and waits until the box has gone off by itself.
func off(t *testing.T, r *guest.Run) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := r.Press(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.Ended():
	case <-ctx.Done():
		t.Fatalf("the box does not go off:\n%s", r.Tail(30))
	}
	r.Cut()
}

// zoneOf is the interface of a door.
func zoneOf(door string) string {
	return map[string]string{"visitor": "wan0", "kiosk": "kiosk0", "staff": "staff0", "setup": "mgmt0"}[door]
}
