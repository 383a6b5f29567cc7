package sfu_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/sfu"
	"sallyport/appliance/sfu/sfutest"
)

func TestWholeCall(t *testing.T) {
	h := openHouse(t, clock.Real{})
	spec := h.spec()
	h.open(spec)
	v := h.enter(spec, 0, 'v')
	eventually(t, "the visitor to wait for the inmate", func() bool {
		w, _ := v.ear.last(sfu.WordState)
		return w.Phase == sfu.Open && slices.Equal(w.WaitingFor, []string{"inmate"}) && w.Says == "call.absent"
	})
	if h.tape.armed != 0 {
		t.Error("the recorder runs before both sides are there")
	}
	i := h.enter(spec, 1, 'i')
	for _, g := range []*guest{v, i} {
		eventually(t, "live", func() bool { return g.ear.phase() == sfu.Live })
	}
	v.Await("the inmate", func() bool { return v.Count("2", 'i') > 20 && v.Count("3", 'i') > 10 })
	i.Await("the visitor", func() bool { return i.Count("2", 'v') > 20 && i.Count("3", 'v') > 10 })
	eventually(t, "both on the tape", func() bool { return h.tape.heard("v1") > 10 && h.tape.heard("i1") > 10 })

	pause := linkspec.Command{Seq: 2, Cmd: linkspec.CmdPause, Call: spec.Call, Reason: "conduct", By: "sf_1", ByRole: "monitor"}
	if err := h.hall.Apply(pause); err != nil {
		t.Fatal(err)
	}
	settle(v.Peer, i.Peer)
	a, b, taped := v.Total(), i.Total(), h.tape.heard("v1")+h.tape.heard("i1")
	asks := v.KeyAsks()
	time.Sleep(300 * time.Millisecond) // the interval that is observed: 15 sound packets each way
	if v.Total() != a || i.Total() != b || h.tape.heard("v1")+h.tape.heard("i1") != taped {
		t.Errorf("packets leaked while paused: %d to the visitor, %d to the inmate", v.Total()-a, i.Total()-b)
	}
	w, _ := v.ear.last(sfu.WordState)
	if w.Phase != sfu.Paused || w.Why != "conduct" || w.ByRole != "monitor" || w.Since.IsZero() {
		t.Errorf("the visitor is told %+v", w)
	}
	resume := linkspec.Command{Seq: 3, Cmd: linkspec.CmdResume, Call: spec.Call, By: "sf_1", ByRole: "monitor"}
	if err := h.hall.Apply(resume); fault.CodeOf(err) != "check_missing" {
		t.Errorf("resume without a check: %v", err)
	}
	resume.Check = ident.New[ident.Check]()
	if err := h.hall.Apply(resume); err != nil {
		t.Fatal(err)
	}
	v.Await("the inmate again", func() bool { return v.Total() > a+20 })
	if v.KeyAsks() == asks {
		t.Error("nobody asked the visitor's camera for a key frame at resume")
	}
	wholeStream(t, v.Seen("2"))
	wholeStream(t, v.Seen("3"))

	if err := h.hall.Apply(linkspec.Command{Seq: 4, Cmd: linkspec.CmdEnd, Call: spec.Call, Reason: "terminated", By: "sf_1"}); err != nil {
		t.Fatal(err)
	}
	if w, ok := i.ear.last(sfu.WordEnded); !ok || w.Code != "terminated" {
		t.Errorf("the inmate is told %+v", w)
	}
	eventually(t, "the seal", func() bool { h.tape.mu.Lock(); defer h.tape.mu.Unlock(); return h.tape.sealed == "terminated" })
	want := []string{"joined", "joined", "live", "pause", "resume", "end"}
	if got := h.tape.kinds(); !slices.Equal(got, want) {
		t.Errorf("marks are %v, want %v", got, want)
	}
	if err := h.hall.Apply(linkspec.Command{Seq: 5, Cmd: linkspec.CmdOpen, Call: spec.Call, Spec: &spec}); fault.CodeOf(err) != "call_over" {
		t.Errorf("an ended call opens again: %v", err)
	}
	if s := h.led.calls[spec.Call]; s.Phase != sfu.Ended || s.Code != "terminated" {
		t.Errorf("kept as %s, %s", s.Phase, s.Code)
	}
}

