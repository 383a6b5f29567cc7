package relay

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/turn/v4"

	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
)

// owner is whose an allocation is.
type owner struct {
	call   ident.Call
	seat   ident.Seat
	door   string
	source netip.Addr
	until  time.Time
}

func (o owner) seatOf(other owner) bool { return o.call == other.call && o.seat == other.seat }

// owner reads a user name that pion has authenticated, or is about to.
func (s *Server) owner(username string, src net.Addr) (owner, error) {
	t, err := grant.ParseTURN(username)
	if err != nil {
		return owner{}, err
	}
	return owner{call: t.Call, seat: t.Seat, door: t.Door, source: sourceOf(src), until: t.EXP.Add(time.Minute)}, nil
}

// authenticate is pion's hook for every Allocate, Refresh, CreatePermission and ChannelBind. A credential's time alone is
// not enough: the seat must be in its call now.
func (s *Server) authenticate(username, realm string, _ net.Addr) ([]byte, bool) {
	t, err := grant.ParseTURN(username)
	if err != nil || t.Valid(s.cfg.Clock.Now()) != nil {
		s.refuse("", "", "credential")
		return nil, false
	}
	if !slices.Contains(s.cfg.Doors, t.Door) {
		s.refuse("", "", "door")
		return nil, false
	}
	for _, secret := range s.cfg.Secrets() {
		if secret.KID != t.KID {
			continue
		}
		if !s.cfg.In(t.Call, t.Seat, t.Door) {
			s.refuse("", "", "seat")
			return nil, false
		}
		return turn.GenerateAuthKey(username, realm, grant.Password(secret.Secret, username)), true
	}
	s.refuse("", "", "credential")
	return nil, false
}

// sourceOf returns a client's address, unmapped.
func sourceOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// errNoTCP refuses what RFC 6062 would want of the generator.
func errNoTCP() error {
	return fault.New("relay.AllocateConn", fault.Forbidden, "There is no relay over TCP.").WithCode("relay_tcp")
}
