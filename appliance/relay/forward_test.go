package relay_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/relay"
)

// Behind a port forwarding clients name the public address; nothing is sent there.
func TestForwardedMediaPort(t *testing.T) {
	public := netip.MustParseAddrPort("198.51.100.7:50000")
	r := newRig(t, clock.Real{}, func(c *relay.Config) { c.Peer = public })
	c, err := r.allocate(udp, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteTo([]byte("up"), net.UDPAddrFromAddrPort(public)); err != nil {
		t.Fatal(err)
	}
	from := r.arrives("up")
	if _, err := r.media.WriteToUDPAddrPort([]byte("downwards"), from); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, who, err := c.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "downwards" || who.(*net.UDPAddr).AddrPort() != public {
		t.Errorf("%q from %v, %v", buf[:n], who, err)
	}
}
