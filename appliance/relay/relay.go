// Package relay owns the TURN relay: the way into a call for a visitor whose network lets no media through.
//
// It must not know media, calls' rules or people. It is told one address, the gateway's own media port, and who is in a
// call; it relays to that address and to nothing else. Each allocation has a socket that the kernel has tied to the media
// port in both directions, so nothing that a client asks for can reach another host or port. The relayed addresses that
// clients see are numbers without a socket.
//
// The life of an allocation: a credential that is good now, for a seat that is in; at most two a seat; ended by the
// client, by its seat's end ([Server.Close]), or by the sweep that asks again every second.
package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v4"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// Limits of security.md, 4.1.
const (
	perSeat    = 2
	perSource  = 40 // carrier NAT shares addresses
	spare      = 64
	idleAfter  = 10 * time.Second // an allocation that may make room for its seat's next one
	lapseAfter = 5 * time.Second  // a reservation that became no allocation
	sweepEvery = time.Second
	firstPort  = 49152 // of the relayed addresses
	lastPort   = 65535
)

// Config is what the relay is told. Everything is required: a missing check must not mean "allowed".
type Config struct {
	// Peer is the only address that is relayed to and from: the media port as clients are told it.
	Peer netip.AddrPort
	// Here, when set, tells the present address of both Peer and Relayed, because the network gives it out and may change
	// it; the zero address while there is none, and then nothing is relayed. It must not block.
	Here func() netip.Addr
	// Media is where that port is on this machine: Peer itself, unless a port forwarding is between them and clients.
	Media netip.AddrPort
	// Relayed is the address that clients are told for their allocations. No socket is there.
	Relayed netip.Addr
	// Doors are the doors whose clients come to these listeners.
	Doors []string
	// Seats is how many visitor seats there may be at once: it bounds all allocations.
	Seats int
	// Secrets returns the present and former secrets of credentials.
	Secrets func() []linkspec.TURNSecret
	// In tells whether a seat is in its call now: its signaling is alive or within grace, the call has not ended.
	In func(call ident.Call, seat ident.Seat, door string) bool
	// Refused hears of refusals, by code: credential, door, seat, quota, total, source, transport. Call and seat are
	// empty when the credential proves nothing. It must not block.
	Refused func(call ident.Call, seat ident.Seat, code string)
	Clock   clock.Clock
}

func (c Config) check() error {
	bad := func(what string) error {
		return fault.Newf("relay.New", fault.Invalid, "The relay needs %s.", what).WithCode("relay_config")
	}
	peer, relayed := c.Peer, c.Relayed
	if c.Here != nil { // whatever it is by then
		relayed = netip.IPv4Unspecified()
		if peer = c.Media; c.Peer.Port() == 0 {
			peer = netip.AddrPort{}
		}
	}
	switch {
	case !whole(peer) || !whole(c.Media):
		return bad("the address and port of the media socket")
	case !peer.Addr().Unmap().Is4() || !c.Media.Addr().Unmap().Is4() || !relayed.Unmap().Is4():
		return bad("IPv4 addresses") // pion allocates IPv4 only; an IPv6 client reaches the listener and that suffices
	case len(c.Doors) == 0:
		return bad("a door")
	case c.Seats <= 0:
		return bad("a number of seats")
	case c.Secrets == nil || c.In == nil || c.Refused == nil || c.Clock == nil:
		return bad("all of its checks")
	}
	return nil
}

func whole(a netip.AddrPort) bool { return a.IsValid() && a.Port() != 0 && !a.Addr().IsUnspecified() }

// Server is a relay. It relays nothing before [Server.Serve].
type Server struct {
	cfg     Config
	packets []net.PacketConn
	streams []net.Listener

	mu      sync.Mutex // guards the rest; never held while calling out
	bridges map[uint16]*bridge
	pending []reservation
	next    uint16
	refused map[string]int64 // counts by code
}

