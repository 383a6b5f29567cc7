package calls_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/calls/callstest"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

func TestOpenTellsTheGatewayOnce(t *testing.T) {
	s := callstest.New(t, "social")
	s.Sweep()
	list := s.Commands(0)
	if len(list) != 1 || list[0].Cmd != linkspec.CmdOpen || list[0].Spec == nil {
		t.Fatalf("commands: %+v", list)
	}
	spec := list[0].Spec
	if !spec.Record || spec.RecordFail != "block" || spec.Ends.Boot-spec.Starts.Boot != int64(30*time.Minute) {
		t.Errorf("spec: %+v", spec)
	}
	open, err := s.Calls.Snapshot(s.Ctx)
	if err != nil || len(open.Calls) != 1 || open.Calls[0].Phase != "open" || open.Head != list[0].Seq {
		t.Errorf("snapshot: %+v, %v", open, err)
	}
}

func TestJoinGivesEachPartyItsOwnSeat(t *testing.T) {
	s := callstest.New(t, "social")
	v, err := s.Calls.Join(s.Ctx, s.AsVisitor(), s.Visit, "", callstest.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.Keys.Verify(v.Grant, "visitor", s.Clock.Now())
	if err != nil || claims.Seat != "v1" || claims.Who != string(s.Visitor) || claims.Spec == nil || claims.FP != callstest.Fingerprint {
		t.Errorf("visitor's grant: %+v, %v", claims, err)
	}
	if len(v.ICE) != 1 || v.Peer != "Sam" || !v.Recorded || v.Signaling != "wss://v/signal" {
		t.Errorf("visitor's ticket: %+v", v)
	}
	i, err := s.Calls.Join(s.Ctx, s.AsInmate(), s.Visit, s.Station, callstest.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	if claims, err = s.Keys.Verify(i.Grant, "kiosk", s.Clock.Now()); err != nil || claims.Seat != "i1" {
		t.Errorf("inmate's grant: %+v, %v", claims, err)
	}
	if len(i.ICE) != 0 || i.Peer != "Ann" {
		t.Errorf("inmate's ticket: %+v", i)
	}
}

func TestJoinIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		before  func(s *callstest.Site)
		actor   func(s *callstest.Site) ident.Actor
		station func(s *callstest.Site) ident.Station
		kind    fault.Kind
		code    string
	}{
		{"a stranger", nil, func(*callstest.Site) ident.Actor {
			return ident.Actor{Kind: ident.ByVisitor, ID: string(ident.New[ident.Visitor]())}
		}, nil, fault.NotFound, "not_found"},
		{"before the waiting room opens", func(s *callstest.Site) { s.Clock.Step(s.Starts.Add(-time.Hour)) }, (*callstest.Site).AsVisitor, nil, fault.TooSoon, "call.early"},
		{"after the end", func(s *callstest.Site) { s.Clock.Advance(36 * time.Minute) }, (*callstest.Site).AsVisitor, nil, fault.Conflict, "call_over"},
		{"released today", func(s *callstest.Site) {
			s.Update(func(tx *store.Tx) error { return tx.Exec(`UPDATE inmate SET state = 'released'`) })
		}, (*callstest.Site).AsVisitor, nil, fault.Forbidden, "call.refused"},
		{"banned today", func(s *callstest.Site) {
			s.Update(func(tx *store.Tx) error {
				return tx.Exec(`INSERT INTO restriction (id, code, visitor, starts, made_by, made_at) VALUES (?, 'ban', ?, '2027-03-04', 'x', 0)`,
					string(ident.New[ident.Restriction]()), string(s.Visitor))
			})
		}, (*callstest.Site).AsVisitor, nil, fault.Forbidden, "call.refused"},
		{"media is stopped", func(s *callstest.Site) {
			if err := s.Calls.Stop(s.Ctx, callstest.Staff("administrator"), "unit:"+string(s.Unit), "lockdown"); err != nil {
				t.Fatal(err)
			}
		}, (*callstest.Site).AsVisitor, nil, fault.Conflict, "call_over"},
		{"at no device", nil, (*callstest.Site).AsInmate, func(*callstest.Site) ident.Station { return "" }, fault.Conflict, "call.otherStation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := callstest.New(t, "social")
			if tt.before != nil {
				tt.before(s)
			}
			station := s.Station
			if tt.station != nil {
				station = tt.station(s)
			}
			_, err := s.Calls.Join(s.Ctx, tt.actor(s), s.Visit, station, callstest.Fingerprint)
			if !fault.Is(err, tt.kind) || fault.CodeOf(err) != tt.code {
				t.Errorf("Join = %v, want %v %s", err, tt.kind, tt.code)
			}
		})
	}
}

