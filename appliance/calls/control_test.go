package calls_test

import (
	"testing"

	"sallyport/appliance/audit"
	"sallyport/appliance/calls"
	"sallyport/appliance/calls/callstest"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// pass takes a paused call through its security check.
func pass(t *testing.T, s *callstest.Site, monitor ident.Actor) {
	t.Helper()
	check, err := s.Calls.BeginCheck(s.Ctx, monitor, s.Call().ID)
	if err != nil {
		t.Fatal(err)
	}
	var answers []calls.Step
	for _, step := range check.Asked {
		answers = append(answers, calls.Step{Step: step, Answer: "passed"})
	}
	if _, err := s.Calls.Resume(s.Ctx, monitor, s.Call().ID, check.ID, answers...); err != nil {
		t.Fatal(err)
	}
}

func TestResumeNeedsTheWholeCheck(t *testing.T) {
	s := callstest.New(t, "social")
	s.GoLive()
	monitor, other := callstest.Staff("monitor"), callstest.Staff("monitor")
	id := s.Call().ID
	if _, err := s.Calls.Pause(s.Ctx, monitor, id, "conduct"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Calls.Resume(s.Ctx, monitor, id, ""); fault.CodeOf(err) != "check.none" {
		t.Errorf("resume without a check: %v", err)
	}
	check, err := s.Calls.BeginCheck(s.Ctx, monitor, id)
	if err != nil || len(check.Asked) != 6 {
		t.Fatalf("check %+v, %v", check, err)
	}
	if _, err := s.Calls.BeginCheck(s.Ctx, other, id); fault.CodeOf(err) != "check.taken" {
		t.Errorf("second check: %v", err)
	}
	if _, err := s.Calls.Answer(s.Ctx, monitor, id, calls.Step{Step: calls.StepIdentity, Answer: "skipped", Reason: "known"}); fault.CodeOf(err) != "check.identity" {
		t.Errorf("identity skipped: %v", err)
	}
	if _, err := s.Calls.Answer(s.Ctx, monitor, id, calls.Step{Step: "room", Answer: "skipped"}); fault.CodeOf(err) != "check.reason" {
		t.Errorf("skipped without reason: %v", err)
	}
	for i, step := range check.Asked[:len(check.Asked)-1] {
		a := calls.Step{Step: step, Answer: "passed"}
		if i == 3 {
			a = calls.Step{Step: step, Answer: "skipped", Reason: "no device in sight"}
		}
		if _, err := s.Calls.Answer(s.Ctx, monitor, id, a); err != nil {
			t.Fatal(err)
		}
	}
	head := int64(len(s.Commands(0)))
	if _, err := s.Calls.Resume(s.Ctx, monitor, id, check.ID); fault.CodeOf(err) != "check.incomplete" {
		t.Errorf("resume with a line open: %v", err)
	}
	last := check.Asked[len(check.Asked)-1]
	if _, err := s.Calls.Resume(s.Ctx, monitor, id, check.ID, calls.Step{Step: last, Answer: "failed", Reason: "no"}); fault.CodeOf(err) != "check.incomplete" {
		t.Errorf("resume with a line failed: %v", err)
	}
	if n := int64(len(s.Commands(head))); n != 0 {
		t.Fatalf("%d commands left before the check passed", n)
	}
	if _, err := s.Calls.Resume(s.Ctx, monitor, id, check.ID, calls.Step{Step: last, Answer: "passed"}); err != nil {
		t.Fatal(err)
	}
	list := s.Commands(head)
	if len(list) != 1 || list[0].Cmd != linkspec.CmdResume || list[0].Check != check.ID || s.Call().State != "live" {
		t.Errorf("commands %+v, call %s", list, s.Call().State)
	}
	var stored int
	s.See(func(tx *store.Tx) error {
		return tx.Row(`SELECT count(*) FROM security_check_step s JOIN security_check c ON c.id = s.security_check
			WHERE c.outcome = 'passed' AND s.at > 0`).Scan(&stored)
	})
	if stored != 6 {
		t.Errorf("%d lines stored", stored)
	}
	s.See(func(tx *store.Tx) error {
		rows, err := audit.List(tx, audit.Filter{Subject: string(id), Verb: "check.pass"})
		if err == nil && (len(rows) != 1 || rows[0].By.ID != monitor.ID) {
			t.Errorf("audit: %+v", rows)
		}
		return err
	})
}

func TestPrivilegedCallHasNoStaffInIt(t *testing.T) {
	s := callstest.New(t, "privileged")
	s.Take(s.Fact(linkspec.SeatConnected, "v1", nil), s.Fact(linkspec.SeatConnected, "i1", nil), s.Fact(linkspec.CallLive, "", nil))
	spec, id, monitor := s.Call().Spec, s.Call().ID, callstest.Staff("monitor")
	if spec.Record || spec.MonitorRequired || spec.MonitorVisible || len(spec.PauseOn) != 0 || spec.Notice != calls.NoticePrivate {
		t.Errorf("spec: %+v", spec)
	}
	for name, do := range map[string]func() error{
		"watch": func() error { _, err := s.Calls.Monitor(s.Ctx, monitor, id, "duty", callstest.Fingerprint); return err },
		"pause": func() error { _, err := s.Calls.Pause(s.Ctx, monitor, id, "conduct"); return err },
		"mute": func() error {
			_, err := s.Calls.Mute(s.Ctx, monitor, id, calls.Mute{Side: "visitor", Audio: true, On: true})
			return err
		},
		"say":   func() error { _, err := s.Calls.Say(s.Ctx, monitor, id, calls.Words{Body: "Hello"}); return err },
		"check": func() error { _, err := s.Calls.BeginCheck(s.Ctx, monitor, id); return err },
		"end":   func() error { _, err := s.Calls.End(s.Ctx, monitor, id, "conduct"); return err },
	} {
		if err := do(); !fault.Is(err, fault.NotFound) || fault.CodeOf(err) != "call_unknown" {
			t.Errorf("%s = %v, want as if the call did not exist", name, err)
		}
	}
	s.Take(s.Fact(linkspec.RecordingArmed, "", nil), s.Fact(linkspec.MonitorOpened, "", linkspec.MonitorData{Who: monitor.ID}))
	if c := s.Call(); c.Recorder != "" {
		t.Errorf("recorder %q on a privileged call", c.Recorder)
	}
	s.See(func(tx *store.Tx) error {
		list, err := s.Calls.Live(tx)
		if err == nil && (len(list) != 1 || list[0].Inmate != "" || list[0].Visitor != "" || len(list[0].Seats) != 0) {
			t.Errorf("staff see %+v", list)
		}
		return err
	})
	if _, err := s.Calls.End(s.Ctx, monitor, id, "emergency"); err != nil {
		t.Errorf("an emergency does not end it: %v", err)
	}
}

func TestWatchingIsOnRecordBeforeTheGrant(t *testing.T) {
	s := callstest.New(t, "social")
	s.GoLive()
	monitor := callstest.Staff("monitor")
	if _, err := s.Calls.Monitor(s.Ctx, callstest.Staff("clerk"), s.Call().ID, "duty", callstest.Fingerprint); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a clerk watches: %v", err)
	}
	if _, err := s.Calls.Monitor(s.Ctx, monitor, s.Call().ID, "", callstest.Fingerprint); !fault.Is(err, fault.Invalid) {
		t.Errorf("watching without a purpose: %v", err)
	}
	ticket, err := s.Calls.Monitor(s.Ctx, monitor, s.Call().ID, "duty", callstest.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.Keys.Verify(ticket.Grant, "staff", s.Clock.Now())
	if err != nil || claims.Kind != "monitor" || claims.Call != s.Call().ID || claims.Seat != "" {
		t.Errorf("grant: %+v, %v", claims, err)
	}
	s.Take(s.Fact(linkspec.MonitorOpened, "", linkspec.MonitorData{Who: monitor.ID, Purpose: "duty"}))
	s.See(func(tx *store.Tx) error {
		list, err := s.Calls.Live(tx)
		if err == nil && (len(list) != 1 || list[0].Watching != 1) {
			t.Errorf("live: %+v", list)
		}
		return err
	})
}

func TestStopSilencesAndLiftOpensAgain(t *testing.T) {
	s := callstest.New(t, "social")
	s.GoLive()
	if err := s.Calls.Stop(s.Ctx, callstest.Staff("monitor"), "all", "lockdown"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a monitor stops everything: %v", err)
	}
	admin := callstest.Staff("administrator")
	for range 2 {
		if err := s.Calls.Stop(s.Ctx, admin, "all", "lockdown"); err != nil {
			t.Fatal(err)
		}
	}
	list := s.Commands(1)
	if len(list) != 2 || list[0].Cmd != linkspec.CmdStop || list[1].Cmd != linkspec.CmdEnd || s.Call().State != "ending" {
		t.Fatalf("commands %+v, call %s", list, s.Call().State)
	}
	s.Take(s.Fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "stopped"}))
	if got := s.VisitState(); got != "terminated lockdown" {
		t.Errorf("visit %s", got)
	}
	if err := s.Calls.Lift(s.Ctx, admin, "all"); err != nil {
		t.Fatal(err)
	}
	if err := s.Calls.Lift(s.Ctx, admin, "all"); !fault.Is(err, fault.NotFound) {
		t.Errorf("lifting twice: %v", err)
	}
}