// reservation is an allocation that was allowed and is not there yet. pion asks for the quota without a lock.
type reservation struct {
	owner owner
	at    time.Duration // boot time
}

// New makes a relay over UDP sockets and TCP or TLS listeners, which it closes when Serve ends. It returns Invalid for a
// configuration with a missing check.
func New(cfg Config, packets []net.PacketConn, streams []net.Listener) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if len(packets)+len(streams) == 0 {
		return nil, fault.New("relay.New", fault.Invalid, "The relay needs a listener.").WithCode("relay_config")
	}
	cfg.Peer = netip.AddrPortFrom(cfg.Peer.Addr().Unmap(), cfg.Peer.Port())
	cfg.Media = netip.AddrPortFrom(cfg.Media.Addr().Unmap(), cfg.Media.Port())
	cfg.Relayed = cfg.Relayed.Unmap()
	return &Server{
		cfg: cfg, packets: packets, streams: streams, bridges: map[uint16]*bridge{}, next: firstPort, refused: map[string]int64{},
	}, nil
}

// realm is as short as it may be: a 401 must not be much longer than the request it answers (M6).
const realm = "sp"

// Serve relays until ctx ends. It closes the listeners and every allocation before it returns.
func (s *Server) Serve(ctx context.Context) error {
	answers := newAnswers(s.cfg.Clock)
	conf := turn.ServerConfig{
		Realm: realm, AuthHandler: s.authenticate, QuotaHandler: s.admit,
		EventHandler:  turn.EventHandler{OnAllocationCreated: s.created},
		LoggerFactory: silent{},
	}
	for _, p := range s.packets {
		conf.PacketConnConfigs = append(conf.PacketConnConfigs, turn.PacketConnConfig{
			PacketConn:            &guardedPackets{PacketConn: p, answers: answers, refused: s.refuse},
			RelayAddressGenerator: generator{s}, PermissionHandler: s.permits,
		})
	}
	var guards []*guardedListener
	for _, l := range s.streams {
		g := newGuardedListener(l, s.limit(), s.refuse)
		guards = append(guards, g)
		conf.ListenerConfigs = append(conf.ListenerConfigs, turn.ListenerConfig{
			Listener: g, RelayAddressGenerator: generator{s}, PermissionHandler: s.permits,
		})
	}
	server, err := turn.NewServer(conf)
	if err != nil {
		return fault.New("relay.Serve", fault.Internal, "The relay could not start.").Because(err)
	}
	s.sweep(ctx, answers)
	err = server.Close()
	for _, g := range guards {
		g.closeAll()
	}
	s.Close("", "")
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fault.New("relay.Serve", fault.Internal, "The relay could not stop.").Because(err)
	}
	return nil
}

// sweep ends what should have ended, until ctx does: the backstop behind Close.
func (s *Server) sweep(ctx context.Context, answers *answers) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.cfg.Clock.After(sweepEvery):
		}
		answers.forget()
		now := s.cfg.Clock.Now()
		for _, b := range s.owned() {
			o := b.owner.Load()
			if now.After(o.until) || !s.cfg.In(o.call, o.seat, o.door) {
				b.Close()
			}
		}
	}
}

// owned returns the live allocations that belong to somebody.
func (s *Server) owned() []*bridge {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*bridge, 0, len(s.bridges))
	for _, b := range s.bridges {
		if b.owner.Load() != nil {
			out = append(out, b)
		}
	}
	return out
}

// Close ends the allocations of a seat at once; of every seat of the call when seat is "", of everybody when call is too.
// It is for a call's end, a removed or banned seat, and a seat that joined elsewhere.
func (s *Server) Close(call ident.Call, seat ident.Seat) {
	s.mu.Lock()
	var end []*bridge
	for _, b := range s.bridges {
		o := b.owner.Load()
		if call == "" || o != nil && o.call == call && (seat == "" || o.seat == seat) {
			end = append(end, b)
		}
	}
	s.mu.Unlock()
	for _, b := range end {
		b.Close() // pion's reader of it then deletes the allocation
	}
}

