package provisioning_test

import (
	"fmt"
	"strings"
	"testing"
)

// canaries are ports that no zone has: what listens there by mistake is not reached.
var canaries = []string{
	"tcp:22", "tcp:25", "tcp:53", "tcp:80", "tcp:123", "tcp:2379", "tcp:5432", "tcp:8080", "tcp:8443", "tcp:50000", "tcp:60000",
	"udp:69", "udp:161", "udp:443", "udp:514", "udp:546", "udp:1900", "udp:5353", "udp:5355", "udp:49152", "udp:50001",
}

// open are the documented ports of each zone.
var open = map[string][]string{
	"wan0":    {"tcp:443", "tcp:3478", "udp:3478", "udp:50000"},
	"kiosk0":  {"tcp:443", "udp:53", "udp:123", "udp:50000"}, // and 67, which answers to another kind of address
	"tablet0": {"tcp:443", "udp:53", "udp:123", "udp:50000"},
	"staff0":  {"tcp:443", "udp:50000"},
	"mgmt0":   {"tcp:443"},
}

// known are all ports that are open somewhere.
var known = []string{"tcp:443", "tcp:3478", "udp:53", "udp:67", "udp:123", "udp:3478", "udp:50000"}

// at makes a question about a port of an address.
func at(answers bool, port, address string) string {
	network, number, _ := strings.Cut(port, ":")
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	return fmt.Sprintf("%s%s:%s:%s", map[bool]string{true: "+", false: "-"}[answers], network, address, number)
}

func own(list string) string { return strings.Split(strings.Fields(list)[0], "/")[0] }

// M2, P8: only the documented ports answer in each zone, only at the zone's own address, and nothing is passed on.
func TestOnlyDocumentedPortsAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listen("box", "root", append([]string{"tcp:443", "tcp:3478", "udp:3478"}, canaries...)...)
	w.listen("box", "gateway", "udp:50000")
	w.listen("box", "split", "udp:53")
	w.listen("box", "_chrony", "udp:123")
	w.listen("box", "systemd-network", "udp:67")
	for _, z := range zones {
		w.listen(z.name, "root", "tcp:443", "udp:50000")
	}
	for _, z := range zones {
		var questions []string
		is := map[string]bool{}
		for _, p := range open[z.name] {
			is[p] = true
			questions = append(questions, at(true, p, own(z.box)))
		}
		for _, p := range append(known, canaries...) {
			if !is[p] && (p != "udp:67" || z.name == "wan0" || z.name == "staff0" || z.name == "mgmt0") {
				questions = append(questions, at(false, p, own(z.box)))
			}
		}
		for _, other := range zones {
			if other.name == z.name {
				continue
			}
			for _, p := range known {
				questions = append(questions, at(false, p, own(other.box))) // through the wrong zone
			}
			questions = append(questions, at(false, "tcp:443", own(other.outside)), at(false, "udp:50000", own(other.outside))) // through the box
		}
		w.ask(z.name, "root", questions...)
	}
	v6 := "2001:db8:1::10"
	w.ask("wan0", "root", at(true, "tcp:443", v6), at(true, "udp:50000", v6), at(true, "udp:3478", v6), at(false, "tcp:22", v6), at(false, "udp:5353", v6))
	// Who may ask inside is a network, not a cable.
	w.ask("staff0", "root", "-tcp@10.77.0.20:10.1.30.5:443", "-tcp:10.77.0.5:443", "-udp:10.77.0.5:50000")
	w.ask("mgmt0", "root", "-tcp@10.1.98.20:10.1.99.5:443", "-tcp:10.1.98.5:443", "+tcp@10.1.99.20:10.1.99.5:443")
}

// M2: who goes out is known by user, where to by what was asked for by name.
func TestUsersGoOutWhereTheyMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, z := range zones {
		w.listen(z.name, "root", "tcp:443", "tcp:587", "tcp:53", "udp:53", "udp:123", "udp:7000", "tcp:25")
	}
	w.listen("box", "gateway", "udp:50000")
	w.listen("box", "root", "tcp:8080")
	var shut []string
	for _, z := range zones {
		for _, p := range []string{"tcp:443", "tcp:587", "tcp:25", "tcp:53", "udp:53", "udp:123", "udp:7000"} {
			shut = append(shut, at(false, p, own(z.outside)))
		}
	}
	for _, user := range []string{"root", "booking", "gateway", "split", "syncd", "courier"} {
		w.ask("box", user, shut...)
	}
	const staff, wan = "10.1.30.20", "203.0.113.20"
	w.ask("box", "systemd-resolve", at(true, "udp:53", staff), at(true, "tcp:53", staff), at(false, "udp:53", wan), at(false, "tcp:443", staff))
	w.ask("box", "_chrony", at(true, "udp:123", staff), at(false, "udp:123", wan), at(false, "udp:53", staff))
	// Media and relay send from their ports, and only as the user that has them.
	w.ask("box", "booking", "-udp/3478:203.0.113.20:7000")
	w.ask("box", "gateway", "+udp/3478:203.0.113.20:7000", "-udp/40000:203.0.113.20:7000", "+udp:203.0.113.10:50000", "-tcp:127.0.0.1:8080")
	w.ask("box", "root", "+tcp:127.0.0.1:8080")
	w.ask("box", "booking", "-tcp:127.0.0.1:8080")

	// A host that was asked for by name, for one user, one port.
	w.in("box", "nft", "add", "element", "inet", "sallyport", "booking_to4", "{ 203.0.113.20 . 587 timeout 10m }")
	w.in("box", "nft", "add", "element", "inet", "sallyport", "syncd_to6", "{ 2001:db8:1::20 . 443 timeout 10m }")
	w.ask("box", "booking", at(true, "tcp:587", wan), at(false, "tcp:25", wan), at(false, "tcp:587", staff), at(false, "tcp:443", "2001:db8:1::20"))
	w.ask("box", "syncd", at(true, "tcp:443", "2001:db8:1::20"), at(false, "tcp:587", wan))
	w.ask("box", "courier", at(false, "tcp:587", wan))
	w.ask("box", "root", at(false, "tcp:587", wan))
}
