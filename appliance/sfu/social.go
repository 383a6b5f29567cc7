package sfu

import (
	"context"
	"sync"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

// Social is a call that may be recorded and watched.
type Social struct {
	*core
	recorders Recorders
	recorder  Recorder // nil until armed; under core.mu
	retryAt   time.Duration
	watching  map[*Watching]struct{} // under core.mu
	nudge     chan struct{}          // the recorder may be wanted
}

// OpenSocial opens a social, official or on-site call. It returns Unavailable when the spec wants a recorder and there
// are none.
func OpenSocial(d Outside, recorders Recorders, spec linkspec.Spec, wg *sync.WaitGroup) (*Social, error) {
	if spec.Record && recorders == nil {
		return nil, fault.New("sfu.OpenSocial", fault.Unavailable, "This call must be recorded, and there is no recorder.").WithCode("no_recorder")
	}
	s := &Social{recorders: recorders, core: newCore(d, spec, wg), watching: map[*Watching]struct{}{}, nudge: make(chan struct{}, 1)}
	s.machine.holds[holdRecorder] = spec.Record
	s.machine.holds[holdStaff] = spec.MonitorRequired
	return s, nil
}

func (s *Social) base() *core { return s.core }

func (s *Social) change(f func(*machine, time.Duration) ([]effect, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	es, err := f(s.machine, s.deps.Clock.Boot())
	if err != nil {
		return err
	}
	s.apply(es)
	return nil
}

// apply runs effects with what a social call adds: taps, monitors and marks. core.mu is held.
func (s *Social) apply(es []effect) {
	t := s.table()
	t.Keep = !s.machine.over()
	recorded, watched := s.machine.heard()
	if s.recorder != nil {
		for _, id := range recorded {
			if l := s.places[id].leg; l != nil {
				t.Taps = append(t.Taps, TapRow{From: l, Media: Audio, Seat: id, To: s.recorder}, TapRow{From: l, Media: Video, Seat: id, To: s.recorder})
			}
		}
	}
	for w := range s.watching {
		for _, id := range watched {
			if l := s.places[id].leg; l != nil && w.leg != nil {
				k := s.machine.slotOf(id)
				t.Routes = append(t.Routes, Route{From: l, Media: Audio, To: w.leg, Slot: k}, Route{From: l, Media: Video, To: w.leg, Slot: k})
			}
		}
	}
	s.run(t, es, listeners{mark: s.mark, word: s.inform})
	if s.machine.phase == Ended {
		for w := range s.watching {
			s.leaveWatch(w)
		}
	}
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

func (s *Social) mark(m Mark) {
	if s.recorder != nil {
		s.recorder.Mark(m)
	}
}

// inform tells the monitors a word, in their own view.
func (s *Social) inform(w Word) {
	if w.T == WordRoster {
		w.Seats = s.machine.roster("")
	}
	for x := range s.watching {
		x.client.Tell(x.words.add(w))
	}
}

// serve admits the recorder when both sides are there, follows it, and seals it at the end.
func (s *Social) serve(ctx context.Context) {
	var failed <-chan error
	for {
		s.mu.Lock()
		over, code, rec := s.machine.over(), s.machine.code, s.recorder
		now := s.deps.Clock.Boot()
		want := s.machine.holds[holdRecorder] && rec == nil && (s.machine.present() || s.machine.running() && s.anybody())
		wait := s.retryAt - now
		s.mu.Unlock()
		if over {
			if rec != nil {
				s.seal(ctx, rec, code)
			}
			return
		}
		var retry <-chan time.Time
		if want && wait <= 0 {
			failed = s.arm(ctx)
			continue
		} else if want {
			retry = s.deps.Clock.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.nudge:
		case <-retry:
		case err := <-failed:
			failed = nil
			s.lose(err)
		}
	}
}

func (s *Social) anybody() bool {
	for _, p := range s.places {
		if p.leg != nil {
			return true
		}
	}
	return false
}

const armAgain = 5 * time.Second

// arm admits the recorder. Nobody is heard by anybody before its first chunk is durable.
func (s *Social) arm(ctx context.Context) <-chan error {
	s.mu.Lock()
	spec := s.machine.spec
	s.mu.Unlock()
	rec, err := s.recorders.Open(spec)
	if err == nil {
		err = rec.Arm(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.deps.Clock.Boot()
	if err != nil {
		s.retryAt = now + armAgain
		s.deps.Log.Error("recorder not armed", "op", "sfu.arm", "call", spec.Call, "err", err)
		s.unrecorded("arm", now)
		return nil
	}
	s.recorder = rec
	for _, x := range s.machine.seats { // who came before it
		if x.state == Connected {
			s.mark(Mark{Kind: MarkJoined, At: s.deps.Clock.Now(), Boot: now, Seat: x.spec.Seat})
		}
	}
	s.apply(s.machine.hold(holdRecorder, false, now))
	return rec.Failed()
}

// unrecorded goes on without a recorder where policy allows it, and tells everybody where it does not. core.mu is held.
func (s *Social) unrecorded(cause string, now time.Duration) {
	m := s.machine
	if m.spec.RecordFail == "allow_flag" {
		es := []effect{fact(linkspec.RecordingFailed, "", linkspec.RecordingData{Cause: cause})}
		s.apply(append(es, m.hold(holdRecorder, false, now)...))
		return
	}
	var es []effect
	if !m.cannot && cause == "arm" { // once, not at each new try: bookingd tells staff
		es = append(es, fact(linkspec.RecordingFailed, "", linkspec.RecordingData{Cause: cause}))
	}
	m.cannot = true
	es = append(es, m.stateWords()...)
	if cause == "arm" {
		es = append(es, tell(Word{T: WordProblem, Code: "no_recorder"}))
	}
	s.apply(es)
}

// lose is the recorder failing while the call runs.
func (s *Social) lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine.over() {
		return
	}
	now := s.deps.Clock.Boot()
	s.deps.Log.Error("recorder failed", "op", "sfu.record", "call", s.machine.spec.Call, "err", err)
	s.recorder = nil
	if s.machine.spec.RecordFail == "allow_flag" {
		s.unrecorded("live", now)
		return
	}
	s.machine.cannot = true
	s.apply(s.machine.recorderFailed(now))
}

// seal closes the recording, also when the daemon is being stopped at this moment.
func (s *Social) seal(ctx context.Context, rec Recorder, code string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err := rec.Seal(ctx, code); err != nil {
		s.deps.Log.Error("recording not sealed", "op", "sfu.seal", "call", s.machine.spec.Call, "err", err)
	}
}
