package relay

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v3"

	"sallyport/appliance/clock"
	"sallyport/appliance/ident"
)

// The wire around a datagram: Ethernet with its check sequence, IPv4, UDP. A spoofed request is amplified by what the
// answer costs there. A browser's first Allocate has 28 bytes, pion's answer with a nonce 64: just within 1.5.
const wire = 14 + 4 + 20 + 8

// The attributes and values that pion must not see (RFC 8656, 6062).
const (
	attrEvenPort           = 0x0018
	attrRequestedTransport = 0x0019
	attrAddressFamily      = 0x0017
	attrReservationToken   = 0x0022
	attrAdditionalFamily   = 0x8000
	transportUDP           = 17
	familyIPv4             = 1
)

// verdict says what becomes of a client's message.
type verdict struct {
	pass  bool
	code  stun.ErrorCode // of our own answer, 0 for none
	cause string
}

// judge looks at a message before pion does: pion would make a UDP allocation of a TCP one, and keep a port for an
// EVEN-PORT.
func judge(msg []byte) verdict {
	if len(msg) >= 4 && msg[0]&0xC0 == 0x40 {
		// pion reads channel data whose length does not fit as STUN and masks the two bits away: no STUN in that dress.
		return verdict{pass: !stun.IsMessage(msg)}
	}
	if len(msg) < 20 || msg[0]&0xC0 != 0 || !stun.IsMessage(msg) {
		return verdict{}
	}
	var t stun.MessageType
	t.ReadValue(binary.BigEndian.Uint16(msg))
	switch {
	case t.Class == stun.ClassIndication:
		return verdict{pass: t.Method == stun.MethodSend}
	case t.Class != stun.ClassRequest:
		return verdict{}
	case t.Method == stun.MethodBinding, t.Method == stun.MethodRefresh, t.Method == stun.MethodCreatePermission, t.Method == stun.MethodChannelBind:
		return verdict{pass: true}
	case t.Method != stun.MethodAllocate:
		return verdict{code: stun.CodeBadRequest, cause: "transport"}
	}
	for rest := msg[20:]; len(rest) >= 4; {
		kind, n := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if n > len(rest)-4 {
			return verdict{code: stun.CodeBadRequest}
		}
		value := rest[4 : 4+n]
		switch kind {
		case attrRequestedTransport:
			if n != 4 || value[0] != transportUDP {
				return verdict{code: stun.CodeUnsupportedTransProto, cause: "transport"}
			}
		case attrEvenPort, attrReservationToken, attrAdditionalFamily:
			return verdict{code: stun.CodeBadRequest, cause: "transport"}
		case attrAddressFamily:
			if n != 4 || value[0] != familyIPv4 {
				return verdict{code: stun.CodeAddrFamilyNotSupported, cause: "transport"}
			}
		}
		rest = rest[min(4+(n+3)&^3, len(rest)):]
	}
	return verdict{pass: true}
}

// answer builds our own error answer to a request.
func answer(request []byte, code stun.ErrorCode) []byte {
	var t stun.MessageType
	t.ReadValue(binary.BigEndian.Uint16(request))
	m := &stun.Message{}
	copy(m.TransactionID[:], request[8:20])
	out, err := stun.Build(m, stun.NewType(t.Method, stun.ClassErrorResponse), &stun.ErrorCodeAttribute{Code: code})
	if err != nil {
		return nil
	}
	return out.Raw
}

// unproven tells whether an outgoing message answers somebody who has proven nothing: an error, or a binding.
func unproven(msg []byte) bool {
	if len(msg) < 20 || msg[0]&0xC0 != 0 {
		return false
	}
	var t stun.MessageType
	t.ReadValue(binary.BigEndian.Uint16(msg))
	return t.Class == stun.ClassErrorResponse || t.Class == stun.ClassSuccessResponse && t.Method == stun.MethodBinding
}

// guardedPackets is a UDP socket as pion may see it. One goroutine reads, and writes the answers to what it read.
type guardedPackets struct {
	net.PacketConn
	answers *answers
	refused func(ident.Call, ident.Seat, string)
	asked   int // size of the request that is being answered; of the reading goroutine only
}

// ReadFrom returns the next message that pion may see.
func (g *guardedPackets) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := g.PacketConn.ReadFrom(p)
		if err != nil {
			return n, from, err
		}
		v := judge(p[:n])
		if v.cause != "" {
			g.refused("", "", v.cause)
		}
		g.asked = n
		if v.pass {
			return n, from, nil
		}
		if v.code != 0 {
			_, _ = g.WriteTo(answer(p[:n], v.code), from) // a datagram may be lost anyway
		}
	}
}

// WriteTo sends what pion sends, but few and short answers to who has proven nothing: their address may be forged.
func (g *guardedPackets) WriteTo(p []byte, to net.Addr) (int, error) {
	if unproven(p) && (2*(len(p)+wire) > 3*(g.asked+wire) || !g.answers.allow(sourceOf(to))) {
		return len(p), nil
	}
	return g.PacketConn.WriteTo(p, to)
}

// answers counts unproven answers per source: 20 a second.
type answers struct {
	clock clock.Clock

	mu      sync.Mutex // guards sources
	sources map[netip.Prefix]*window
}

type window struct {
	from time.Duration
	n    int
}

const (
	answersASecond = 20
	maxSources     = 1 << 16
)

func newAnswers(c clock.Clock) *answers {
	return &answers{clock: c, sources: map[netip.Prefix]*window{}}
}

// allow tells whether a source may have another answer. When too many sources ask, new ones have to wait: that is a flood
// of forged addresses.
func (a *answers) allow(source netip.Addr) bool {
	bits := 32
	if source.Is6() {
		bits = 64 // one household, one prefix
	}
	key, err := source.Prefix(bits)
	if err != nil {
		return false
	}
	now := a.clock.Boot()
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.sources[key]
	if w == nil {
		if len(a.sources) >= maxSources {
			return false
		}
		w = &window{from: now}
		a.sources[key] = w
	}
	if now-w.from >= time.Second {
		w.from, w.n = now, 0
	}
	w.n++
	return w.n <= answersASecond
}

// forget drops the sources of seconds that are over.
func (a *answers) forget() {
	now := a.clock.Boot()
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, w := range a.sources {
		if now-w.from >= time.Second {
			delete(a.sources, key)
		}
	}
}
