//go:build image

package images_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/images/guest"
)

// TestVLANs starts a box whose networks come over two cables: kiosks untagged, and tablets, staff and management with tags
// beside them. Each zone answers in its own VLAN and in no other.
func TestVLANs(t *testing.T) {
	_, relay := mailServer(t)
	seed := string(seedFor(t, relay))
	vlans := map[string]uint16{"tablet0": 21, "staff0": 30, "mgmt0": 99}
	for _, change := range [][2]string{
		{"[port.lan3]\nmac = \"02:00:00:00:01:03\"\n", ""},
		{"[port.lan4]\nmac = \"02:00:00:00:01:04\"\n", ""},
		{"[port.lan5]\nmac = \"02:00:00:00:01:05\"\n", ""},
		{`port = "lan5"`, "port = \"lan2\"\nvlan = 21"},
		{`port = "lan3"`, "port = \"lan2\"\nvlan = 30"},
		{`port = "lan4"`, "port = \"lan2\"\nvlan = 99"},
	} {
		if strings.Count(seed, change[0]) != 1 {
			t.Fatalf("the site file of the tests has %q %d times", change[0], strings.Count(seed, change[0]))
		}
		seed = strings.Replace(seed, change[0], change[1], 1)
	}
	box, err := guest.New(t.Context(), workshop(t), diskImage(t))
	if err != nil {
		t.Fatal(err)
	}
	box.Cards, box.Credentials = cards(), map[string][]byte{"site": []byte(seed)}
	for i, c := range box.Cards {
		if id, ok := vlans[c.Name]; ok {
			box.Cards[i].On, box.Cards[i].VLAN, box.Cards[i].MAC = "kiosk0", id, ""
		}
	}
	// The same network under a tag that the box does not know.
	stray := box.Cards[3]
	stray.Name, stray.VLAN = "stray", 31
	box.Cards = append(box.Cards, stray)

	r := start(t, box)
	healthy(t, r)
	for _, c := range box.Cards {
		answers := func() bool {
			conn, err := net.DialTimeout("tcp", box.At(c.Name, "tcp/443"), 10*time.Second)
			if err != nil {
				return false
			}
			defer conn.Close()
			// qemu takes the connection whatever the box does.
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			return tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: doorNames[c.Name]}).HandshakeContext(t.Context()) == nil
		}
		if c.Name == "stray" {
			if answers() {
				t.Error("the staff door answers under a tag that is nobody's")
			}
			continue
		}
		doortest.Eventually(t, 2*time.Minute, "the door of "+c.Name, answers)
		for _, p := range c.Ports {
			if p == "udp/50000" {
				asksSTUN(t, c.Name, box.At(c.Name, p))
			}
		}
	}
}

// doorNames are by network what the site file of the tests calls its doors.
var doorNames = map[string]string{
	"wan0": "visit.harbour.example", "kiosk0": "kiosk.harbour.internal", "tablet0": "tablet.harbour.internal", "staff0": "visits.harbour.example",
	"mgmt0": "sallyport.harbour.example",
}
