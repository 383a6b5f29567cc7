package relay

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"sallyport/appliance/fault"
)

// The cap of one allocation, each way: a flood must not cost others loss.
const (
	bytesPerSecond = 2_500_000 / 8
	burst          = 256 << 10
)

// generator gives pion the bridges. It implements turn.RelayAddressGenerator.
type generator struct{ s *Server }

// Validate implements turn.RelayAddressGenerator.
func (g generator) Validate() error { return nil }

// AllocateConn refuses: a relay over TCP could reach any service of the network.
func (g generator) AllocateConn(string, int) (net.Conn, net.Addr, error) { return nil, nil, errNoTCP() }

// AllocatePacketConn makes a bridge. pion does not say for whom; until it does ([Server.created]) the bridge drops all.
func (g generator) AllocatePacketConn(string, int) (net.PacketConn, net.Addr, error) {
	return g.s.bridge()
}

// bridge is the relay socket of one allocation: a net.PacketConn for pion whose only peer is the media port. The socket
// below is connected, so the kernel drops what comes from elsewhere and there is no call that could send elsewhere.
type bridge struct {
	s        *Server
	udp      *net.UDPConn
	relayed  *net.UDPAddr
	peer     *net.UDPAddr // as the client was told it when the allocation was made
	owner    atomic.Pointer[owner]
	last     atomic.Int64 // boot time of the last packet, ns
	up, down *rate.Limiter
	closed   sync.Once
}

func (s *Server) bridge() (net.PacketConn, net.Addr, error) {
	peer, relayed, ok := s.told()
	if !ok {
		return nil, nil, fault.New("relay.bridge", fault.Unavailable, "The network of the relay has no address.")
	}
	udp, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(s.cfg.Media))
	if err != nil {
		return nil, nil, fault.New("relay.bridge", fault.Unavailable, "There is no socket for another relay.").Because(err)
	}
	b := &bridge{
		s: s, udp: udp, peer: net.UDPAddrFromAddrPort(peer),
		up: rate.NewLimiter(bytesPerSecond, burst), down: rate.NewLimiter(bytesPerSecond, burst),
	}
	b.last.Store(int64(s.cfg.Clock.Boot()))
	s.mu.Lock()
	defer s.mu.Unlock()
	for range lastPort - firstPort + 1 {
		port := s.next
		if s.next++; s.next < firstPort { // wrapped around after 65535
			s.next = firstPort
		}
		if _, taken := s.bridges[port]; !taken {
			s.bridges[port] = b
			b.relayed = net.UDPAddrFromAddrPort(netip.AddrPortFrom(relayed, port))
			return b, b.relayed, nil
		}
	}
	_ = udp.Close()
	return nil, nil, fault.New("relay.bridge", fault.Full, "Every relayed address is taken.")
}

// admits tells whether n bytes may pass now, and notes that the allocation is used.
func (b *bridge) admits(limit *rate.Limiter, n int) bool {
	if b.owner.Load() == nil {
		return false
	}
	now := b.s.cfg.Clock.Boot()
	b.last.Store(int64(now))
	return limit.AllowN(time.Unix(0, int64(now)), n)
}

// WriteTo sends a client's packet to the media port. For any other address it sends nothing and says that it did: a client
// learns nothing about what else there is.
func (b *bridge) WriteTo(p []byte, to net.Addr) (int, error) {
	addr, ok := to.(*net.UDPAddr)
	if !ok {
		return len(p), nil
	}
	peer := addr.AddrPort()
	if netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port()) != b.peer.AddrPort() || !b.admits(b.up, len(p)) {
		return len(p), nil
	}
	if _, err := b.udp.Write(p); errors.Is(err, net.ErrClosed) {
		return 0, err
	}
	return len(p), nil // a lost packet is the network's normal case
}

// ReadFrom returns what the media port sent. It fails only once the bridge is closed.
func (b *bridge) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := b.udp.ReadFromUDPAddrPort(p)
		if errors.Is(err, syscall.ECONNREFUSED) { // the media port is starting again
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		if netip.AddrPortFrom(from.Addr().Unmap(), from.Port()) == b.s.cfg.Media && b.admits(b.down, n) {
			return n, b.peer, nil
		}
	}
}

// Close ends the allocation and gives its place back.
func (b *bridge) Close() error {
	err := error(nil)
	b.closed.Do(func() {
		b.s.mu.Lock()
		delete(b.s.bridges, uint16(b.relayed.Port))
		b.s.mu.Unlock()
		err = b.udp.Close()
	})
	return err
}

// LocalAddr returns the relayed address that the client was told.
func (b *bridge) LocalAddr() net.Addr { return b.relayed }

// SetDeadline implements net.PacketConn.
func (b *bridge) SetDeadline(t time.Time) error { return b.udp.SetDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (b *bridge) SetReadDeadline(t time.Time) error { return b.udp.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn.
func (b *bridge) SetWriteDeadline(t time.Time) error { return b.udp.SetWriteDeadline(t) }
