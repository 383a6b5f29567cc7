package sfu

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// Welcome is what a place is told when it is taken.
type Welcome struct {
	Call         ident.Call
	Seat         ident.Seat
	Down         int
	Offer        bool // media must be made (anew)
	Video        linkspec.Video
	Notice       string
	Recorded     bool
	Monitored    bool
	Acknowledged bool
	Starts, Ends time.Time
	Now          time.Time
	GraceS       int
	Generation   int
}

// Sitting is one person's living hold of a seat. A newer one of the same seat ends it.
type Sitting struct {
	room   room
	seat   ident.Seat
	door   string
	client Client
}

func callOver(op string) error {
	return fault.New("sfu."+op, fault.Conflict, "This call has ended.").WithCode("call_over")
}

func unknownCall(op string) error {
	return fault.New("sfu."+op, fault.NotFound, "There is no such call.").WithCode("call_unknown")
}

// sit takes a seat with a grant (media.md, 4.3).
func sit(r room, c grant.Claims, cl Client) (s *Sitting, w Welcome, err error) {
	b := r.base()
	s = &Sitting{room: r, seat: c.Seat, door: c.Door, client: cl}
	err = r.change(func(m *machine, now time.Duration) ([]effect, error) {
		if err := mayJoin(m, c, now); err != nil {
			return nil, err
		}
		p := b.places[c.Seat]
		if err := newer(b, p, c); err != nil {
			b.fact(linkspec.Event{Kind: linkspec.GrantRefused, Seat: c.Seat}, linkspec.SeatData{Why: fault.CodeOf(err)})
			return nil, err
		}
		moved := p.sit != nil || p.leg != nil
		if p.sit != nil {
			p.sit.client.Drop("elsewhere")
		}
		if moved {
			b.closeLeg(p)
			if b.deps.Closed != nil {
				b.deps.Closed(m.spec.Call, c.Seat)
			}
		}
		if c.FP != p.fp {
			m.seat(c.Seat).ready = false // another device has not shown the notice
		}
		p.gen++
		p.grant, p.nbf, p.fp, p.sit, p.words = c.ID, c.NBF, c.FP, s, wordLog{}
		b.used[c.ID] = c.Seat
		w = b.welcome(c.Seat, true)
		delete(m.told, c.Seat)
		return append(m.join(c.Seat, moved, p.gen, now), s.present(m, now)...), nil
	})
	if err != nil {
		return nil, Welcome{}, err
	}
	return s, w, nil
}

func mayJoin(m *machine, c grant.Claims, now time.Duration) error {
	x := m.seat(c.Seat)
	switch {
	case m.over():
		return callOver("Join")
	case x == nil || c.Class != m.spec.Class || x.spec.Role != c.Role || x.spec.Who != c.Who || x.spec.Door != c.Door:
		return unknownCall("Join")
	case x.state == Removed:
		return fault.New("sfu.Join", fault.Forbidden, "This seat was taken out of the call.").WithCode("seat_removed")
	case now < m.opens:
		return fault.New("sfu.Join", fault.TooSoon, "The waiting room is not open yet.").WithCode("too_early").
			WithParam("retry_ms", (m.opens - now).Milliseconds())
	}
	return nil
}

// newer tells whether a grant may take the seat from whoever holds it.
func newer(b *core, p *place, c grant.Claims) error {
	elsewhere := fault.New("sfu.Join", fault.Conflict, "This seat is in use on another device.").WithCode("elsewhere")
	switch {
	case c.ID == p.grant:
		if p.sit != nil {
			return fault.New("sfu.Join", fault.Conflict, "This grant is in use.").WithCode("grant_used")
		}
	case b.used[c.ID] != "":
		return elsewhere
	case p.sit != nil && c.NBF < p.nbf:
		return elsewhere
	}
	return nil
}

// resume takes a seat back with a token of its present generation.
func resume(r room, seat ident.Seat, door func(linkspec.SeatSpec) bool, gen int, last int64, cl Client) (s *Sitting, w Welcome, err error) {
	b := r.base()
	err = r.change(func(m *machine, now time.Duration) ([]effect, error) {
		p, x := b.places[seat], m.seat(seat)
		switch {
		case m.over():
			return nil, callOver("Resume")
		case x == nil || p.gen != gen || p.grant == "" || !door(x.spec):
			return nil, fault.New("sfu.Resume", fault.Unauthenticated, "This connection cannot be resumed.").WithCode("resume_bad")
		case x.state == Removed:
			return nil, fault.New("sfu.Resume", fault.Forbidden, "This seat was taken out of the call.").WithCode("seat_removed")
		}
		s = &Sitting{room: r, seat: seat, door: x.spec.Door, client: cl}
		if p.sit != nil {
			p.sit.client.Drop("elsewhere")
		}
		p.sit = s
		w = b.welcome(seat, p.leg == nil || !p.leg.Up())
		missed := p.words.after(last)
		for _, word := range missed {
			cl.Tell(word)
		}
		delete(m.told, seat)
		return append(m.join(seat, false, gen, now), s.present(m, now)...), nil
	})
	return s, w, err
}

// present is what a seat is told when it comes, beside the state: who is there, and how long the call still goes.
func (s *Sitting) present(m *machine, now time.Duration) []effect {
	me := func(x *seat) bool { return x != nil && x.spec.Seat == s.seat }
	es := []effect{{word: &Word{T: WordRoster}, to: me}}
	if m.running() {
		t := m.timeWord(now, false)
		es = append(es, effect{word: &t, to: me})
	}
	return es
}

