package recorder

import (
	"sync"
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/sfu"
)

// Limits of what waits for the disk.
const (
	ringBytes = 2 << 20
	ringAge   = 4 * time.Second
	ringHeld  = 64 // what an item costs beside its payload
)

// item is one thing on its way to the writer.
type item struct {
	what    what
	at      time.Duration // boot time
	seat    ident.Seat
	media   sfu.Media
	seq     uint16
	ssrc    uint32
	rtp     uint32
	marker  bool
	payload []byte
	ntp     uint64
	mark    sfu.Mark
	lost    time.Duration // gap: how long nothing could be taken
	code    string        // seal
}

type what uint8

const (
	isPacket what = iota
	isReport
	isMark
	isGap
	isSeal
)

// ring is what waits for the writer. Packets that do not fit are dropped and become a gap; facts always fit.
type ring struct {
	mu     sync.Mutex // guards the rest
	items  []item
	bytes  int
	over   bool          // packets are being dropped
	since  time.Duration // boot time of the first dropped packet
	closed bool

	wake chan struct{} // holds one value when there is something
}

func newRing() *ring { return &ring{wake: make(chan struct{}, 1)} }

// push adds an item and returns for how long the ring has been dropping packets.
func (r *ring) push(it item) (dropping time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0
	}
	size := len(it.payload) + ringHeld
	if it.what == isPacket || it.what == isReport {
		full := r.bytes+size > ringBytes || len(r.items) > 0 && it.at-r.items[0].at > ringAge
		if full {
			if !r.over {
				r.over, r.since = true, it.at
			}
			return it.at - r.since
		}
	}
	if r.over && (it.what == isPacket || it.what == isSeal) {
		r.items = append(r.items, item{what: isGap, at: it.at, lost: it.at - r.since})
		r.over = false
	}
	r.items = append(r.items, it)
	r.bytes += size
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return 0
}

// take removes everything.
func (r *ring) take(into []item) []item {
	r.mu.Lock()
	defer r.mu.Unlock()
	into = append(into[:0], r.items...)
	clear(r.items)
	r.items, r.bytes = r.items[:0], 0
	return into
}

// close makes the ring take nothing any more.
func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.items, r.bytes = true, nil, 0
}
