package recorder

import (
	"time"

	"github.com/pion/rtp/codecs"

	"sallyport/appliance/reel"
	"sallyport/appliance/sfu"
)

// How long a missing packet is waited for (a retransmission comes within two round trips), and how much may wait.
const (
	reorderWait = 250 * time.Millisecond
	reorderMost = 256
	jump        = 1000 // a sequence this far off begins another run
	frameMost   = 2 << 20
)

// builder turns one track's packets into frames: in order, whole, with what is missing flagged.
type builder struct {
	media   sfu.Media
	emit    func(reel.Record)
	started bool
	hunting bool // a run of pictures begins with the first packet of one, in whatever order they come
	ssrc    uint32
	next    uint16
	waiting map[uint16]item
	fresh   bool
	loss    bool

	building bool // a picture whose packets are coming in
	at       time.Duration
	rtp      uint32
	data     []byte
}

func newBuilder(media sfu.Media, emit func(reel.Record)) *builder {
	return &builder{media: media, emit: emit, waiting: map[uint16]item{}}
}

// reset forgets what is half built; the next frame begins a run.
func (b *builder) reset() {
	b.started, b.hunting, b.building, b.loss = false, false, false, false
	clear(b.waiting)
}

// push takes a packet. Its time is its arrival.
func (b *builder) push(p item) {
	ahead := int16(p.seq - b.next)
	if !b.started || p.ssrc != b.ssrc || ahead > jump || ahead < -jump {
		b.reset()
		b.started, b.fresh, b.ssrc, b.next, ahead = true, true, p.ssrc, p.seq, 0
		b.hunting = b.media == sfu.Video
	}
	if b.hunting {
		b.hunt(p)
		return
	}
	if ahead < 0 {
		return // a copy, or too late
	}
	b.waiting[p.seq] = p
	b.ready()
	for len(b.waiting) > 0 && (len(b.waiting) > reorderMost || p.at-b.oldest() > reorderWait) {
		b.skip()
	}
}

// hunt keeps packets until the first one of a picture is there.
func (b *builder) hunt(p item) {
	var vp8 codecs.VP8Packet
	_, err := vp8.Unmarshal(p.payload)
	b.waiting[p.seq] = p
	if err == nil && vp8.S == 1 && vp8.PID == 0 {
		b.hunting, b.next = false, p.seq
	}
	for seq, w := range b.waiting {
		if !b.hunting && int16(seq-b.next) < 0 || p.at-w.at > reorderWait || len(b.waiting) > reorderMost {
			delete(b.waiting, seq)
		}
	}
	if !b.hunting {
		b.ready()
	}
}

// ready consumes what is in order.
func (b *builder) ready() {
	for {
		p, ok := b.waiting[b.next]
		if !ok {
			return
		}
		delete(b.waiting, b.next)
		b.next++
		if len(p.payload) > 0 { // padding probes the line's width and carries nothing
			b.consume(p)
		}
	}
}

// skip gives up on what is missing before the first waiting packet.
func (b *builder) skip() {
	first, found := uint16(0), false
	for seq := range b.waiting {
		if !found || int16(seq-first) < 0 {
			first, found = seq, true
		}
	}
	if !found {
		return
	}
	b.next, b.loss, b.building = first, true, false
	b.ready()
}

func (b *builder) oldest() time.Duration {
	least := time.Duration(1<<63 - 1)
	for _, p := range b.waiting {
		least = min(least, p.at)
	}
	return least
}

// flush consumes everything that waits: nothing more will come.
func (b *builder) flush() {
	if b.hunting {
		clear(b.waiting)
	}
	for len(b.waiting) > 0 {
		b.skip()
	}
}

func (b *builder) consume(p item) {
	if b.media == sfu.Audio {
		b.out(reel.Record{Kind: reel.Audio, Flags: reel.Key, At: p.at, RTP: p.rtp, Payload: p.payload})
		return
	}
	var vp8 codecs.VP8Packet
	data, err := vp8.Unmarshal(p.payload)
	switch {
	case err != nil:
		b.building, b.loss = false, true
		return
	case vp8.S == 1 && vp8.PID == 0:
		b.loss = b.loss || b.building // the picture before had no end
		b.building, b.at, b.rtp = true, p.at, p.rtp
		b.data = append([]byte(nil), data...)
	case !b.building || p.rtp != b.rtp || len(b.data)+len(data) > frameMost:
		b.building, b.loss = false, true
		return
	default:
		b.data = append(b.data, data...)
	}
	if !p.marker {
		return
	}
	b.building = false
	flags := reel.RecordFlags(0)
	if len(b.data) > 0 && b.data[0]&1 == 0 {
		flags = reel.Key
	}
	b.out(reel.Record{Kind: reel.Video, Flags: flags, At: b.at, RTP: b.rtp, Payload: b.data})
}

func (b *builder) out(r reel.Record) {
	if b.loss {
		r.Flags |= reel.Loss
	}
	if b.fresh {
		r.Flags |= reel.Fresh
	}
	b.loss, b.fresh = false, false
	b.emit(r)
}
