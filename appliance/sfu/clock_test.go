package sfu_test

import (
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

// live opens a call on a fake clock with two people who are heard.
func live(t *testing.T, h *house, spec linkspec.Spec) (v, i *guest) {
	t.Helper()
	h.open(spec)
	v, i = h.enter(spec, 0, 'v'), h.enter(spec, 1, 'i')
	eventually(t, "live", func() bool { return v.ear.phase() == sfu.Live })
	v.Await("the inmate", func() bool { return v.Count("2", 'i') > 5 })
	return v, i
}

func TestFixedEndNeedsNobody(t *testing.T) {
	fake := clock.NewFake(time.Date(2026, 11, 3, 14, 0, 0, 0, time.UTC))
	h := openHouse(t, fake)
	spec := h.spec()
	v, i := live(t, h, spec)

	fake.Step(fake.Now().Add(-time.Hour)) // a lying time server
	later := spec
	later.Version, later.Ends = 2, h.instant(2*time.Hour)
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdAmend, Spec: &later}); fault.CodeOf(err) != "end_fixed" {
		t.Errorf("a later end: %v", err)
	}
	other := spec
	other.Version, other.Class = 3, linkspec.Official
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdAmend, Spec: &other}); fault.CodeOf(err) != "class_fixed" {
		t.Errorf("another class: %v", err)
	}
	fake.Advance(30*time.Minute - time.Millisecond)
	if _, over := v.ear.last(sfu.WordEnded); over {
		t.Fatal("it ended early")
	}
	eventually(t, "the timers to wait for the end", func() bool { left, _ := h.hall.Left(spec.Call); return left == time.Millisecond && fake.Waiting() > 0 })
	fake.Advance(time.Millisecond)
	eventually(t, "the end", func() bool {
		a, ok1 := v.ear.last(sfu.WordEnded)
		b, ok2 := i.ear.last(sfu.WordEnded)
		return ok1 && ok2 && a.Code == "time_up" && b.Code == "time_up"
	})
}

func TestEndsInPauseToo(t *testing.T) {
	fake := clock.NewFake(time.Date(2026, 11, 3, 14, 0, 0, 0, time.UTC))
	h := openHouse(t, fake)
	spec := h.spec()
	v, _ := live(t, h, spec)
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdPause, Call: spec.Call, Reason: "conduct"}); err != nil {
		t.Fatal(err)
	}
	fake.Advance(30 * time.Minute)
	eventually(t, "the end", func() bool { w, ok := v.ear.last(sfu.WordEnded); return ok && w.Code == "time_up" })
}

func TestPrivilegedCall(t *testing.T) {
	h := openHouse(t, clock.Real{})
	spec := h.spec()
	spec.Class, spec.Record = linkspec.Privileged, false
	h.open(spec)
	v, i := h.enter(spec, 0, 'v'), h.enter(spec, 1, 'i')
	v.Await("the inmate", func() bool { return v.Count("3", 'i') > 10 })
	i.Await("the visitor", func() bool { return i.Count("3", 'v') > 10 })
	if h.tape.armed != 0 || h.tape.heard("v1")+h.tape.heard("i1") != 0 {
		t.Error("a privileged call reached the recorder")
	}
	_, fp := sfutest.Certificate(t)
	for _, class := range []linkspec.Class{linkspec.Social, linkspec.Privileged} {
		c := grant.Claims{ID: ident.New[ident.Grant](), Kind: grant.Monitor, Door: "staff", Call: spec.Call, Role: "monitor", Who: "sf_1", Class: class, FP: fp}
		_, _, err := h.hall.Watch(c, &ear{})
		c.Call = ident.New[ident.Call]()
		_, _, none := h.hall.Watch(c, &ear{})
		if fault.CodeOf(err) != "call_unknown" || err.Error() != none.Error() {
			t.Errorf("a monitor of class %s is told %v, and %v where there is no call", class, err, none)
		}
	}
	recorded := h.spec()
	recorded.Class = linkspec.Privileged
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdOpen, Spec: &recorded}); fault.CodeOf(err) != "class_fixed" {
		t.Errorf("a recorded privileged call opens: %v", err)
	}
	unknown := h.spec()
	unknown.Class = "family"
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdOpen, Spec: &unknown}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown class opens: %v", err)
	}
}

// Commands may come twice, and a monitor's words go to those that they are for.
func TestCommandsTwiceAndMute(t *testing.T) {
	h := openHouse(t, clock.Real{})
	spec := h.spec()
	v, i := live(t, h, spec)
	pause := linkspec.Command{Cmd: linkspec.CmdPause, Call: spec.Call, Reason: "conduct", Version: 5}
	for range 2 {
		if err := h.hall.Apply(pause); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.led.count(linkspec.CallPaused); n != 1 {
		t.Errorf("paused %d times", n)
	}
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdEnd, Call: spec.Call, Version: 4}); err != nil || v.ear.phase() != sfu.Paused {
		t.Errorf("a command of an older version is done: %v", err)
	}
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdResume, Call: spec.Call, Check: "ck_1", Version: 6}); err != nil {
		t.Fatal(err)
	}
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdMute, Call: spec.Call, Side: "visitor", Audio: true, On: true}); err != nil {
		t.Fatal(err)
	}
	settleOf := func() int { return i.Count("2", 'v') }
	seen := i.Count("3", 'v')
	i.Await("the picture goes on", func() bool { return i.Count("3", 'v') > seen+5 })
	before, seen := settleOf(), i.Count("3", 'v')
	i.Await("the picture goes on", func() bool { return i.Count("3", 'v') > seen+5 })
	if n := settleOf(); n != before {
		t.Errorf("%d packets of a muted microphone", n-before)
	}
	if err := h.hall.Apply(linkspec.Command{Cmd: linkspec.CmdSay, Call: spec.Call, Side: "inmate", Body: "Two minutes."}); err != nil {
		t.Fatal(err)
	}
	if w, ok := i.ear.last(sfu.WordSay); !ok || w.Body != "Two minutes." {
		t.Errorf("the inmate is told %+v", w)
	}
	if _, ok := v.ear.last(sfu.WordSay); ok {
		t.Error("the visitor is told what was for the inmate")
	}
}
