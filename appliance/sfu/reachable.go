package sfu

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v3"

	"sallyport/appliance/clock"
)

// answersASecond bounds how many strangers are told that the port is there: no network is flooded through it.
const answersASecond = 100

// reachable answers a plain STUN binding request, one without a user name, on a media socket: whoever asks learns that the
// port is open and how its own address looks from here, as the verdict on a version and a network's installer need to. All
// else goes to the calls, which know their callers by the user name. An answer is 32 bytes to 20 asked.
type reachable struct {
	*net.UDPConn
	clock clock.Clock

	second time.Duration // since boot, whole seconds; the socket has one reader
	told   int           // answers in it
}

// answering wraps a media socket; one that is not UDP stays as it is.
func answering(conn net.PacketConn, c clock.Clock) net.PacketConn {
	if udp, ok := conn.(*net.UDPConn); ok {
		return &reachable{UDPConn: udp, clock: c}
	}
	return conn
}

// ReadFromAddrPort returns the next packet that is for a call.
func (r *reachable) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := r.ReadFromUDPAddrPort(b)
		if err != nil || !plainBinding(b[:n]) {
			return n, from, err
		}
		r.tell(b[:n], from)
	}
}

// WriteToAddrPort is the write without an allocation.
func (r *reachable) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return r.WriteToUDPAddrPort(b, to)
}

// stunHeader is the length of a message without attributes.
const stunHeader = 20

// plainBinding tells a binding request without a user name from everything else that comes in. Most packets end at the
// first byte.
func plainBinding(p []byte) bool {
	if len(p) < stunHeader || p[0] != 0 || p[1] != 1 || !stun.IsMessage(p) || len(p) != stunHeader+int(binary.BigEndian.Uint16(p[2:])) {
		return false
	}
	for rest := p[stunHeader:]; len(rest) > 0; {
		if len(rest) < 4 || stun.AttrType(binary.BigEndian.Uint16(rest)) == stun.AttrUsername {
			return false
		}
		next := 4 + (int(binary.BigEndian.Uint16(rest[2:]))+3)&^3
		if next > len(rest) {
			return false
		}
		rest = rest[next:]
	}
	return true
}

// tell answers, unless too many have asked in this second. An answer that is lost is asked for again.
func (r *reachable) tell(request []byte, from netip.AddrPort) {
	if now := r.clock.Boot().Truncate(time.Second); now != r.second {
		r.second, r.told = now, 0
	}
	if r.told++; r.told > answersASecond {
		return
	}
	var id [stun.TransactionIDSize]byte
	copy(id[:], request[8:stunHeader])
	m, err := stun.Build(stun.NewTransactionIDSetter(id), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: from.Addr().Unmap().AsSlice(), Port: int(from.Port())})
	if err != nil {
		return
	}
	_, _ = r.WriteToUDPAddrPort(m.Raw, from)
}
