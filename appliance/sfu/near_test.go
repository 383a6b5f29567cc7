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

// A door with two networks tells each client the address of its own, and nobody that of the other (M11).
func TestMediaAddressIsNear(t *testing.T) {
	wired, wireless := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	var zones []sfu.Zone
	for _, at := range []netip.Addr{wired, wireless} {
		conn, err := net.ListenPacket("udp4", netip.AddrPortFrom(at, 0).String())
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, sfu.Zone{Doors: []string{"kiosk"}, Conn: conn})
	}
	path, err := sfu.NewPionPath(clock.Real{}, zones...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(path.Shut)
	for _, tt := range []struct {
		name       string
		near, want netip.Addr
	}{
		{"wired", wired, wired},
		{"wireless", wireless, wireless},
		{"reached elsewhere", netip.MustParseAddr("192.0.2.1"), wired},
		{"not known", netip.Addr{}, wired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cert, fp := sfutest.Certificate(t)
			peer := sfutest.NewPeer(t, cert, true, 1, 'i')
			leg, answer, err := path.Answer(t.Context(), sfu.Place{
				Call: ident.New[ident.Call](), Name: "i1", Door: "kiosk", Near: tt.near, Fingerprint: fp, Sends: true, Down: 1, Kbps: 1000,
			}, []byte(peer.Offer()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { path.Close(leg) })
			candidates := 0
			for line := range strings.Lines(string(answer)) {
				if strings.HasPrefix(line, "a=candidate") {
					candidates++
					if got := strings.Fields(line)[4]; got != tt.want.String() {
						t.Errorf("told %s, want %s", got, tt.want)
					}
				}
			}
			if candidates != 1 {
				t.Errorf("told %d addresses:\n%s", candidates, answer)
			}
		})
	}
}
