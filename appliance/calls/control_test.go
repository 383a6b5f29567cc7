package calls_test

import (
	"testing"

	"sallyport/appliance/audit"
	"sallyport/appliance/calls"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// pass takes a paused call through its security check.
func (s *site) pass(monitor ident.Actor) {
	s.t.Helper()
	check, err := s.calls.BeginCheck(s.ctx, monitor, s.call().ID)
	if err != nil {
		s.t.Fatal(err)
	}
	var answers []calls.Step
	for _, step := range check.Asked {
		answers = append(answers, calls.Step{Step: step, Answer: "passed"})
	}
	if _, err := s.calls.Resume(s.ctx, monitor, s.call().ID, check.ID, answers...); err != nil {
		s.t.Fatal(err)
	}
}

func TestResumeNeedsTheWholeCheck(t *testing.T) {
	s := newSite(t, "social")
	s.goLive()
	monitor, other := staff("monitor"), staff("monitor")
	id := s.call().ID
	if _, err := s.calls.Pause(s.ctx, monitor, id, "conduct"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.calls.Resume(s.ctx, monitor, id, ""); fault.CodeOf(err) != "check.none" {
		t.Errorf("resume without a check: %v", err)
	}
	check, err := s.calls.BeginCheck(s.ctx, monitor, id)
	if err != nil || len(check.Asked) != 6 {
		t.Fatalf("check %+v, %v", check, err)
	}
	if _, err := s.calls.BeginCheck(s.ctx, other, id); fault.CodeOf(err) != "check.taken" {
		t.Errorf("second check: %v", err)
	}
	if _, err := s.calls.Answer(s.ctx, monitor, id, calls.Step{Step: calls.StepIdentity, Answer: "skipped", Reason: "known"}); fault.CodeOf(err) != "check.identity" {
		t.Errorf("identity skipped: %v", err)
	}
	if _, err := s.calls.Answer(s.ctx, monitor, id, calls.Step{Step: "room", Answer: "skipped"}); fault.CodeOf(err) != "check.reason" {
		t.Errorf("skipped without reason: %v", err)
	}
	for i, step := range check.Asked[:len(check.Asked)-1] {
		a := calls.Step{Step: step, Answer: "passed"}
		if i == 3 {
			a = calls.Step{Step: step, Answer: "skipped", Reason: "no device in sight"}
		}
		if _, err := s.calls.Answer(s.ctx, monitor, id, a); err != nil {
			t.Fatal(err)
		}
	}
	head := int64(len(s.commands(0)))
	if _, err := s.calls.Resume(s.ctx, monitor, id, check.ID); fault.CodeOf(err) != "check.incomplete" {
		t.Errorf("resume with a line open: %v", err)
	}
	last := check.Asked[len(check.Asked)-1]
	if _, err := s.calls.Resume(s.ctx, monitor, id, check.ID, calls.Step{Step: last, Answer: "failed", Reason: "no"}); fault.CodeOf(err) != "check.incomplete" {
		t.Errorf("resume with a line failed: %v", err)
	}
	if n := int64(len(s.commands(head))); n != 0 {
		t.Fatalf("%d commands left before the check passed", n)
	}
	if _, err := s.calls.Resume(s.ctx, monitor, id, check.ID, calls.Step{Step: last, Answer: "passed"}); err != nil {
		t.Fatal(err)
	}
	list := s.commands(head)
	if len(list) != 1 || list[0].Cmd != linkspec.CmdResume || list[0].Check != check.ID || s.call().State != "live" {
		t.Errorf("commands %+v, call %s", list, s.call().State)
	}
	var stored int
	s.view(func(tx *store.Tx) error {
		return tx.Row(`SELECT count(*) FROM security_check_step s JOIN security_check c ON c.id = s.security_check
			WHERE c.outcome = 'passed' AND s.at > 0`).Scan(&stored)
	})
	if stored != 6 {
		t.Errorf("%d lines stored", stored)
	}
	s.view(func(tx *store.Tx) error {
		rows, err := audit.List(tx, audit.Filter{Subject: string(id), Verb: "check.pass"})
		if err == nil && (len(rows) != 1 || rows[0].By.ID != monitor.ID) {
			t.Errorf("audit: %+v", rows)
		}
		return err
	})
}

func TestPrivilegedCallHasNoStaffInIt(t *testing.T) {
	s := newSite(t, "privileged")
	s.take(s.fact(linkspec.SeatConnected, "v1", nil), s.fact(linkspec.SeatConnected, "i1", nil), s.fact(linkspec.CallLive, "", nil))
	spec, id, monitor := s.call().Spec, s.call().ID, staff("monitor")
	if spec.Record || spec.MonitorRequired || spec.MonitorVisible || len(spec.PauseOn) != 0 || spec.Notice != calls.NoticePrivate {
		t.Errorf("spec: %+v", spec)
	}
	for name, do := range map[string]func() error{
		"watch": func() error { _, err := s.calls.Monitor(s.ctx, monitor, id, "duty", fingerprint); return err },
		"pause": func() error { _, err := s.calls.Pause(s.ctx, monitor, id, "conduct"); return err },
		"mute": func() error {
			_, err := s.calls.Mute(s.ctx, monitor, id, calls.Mute{Side: "visitor", Audio: true, On: true})
			return err
		},
		"say":   func() error { _, err := s.calls.Say(s.ctx, monitor, id, calls.Words{Body: "Hello"}); return err },
		"check": func() error { _, err := s.calls.BeginCheck(s.ctx, monitor, id); return err },
		"end":   func() error { _, err := s.calls.End(s.ctx, monitor, id, "conduct"); return err },
	} {
		if err := do(); !fault.Is(err, fault.NotFound) || fault.CodeOf(err) != "call_unknown" {
			t.Errorf("%s = %v, want as if the call did not exist", name, err)
		}
	}
	s.take(s.fact(linkspec.RecordingArmed, "", nil), s.fact(linkspec.MonitorOpened, "", linkspec.MonitorData{Who: monitor.ID}))
	if c := s.call(); c.Recorder != "" {
		t.Errorf("recorder %q on a privileged call", c.Recorder)
	}
	s.view(func(tx *store.Tx) error {
		list, err := s.calls.Live(tx)
		if err == nil && (len(list) != 1 || list[0].Inmate != "" || list[0].Visitor != "" || len(list[0].Seats) != 0) {
			t.Errorf("staff see %+v", list)
		}
		return err
	})
	if _, err := s.calls.End(s.ctx, monitor, id, "emergency"); err != nil {
		t.Errorf("an emergency does not end it: %v", err)
	}
}

func TestWatchingIsOnRecordBeforeTheGrant(t *testing.T) {
	s := newSite(t, "social")
	s.goLive()
	monitor := staff("monitor")
	if _, err := s.calls.Monitor(s.ctx, staff("clerk"), s.call().ID, "duty", fingerprint); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a clerk watches: %v", err)
	}
	if _, err := s.calls.Monitor(s.ctx, monitor, s.call().ID, "", fingerprint); !fault.Is(err, fault.Invalid) {
		t.Errorf("watching without a purpose: %v", err)
	}
	ticket, err := s.calls.Monitor(s.ctx, monitor, s.call().ID, "duty", fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.keys.Verify(ticket.Grant, "staff", s.clock.Now())
	if err != nil || claims.Kind != "monitor" || claims.Call != s.call().ID || claims.Seat != "" {
		t.Errorf("grant: %+v, %v", claims, err)
	}
	s.take(s.fact(linkspec.MonitorOpened, "", linkspec.MonitorData{Who: monitor.ID, Purpose: "duty"}))
	s.view(func(tx *store.Tx) error {
		list, err := s.calls.Live(tx)
		if err == nil && (len(list) != 1 || list[0].Watching != 1) {
			t.Errorf("live: %+v", list)
		}
		return err
	})
}

func TestStopSilencesAndLiftOpensAgain(t *testing.T) {
	s := newSite(t, "social")
	s.goLive()
	if err := s.calls.Stop(s.ctx, staff("monitor"), "all", "lockdown"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a monitor stops everything: %v", err)
	}
	admin := staff("administrator")
	for range 2 {
		if err := s.calls.Stop(s.ctx, admin, "all", "lockdown"); err != nil {
			t.Fatal(err)
		}
	}
	list := s.commands(1)
	if len(list) != 2 || list[0].Cmd != linkspec.CmdStop || list[1].Cmd != linkspec.CmdEnd || s.call().State != "ending" {
		t.Fatalf("commands %+v, call %s", list, s.call().State)
	}
	s.take(s.fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "stopped"}))
	if got := s.visitState(); got != "terminated lockdown" {
		t.Errorf("visit %s", got)
	}
	if err := s.calls.Lift(s.ctx, admin, "all"); err != nil {
		t.Fatal(err)
	}
	if err := s.calls.Lift(s.ctx, admin, "all"); !fault.Is(err, fault.NotFound) {
		t.Errorf("lifting twice: %v", err)
	}
}