func TestOneSeatOneConnection(t *testing.T) {
	h := openHouse(t, clock.Real{})
	spec := h.spec()
	h.open(spec)
	v := h.enter(spec, 0, 'v')

	if _, _, err := h.hall.Sit(v.claims, &ear{}); fault.CodeOf(err) != "grant_used" {
		t.Errorf("the same grant twice: %v", err)
	}
	if v.ear.code() != "" || h.led.count(linkspec.GrantRefused) != 1 {
		t.Error("the first connection is not kept, or nobody is told")
	}
	old := claims(spec, 0, v.claims.FP, v.claims.NBF-60)
	if _, _, err := h.hall.Sit(old, &ear{}); fault.CodeOf(err) != "elsewhere" {
		t.Errorf("an older grant takes the seat: %v", err)
	}
	v2 := h.enter(spec, 0, 'w')
	if v.ear.code() != "elsewhere" {
		t.Errorf("the older connection is told %q", v.ear.code())
	}
	if h.led.count(linkspec.SeatMoved) != 1 || v2.w.Generation != 2 {
		t.Errorf("moved %d times, generation %d", h.led.count(linkspec.SeatMoved), v2.w.Generation)
	}
	if err := v.sit.Media(false, false); fault.CodeOf(err) != "elsewhere" {
		t.Errorf("the older connection still acts: %v", err)
	}
	if _, _, err := h.hall.Sit(v.claims, &ear{}); fault.CodeOf(err) != "elsewhere" {
		t.Errorf("the replaced grant comes back: %v", err)
	}
	// A grant whose connection is dead works again for the same certificate.
	v2.sit.Gone()
	if _, w, err := h.hall.Sit(v2.claims, &ear{}); err != nil || w.Generation != 3 {
		t.Errorf("the same grant after its connection died: %v, generation %d", err, w.Generation)
	}
}

func TestJoinIsRefused(t *testing.T) {
	h := openHouse(t, clock.Real{})
	spec := h.spec()
	h.open(spec)
	early := h.spec()
	early.Opens, early.Starts = h.instant(time.Minute), h.instant(11*time.Minute)
	h.open(early)
	_, fp := sfutest.Certificate(t)
	good := claims(spec, 0, fp, h.clock.Now().Unix())
	for _, tt := range []struct {
		name string
		edit func(*grant.Claims)
		want string
	}{
		{"unknown call", func(c *grant.Claims) { c.Call = ident.New[ident.Call]() }, "call_unknown"},
		{"another class", func(c *grant.Claims) { c.Class = linkspec.Official }, "call_unknown"},
		{"another role", func(c *grant.Claims) { c.Role = "inmate" }, "call_unknown"},
		{"another person", func(c *grant.Claims) { c.Who = "vr_2" }, "call_unknown"},
		{"no such seat", func(c *grant.Claims) { c.Seat = "v2" }, "call_unknown"},
		{"before the lobby", func(c *grant.Claims) { c.Call = early.Call }, "too_early"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.edit(&c)
			if _, _, err := h.hall.Sit(c, &ear{}); fault.CodeOf(err) != tt.want {
				t.Errorf("Sit = %v, want %s", err, tt.want)
			}
		})
	}
	remove := linkspec.Command{Cmd: linkspec.CmdRemove, Call: spec.Call, Seat: "v1", Reason: "banned"}
	if err := h.hall.Apply(remove); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.hall.Sit(good, &ear{}); fault.CodeOf(err) != "seat_removed" {
		t.Errorf("a removed seat is taken: %v", err)
	}
}

func TestGrantOpensTheCallWhileBookingIsAway(t *testing.T) {
	h := openHouse(t, clock.Real{})
	spec := h.spec()
	_, fp := sfutest.Certificate(t)
	c := claims(spec, 0, fp, h.clock.Now().Unix())
	c.Spec = &spec
	if _, w, err := h.hall.Sit(c, &ear{}); err != nil || w.Down != 1 {
		t.Fatalf("Sit = %+v, %v", w, err)
	}
}

