package sfu

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const (
	keyBeat  = 10 * time.Second // a key frame of each camera at least so often: monitors and seeking live from it
	keepSize = 1 << 20          // bytes kept since the last key frame
)

// upTrack is one track that a place sends.
type upTrack struct {
	leg  *pionLeg
	kind Media

	mu   sync.RWMutex // guards the rest; held for reading while a packet is forwarded, so that set is a barrier
	outs []*downTrack
	taps []TapRow
	keep bool

	kept    []*rtp.Packet // since the last key frame; written by run only, read under mu by set
	keptLen int
	keptMu  sync.Mutex // guards kept; taken after mu

	ssrc    atomic.Uint32
	lastAsk atomic.Int64
}

// set replaces where the track goes. When it returns no packet travels by the former routes.
func (u *upTrack) set(outs []*downTrack, taps []TapRow, keep bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	ask := false
	for _, d := range outs {
		if slices.Contains(u.outs, d) {
			continue
		}
		if d.begin(u) {
			ask = true
		}
	}
	if len(taps) > len(u.taps) {
		ask = true
	}
	for _, d := range u.outs {
		if !slices.Contains(outs, d) {
			d.end(u)
		}
	}
	u.outs, u.taps, u.keep = outs, taps, keep
	if !keep {
		u.forget()
	}
	if ask && u.kind == Video {
		u.askKey()
	}
}

// run reads the track until its leg closes.
func (u *upTrack) run(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	u.ssrc.Store(uint32(t.SSRC()))
	u.leg.wg.Go(func() { u.readReports(r) })
	u.leg.wg.Go(func() {
		for {
			p, _, err := t.ReadRTP()
			if err != nil {
				return
			}
			u.forward(p)
		}
	})
	if u.kind == Video {
		u.askKey()
	}
}

func (u *upTrack) forward(p *rtp.Packet) {
	now := u.leg.path.clock.Boot()
	u.leg.lastMedia.Store(int64(now))
	u.mu.RLock()
	defer u.mu.RUnlock()
	if u.keep && u.kind == Video {
		u.remember(p)
		if now-time.Duration(u.lastAsk.Load()) > keyBeat {
			u.askKey()
		}
	}
	for _, d := range u.outs {
		d.write(u, p, now)
	}
	for _, tap := range u.taps {
		tap.To.Packet(tap.Seat, u.kind, p)
	}
}

// remember keeps the packets since the last key frame.
func (u *upTrack) remember(p *rtp.Packet) {
	u.keptMu.Lock()
	defer u.keptMu.Unlock()
	if keyFrame(p.Payload) {
		u.kept, u.keptLen = u.kept[:0:0], 0
	} else if len(u.kept) == 0 {
		return
	}
	if len(p.Payload) == 0 || int16(p.SequenceNumber-lastSeq(u.kept)) <= 0 && len(u.kept) > 0 {
		return // padding, or late: the burst keeps what came in order
	}
	if u.keptLen += len(p.Payload); u.keptLen > keepSize {
		u.kept, u.keptLen = nil, 0
		return
	}
	u.kept = append(u.kept, p)
}

func lastSeq(ps []*rtp.Packet) uint16 {
	if len(ps) == 0 {
		return 0
	}
	return ps[len(ps)-1].SequenceNumber
}

func (u *upTrack) forget() {
	u.keptMu.Lock()
	u.kept, u.keptLen = nil, 0
	u.keptMu.Unlock()
}

// readReports hands the source's sender reports on, translated, so that sound and picture stay together.
func (u *upTrack) readReports(r *webrtc.RTPReceiver) {
	for {
		ps, _, err := r.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range ps {
			sr, ok := p.(*rtcp.SenderReport)
			if !ok || sr.SSRC != u.ssrc.Load() {
				continue
			}
			u.mu.RLock()
			for _, d := range u.outs {
				d.report(sr.NTPTime, sr.RTPTime)
			}
			for _, tap := range u.taps {
				tap.To.Report(tap.Seat, u.kind, sr.NTPTime, sr.RTPTime)
			}
			u.mu.RUnlock()
		}
	}
}

