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

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/api/doortest"
	"sallyport/images/guest"
	"sallyport/provisioning/authority"
)

// bootWithin bounds a boot on an emulated, busy processor; a quiet machine of two cores takes about 190 s.
const bootWithin = 20 * time.Minute

// What the box says on its serial line.
var (
	verdict  = regexp.MustCompile(`SALLYPORT version=(\S+) slot=(\S+) verdict=(\S+) failed=\[([^\]]*)\]`)
	claim    = regexp.MustCompile(`Claim code: ([0-9A-Z]{4}(?:-[0-9A-Z]{4}){3})`)
	recovery = regexp.MustCompile(`Recovery key: ([a-z]{8}(?:-[a-z]{8}){7})\b`)
	issuer   = regexp.MustCompile(`Local authority: ([0-9A-F]{2}(?::[0-9A-F]{2}){31})`)
)

// asked is systemd's question for a key of the disk.
var asked = regexp.MustCompile(`(?i)enter (the )?(recovery key|passphrase)[^\n]*`)

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

// trust asks the setup door for its certificates and returns the pool of the box's own authority. Its fingerprint is on the
// console: that is how a person knows that it is this box.
func trust(t *testing.T, r *guest.Run, at string) *x509.CertPool {
	t.Helper()
	var chain []*x509.Certificate
	doortest.Eventually(t, 5*time.Minute, "the setup door", func() bool {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 30 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true, ServerName: "sallyport.harbour.example"}}
		conn, err := d.DialContext(t.Context(), "tcp", at)
		if err != nil {
			return false
		}
		defer conn.Close()
		chain = conn.(*tls.Conn).ConnectionState().PeerCertificates
		return true
	})
	shown := issuer.FindStringSubmatch(r.Text())
	top := chain[len(chain)-1]
	if shown == nil || authority.Fingerprint(top) != shown[1] {
		t.Errorf("the setup door's authority is %s, the console shows %v", authority.Fingerprint(top), shown)
	}
	pool := x509.NewCertPool()
	pool.AddCert(top)
	return pool
}

// first is what a box told on its first day.
type first struct {
	key string // of recovery
	*site
}

// unpack makes a box with the image on its disk and starts it for the first time.
func unpack(t *testing.T, seed []byte) (*guest.Box, *guest.Run) {
	t.Helper()
	box, err := guest.New(t.Context(), workshop(t), diskImage(t))
	if err != nil {
		t.Fatal(err)
	}
	box.Cards = cards()
	if seed != nil {
		box.Credentials = map[string][]byte{"site": seed}
	}
	return box, start(t, box)
}

// shown waits for something on the console, wherever in its text it is: two things may be told in any order.
func shown(t *testing.T, r *guest.Run, within time.Duration, pattern *regexp.Regexp) []string {
	t.Helper()
	var m []string
	doortest.Eventually(t, within, pattern.String(), func() bool {
		select {
		case <-r.Ended():
			t.Fatalf("the box went off before it said %q", pattern)
		default:
		}
		m = pattern.FindStringSubmatch(r.Text())
		return m != nil
	})
	return m
}

// TestBoot is a box's first day: firmware to a good verdict, everything that a person does until the first visit stands,
// the second boot, the same disk in another board, and a flipped byte in its root. With BOX, the folder of a box that an
// earlier run has kept, and RECOVERY, its key, the last two can be run alone: -run 'TestBoot/(another_board|flipped_byte)'.
func TestBoot(t *testing.T) {
	mails, relay := mailServer(t)
	f := first{key: os.Getenv("RECOVERY"), site: &site{mails: mails}}
	var box *guest.Box
	var r *guest.Run
	if kept := os.Getenv("BOX"); kept != "" {
		box = guest.Open(kept)
		box.Cards = cards()
	} else {
		box, r = unpack(t, seedFor(t, relay))
	}
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"first boot", func(t *testing.T) {
			version, slot := healthy(t, r)
			if slot != "a" || version == "" {
				t.Errorf("version %q in slot %q", version, slot)
			}
			f.key, f.claim = shown(t, r, 3*time.Minute, recovery)[1], shown(t, r, 3*time.Minute, claim)[1]
			groups := strings.Split(f.key, "-")
			if err := r.Type(groups[0] + " " + groups[len(groups)-1] + "\r"); err != nil {
				t.Fatal(err)
			}
		}},
		{"first visit", func(t *testing.T) {
			f.doors = doorsOf(t, trust(t, r, box.At("mgmt0", "tcp/443")), func(name string) dialer {
				return at(func() string { return box.At(zoneOf(name), "tcp/443") })
			})
			f.firstVisit(t)
		}},
		{"media answers in two zones", func(t *testing.T) {
			asksSTUN(t, "wan0", box.At("wan0", "udp/50000"))
			asksSTUN(t, "kiosk0", box.At("kiosk0", "udp/50000"))
		}},
		{"second boot", func(t *testing.T) {
			off(t, r)
			r = start(t, box)
			healthy(t, r)
			if recovery.MatchString(r.Text()) {
				t.Error("the recovery key is shown a second time")
			}
			if claim.MatchString(r.Text()) {
				t.Error("a claim code is shown for a box that has an owner")
			}
			f.still(t)
			off(t, r)
		}},
	} {
		if !t.Run(step.name, step.do) {
			t.FailNow() // the later steps need this one
		}
	}
	t.Run("flipped byte", func(t *testing.T) { flippedRoot(t, box) })
	t.Run("another board", func(t *testing.T) { otherBoard(t, box, f.key) })
	t.Run("the visit takes place", func(t *testing.T) { theirDay(t, box, f.site) })
}

