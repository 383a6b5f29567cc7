package fleet

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/reel/reeltest"
	"sallyport/daemons/demo/seed"
)

// storm is a house with two calls whose daemons are killed.
type storm struct {
	*house
	v, i   *seat // of the first call
	v2, i2 *seat // of the second
}

// TestStormyHouse kills daemons while people talk.
func TestStormyHouse(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.stop(t)
	start := h.startIn(t, 25*time.Second)
	h.start(t)
	film := reeltest.Sample(t, 4)
	s := &storm{house: h}
	s.v, s.i = h.meet(t, h.People.Visitors[1], h.People.Inmates[1], start, film)
	s.v2, s.i2 = h.meet(t, h.People.Visitors[2], h.People.Inmates[2], start, film)
	wrong := s.lockOut(t)
	for _, one := range []*seat{s.v, s.i, s.v2, s.i2} {
		one.Live(t)
		one.Flows(t)
	}
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"bookingd killed during a call", s.killBooking},
		{"a lock outlives the restart", func(t *testing.T) { s.stillLocked(t, wrong) }},
		{"gatewayd killed during a call", s.killGateway},
	} {
		if !t.Run(step.name, step.do) {
			t.FailNow() // what comes next needs a whole house
		}
	}
}

// meet has a visitor suggest a visit of five minutes, the inmate accept it, and both take their seats.
func (h *house) meet(t *testing.T, v seed.Visitor, i seed.Inmate, start time.Time, film []reeltest.Frame) (outside, inside *seat) {
	t.Helper()
	a, b := h.visitor(t, v), h.inmate(t, i)
	visit := doortest.Str(a.book(t, a.contact(t, i), upcoming(start), 5, "suggest"), "id")
	b.accept(t, visit)
	return a.take(t, visit, film), b.take(t, visit, film)
}

// lockOut tries wrong PINs on one visitor's account until it locks.
func (s *storm) lockOut(t *testing.T) *browser {
	t.Helper()
	b, who := s.browse("visitor"), s.People.Visitors[4]
	wrong := map[string]any{"phone": who.Phone, "pin": "135791"}
	for left := 4; left > 0; left-- {
		a := b.Refused(t, 401, "auth.wrong", "POST", "session", wrong)
		if params, _ := a.Body["params"].(map[string]any); params["left"] != float64(left) {
			t.Errorf("after a wrong PIN the answer is %s, want %d tries left", a.Raw, left)
		}
	}
	b.Refused(t, 429, "auth.locked", "POST", "session", wrong)
	return b
}

// stillLocked finds the account locked, even for its right PIN, and nobody else's.
func (s *storm) stillLocked(t *testing.T, b *browser) {
	who, other := s.People.Visitors[4], s.People.Visitors[3]
	b.Refused(t, 429, "auth.locked", "POST", "session", map[string]any{"phone": who.Phone, "pin": who.PIN})
	b.Do(t, 200, "POST", "session", map[string]any{"phone": other.Phone, "pin": other.PIN})
	s.mailTo(t, who.Email, 0, `(locked)`)
}

// killBooking kills bookingd: media goes on, and what happened meanwhile is known afterwards.
func (s *storm) killBooking(t *testing.T) {
	was := s.kill(t, "bookingd")
	if r := s.v2.Ask(t, map[string]any{"t": "leave", "why": "user"}); r["t"] != "done" {
		t.Fatalf("leave: %v", r)
	}
	s.v.Flows(t)
	s.i.Flows(t)
	s.back(t, "bookingd", was)
	doortest.Eventually(t, time.Minute, "the wall to show who left meanwhile", func() bool {
		return seatState(s.liveCall(t, s.v2.Visit), "v1") == "left"
	})
	if one := s.liveCall(t, s.v.Visit); one["phase"] != "live" || seatState(one, "v1") != "connected" || seatState(one, "i1") != "connected" {
		t.Errorf("the other call is shown as %v", one)
	}
	s.v.Flows(t)
	s.i2.Wait(t, "the end", func() bool { return s.i2.Last("ended")["code"] == "visitor_left" })
	doortest.Eventually(t, 20*time.Second, "the outcome", func() bool { return s.v2.who.state(t, s.v2.Visit) == "ended_early" })
	s.plays(t, s.v2.Visit, "whole")
}

// killGateway kills gatewayd: both sides are back within seconds, and the recording goes on in the same log with a gap.
func (s *storm) killGateway(t *testing.T) {
	folders := s.recordings(t)
	began := time.Now()
	was := s.kill(t, "gatewayd")
	<-s.v.Done()
	<-s.i.Done()
	s.back(t, "gatewayd", was)
	s.v.Resume(t)
	s.i.Resume(t)
	s.v.Live(t)
	s.i.Live(t)
	s.v.Flows(t)
	s.i.Flows(t)
	took := time.Since(began)
	t.Logf("sound and picture both ways %v after the kill", took.Round(10*time.Millisecond))
	if took > 30*time.Second {
		t.Errorf("it took %v until both sides met again", took)
	}
	if again := s.recordings(t); len(again) != len(folders) {
		t.Errorf("the recording went on in another folder: %v, then %v", folders, again)
	}
	s.end(t, s.v, "staff_error")
	s.v.Wait(t, "the end", func() bool { return s.v.Last("ended")["code"] == "staff_error" })
	doortest.Eventually(t, 20*time.Second, "the outcome", func() bool { return s.v.who.state(t, s.v.Visit) == "terminated" })
	facts := s.plays(t, s.v.Visit, "gaps")
	summary, _ := facts["summary"].(map[string]any)
	flags, _ := summary["flags"].([]any)
	if len(flags) != 1 || flags[0] != "gaps" {
		t.Errorf("the recording has the flags %v and the marks %v", flags, marks(facts))
	}
}

// recordings are the folders of recordings.
func (h *house) recordings(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(h.state, "gateway", "recordings", "*", "*", "*.reel"))
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, path := range found {
		if dir := filepath.Dir(path); len(folders) == 0 || folders[len(folders)-1] != dir {
			folders = append(folders, dir)
		}
	}
	if len(folders) == 0 {
		t.Fatal("nothing is recorded")
	}
	return folders
}

// end has staff end a seat's call. The order may meet a bookingd that is just back.
func (h *house) end(t *testing.T, s *seat, reason string) {
	t.Helper()
	m := h.worker(t, "monitor")
	doortest.Eventually(t, 20*time.Second, "staff to end the call", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		a, err := m.Try(ctx, "POST", "calls/"+s.Call+"/end", map[string]any{"reason": reason})
		if err == nil && a.Status != 200 {
			t.Fatalf("staff end the call: %d %s", a.Status, a.Raw)
		}
		return err == nil
	})
}