// downTrack is one track of one slot that a place receives.
type downTrack struct {
	leg    *pionLeg
	kind   Media
	local  *webrtc.TrackLocalStaticRTP
	sender *webrtc.RTPSender

	mu      sync.Mutex // guards the rest; taken after upTrack.mu
	from    *upTrack
	rw      rewriter
	wantKey bool
	packets uint32
	octets  uint32
}

// begin takes a new source. It returns true when it needs a key frame to start from.
func (d *downTrack) begin(u *upTrack) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from = u
	return d.start()
}

// start begins a new part with d's source, as begin. mu is held, and the source's for writing.
func (d *downTrack) start() bool {
	d.rw.renew()
	if d.kind == Audio {
		return false
	}
	d.wantKey = true
	if d.leg.place.Watches {
		if d.leg.ready.Load() {
			d.replay(d.from)
		}
		return false // a monitor changes nobody's key frames: without kept packets it waits for the beat
	}
	return true
}

// again starts d anew, whose place can receive only now: what was sent to it before went nowhere.
func (u *upTrack) again(d *downTrack) {
	u.mu.Lock()
	defer u.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.from == u && d.start() {
		u.askKey()
	}
}

// source returns the track that the slot shows, nil for none.
func (d *downTrack) source() *upTrack {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.from
}

// replay starts a monitor from the kept key frame.
func (d *downTrack) replay(u *upTrack) {
	u.keptMu.Lock()
	defer u.keptMu.Unlock()
	now := d.leg.path.clock.Boot()
	for i, p := range u.kept {
		seq, ts := d.rw.squeeze(p.SequenceNumber, p.Timestamp, i == 0, i > 0 && p.Timestamp != u.kept[i-1].Timestamp, now)
		d.send(p, seq, ts)
		d.wantKey = false
	}
}

func (d *downTrack) end(u *upTrack) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.from == u {
		d.from = nil
	}
}

func (d *downTrack) write(u *upTrack, p *rtp.Packet, now time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.from != u || !d.leg.ready.Load() { // the slot shows another source by now, or nobody could receive it yet
		return
	}
	if len(p.Payload) == 0 {
		d.rw.skip(p.SequenceNumber)
		return
	}
	if d.wantKey {
		if !keyFrame(p.Payload) {
			if !d.leg.place.Watches {
				d.from.askKey()
			}
			return
		}
		d.wantKey = false
		d.rw.renew()
	}
	if seq, ts, ok := d.rw.next(p.SequenceNumber, p.Timestamp, now); ok {
		d.send(p, seq, ts)
	}
}

// send writes one packet. Header extensions stay behind: they were agreed with the source, not with this place.
func (d *downTrack) send(p *rtp.Packet, seq uint16, ts uint32) {
	out := rtp.Packet{Header: rtp.Header{Version: 2, Marker: p.Marker, SequenceNumber: seq, Timestamp: ts}, Payload: p.Payload}
	if d.local.WriteRTP(&out) == nil {
		d.packets++
		d.octets += uint32(len(p.Payload))
	}
}

func (d *downTrack) report(ntp uint64, rtpTime uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.rw.started || d.rw.fresh || d.from == nil || d.wantKey {
		return
	}
	enc := d.sender.GetParameters().Encodings
	if len(enc) == 0 {
		return
	}
	_ = d.leg.pc.WriteRTCP([]rtcp.Packet{&rtcp.SenderReport{
		SSRC: uint32(enc[0].SSRC), NTPTime: ntp, RTPTime: rtpTime + d.rw.tsOff, PacketCount: d.packets, OctetCount: d.octets,
	}})
}

// readFeedback passes requests for key frames to the camera that the slot shows now, except those of monitors.
func (d *downTrack) readFeedback() {
	for {
		ps, _, err := d.sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range ps {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				if d.leg.place.Watches {
					continue
				}
				if from := d.source(); from != nil && from.kind == Video {
					from.askKey()
				}
			}
		}
	}
}
