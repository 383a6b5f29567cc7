package images_test

import (
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"sallyport/appliance/api/doortest"
	"sallyport/daemons/demo/mailbox"
	"sallyport/provisioning"
)

// sitePort is where the site file of the tests has the mail relay until it is known.
const sitePort = "port = 2525"

// seedFor is the site file of the tests with the port of the mail server that runs.
func seedFor(t *testing.T, mail net.Addr) []byte {
	t.Helper()
	text := read(t, "testdata/site.toml")
	if !strings.Contains(text, sitePort) {
		t.Fatalf("the site file of the tests has no line %q", sitePort)
	}
	seed := strings.Replace(text, sitePort, fmt.Sprintf("port = %d", mail.(*net.TCPAddr).Port), 1)
	if _, problems := provisioning.Read([]byte(seed)); len(problems) > 0 {
		t.Fatal(problems.Fault())
	}
	return []byte(seed)
}

// mailServer is the facility's relay.
func mailServer(t *testing.T) (*mailbox.Mailbox, net.Addr) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box, done := mailbox.New(), make(chan error, 1)
	go func() { done <- box.ServeSMTP(t.Context(), ln) }()
	t.Cleanup(func() {
		_ = ln.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return box, ln.Addr()
}

// doorsOf are the doors of the tests' site; reach says how each is dialled.
func doorsOf(t *testing.T, roots *x509.CertPool, reach func(door string) dialer) map[string]doortest.Door {
	t.Helper()
	all := map[string]doortest.Door{}
	for name, host := range map[string]string{
		"visitor": "visit.harbour.example", "kiosk": "kiosk.harbour.internal", "staff": "visits.harbour.example", "setup": "sallyport.harbour.example",
	} {
		all[name] = newDoor(t, name, "https://"+host, reach(name), roots)
	}
	return all
}

// asksSTUN asks a media port whether it is there, and wants an answer that names the asker's own address as the box sees it.
func asksSTUN(t *testing.T, zone, at string) {
	t.Helper()
	conn, err := net.Dial("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	buf := make([]byte, 1500)
	for range 20 { // a datagram may be lost
		if _, err := conn.Write(m.Raw); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			continue
		}
		a := &stun.Message{Raw: buf[:n]}
		var mine stun.XORMappedAddress
		if err := a.Decode(); err != nil || a.Type != stun.BindingSuccess || a.TransactionID != m.TransactionID || mine.GetFrom(a) != nil {
			t.Fatalf("%s: the media port answers %v (%v)", zone, a, err)
		}
		t.Logf("%s: the media port answers %v", zone, mine)
		return
	}
	t.Fatalf("%s: the media port at %s does not answer", zone, at)
}
