package sfu_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"sallyport/appliance/clock"
	"sallyport/appliance/ident"
	"sallyport/appliance/sfu"
	"sallyport/appliance/sfu/sfutest"
)

// Where a network gives addresses out, each leg is told the present one; the public one, where there is one; none while
// the network is away.
func TestMediaAddressRoams(t *testing.T) {
	for _, tt := range []struct {
		name   string
		here   []string
		public string
		want   []string
	}{
		{"changes", []string{"127.0.0.7", "127.0.0.8"}, "", []string{"127.0.0.7", "127.0.0.8"}},
		{"comes late", []string{"", "127.0.0.9"}, "", []string{"", "127.0.0.9"}},
		{"behind a port forwarding", []string{"127.0.0.7", "127.0.0.8"}, "198.51.100.7", []string{"198.51.100.7", "198.51.100.7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.ListenPacket("udp4", "0.0.0.0:0")
			if err != nil {
				t.Fatal(err)
			}
			present := netip.Addr{}
			zone := sfu.Zone{Doors: []string{"visitor"}, Conn: conn, Here: func() netip.Addr { return present }}
			if tt.public != "" {
				zone.Public = netip.MustParseAddr(tt.public)
			}
			path, err := sfu.NewPionPath(clock.Real{}, zone)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(path.Shut)
			for i, here := range tt.here {
				present = netip.Addr{}
				if here != "" {
					present = netip.MustParseAddr(here)
				}
				cert, fp := sfutest.Certificate(t)
				peer := sfutest.NewPeer(t, cert, true, 1, 'v')
				leg, answer, err := path.Answer(t.Context(), sfu.Place{
					Call: ident.New[ident.Call](), Name: "v1", Door: "visitor", Fingerprint: fp, Sends: true, Down: 1, Kbps: 1000,
				}, []byte(peer.Offer()))
				if err != nil {
					t.Fatal(err)
				}
				path.Close(leg)
				got := ""
				for line := range strings.Lines(string(answer)) {
					if strings.HasPrefix(line, "a=candidate") {
						got += strings.Fields(line)[4]
					}
				}
				if got != tt.want[i] {
					t.Errorf("leg %d is told %q, want %q", i, got, tt.want[i])
				}
			}
		})
	}
}
