package sfu

import (
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

func notNow(op, msg string) error {
	return fault.New("sfu."+op, fault.Conflict, msg).WithCode("not_now")
}

// doPause cuts media both ways. It returns Conflict when the call is not live.
func (m *machine) doPause(o order, now time.Duration) ([]effect, error) {
	if m.phase == Paused {
		return nil, nil // the first reason stands
	}
	if m.phase != Live {
		return nil, notNow("Pause", "This call is not live.")
	}
	es := m.stopMeter(now)
	m.phase, m.pause, m.since = Paused, o, now
	m.remind = now + m.remindAfter()
	es = append(es, fact(linkspec.CallPaused, "", linkspec.PausedData{Reason: o.Reason, By: o.By, ByRole: o.ByRole}), mark(MarkPause, "", o))
	return append(es, m.stateWords()...), nil
}

func (m *machine) remindAfter() time.Duration {
	if m.spec.PauseRemindS <= 0 {
		return 3 * time.Minute
	}
	return time.Duration(m.spec.PauseRemindS) * time.Second
}

// doResume goes on after a pause. It returns Conflict when the call is not paused or cannot be recorded.
func (m *machine) doResume(o order, now time.Duration) ([]effect, error) {
	if m.phase == Live {
		return nil, nil
	}
	if m.phase != Paused {
		return nil, notNow("Resume", "This call is not paused.")
	}
	if m.holds[holdRecorder] {
		return nil, fault.New("sfu.Resume", fault.Conflict, "The call cannot be recorded, so it cannot go on.").WithCode("no_recorder")
	}
	m.phase, m.pause, m.since, m.remind = Live, order{}, 0, 0
	m.liveAt, m.pulsed = now, now
	es := []effect{fact(linkspec.CallResumed, "", linkspec.PausedData{Reason: o.Reason, By: o.By, ByRole: o.ByRole}), mark(MarkResume, "", o)}
	es = append(es, m.stateWords()...)
	return append(es, tell(m.timeWord(now, false))), nil
}

// mute is one side or one seat muted by staff; on=false takes it back.
type mute struct {
	Seat         ident.Seat
	Side         string
	Audio, Video bool
	On           bool
}

func (x mute) fits(s *seat) bool {
	return x.Seat == s.spec.Seat || x.Seat == "" && (x.Side == "all" || x.Side == s.spec.Role)
}

func (m *machine) doMute(x mute, o order) ([]effect, error) {
	if m.over() {
		return nil, notNow("Mute", "This call is over.")
	}
	var es []effect
	for _, s := range m.seats {
		if !x.fits(s) {
			continue
		}
		if x.Audio {
			s.noAudio = x.On
		}
		if x.Video {
			s.noVideo = x.On
		}
		es = append(es, mark(MarkMute, s.spec.Seat, o), tell(Word{T: WordMuted, Seat: s.spec.Seat, Audio: s.noAudio, Video: s.noVideo, ByRole: o.ByRole}))
	}
	if es == nil {
		return nil, fault.New("sfu.Mute", fault.NotFound, "There is no such seat in this call.").WithCode("call_unknown")
	}
	return append(es, m.rosters()...), nil
}

// doSay tells a seat, a side or all a canned alert (Key) or staff's own words (Body).
func (m *machine) doSay(to mute, w Word, o order) ([]effect, error) {
	if m.over() {
		return nil, notNow("Say", "This call is over.")
	}
	everybody := to.Seat == "" && to.Side == ""
	w.T = WordSay
	k := mark(MarkSay, to.Seat, o)
	k.mark.Body = w.Body
	if w.Body == "" {
		k.mark.Reason = w.Key
	}
	return []effect{k, {word: &w, to: func(s *seat) bool { return s != nil && (everybody || to.fits(s)) }}}, nil
}

// doAdmit lets a seat out of the waiting room.
func (m *machine) doAdmit(id ident.Seat, now time.Duration) ([]effect, error) {
	s := m.seat(id)
	if s == nil {
		return nil, fault.New("sfu.Admit", fault.NotFound, "There is no such seat in this call.").WithCode("call_unknown")
	}
	s.admitted = true
	return m.settle(now), nil
}

// doRemove takes a seat out of the call for good.
func (m *machine) doRemove(id ident.Seat, o order, kind string, now time.Duration) ([]effect, error) {
	s := m.seat(id)
	if s == nil {
		return nil, fault.New("sfu.Remove", fault.NotFound, "There is no such seat in this call.").WithCode("call_unknown")
	}
	if s.state == Removed || m.over() {
		return nil, nil
	}
	s.state, s.joined, s.media, s.admitted = Removed, false, false, false
	es := []effect{fact(kind, id, linkspec.SeatData{Why: o.Reason}), mark(MarkLeft, id, o)}
	es = append(es, m.rosters()...)
	es = append(es, m.settle(now)...)
	return append(es, drop(id, "seat_removed")), nil
}

// doEnd ends the call: media is silent before anybody is told.
func (m *machine) doEnd(code string, o order, now time.Duration) []effect {
	if m.over() {
		return nil
	}
	es := m.stopMeter(now)
	m.phase, m.code = Ending, code
	es = append(es, fact(linkspec.CallEnding, "", linkspec.EndedData{Code: code, By: o.By}))
	es = append(es, fact(linkspec.CallEnded, "", linkspec.EndedData{
		Code: code, By: o.By, LiveMS: m.liveFor.Milliseconds(), MeteredS: int64(m.metered.Seconds()),
	}))
	m.phase = Ended
	says := o.Says
	if says == "" {
		says = "call.ended"
	}
	o.Reason = code
	return append(es, mark(MarkEnd, "", o), tell(Word{T: WordEnded, Code: code, Says: says, TogetherS: int64(m.metered.Seconds())}))
}

// amend takes a newer spec: never another class, never a later end, never other people in its seats.
func (m *machine) amend(spec linkspec.Spec, ends time.Duration, now time.Duration) ([]effect, error) {
	switch {
	case m.over():
		return nil, notNow("Amend", "This call is over.")
	case spec.Class != m.spec.Class:
		return nil, fault.New("sfu.Amend", fault.Invalid, "The class of a call cannot change.").WithCode("class_fixed")
	case ends > m.ends+endSlack:
		return nil, fault.New("sfu.Amend", fault.Invalid, "A call cannot end later.").WithCode("end_fixed")
	}
	earlier := ends < m.ends-endSlack
	spec.Seats = m.spec.Seats
	spec.Record = m.spec.Record
	m.spec = spec
	if !earlier {
		return m.settle(now), nil
	}
	m.ends = ends
	es := m.tick(now)
	if m.running() {
		es = append(es, tell(m.timeWord(now, false)))
	}
	return es, nil
}

// endSlack is what two readings of one wall-clock end may differ by after a reboot.
const endSlack = 50 * time.Millisecond

// recorderFailed is the recorder's end while the call was live: nothing unrecorded is forwarded.
func (m *machine) recorderFailed(now time.Duration) []effect {
	if m.over() {
		return nil
	}
	m.holds[holdRecorder] = true
	es, _ := m.doPause(order{Reason: "recording_failed", ByRole: "system", Says: "call.cannotRecord"}, now)
	m.giveUp = now + recorderReturn
	return append(es, m.settle(now)...)
}

const (
	recorderReturn = time.Minute // after that a call without its recorder ends
	pauseAgain     = time.Minute // between reminders of a pause
	meterEvery     = 10 * time.Second
)

// tick does what is due.
func (m *machine) tick(now time.Duration) []effect {
	if m.over() {
		return nil
	}
	if now >= m.ends {
		return m.doEnd("time_up", order{ByRole: "system"}, now)
	}
	if m.giveUp != 0 && now >= m.giveUp {
		return m.doEnd("recording_failed", order{ByRole: "system"}, now)
	}
	es := m.settle(now)
	for _, w := range m.spec.WarnMinutes {
		at := m.ends - time.Duration(w)*time.Minute
		if now < at || m.warned[w] {
			continue
		}
		m.warned[w] = true
		if m.running() && now < at+30*time.Second { // an older one would count from a wrong number
			es = append(es, fact(linkspec.CallWarned, "", nil), mark(MarkWarning, "", order{}), tell(m.timeWord(now, true)))
		}
	}
	if m.phase == Paused && now >= m.remind {
		m.remind = now + pauseAgain
		es = append(es, fact(linkspec.CallWarned, "", linkspec.PausedData{Reason: "pause_long", By: m.pause.By, ByRole: m.pause.ByRole}))
	}
	return es
}

// pulse counts a second of a live call that had media of both sides.
func (m *machine) pulse(both bool, now time.Duration) []effect {
	if m.phase != Live {
		return nil
	}
	step := min(now-m.pulsed, 2*time.Second)
	m.pulsed = now
	if both {
		m.metered += step
	}
	if now-m.reported < meterEvery {
		return nil
	}
	m.reported = now
	return []effect{m.meterFact(now)}
}

func (m *machine) meterFact(now time.Duration) effect {
	live := m.liveFor
	if m.phase == Live {
		live += now - m.liveAt
	}
	return fact(linkspec.Meter, "", linkspec.MeterData{MeteredS: int64(m.metered.Seconds()), LiveMS: live.Milliseconds()})
}

// stopMeter closes the running live stretch.
func (m *machine) stopMeter(now time.Duration) []effect {
	if m.phase != Live {
		return nil
	}
	e := m.meterFact(now)
	m.liveFor += now - m.liveAt
	return []effect{e}
}

// next is when tick has something to do, at the latest.
func (m *machine) next(now time.Duration) time.Duration {
	at := m.ends
	sooner := func(t time.Duration) {
		if t > now && t < at {
			at = t
		}
	}
	if m.phase == Open {
		sooner(m.starts)
	}
	if m.phase == Live {
		sooner(m.pulsed + time.Second)
	}
	if m.phase == Paused {
		sooner(m.remind)
	}
	if m.giveUp != 0 {
		sooner(m.giveUp)
	}
	for _, w := range m.spec.WarnMinutes {
		sooner(m.ends - time.Duration(w)*time.Minute)
	}
	for _, s := range m.seats {
		if s.state == Lost {
			sooner(s.lostAt + m.grace())
		}
	}
	return at
}
