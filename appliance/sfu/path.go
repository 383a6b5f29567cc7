package sfu

import (
	"context"
	"net/netip"
	"time"

	"github.com/pion/rtp"

	"sallyport/appliance/ident"
)

// Path moves packets between legs. Call logic never touches a packet, and a path never decides who hears whom.
type Path interface {
	// Answer takes the one offer of a place and returns its leg and the one answer. It returns Invalid with the code
	// offer_refused, or media_fingerprint when the certificate is not the grant's.
	Answer(ctx context.Context, p Place, offer []byte) (Leg, []byte, error)
	// Routes replaces the call's whole forwarding table at once. When it returns, no packet travels that the new table
	// does not name.
	Routes(call ident.Call, t Table)
	// Close ends a leg and returns after its last packet has left.
	Close(l Leg)
}

// Place is what a path must know about one endpoint.
type Place struct {
	Call        ident.Call
	Name        string               // the seat, or the monitor's id: for logs only
	Door        string               // decides the media address; its socket is the only one that knows the leg's ICE credentials
	Near        netip.Addr           // our address that the client's signaling reached: of a door's media addresses, this one
	Fingerprint string               // SHA-256 of the client's certificate, as in its grant
	Sends       bool                 // offers its own audio and video
	Down        int                  // pairs that it receives
	Kbps        int                  // limit of its camera
	Watches     bool                 // a monitor: its feedback ends here and it starts from the kept key frame
	Changed     func(l Leg, up bool) // called on the leg's own goroutine: it must not wait for Close
}

// Leg is one media connection of a place.
type Leg interface {
	// LastMedia is the boot time of the last packet that came in, 0 before the first.
	LastMedia() time.Duration
	// Up tells whether ICE and DTLS are established now.
	Up() bool
}

// Tap sees packets by reference and never blocks. [Recorder] is one.
type Tap interface {
	Packet(seat ident.Seat, kind Media, p *rtp.Packet)
	Report(seat ident.Seat, kind Media, ntp uint64, rtpTime uint32)
}

// Table says which track goes to which slot of which leg, and which taps see it. The empty table is silence.
type Table struct {
	Routes []Route
	Taps   []TapRow
	Keep   bool // keep the packets since the last key frame, and ask every camera for one each 10 s: social calls only
}

// Route forwards one track of one leg to one slot of another.
type Route struct {
	From  Leg
	Media Media
	To    Leg
	Slot  int
}

// TapRow shows one track of one leg to a tap.
type TapRow struct {
	From  Leg
	Media Media
	Seat  ident.Seat
	To    Tap
}
