package sfu

import (
	"context"
	"net/netip"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

const maxWatching = 4 // a call

// Watching is a member of staff looking at a social call. It is outside the set of its seats: no roster, event of a seat or
// media line of anybody shows it, and its feedback changes nobody's picture.
type Watching struct {
	room   *Social
	claims grant.Claims
	client Client
	leg    Leg
	words  wordLog
}

// watch opens a monitor. That somebody watches is on disk before the first packet; when it cannot be, nobody watches.
func watch(s *Social, c grant.Claims, cl Client) (*Watching, Welcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.machine
	switch {
	case m.over():
		return nil, Welcome{}, callOver("Watch")
	case c.Class != m.spec.Class:
		return nil, Welcome{}, unknownCall("Watch")
	case s.used[c.ID] != "":
		return nil, Welcome{}, fault.New("sfu.Watch", fault.Conflict, "This grant is in use.").WithCode("grant_used")
	case len(s.watching) >= maxWatching:
		return nil, Welcome{}, fault.New("sfu.Watch", fault.Full, "Four people watch this call already.").WithCode("full")
	}
	w := &Watching{room: s, claims: c, client: cl}
	e := linkspec.Event{Kind: linkspec.MonitorOpened, Call: m.spec.Call, Data: mustJSON(linkspec.MonitorData{Who: c.Who})}
	if err := s.deps.Facts.Fact(e, true); err != nil {
		return nil, Welcome{}, fault.New("sfu.Watch", fault.Unavailable, "Watching cannot be put on record now.").WithCode("busy").Because(err)
	}
	s.used[c.ID] = "monitor"
	s.watching[w] = struct{}{}
	now := s.deps.Clock.Boot()
	welcome := s.welcome("", true)
	delete(m.told, "")
	es := m.hold(holdStaff, false, now)
	if es == nil {
		es = m.stateWords()
	}
	es = append(es, effect{word: &Word{T: WordRoster}, to: func(x *seat) bool { return x == nil }})
	if m.running() {
		t := m.timeWord(now, false)
		es = append(es, effect{word: &t, to: func(x *seat) bool { return x == nil }})
	}
	s.apply(es)
	return w, welcome, nil
}

// Offer makes the monitor's media, on the door's media address that is near.
func (w *Watching) Offer(ctx context.Context, near netip.Addr, offer []byte) ([]byte, error) {
	s := w.room
	s.mu.Lock()
	pl := Place{
		Call: s.machine.spec.Call, Name: "monitor", Door: w.claims.Door, Near: near, Fingerprint: w.claims.FP, Down: len(s.machine.seats), Watches: true,
		Changed: func(Leg, bool) {},
	}
	s.mu.Unlock()
	l, answer, err := s.deps.Path.Answer(ctx, pl, offer)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, in := s.watching[w]; !in {
		s.wg.Go(func() { s.deps.Path.Close(l) })
		return nil, callOver("Offer")
	}
	if old := w.leg; old != nil {
		s.wg.Go(func() { s.deps.Path.Close(old) })
	}
	w.leg = l
	s.apply(nil)
	return answer, nil
}

// Do carries out what a monitor may do at once, also without bookingd: tighten. do is pause, end, mute, say or note.
func (w *Watching) Do(do string, seat ident.Seat, side, reason, body string, audio, video, on bool) error {
	o := order{Reason: reason, By: w.claims.Who, ByRole: "monitor"}
	if (do == "pause" || do == "end") && reason == "" {
		return fault.New("sfu.Act", fault.Invalid, "Say why.").WithCode("bad_message")
	}
	return w.room.change(func(m *machine, now time.Duration) ([]effect, error) {
		if _, in := w.room.watching[w]; !in {
			return nil, callOver("Act")
		}
		switch do {
		case "pause":
			return m.doPause(o, now)
		case "end":
			return m.doEnd(reason, o, now), nil
		case "mute":
			return m.doMute(mute{Seat: seat, Side: side, Audio: audio, Video: video, On: on}, o)
		case "say":
			return m.doSay(mute{Seat: seat, Side: side}, Word{Body: body}, o)
		case "note":
			k := mark(MarkNote, seat, o)
			k.mark.Body = body
			return []effect{k}, nil
		}
		return nil, fault.New("sfu.Act", fault.Invalid, "Nobody can do this here.").WithCode("bad_message")
	})
}

// Leave ends the watching.
func (w *Watching) Leave() {
	s := w.room
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, in := s.watching[w]; in {
		s.leaveWatch(w)
		if !s.machine.over() {
			s.apply(nil)
		}
	}
}

// leaveWatch takes a monitor out. core.mu is held.
func (s *Social) leaveWatch(w *Watching) {
	delete(s.watching, w)
	s.fact(linkspec.Event{Kind: linkspec.MonitorClosed}, linkspec.MonitorData{Who: w.claims.Who})
	if l := w.leg; l != nil {
		w.leg = nil
		s.wg.Go(func() { s.deps.Path.Close(l) })
	}
}