func TestMuteSayAndEnd(t *testing.T) {
	s := newSite(t, "social")
	s.goLive()
	monitor, id := staff("monitor"), s.call().ID
	if _, err := s.calls.Mute(s.ctx, monitor, id, calls.Mute{Side: "visitor", Audio: true, On: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.calls.Say(s.ctx, monitor, id, calls.Words{Body: "One person at a time."}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.calls.Say(s.ctx, monitor, id, calls.Words{Key: "say.anything"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown line: %v", err)
	}
	if _, err := s.calls.End(s.ctx, monitor, id, "time_up"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a reason that staff may not give: %v", err)
	}
	if _, err := s.calls.End(s.ctx, monitor, id, "conduct"); err != nil {
		t.Fatal(err)
	}
	list := s.commands(1)
	if len(list) != 3 || list[0].Cmd != linkspec.CmdMute || list[1].Expires == nil || list[2].Reason != "conduct" {
		t.Errorf("commands: %+v", list)
	}
	for i := 1; i < len(list); i++ {
		if list[i].Version <= list[i-1].Version || list[i].Seq != list[i-1].Seq+1 {
			t.Errorf("command %d: version %d, seq %d", i, list[i].Version, list[i].Seq)
		}
	}
	s.take(s.fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "conduct", By: monitor.ID}))
	if got := s.visitState(); got != "terminated conduct" {
		t.Errorf("visit %s", got)
	}
}