func TestMonitorIsInvisible(t *testing.T) {
	h := openHouse(t, clock.Real{})
	spec := h.spec()
	h.open(spec)
	v, i := h.enter(spec, 0, 'v'), h.enter(spec, 1, 'i')
	v.Await("the inmate", func() bool { return v.Count("3", 'i') > 10 })
	v.ear.mu.Lock()
	words := len(v.ear.words)
	v.ear.mu.Unlock()

	cert, fp := sfutest.Certificate(t)
	mc := grant.Claims{ID: ident.New[ident.Grant](), Kind: grant.Monitor, Door: "staff", Call: spec.Call, Role: "monitor", Who: "sf_1", Class: spec.Class, FP: fp}
	e := &ear{}
	m, w, err := h.hall.Watch(mc, e)
	if err != nil {
		t.Fatal(err)
	}
	peer := sfutest.NewPeer(t, cert, false, w.Down, 'm')
	answer, err := m.Offer(t.Context(), netip.Addr{}, []byte(peer.Offer()))
	if err != nil {
		t.Fatal(err)
	}
	peer.Take(string(answer))
	peer.Await("both sides", func() bool {
		return peer.Count("0", 'v') > 5 && peer.Count("1", 'v') > 5 && peer.Count("2", 'i') > 5 && peer.Count("3", 'i') > 5
	})
	if r, _ := e.last(sfu.WordRoster); len(r.Seats) != 2 {
		t.Errorf("the monitor's roster is %+v", r.Seats)
	}
	v.ear.mu.Lock()
	if len(v.ear.words) != words {
		t.Errorf("the visitor was told %+v when a monitor came", v.ear.words[words:])
	}
	v.ear.mu.Unlock()
	if h.led.count(linkspec.MonitorOpened) != 1 {
		t.Error("no fact that somebody watches")
	}
	if err := m.Do("pause", "", "", "conduct", "", false, false, false); err != nil {
		t.Fatal(err)
	}
	settle(v.Peer, i.Peer)
	a, b := v.Total(), peer.Total()
	peer.Await("the monitor still sees during the pause", func() bool { return peer.Total() > b+10 })
	if v.Total() != a {
		t.Error("the visitor hears the inmate during the pause")
	}
	m.Leave()
	if h.led.count(linkspec.MonitorClosed) != 1 {
		t.Error("no fact that the watching ended")
	}
}

func TestMonitorIsNotOpenedUnrecorded(t *testing.T) {
	h := openHouse(t, clock.Real{})
	spec := h.spec()
	h.open(spec)
	h.led.fail = errors.New("disk")
	_, fp := sfutest.Certificate(t)
	c := grant.Claims{ID: ident.New[ident.Grant](), Kind: grant.Monitor, Door: "staff", Call: spec.Call, Role: "monitor", Who: "sf_1", Class: spec.Class, FP: fp}
	if _, _, err := h.hall.Watch(c, &ear{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Watch = %v", err)
	}
}

func TestRecorderFirst(t *testing.T) {
	h := openHouse(t, clock.Real{})
	h.tape.arm = errors.New("disk full")
	spec := h.spec()
	h.open(spec)
	v, i := h.enter(spec, 0, 'v'), h.enter(spec, 1, 'i')
	eventually(t, "both told", func() bool {
		p, ok := i.ear.last(sfu.WordProblem)
		w, _ := v.ear.last(sfu.WordState)
		return ok && p.Code == "no_recorder" && w.Says == "call.cannotRecord" && w.Phase == sfu.Open
	})
	settle(v.Peer, i.Peer)
	if v.Total()+i.Total() != 0 {
		t.Error("an unrecorded call was heard")
	}
	if n := h.led.count(linkspec.RecordingFailed); n != 1 {
		t.Errorf("bookingd is told %d times that it cannot be recorded", n)
	}
}

func TestRecorderFailsWhileLive(t *testing.T) {
	h := openHouse(t, clock.Real{})
	spec := h.spec()
	h.open(spec)
	v, i := h.enter(spec, 0, 'v'), h.enter(spec, 1, 'i')
	eventually(t, "live", func() bool { return v.ear.phase() == sfu.Live })
	h.tape.mu.Lock()
	h.tape.arm = errors.New("disk full")
	h.tape.mu.Unlock()
	h.tape.failed <- errors.New("disk full")
	eventually(t, "paused", func() bool { return v.ear.phase() == sfu.Paused && i.ear.phase() == sfu.Paused })
	w, _ := i.ear.last(sfu.WordState)
	if w.Why != "recording_failed" {
		t.Errorf("the inmate is told %+v", w)
	}
	err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdResume, Call: spec.Call, Check: ident.New[ident.Check]()})
	if fault.CodeOf(err) != "no_recorder" {
		t.Errorf("resume without a recorder: %v", err)
	}
}

func TestStopSwitch(t *testing.T) {
	h := openHouse(t, clock.Real{})
	a, b := h.spec(), h.spec()
	b.Seats[1].Unit = "u_2"
	h.open(a)
	h.open(b)
	if err := h.hall.Apply(linkspec.Command{ID: "cmd_1", Cmd: linkspec.CmdStop, Scope: "unit:u_1", Reason: "lockdown"}); err != nil {
		t.Fatal(err)
	}
	_, fp := sfutest.Certificate(t)
	if _, _, err := h.hall.Sit(claims(a, 0, fp, h.clock.Now().Unix()), &ear{}); err == nil {
		t.Error("a stopped call is joined")
	}
	if _, _, err := h.hall.Sit(claims(b, 0, fp, h.clock.Now().Unix()), &ear{}); err != nil {
		t.Errorf("another unit is stopped too: %v", err)
	}
	c := h.spec()
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdOpen, Spec: &c}); fault.CodeOf(err) != "stopped" {
		t.Errorf("a call of a stopped unit opens: %v", err)
	}
}
