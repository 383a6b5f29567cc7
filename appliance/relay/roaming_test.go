package relay_test

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"sallyport/appliance/clock"
	"sallyport/appliance/ident"
	"sallyport/appliance/relay"
)

// Where a network gives addresses out, the relay's only peer is the media port at the present one; while there is none,
// nobody gets a relay.
func TestMediaPortRoams(t *testing.T) {
	var here atomic.Value
	here.Store(netip.Addr{})
	r := newRig(t, clock.Real{}, func(c *relay.Config) {
		c.Peer = netip.AddrPortFrom(netip.IPv4Unspecified(), 50000)
		c.Here = func() netip.Addr { return here.Load().(netip.Addr) }
	})
	if _, err := r.allocate(udp, "v1"); err == nil {
		t.Error("a relay without an address")
	}
	for seat, text := range map[ident.Seat]string{"v2": "198.51.100.7", "v3": "198.51.100.8"} {
		at := netip.MustParseAddr(text)
		here.Store(at)
		c, err := r.allocate(udp, seat)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); got != at {
			t.Errorf("relayed at %v, want %v", got, at)
		}
		if _, err := c.WriteTo([]byte("to "+text), net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 50000))); err != nil {
			t.Fatal(err)
		}
		r.arrives("to " + text)
		if _, err := c.WriteTo([]byte("astray"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("198.51.100.6:50000"))); err == nil {
			t.Error("a permission for another address")
		}
	}
}