func TestMuteSayAndEnd(t *testing.T) {
	s := callstest.New(t, "social")
	s.GoLive()
	monitor, id := callstest.Staff("monitor"), s.Call().ID
	if _, err := s.Calls.Mute(s.Ctx, monitor, id, calls.Mute{Side: "visitor", Audio: true, On: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Calls.Say(s.Ctx, monitor, id, calls.Words{Body: "One person at a time."}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Calls.Say(s.Ctx, monitor, id, calls.Words{Key: "say.anything"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown line: %v", err)
	}
	if _, err := s.Calls.End(s.Ctx, monitor, id, "time_up"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a reason that staff may not give: %v", err)
	}
	if _, err := s.Calls.End(s.Ctx, monitor, id, "conduct"); err != nil {
		t.Fatal(err)
	}
	list := s.Commands(1)
	if len(list) != 3 || list[0].Cmd != linkspec.CmdMute || list[1].Expires == nil || list[2].Reason != "conduct" {
		t.Errorf("commands: %+v", list)
	}
	for i := 1; i < len(list); i++ {
		if list[i].Version <= list[i-1].Version || list[i].Seq != list[i-1].Seq+1 {
			t.Errorf("command %d: version %d, seq %d", i, list[i].Version, list[i].Seq)
		}
	}
	s.Take(s.Fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "conduct", By: monitor.ID}))
	if got := s.VisitState(); got != "terminated conduct" {
		t.Errorf("visit %s", got)
	}
}
