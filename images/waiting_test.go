//go:build image

package images_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/images/guest"
	"sallyport/provisioning/roster"
	"sallyport/provisioning/signature"
)

// TestWaiting starts a box that nobody has brought a site file: it comes up, says what it waits for, and answers at the
// setup door on its first port alone.
func TestWaiting(t *testing.T) {
	box, r := unpack(t, nil)
	says(t, r, bootWithin, waiting)
	healthy(t, r)
	setupAlone(t, box, r)
}

// waiting is what the console of a box without a site file says.
var waiting = regexp.MustCompile(`Waiting: there is no site file[^\n]*`)

// setupAlone holds that a box shows its claim code, and answers at the setup door on its first port and at no other door.
func setupAlone(t *testing.T, box *guest.Box, r *guest.Run) {
	t.Helper()
	shown(t, r, 3*time.Minute, claim)
	pool := x509.NewCertPool()
	doortest.Eventually(t, 5*time.Minute, "the setup door", func() bool {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 20 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}}
		conn, err := d.DialContext(t.Context(), "tcp", box.At("wan0", "tcp/443"))
		if err != nil {
			return false
		}
		defer conn.Close()
		chain := conn.(*tls.Conn).ConnectionState().PeerCertificates
		pool.AddCert(chain[len(chain)-1])
		return true
	})
	host := shown(t, r, time.Minute, regexp.MustCompile(`Name: (sallyport-[a-z0-9]{4})`))[1]
	door := newDoor(t, "setup", "https://"+host, at(func() string { return box.At("wan0", "tcp/443") }), pool)
	if state := door.Browse().Do(t, 200, "GET", "state", nil); state["claimed"] != false {
		t.Errorf("a waiting box says %v", state)
	}
	for _, c := range box.Cards[1:] {
		conn, err := net.DialTimeout("tcp", box.At(c.Name, "tcp/443"), 10*time.Second)
		if err != nil {
			continue
		}
		// qemu takes the connection on this side whatever the box does; it ends it when the box does not answer.
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if tlsConn := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}); tlsConn.Handshake() == nil {
			t.Errorf("a waiting box answers in the place of %s", c.Name)
		}
		conn.Close()
	}
}

// TestStick brings a box its site on a USB stick, as an installer does: one whose signature does not fit is refused in words
// and the box waits, its right one is taken with the roster beside it.
func TestStick(t *testing.T) {
	image := diskImage(t)
	if strings.Contains(read(t, strings.TrimSuffix(image, ".raw")+".components.json"), "linux-image-cloud") {
		lacking(t, "the kernel for virtual machines knows no USB (IMAGE_KERNEL=generic make image)")
	}
	right, err := signature.OpenSigner(filepath.Join(filepath.Dir(filepath.Dir(image)), "keys/update-current.key"))
	if err != nil {
		lacking(t, "the signing key of the image is not beside it (IMAGE_KEYS)")
	}
	wrong, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	mails, relay := mailServer(t)
	text := seedFor(t, relay)
	dir := workshop(t)
	signed := func(by signature.Signer) string {
		for name, content := range map[string][]byte{"site.toml": text, "site.sig": by.Sign(signature.Seed, text), "roster.csv": roster.Sample} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return stick(t, dir, filepath.Join(dir, "site.toml"), filepath.Join(dir, "site.sig"), filepath.Join(dir, "roster.csv"))
	}
	box, err := guest.New(t.Context(), dir, image)
	if err != nil {
		t.Fatal(err)
	}
	box.Cards, box.USB, box.Stick = cards(), true, signed(wrong)

	r := start(t, box)
	// Nothing but this unit loads the driver, in the initrd as little as after it.
	says(t, r, bootWithin, regexp.MustCompile(`Finished sallyport-stick\.service`))
	says(t, r, bootWithin, waiting)
	healthy(t, r) // the stick is bad, not the version
	shown(t, r, time.Minute, regexp.MustCompile(`Phase seed waiting: The seed from the stick SALLYPORT is refused: site\.sig does not fit site\.toml`))
	setupAlone(t, box, r)
	off(t, r)

	box.Stick = signed(right)
	r = start(t, box)
	healthy(t, r)
	shown(t, r, time.Minute, regexp.MustCompile(`Facility: Harbour County Jail`))
	if waiting.MatchString(r.Text()) {
		t.Error("a box with a site still waits for one")
	}
	// Until bookingd has made a new code, the console shows the one of the start before.
	codes := claim.FindAllStringSubmatch(r.Text(), -1)
	if len(codes) == 0 {
		t.Fatal("the console shows no claim code")
	}
	s := &site{mails: mails, claim: codes[len(codes)-1][1]}
	s.doors = doorsOf(t, trust(t, r, box.At("mgmt0", "tcp/443")), func(name string) dialer {
		return at(func() string { return box.At(zoneOf(name), "tcp/443") })
	})
	for _, name := range []string{"visitor", "kiosk", "staff"} {
		if a := s.doors[name].Browse().Ask(t, "GET", "session", nil); a.Status != 401 {
			t.Errorf("the %s door answers %d %s", name, a.Status, a.Raw)
		}
	}
	s.claimIt(t)
	s.hire(t)
	if all := s.inmates(t); len(all) != 1 {
		t.Errorf("the first inmate of the roster is there %d times", len(all))
	}
}