func TestWholeCall(t *testing.T) {
	s := callstest.New(t, "social")
	s.GoLive()
	if c := s.Call(); c.State != "live" || s.VisitState() != "in_progress" {
		t.Fatalf("call %s, visit %s", c.State, s.VisitState())
	}
	s.Take(s.Fact(linkspec.Meter, "", linkspec.MeterData{MeteredS: 100, LiveMS: 120_000}))
	s.Take(s.Fact(linkspec.Meter, "", linkspec.MeterData{MeteredS: 90, LiveMS: 110_000})) // late: changes nothing
	s.Clock.Advance(30 * time.Minute)
	s.Take(s.Fact(linkspec.CallEnding, "", linkspec.EndedData{Code: "time_up"}),
		s.Fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "time_up", MeteredS: 1700, LiveMS: 1_750_000}))
	c := s.Call()
	if c.State != "ended" || c.Code != "time_up" || c.MeteredS != 1700 || s.VisitState() != "completed time_up" {
		t.Errorf("call %s %s, %d s, visit %s", c.State, c.Code, c.MeteredS, s.VisitState())
	}
	if open, err := s.Calls.Snapshot(s.Ctx); err != nil || len(open.Calls) != 0 {
		t.Errorf("snapshot after the end: %+v, %v", open, err)
	}
}

func TestReplayOfAllFactsChangesNothing(t *testing.T) {
	s := callstest.New(t, "social")
	s.Take(s.Fact(linkspec.RecordingArmed, "", nil))
	batch := []linkspec.Event{
		s.Fact(linkspec.SeatConnected, "v1", linkspec.SeatData{}), s.Fact(linkspec.SeatConnected, "i1", linkspec.SeatData{}),
		s.Fact(linkspec.CallLive, "", nil), s.Fact(linkspec.CallPaused, "", linkspec.PausedData{Reason: "conduct", By: "x"}),
	}
	s.Take(batch...)
	before := s.Call()
	for range 3 {
		ack, err := s.Calls.Take(s.Ctx, batch)
		if err != nil || ack.Ack != batch[3].Seq {
			t.Fatalf("ack %+v, %v", ack, err)
		}
	}
	if diff := cmp.Diff(before, s.Call(), cmp.AllowUnexported(before)); diff != "" {
		t.Errorf("replay changed the call (-before +after):\n%s", diff)
	}
	if before.Pauses != 1 || before.State != "paused" {
		t.Errorf("%d pauses, state %s", before.Pauses, before.State)
	}
}

func TestUnknownAndUnreadableFactsAreParked(t *testing.T) {
	s := callstest.New(t, "social")
	stray := s.Fact(linkspec.CallLive, "", nil)
	stray.Call = ident.New[ident.Call]()
	broken := s.Fact(linkspec.Meter, "", "text")
	good := s.Fact(linkspec.SeatWaiting, "v1", nil)
	s.Take(stray, broken, good)
	var parked int
	s.See(func(tx *store.Tx) error {
		return tx.Row(`SELECT count(*) FROM gateway_event WHERE parked <> ''`).Scan(&parked)
	})
	if parked != 2 || s.Call().State != "waiting" {
		t.Errorf("%d parked, call %s", parked, s.Call().State)
	}
}

