//go:build image

package images_test

import (
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/api/doortest"
)

// TestContainerTakesItsSite boots the root with a seed that is no site file: the box waits, with its setup door alone. Then
// it gets its site while it runs: ports change their names, and each door is at the port of its own zone.
func TestContainerTakesItsSite(t *testing.T) {
	c := boot(t, imageRoot(t), func(net.Addr) []byte { return []byte("schema = 1\n") }, func(ln net.Listener) { _ = ln.Close() })
	up := func(unit string) {
		t.Helper()
		doortest.Eventually(t, 3*time.Minute, unit, func() bool {
			out, _ := c.runs(t, "systemctl", "is-active", unit)
			return strings.TrimSpace(out) == "active"
		})
	}
	up("bookingd.service")
	if diff := cmp.Diff([]string{"mgmt0 bookingd"}, c.doors(t)); diff != "" {
		t.Errorf("the doors of a box that waits (-want +got):\n%s", diff)
	}
	if out, _ := c.runs(t, "systemctl", "is-active", "gatewayd.service"); strings.TrimSpace(out) != "inactive" {
		t.Errorf("a box that waits has a gateway: %s", out)
	}

	// The cable of the setup door becomes the kiosks', the worst that can be.
	links, err := c.runs(t, "ip", "-o", "link")
	if err != nil {
		t.Fatal(err)
	}
	var macs []string
	for _, m := range regexp.MustCompile(`(?m)^\d+: (\w+)[@:].*link/ether ([0-9a-f:]{17})`).FindAllStringSubmatch(links, -1) {
		if m[1] == "mgmt0" {
			macs = slices.Insert(macs, 0, m[2])
		} else {
			macs = append(macs, m[2])
		}
	}
	if len(macs) != 5 {
		t.Fatalf("the box has not five ports:\n%s", links)
	}
	text := string(seedFor(t, &net.TCPAddr{Port: 25}))
	for i, port := range []string{"02", "01", "03", "04", "05"} { // kiosk first
		text = strings.ReplaceAll(text, "02:00:00:00:01:"+port, macs[i])
	}
	if err := os.WriteFile(c.file("/var/lib/sallyport/site/site.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := c.runs(t, "sallyportctl", "site", "apply"); err != nil {
		t.Fatalf("site apply: %v\n%s", err, out)
	}
	for _, unit := range []string{"bookingd.service", "gatewayd.service", "gatewayd-split.service", "names-kiosk.socket", "turn-udp.socket"} {
		up(unit)
	}
	want := []string{"kiosk0 gatewayd", "mgmt0 bookingd", "staff0 gatewayd", "tablet0 gatewayd", "wan0 gatewayd"}
	if diff := cmp.Diff(want, c.doors(t)); diff != "" {
		t.Errorf("the doors of the site (-want +got):\n%s", diff)
	}
	if mac, err := c.runs(t, "cat", "/sys/class/net/kiosk0/address"); err != nil || strings.TrimSpace(mac) != macs[0] {
		t.Errorf("the kiosks' port is %s, want %s: %v", mac, macs[0], err)
	}
}

var listener = regexp.MustCompile(`(?m)\*%(\w+):443 .*\(\("(\w+)"`)

// doors are those who listen on TCP port 443, with the port of the machine on which they do.
func (c *container) doors(t *testing.T) (all []string) {
	t.Helper()
	out, err := c.runs(t, "ss", "-Htlnp")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range listener.FindAllStringSubmatch(out, -1) {
		all = append(all, m[1]+" "+m[2])
	}
	slices.Sort(all)
	return all
}
