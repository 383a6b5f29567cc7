package reel

import "sallyport/appliance/ident"

// A frame's time on the recording's line comes from its sender's clock, not from its arrival: the network's jitter must
// not show, and picture and sound must fit. Within a run (no reconnection, no pause) a sender report ties RTP time to the
// sender's wall clock, the same for sound and picture; the least delay seen in the run ties that clock to ours.

// drift is how far a frame may lie from its arrival before its sender's clock is called nonsense and arrival counts.
const drift = 2_000_000 // us

// align turns arrival times of a seat's tracks into presentation times, run by run.
func (r *Reel) align(seat ident.Seat) {
	type span struct {
		t        *track
		from, to int
		clock    func(i int) int64 // sender's time of a frame, us
		shared   bool              // the clock is the sender's wall clock
	}
	var runs []span
	for _, t := range r.tracks {
		if t.info.Seat != seat {
			continue
		}
		for from := 0; from < len(t.frames); {
			to := from + 1
			for to < len(t.frames) && t.frames[to].flags&Fresh == 0 {
				to++
			}
			clock, shared := t.clock(from, to)
			runs = append(runs, span{t, from, to, clock, shared})
			from = to
		}
	}
	offset := func(s span) int64 {
		least := int64(1<<62 - 1)
		for i := s.from; i < s.to; i++ {
			least = min(least, s.t.frames[i].at-s.clock(i))
		}
		return least
	}
	offsets := make([]int64, len(runs))
	for i, s := range runs {
		offsets[i] = offset(s)
	}
	// Runs of the seat that overlap in time share one offset when both know the sender's wall clock.
	shared := make([]int64, len(runs))
	for i, a := range runs {
		shared[i] = offsets[i]
		for j, b := range runs {
			overlap := a.t.frames[a.from].at < b.t.frames[b.to-1].at && b.t.frames[b.from].at < a.t.frames[a.to-1].at
			if i != j && a.shared && b.shared && overlap && abs(offsets[i]-offsets[j]) < drift {
				shared[i] = min(shared[i], offsets[j])
			}
		}
	}
	for i, s := range runs {
		times := make([]int64, 0, s.to-s.from)
		for k := s.from; k < s.to; k++ {
			at := s.clock(k) + shared[i]
			if abs(at-s.t.frames[k].at) > drift {
				at = s.t.frames[k].at
			}
			times = append(times, max(at, 0))
		}
		for k, at := range times {
			s.t.frames[s.from+k].at = at
		}
	}
	for _, t := range r.tracks {
		if t.info.Seat == seat {
			t.order()
		}
	}
}

// clock returns the sender's time of the frames [from, to): its wall clock when a report came, else RTP time alone.
func (t *track) clock(from, to int) (func(int) int64, bool) {
	rate := int64(t.info.Rate)
	var known []reading
	for _, rd := range t.readings {
		if rd.before > from && rd.before <= to || rd.before == from && from == 0 {
			known = append(known, rd)
		}
	}
	if len(known) == 0 {
		unwrapped := make([]int64, to-from)
		var sum int64
		for i := from + 1; i < to; i++ {
			sum += int64(int32(t.frames[i].rtp - t.frames[i-1].rtp))
			unwrapped[i-from] = sum
		}
		return func(i int) int64 { return unwrapped[i-from] * 1e6 / rate }, false
	}
	at := make([]int64, to-from)
	k := 0
	for i := from; i < to; i++ {
		for k+1 < len(known) && known[k+1].before <= i {
			k++
		}
		at[i-from] = known[k].ntp + int64(int32(t.frames[i].rtp-known[k].rtp))*1e6/rate
	}
	return func(i int) int64 { return at[i-from] }, true
}

// order makes times rise strictly within a track, by whole milliseconds as WebM counts them.
func (t *track) order() {
	last := int64(-1000)
	for i := range t.frames {
		ms := t.frames[i].at / 1000 * 1000
		if ms <= last {
			ms = last + 1000
		}
		t.frames[i].at, last = ms, ms
	}
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