func (b *core) welcome(seat ident.Seat, offer bool) Welcome {
	m := b.machine
	now, boot := b.deps.Clock.Now(), b.deps.Clock.Boot()
	w := Welcome{
		Call: m.spec.Call, Seat: seat, Down: min(len(m.seats)-1, 6), Offer: offer, Video: m.spec.Video, Notice: m.spec.Notice,
		Recorded: m.spec.Record, Monitored: m.spec.MonitorVisible || m.spec.MonitorRequired, Starts: now.Add(m.starts - boot), Ends: now.Add(m.ends - boot), Now: now,
		GraceS: int(m.grace().Seconds()),
	}
	if x := m.seat(seat); x != nil {
		w.Acknowledged, w.Generation = x.ready, b.places[seat].gen
	} else {
		w.Down = len(m.seats)
	}
	return w
}

// act runs f when this sitting still holds its seat.
func (s *Sitting) act(f func(m *machine, now time.Duration) ([]effect, error)) error {
	b := s.room.base()
	return s.room.change(func(m *machine, now time.Duration) ([]effect, error) {
		if m.over() {
			return nil, callOver("Act")
		}
		if b.places[s.seat].sit != s {
			return nil, fault.New("sfu.Act", fault.Conflict, "This seat is in use on another device.").WithCode("elsewhere")
		}
		return f(m, now)
	})
}

// Offer makes the seat's media, or makes it anew, on the door's media address that is near.
func (s *Sitting) Offer(ctx context.Context, near netip.Addr, offer []byte) ([]byte, error) {
	b := s.room.base()
	var pl Place
	if err := s.act(func(m *machine, _ time.Duration) ([]effect, error) {
		pl = Place{
			Call: m.spec.Call, Name: string(s.seat), Door: s.door, Near: near, Fingerprint: b.places[s.seat].fp, Sends: true,
			Down: min(len(m.seats)-1, 6), Kbps: m.spec.Video.Kbps, Changed: s.carried,
		}
		return nil, nil
	}); err != nil {
		return nil, err
	}
	l, answer, err := b.deps.Path.Answer(ctx, pl, offer)
	if err != nil {
		if f, ok := fault.Of(err); ok && f.Params["why"] == "fingerprint" {
			b.deps.Log.Warn("media fingerprint is not the grant's", "op", "sfu.Offer", "call", pl.Call, "seat", s.seat)
			_ = s.act(func(*machine, time.Duration) ([]effect, error) {
				return []effect{fact(linkspec.FingerprintWrong, s.seat, nil)}, nil
			})
		}
		return nil, err
	}
	err = s.act(func(m *machine, now time.Duration) ([]effect, error) {
		p := b.places[s.seat]
		b.closeLeg(p)
		p.leg = l
		return m.carry(s.seat, l.Up(), now), nil
	})
	if err != nil {
		b.deps.Path.Close(l)
		return nil, err
	}
	return answer, nil
}

// carried follows the leg's connection.
func (s *Sitting) carried(l Leg, up bool) {
	b := s.room.base()
	_ = s.room.change(func(m *machine, now time.Duration) ([]effect, error) {
		if b.places[s.seat].leg != l || m.over() {
			return nil, nil
		}
		return m.carry(s.seat, up, now), nil
	})
}

// Ready is the notice acknowledged. It returns Invalid for the notice of another version.
func (s *Sitting) Ready(notice string) error {
	return s.act(func(m *machine, now time.Duration) ([]effect, error) {
		if notice != m.spec.Notice {
			return nil, fault.New("sfu.Ready", fault.Conflict, "This is not the present notice.").WithCode("not_now")
		}
		return m.acknowledge(s.seat, now), nil
	})
}

// Media shows the person's own switches to the others.
func (s *Sitting) Media(mic, cam bool) error {
	return s.act(func(m *machine, _ time.Duration) ([]effect, error) { return m.switches(s.seat, mic, cam), nil })
}

// Signal is something that the client's page has seen, such as a screen capture.
func (s *Sitting) Signal(kind, detail string) error {
	return s.act(func(*machine, time.Duration) ([]effect, error) {
		data, err := json.Marshal(map[string]string{"signal": kind, "detail": detail})
		if err != nil {
			return nil, fault.New("sfu.Signal", fault.Invalid, "This signal cannot be read.").WithCode("bad_message").Because(err)
		}
		return []effect{fact(linkspec.SignalSeen, s.seat, json.RawMessage(data)), mark(MarkSignal, s.seat, order{Reason: kind})}, nil
	})
}

// Quality is the client's own view of its connection.
func (s *Sitting) Quality(data json.RawMessage) error {
	return s.act(func(*machine, time.Duration) ([]effect, error) {
		return []effect{fact(linkspec.Quality, s.seat, data)}, nil
	})
}

// Leave gives the seat up on purpose; a new grant takes it again.
func (s *Sitting) Leave() error {
	return s.act(func(m *machine, now time.Duration) ([]effect, error) {
		b := s.room.base()
		p := b.places[s.seat]
		p.sit = nil
		b.closeLeg(p)
		if b.deps.Closed != nil {
			b.deps.Closed(m.spec.Call, s.seat)
		}
		return m.gone(s.seat, true, now), nil
	})
}

// Gone is the signaling connection dead. Media goes on for the grace.
func (s *Sitting) Gone() {
	b := s.room.base()
	_ = s.room.change(func(m *machine, now time.Duration) ([]effect, error) {
		if b.places[s.seat].sit != s || m.over() {
			return nil, nil
		}
		b.places[s.seat].sit = nil
		return m.gone(s.seat, false, now), nil
	})
}