func TestFactFromBeforeOurOrderDoesNotUndoIt(t *testing.T) {
	s := callstest.New(t, "social")
	s.GoLive()
	monitor := callstest.Staff("monitor")
	old := s.Fact(linkspec.CallPaused, "", linkspec.PausedData{Reason: "conduct", By: monitor.ID})
	s.Clock.Advance(time.Second)
	if _, err := s.Calls.Pause(s.Ctx, monitor, s.Call().ID, "conduct"); err != nil {
		t.Fatal(err)
	}
	pass(t, s, monitor)
	s.Take(old)
	if c := s.Call(); c.State != "live" {
		t.Errorf("an old fact made the call %s", c.State)
	}
}

func TestSidesLeave(t *testing.T) {
	for _, tt := range []struct {
		name, why string
		seat      ident.Seat
		want      string
	}{
		{"visitor says goodbye", "user", "v1", "ended_early visitor_left"},
		{"inmate says goodbye", "user", "i1", "ended_early inmate_left"},
		{"line is never found again", "lost", "v1", "ended_early line_lost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := callstest.New(t, "social")
			s.GoLive()
			s.Take(s.Fact(linkspec.SeatLeft, tt.seat, linkspec.SeatData{Why: tt.why}))
			list := s.Commands(1)
			if len(list) != 1 || list[0].Cmd != linkspec.CmdEnd {
				t.Fatalf("commands: %+v", list)
			}
			s.Take(s.Fact(linkspec.CallEnded, "", linkspec.EndedData{Code: list[0].Reason}))
			if got := s.VisitState(); got != tt.want {
				t.Errorf("visit %s, want %s", got, tt.want)
			}
		})
	}
}

func TestLeavingTheWaitingRoomEndsNothing(t *testing.T) {
	s := callstest.New(t, "social")
	s.Take(s.Fact(linkspec.SeatWaiting, "v1", nil), s.Fact(linkspec.SeatLeft, "v1", linkspec.SeatData{Why: "user"}))
	if got := s.Call().State; got != "waiting" {
		t.Errorf("call %s", got)
	}
}

func TestCancelledVisitLosesItsCall(t *testing.T) {
	s := callstest.New(t, "social")
	s.Take(s.Fact(linkspec.SeatWaiting, "v1", nil))
	s.Update(func(tx *store.Tx) error {
		_, err := s.Visits.Finish(tx, ident.System(), s.Visit, visits.Outcome{State: visits.NoShow, Side: "visitor", Reason: "visitor_absent"})
		return err
	})
	list := s.Commands(1)
	if c := s.Call(); c.State != "not_held" || len(list) != 1 || list[0].Cmd != linkspec.CmdEnd {
		t.Errorf("call %s, commands %+v", c.State, list)
	}
	// The gateway's word for it comes later and changes nothing.
	s.Take(s.Fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "visitor_absent"}))
	if got := s.VisitState(); got != "no_show visitor_absent" {
		t.Errorf("visit %s", got)
	}
}

func TestCallThatNobodyEndedIsWrittenOff(t *testing.T) {
	s := callstest.New(t, "social")
	s.GoLive()
	s.Clock.Advance(40 * time.Minute)
	s.Sweep()
	if c := s.Call(); c.State != "ended" || s.VisitState() != "completed time_up" {
		t.Errorf("call %s, visit %s", c.State, s.VisitState())
	}
	late := s.Fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "time_up", MeteredS: 5})
	s.Take(late)
}

func TestMonitorIsRequiredForFlaggedPairs(t *testing.T) {
	s := callstest.New(t, "social")
	if s.Call().Spec.MonitorRequired {
		t.Error("an ordinary pair needs a monitor")
	}
	s.Update(func(tx *store.Tx) error {
		if err := tx.Exec(`INSERT INTO restriction (id, code, inmate, starts, made_by, made_at) VALUES (?, ?, ?, '2027-01-01', 'x', 0)`,
			string(ident.New[ident.Restriction]()), people.MustMonitor, string(s.Inmate)); err != nil {
			return err
		}
		for _, table := range []string{"call_seat", "call_command", "gateway_event", "call"} {
			if err := tx.Exec(`DELETE FROM ` + table); err != nil {
				return err
			}
		}
		return nil
	})
	s.Sweep()
	if !s.Call().Spec.MonitorRequired {
		t.Error("must_monitor did not reach the call")
	}
}