// Live returns how many allocations there are, and the counts of refusals by code.
func (s *Server) Live() (allocations int, refused map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused = make(map[string]int64, len(s.refused))
	for code, n := range s.refused {
		refused[code] = n
	}
	return len(s.bridges), refused
}

func (s *Server) limit() int { return 2*s.cfg.Seats + spare }

func (s *Server) refuse(call ident.Call, seat ident.Seat, code string) {
	s.mu.Lock()
	s.refused[code]++
	s.mu.Unlock()
	s.cfg.Refused(call, seat, code)
}

// told returns the addresses that clients are told now; not ok while the network has none.
func (s *Server) told() (peer netip.AddrPort, relayed netip.Addr, ok bool) {
	if s.cfg.Here == nil {
		return s.cfg.Peer, s.cfg.Relayed, true
	}
	here := s.cfg.Here().Unmap()
	return netip.AddrPortFrom(here, s.cfg.Peer.Port()), here, here.Is4()
}

// permits is the first wall: pion's hook sees the peer's IP but no port. The bridge is the second.
func (s *Server) permits(_ net.Addr, peer net.IP) bool {
	ip, ok := netip.AddrFromSlice(peer)
	want, _, here := s.told()
	return ok && here && ip.Unmap() == want.Addr()
}

// admit is pion's quota hook. It reserves a place, or makes one by ending the seat's idle allocation.
func (s *Server) admit(username, _ string, src net.Addr) bool {
	o, err := s.owner(username, src)
	if err != nil {
		return false
	}
	now := s.cfg.Clock.Boot()
	s.mu.Lock()
	s.pending = slices.DeleteFunc(s.pending, func(r reservation) bool { return now-r.at > lapseAfter })
	total, source, seat := len(s.pending), 0, 0
	for _, r := range s.pending {
		seat += count(r.owner.seatOf(o))
		source += count(r.owner.source == o.source)
	}
	var idle *bridge
	for _, b := range s.bridges {
		bo := b.owner.Load()
		if bo == nil {
			continue // counted as its reservation
		}
		total++
		source += count(bo.source == o.source)
		if bo.seatOf(o) {
			seat++
			if now-time.Duration(b.last.Load()) >= idleAfter && (idle == nil || b.last.Load() < idle.last.Load()) {
				idle = b
			}
		}
	}
	code := ""
	switch {
	case seat >= perSeat && idle == nil:
		code = "quota"
	case total >= s.limit():
		code = "total"
	case source >= perSource:
		code = "source"
	default:
		s.pending = append(s.pending, reservation{o, now})
	}
	s.mu.Unlock()
	if code != "" {
		s.refuse(o.call, o.seat, code)
		return false
	}
	if seat >= perSeat {
		idle.Close()
	}
	return true
}

// created is pion's hook after an allocation: only now is it known whose the relayed address is.
func (s *Server) created(src, _ net.Addr, _, username, _ string, relayed net.Addr, _ int) {
	addr, ok := relayed.(*net.UDPAddr)
	o, err := s.owner(username, src)
	if !ok || err != nil {
		return
	}
	s.mu.Lock()
	b := s.bridges[uint16(addr.Port)]
	if i := slices.IndexFunc(s.pending, func(r reservation) bool { return r.owner.seatOf(o) && r.owner.source == o.source }); i >= 0 {
		s.pending = slices.Delete(s.pending, i, i+1)
	}
	if b != nil {
		b.owner.Store(&o)
	}
	s.mu.Unlock()
	// The call may have ended between the credential's check and now.
	if b != nil && !s.cfg.In(o.call, o.seat, o.door) {
		b.Close()
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// silent is pion's logger: its lines hold addresses of people, and nothing that the counts do not say.
type silent struct{}

func (silent) NewLogger(string) logging.LeveledLogger {
	return logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, nil)
}
