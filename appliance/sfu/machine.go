package sfu

import (
	"slices"
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// Phase of a call.
type Phase string

// The phases (media.md, 4.2). Ended is terminal.
const (
	Open   Phase = "open"
	Live   Phase = "live"
	Paused Phase = "paused"
	Ending Phase = "ending"
	Ended  Phase = "ended"
)

// SeatState is where a seat stands.
type SeatState string

// The states of a seat. A seat that left may join again until the end, a removed one may not.
const (
	Expected  SeatState = "expected"
	Waiting   SeatState = "waiting"
	Connected SeatState = "connected"
	Lost      SeatState = "lost"
	Left      SeatState = "left"
	Removed   SeatState = "removed"
)

// What a call may wait for beside its seats.
const (
	holdRecorder = "recorder"
	holdStaff    = "staff"
)

// seat is one place as the machine sees it: facts from signaling and media, and the state that follows from them.
type seat struct {
	spec     linkspec.SeatSpec
	state    SeatState
	joined   bool // a living signaling connection
	media    bool // ICE and DTLS are up
	ready    bool // the notice was acknowledged
	admitted bool
	mic, cam bool
	noAudio  bool // muted by staff
	noVideo  bool
	met      bool // was connected before
	lostAt   time.Duration
}

// machine is the life of one call, pure: facts and the boot time in, effects out.
type machine struct {
	spec   linkspec.Spec
	opens  time.Duration // boot times
	starts time.Duration
	ends   time.Duration

	phase  Phase
	seats  []*seat
	holds  map[string]bool
	cannot bool // the recorder could not be armed: people are told

	pause  order
	since  time.Duration // of the pause
	remind time.Duration // next reminder of a pause
	giveUp time.Duration // end of the time for a failed recorder to return, 0 without one
	warned map[int]bool
	code   string // why it ended

	liveAt   time.Duration // of the running live stretch
	liveFor  time.Duration // of the former ones
	metered  time.Duration
	pulsed   time.Duration // last pulse
	reported time.Duration // last meter fact
	told     map[ident.Seat]string
}

// order is what somebody wants of a call.
type order struct {
	Reason string
	Says   string
	By     string
	ByRole string
}

func newMachine(spec linkspec.Spec, opens, starts, ends time.Duration) *machine {
	m := &machine{
		spec: spec, opens: opens, starts: starts, ends: ends, phase: Open,
		holds: map[string]bool{}, warned: map[int]bool{}, told: map[ident.Seat]string{},
	}
	for _, s := range spec.Seats {
		m.seats = append(m.seats, &seat{spec: s, state: Expected, mic: true, cam: true, admitted: spec.Admit != "staff"})
	}
	return m
}

func (m *machine) seat(id ident.Seat) *seat {
	for _, s := range m.seats {
		if s.spec.Seat == id {
			return s
		}
	}
	return nil
}

// over tells whether nothing can happen any more.
func (m *machine) over() bool { return m.phase == Ending || m.phase == Ended }

// running tells whether the call has been started and not ended.
func (m *machine) running() bool { return m.phase == Live || m.phase == Paused }

// there tells whether a seat of the role is connected.
func (m *machine) there(role string) bool {
	return slices.ContainsFunc(m.seats, func(s *seat) bool { return s.spec.Role == role && s.state == Connected })
}

// present tells whether both sides are connected: the moment to admit the recorder.
func (m *machine) present() bool { return m.there("visitor") && m.there("inmate") }

// effect is something that the outside must do, in this order: routes, facts, marks, words, drops.
type effect struct {
	fact *linkspec.Event // Data is in data
	data any
	mark *Mark
	word *Word
	to   func(*seat) bool // of word; nil is everybody
	drop ident.Seat       // close its connection and media
	code string           // of drop
}

func fact(kind string, s ident.Seat, data any) effect {
	return effect{fact: &linkspec.Event{Kind: kind, Seat: s}, data: data}
}

func mark(kind string, s ident.Seat, o order) effect {
	return effect{mark: &Mark{Kind: kind, Seat: s, By: o.By, ByRole: o.ByRole, Reason: o.Reason}}
}

func tell(w Word) effect { return effect{word: &w} }

func drop(s ident.Seat, code string) effect { return effect{drop: s, code: code} }

// join is a seat's living signaling connection; moved says that it took over an older one.
func (m *machine) join(id ident.Seat, moved bool, generation int, now time.Duration) []effect {
	s := m.seat(id)
	s.joined = true
	var es []effect
	if moved {
		s.media = false
		es = append(es, fact(linkspec.SeatMoved, id, linkspec.SeatData{Generation: generation}), mark(MarkMoved, id, order{}))
	}
	if s.state == Expected || s.state == Left {
		s.state = Waiting
		es = append(es, fact(linkspec.SeatWaiting, id, linkspec.SeatData{Generation: generation}))
	}
	return append(es, m.settle(now)...)
}

// gone is a dead signaling connection; said tells that the person left on purpose.
func (m *machine) gone(id ident.Seat, said bool, now time.Duration) []effect {
	s := m.seat(id)
	s.joined = false
	if !said {
		return m.settle(now)
	}
	s.media = false
	return append(m.leave(s, "left"), m.settle(now)...)
}

// carry is the seat's media going up or down.
func (m *machine) carry(id ident.Seat, up bool, now time.Duration) []effect {
	m.seat(id).media = up
	return m.settle(now)
}

// acknowledge is the notice that the person has read.
func (m *machine) acknowledge(id ident.Seat, now time.Duration) []effect {
	m.seat(id).ready = true
	return m.settle(now)
}

// switches are the person's own microphone and camera, for the others' display.
func (m *machine) switches(id ident.Seat, mic, cam bool) []effect {
	s := m.seat(id)
	s.mic, s.cam = mic, cam
	return m.rosters()
}

// hold sets or clears a condition of going live.
func (m *machine) hold(name string, on bool, now time.Duration) []effect {
	if m.over() || m.holds[name] == on {
		return nil
	}
	m.holds[name] = on
	if name == holdRecorder && !on {
		m.cannot, m.giveUp = false, 0
	}
	return m.settle(now)
}

// settle moves seats and call to where the facts put them, until nothing changes.
func (m *machine) settle(now time.Duration) []effect {
	if m.over() {
		return nil
	}
	var es []effect
	for _, s := range m.seats {
		es = append(es, m.settleSeat(s, now)...)
	}
	if m.phase == Open && m.present() && now >= m.starts && !m.holds[holdRecorder] && !m.holds[holdStaff] {
		es = append(es, m.goLive(now)...)
	}
	return append(es, m.stateWords()...)
}

func (m *machine) settleSeat(s *seat, now time.Duration) []effect {
	id := s.spec.Seat
	if s.state == Removed || s.state == Left || s.state == Expected {
		return nil
	}
	full := s.joined && s.media && s.ready && s.admitted
	switch {
	case full && s.state == Waiting:
		kind, seen := linkspec.SeatConnected, MarkJoined
		s.state, s.met = Connected, true
		return append([]effect{fact(kind, id, linkspec.SeatData{}), mark(seen, id, order{})}, m.rosters()...)
	case full && s.state == Lost:
		s.state, s.lostAt = Connected, 0
		kind, seen := linkspec.SeatBack, MarkBack
		if !s.met {
			kind, seen, s.met = linkspec.SeatConnected, MarkJoined, true
		}
		return append([]effect{fact(kind, id, linkspec.SeatData{}), mark(seen, id, order{})}, m.rosters()...)
	case s.state == Connected && !full, s.state == Waiting && !s.joined:
		why := "media"
		if !s.joined {
			why = "signaling"
		}
		s.state, s.lostAt = Lost, now
		return append([]effect{fact(linkspec.SeatLost, id, linkspec.SeatData{Why: why}), mark(MarkLost, id, order{})}, m.rosters()...)
	case s.state == Lost && now >= s.lostAt+m.grace():
		return m.leave(s, "lost")
	}
	return nil
}

func (m *machine) leave(s *seat, why string) []effect {
	if s.state == Left || s.state == Removed || s.state == Expected {
		return nil
	}
	s.state, s.lostAt = Left, 0
	return append([]effect{fact(linkspec.SeatLeft, s.spec.Seat, linkspec.SeatData{Why: why}), mark(MarkLeft, s.spec.Seat, order{Reason: why})}, m.rosters()...)
}

func (m *machine) grace() time.Duration {
	if m.spec.GraceS <= 0 {
		return 2 * time.Minute
	}
	return time.Duration(m.spec.GraceS) * time.Second
}

func (m *machine) goLive(now time.Duration) []effect {
	m.phase, m.liveAt, m.pulsed = Live, now, now
	return []effect{fact(linkspec.CallLive, "", nil), mark(MarkLive, "", order{}), tell(m.timeWord(now, false))}
}

func (m *machine) timeWord(now time.Duration, warn bool) Word {
	return Word{T: WordTime, LeftS: int(max(m.ends-now, 0).Round(time.Second).Seconds()), Warn: warn}
}

// rosters tells everybody anew who is there.
func (m *machine) rosters() []effect { return []effect{tell(Word{T: WordRoster})} }

// roster is who a seat sees; "" is a monitor, who sees all.
func (m *machine) roster(viewer ident.Seat) []RosterSeat {
	out := []RosterSeat{}
	slot := 0
	for _, s := range m.seats {
		if s.spec.Seat == viewer {
			continue
		}
		if s.met || s.state == Waiting && viewer == "" {
			out = append(out, RosterSeat{
				Seat: s.spec.Seat, Role: s.spec.Role, Slot: slot, Mic: s.mic && !s.noAudio, Cam: s.cam && !s.noVideo,
				On: s.state == Connected || viewer == "" && s.media,
			})
		}
		slot++
	}
	return out
}

// stateWords tells each seat whose view of the call has changed.
func (m *machine) stateWords() []effect {
	var es []effect
	for _, id := range append(m.ids(), "") {
		w := m.stateWord(id)
		key := string(w.Phase) + w.Says + w.Why + w.ByRole
		for _, x := range w.WaitingFor {
			key += "," + x
		}
		if m.told[id] == key {
			continue
		}
		m.told[id] = key
		es = append(es, effect{word: &w, to: func(s *seat) bool { return s == nil && id == "" || s != nil && s.spec.Seat == id }})
	}
	return es
}

func (m *machine) ids() []ident.Seat {
	var ids []ident.Seat
	for _, s := range m.seats {
		ids = append(ids, s.spec.Seat)
	}
	return ids
}

// stateWord is the call as one seat sees it. It names sides and duties, never a reason about a person.
func (m *machine) stateWord(viewer ident.Seat) Word {
	w := Word{T: WordState, Phase: m.phase, WaitingFor: m.waitingFor(viewer)}
	missing := slices.Contains(w.WaitingFor, "visitor") || slices.Contains(w.WaitingFor, "inmate")
	switch {
	case m.phase == Paused:
		w.Why, w.Says, w.ByRole = m.pause.Reason, m.pause.Says, m.pause.ByRole
		if w.Says == "" {
			w.Says = "call.paused"
		}
	case m.cannot:
		w.Says = "call.cannotRecord"
	case m.phase == Live && missing:
		w.Says = "call.reconnecting"
	case m.phase == Live:
		w.Says = "call.live"
	case missing:
		w.Says = "call.absent"
	case slices.Contains(w.WaitingFor, "staff"):
		w.Says = "call.waitStaff"
	default:
		w.Says = "call.waitStart"
	}
	return w
}

func (m *machine) waitingFor(viewer ident.Seat) []string {
	out := []string{}
	own := ""
	if s := m.seat(viewer); s != nil {
		own = s.spec.Role
		if m.phase == Open && !s.admitted {
			out = append(out, "staff")
		}
	}
	for _, role := range []string{"visitor", "inmate"} {
		if role != own && !m.there(role) {
			out = append(out, role)
		}
	}
	if m.holds[holdRecorder] && m.present() {
		out = append(out, "recorder")
	}
	if m.phase == Open {
		if m.holds[holdStaff] && !slices.Contains(out, "staff") {
			out = append(out, "staff")
		}
		if len(out) == 0 {
			out = append(out, "start")
		}
	}
	return out
}
