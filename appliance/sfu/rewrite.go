package sfu

import "time"

// rewriter makes one outgoing stream without a hole out of the parts of incoming ones that are forwarded.
//
// A subscriber sees one SSRC whose numbers only go forward, whatever was paused, switched or restarted at the source.
// Without that a resumed picture starts with a gap that the decoder waits for, and a repeated number under one key would
// repeat a nonce (RFC 7714).
type rewriter struct {
	rate    uint32 // RTP clock
	fresh   bool   // the next packet starts a new part
	started bool
	seqOff  uint16
	tsOff   uint32
	base    uint16 // first incoming number of this part; older ones belong to no part
	high    uint16 // highest incoming number of this part
	lastSeq uint16 // highest outgoing number
	lastTS  uint32
	lastAt  time.Duration
}

// renew begins a new part with the next packet.
func (r *rewriter) renew() { r.fresh = true }

// next maps an incoming number and time to outgoing ones. ok is false for a packet older than this part.
func (r *rewriter) next(seq uint16, ts uint32, now time.Duration) (outSeq uint16, outTS uint32, ok bool) {
	if r.fresh || !r.started {
		r.begin(seq, ts, now)
	}
	if int16(seq-r.base) < 0 {
		return 0, 0, false
	}
	outSeq, outTS = seq+r.seqOff, ts+r.tsOff
	if int16(seq-r.high) >= 0 {
		r.high, r.lastSeq, r.lastTS, r.lastAt = seq, outSeq, outTS, now
		if r.high-r.base > 1<<14 { // keep the comparison above far from wrapping round
			r.base = r.high - 1<<13
		}
	}
	return outSeq, outTS, true
}

// skip takes an incoming packet out of the stream that carries nothing, so that it leaves no hole. A late one cannot be
// taken out any more.
func (r *rewriter) skip(seq uint16) {
	if r.started && !r.fresh && seq == r.high+1 {
		r.high, r.base = seq, seq+1
		r.seqOff--
	}
}

func (r *rewriter) begin(seq uint16, ts uint32, now time.Duration) {
	if r.started {
		gone := now - r.lastAt
		step := max(uint32(gone.Seconds()*float64(r.rate)), r.rate/1000)
		r.seqOff, r.tsOff = r.lastSeq+1-seq, r.lastTS+step-ts
	}
	r.started, r.fresh = true, false
	r.base, r.high = seq, seq-1
}

// squeeze maps a kept packet so that frames of seconds ago follow each other by a millisecond: a receiver that saw their
// true times in one burst would show everything after them as late as they are old. first starts the burst, frame starts
// another frame in it. Packets after the burst go on with next.
func (r *rewriter) squeeze(seq uint16, ts uint32, first, frame bool, now time.Duration) (outSeq uint16, outTS uint32) {
	switch {
	case first:
		r.begin(seq, ts, now)
		outTS = ts + r.tsOff
	case frame:
		outTS = r.lastTS + r.rate/1000
	default:
		outTS = r.lastTS
	}
	outSeq, r.tsOff = seq+r.seqOff, outTS-ts
	r.high, r.lastSeq, r.lastTS, r.lastAt = seq, outSeq, outTS, now
	return outSeq, outTS
}

// keyFrame tells whether an RTP payload begins a VP8 key frame (RFC 7741).
func keyFrame(b []byte) bool {
	if len(b) < 2 || b[0]&0x10 == 0 || b[0]&0x07 != 0 { // not the start of the first partition
		return false
	}
	i := 1
	if b[0]&0x80 != 0 {
		x := b[1]
		i++
		if x&0x80 != 0 {
			if len(b) <= i {
				return false
			}
			if b[i]&0x80 != 0 {
				i++
			}
			i++
		}
		if x&0x40 != 0 {
			i++
		}
		if x&0x30 != 0 {
			i++
		}
	}
	return len(b) > i && b[i]&0x01 == 0
}