// toDoors is how long before the visit the box of the day is switched on: its waiting room opens while it starts or soon after.
const toDoors = 4 * time.Minute

// theirDay starts a copy of the box on the day of the visit and has the visit take place. The calls go to the addresses of the
// box, which lead nowhere on this machine; what it answers is turned to where they are forwarded.
func theirDay(t *testing.T, box *guest.Box, s *site) {
	box, err := box.Clone(t.Context(), workshop(t))
	if err != nil {
		t.Fatal(err)
	}
	box.Clock = s.start.Add(-toDoors)
	ahead := time.Until(box.Clock)
	s.admin.Ahead, s.clerk.Ahead = ahead, ahead
	r := start(t, box)
	healthy(t, r)
	s.doors = doorsOf(t, trust(t, r, box.At("mgmt0", "tcp/443")), func(name string) dialer {
		return at(func() string { return box.At(zoneOf(name), "tcp/443") })
	})
	s.comeBack(t)
	s.takesPlace(t, func(door, sdp string) string {
		for _, c := range box.Cards {
			if c.Name == zoneOf(door) {
				host, port, _ := strings.Cut(box.At(c.Name, "udp/50000"), ":")
				sdp = strings.ReplaceAll(sdp, " "+c.Box+" 50000 ", " "+host+" "+port+" ")
			}
		}
		return sdp
	})
	off(t, r)
}

// otherBoard puts the disk under another TPM: it asks for the recovery key, refuses a wrong one, and comes up with the
// right one. The console then seals it to the new TPM.
func otherBoard(t *testing.T, box *guest.Box, key string) {
	moved, err := box.Clone(t.Context(), workshop(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := moved.ReplaceTPM(); err != nil {
		t.Fatal(err)
	}
	r := start(t, moved)
	says(t, r, bootWithin, asked)
	if err := r.Type("wrongwro-wrongwro-wrongwro-wrongwro-wrongwro-wrongwro-wrongwro-wrongwro\r"); err != nil {
		t.Fatal(err)
	}
	// It asks until the key is right.
	says(t, r, bootWithin, asked)
	if verdict.MatchString(r.Text()) {
		t.Fatal("the disk opens without its key")
	}
	if err := r.Type(key + "\r"); err != nil {
		t.Fatal(err)
	}
	healthy(t, r)
	// From now on by itself, and by nothing less than before.
	for _, try := range []struct{ key, says string }{
		{strings.Repeat("c", len(key)), `That key does not open the disk`},
		{key, `This machine opens its disk again by itself`},
	} {
		if err := r.Type("seal " + try.key + "\r"); err != nil {
			t.Fatal(err)
		}
		says(t, r, 5*time.Minute, regexp.MustCompile(try.says))
	}
	off(t, r)
	sealed(t, moved)
	r = start(t, moved)
	healthy(t, r)
	if asked.MatchString(r.Text()) {
		t.Error("the disk still asks for its key")
	}
	r.Cut()
}

// sealed looks at what opens the data: this machine's TPM, in this state, with a version that we have signed; and one
// recovery key.
func sealed(t *testing.T, box *guest.Box) {
	t.Helper()
	p, err := guest.Find(box.Disk(), dataPartition)
	if err != nil {
		t.Fatal(err)
	}
	e, err := guest.Encrypted(box.Disk(), p.Offset)
	if err != nil {
		t.Fatal(err)
	}
	want := guest.Encryption{Slots: 2, Tokens: map[string]int{"systemd-tpm2": 1, "systemd-recovery": 1}, PCRs: []int{7}, Signed: []int{11}}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("what opens the data (-want +got):\n%s", diff)
	}
}

// flippedRoot changes one bit of the first block of the root that holds anything, which every start reads: the slot does
// not come up, and says why.
func flippedRoot(t *testing.T, box *guest.Box) {
	torn, err := box.Clone(t.Context(), workshop(t))
	if err != nil {
		t.Fatal(err)
	}
	all, err := guest.Partitions(torn.Disk())
	if err != nil {
		t.Fatal(err)
	}
	const root = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709" // x86-64, by the Discoverable Partitions Specification
	slot := slices.IndexFunc(all, func(p guest.Partition) bool { return p.Type == root })
	if slot < 0 {
		t.Fatalf("no root among %v", all)
	}
	if err := guest.FlipUsed(torn.Disk(), all[slot], 0, 1); err != nil {
		t.Fatal(err)
	}
	r := start(t, torn)
	says(t, r, bootWithin, regexp.MustCompile(`(?i)[^\n]*(data block \d+ is corrupted|Failed to mount sysroot|emergency|Failed to start initrd-root|Dependency failed for initrd-root)[^\n]*`))
	if verdict.MatchString(r.Text()) {
		t.Error("a torn root comes up")
	}
	r.Cut()
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
