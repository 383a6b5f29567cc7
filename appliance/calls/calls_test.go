package calls_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

func TestOpenTellsTheGatewayOnce(t *testing.T) {
	s := newSite(t, "social")
	s.sweep()
	list := s.commands(0)
	if len(list) != 1 || list[0].Cmd != linkspec.CmdOpen || list[0].Spec == nil {
		t.Fatalf("commands: %+v", list)
	}
	spec := list[0].Spec
	if !spec.Record || spec.RecordFail != "block" || spec.Ends.Boot-spec.Starts.Boot != int64(30*time.Minute) {
		t.Errorf("spec: %+v", spec)
	}
	open, err := s.calls.Snapshot(s.ctx)
	if err != nil || len(open.Calls) != 1 || open.Calls[0].Phase != "open" || open.Head != list[0].Seq {
		t.Errorf("snapshot: %+v, %v", open, err)
	}
}

func TestJoinGivesEachPartyItsOwnSeat(t *testing.T) {
	s := newSite(t, "social")
	v, err := s.calls.Join(s.ctx, s.asVisitor(), s.visit, "", fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.keys.Verify(v.Grant, "visitor", s.clock.Now())
	if err != nil || claims.Seat != "v1" || claims.Who != string(s.visitor) || claims.Spec == nil || claims.FP != fingerprint {
		t.Errorf("visitor's grant: %+v, %v", claims, err)
	}
	if len(v.ICE) != 1 || v.Peer != "Sam" || !v.Recorded || v.Signaling != "wss://v/signal" {
		t.Errorf("visitor's ticket: %+v", v)
	}
	i, err := s.calls.Join(s.ctx, s.asInmate(), s.visit, s.station, fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	if claims, err = s.keys.Verify(i.Grant, "kiosk", s.clock.Now()); err != nil || claims.Seat != "i1" {
		t.Errorf("inmate's grant: %+v, %v", claims, err)
	}
	if len(i.ICE) != 0 || i.Peer != "Ann" {
		t.Errorf("inmate's ticket: %+v", i)
	}
}

func TestJoinIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		before  func(s *site)
		actor   func(s *site) ident.Actor
		station func(s *site) ident.Station
		kind    fault.Kind
		code    string
	}{
		{"a stranger", nil, func(*site) ident.Actor {
			return ident.Actor{Kind: ident.ByVisitor, ID: string(ident.New[ident.Visitor]())}
		}, nil, fault.NotFound, "not_found"},
		{"before the waiting room opens", func(s *site) { s.clock.Step(s.starts.Add(-time.Hour)) }, (*site).asVisitor, nil, fault.TooSoon, "call.early"},
		{"after the end", func(s *site) { s.clock.Advance(36 * time.Minute) }, (*site).asVisitor, nil, fault.Conflict, "call_over"},
		{"released today", func(s *site) {
			s.update(func(tx *store.Tx) error { return tx.Exec(`UPDATE inmate SET state = 'released'`) })
		}, (*site).asVisitor, nil, fault.Forbidden, "call.refused"},
		{"banned today", func(s *site) {
			s.update(func(tx *store.Tx) error {
				return tx.Exec(`INSERT INTO restriction (id, code, visitor, starts, made_by, made_at) VALUES (?, 'ban', ?, '2027-03-04', 'x', 0)`,
					string(ident.New[ident.Restriction]()), string(s.visitor))
			})
		}, (*site).asVisitor, nil, fault.Forbidden, "call.refused"},
		{"media is stopped", func(s *site) {
			if err := s.calls.Stop(s.ctx, staff("administrator"), "unit:"+string(s.unit), "lockdown"); err != nil {
				s.t.Fatal(err)
			}
		}, (*site).asVisitor, nil, fault.Conflict, "call_over"},
		{"at no device", nil, (*site).asInmate, func(*site) ident.Station { return "" }, fault.Conflict, "call.otherStation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, "social")
			if tt.before != nil {
				tt.before(s)
			}
			station := s.station
			if tt.station != nil {
				station = tt.station(s)
			}
			_, err := s.calls.Join(s.ctx, tt.actor(s), s.visit, station, fingerprint)
			if !fault.Is(err, tt.kind) || fault.CodeOf(err) != tt.code {
				t.Errorf("Join = %v, want %v %s", err, tt.kind, tt.code)
			}
		})
	}
}

func TestWholeCall(t *testing.T) {
	s := newSite(t, "social")
	s.goLive()
	if c := s.call(); c.State != "live" || s.visitState() != "in_progress" {
		t.Fatalf("call %s, visit %s", c.State, s.visitState())
	}
	s.take(s.fact(linkspec.Meter, "", linkspec.MeterData{MeteredS: 100, LiveMS: 120_000}))
	s.take(s.fact(linkspec.Meter, "", linkspec.MeterData{MeteredS: 90, LiveMS: 110_000})) // late: changes nothing
	s.clock.Advance(30 * time.Minute)
	s.take(s.fact(linkspec.CallEnding, "", linkspec.EndedData{Code: "time_up"}),
		s.fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "time_up", MeteredS: 1700, LiveMS: 1_750_000}))
	c := s.call()
	if c.State != "ended" || c.Code != "time_up" || c.MeteredS != 1700 || s.visitState() != "completed time_up" {
		t.Errorf("call %s %s, %d s, visit %s", c.State, c.Code, c.MeteredS, s.visitState())
	}
	if open, err := s.calls.Snapshot(s.ctx); err != nil || len(open.Calls) != 0 {
		t.Errorf("snapshot after the end: %+v, %v", open, err)
	}
}

func TestReplayOfAllFactsChangesNothing(t *testing.T) {
	s := newSite(t, "social")
	s.take(s.fact(linkspec.RecordingArmed, "", nil))
	batch := []linkspec.Event{
		s.fact(linkspec.SeatConnected, "v1", linkspec.SeatData{}), s.fact(linkspec.SeatConnected, "i1", linkspec.SeatData{}),
		s.fact(linkspec.CallLive, "", nil), s.fact(linkspec.CallPaused, "", linkspec.PausedData{Reason: "conduct", By: "x"}),
	}
	s.take(batch...)
	before := s.call()
	for range 3 {
		ack, err := s.calls.Take(s.ctx, batch)
		if err != nil || ack.Ack != batch[3].Seq {
			t.Fatalf("ack %+v, %v", ack, err)
		}
	}
	if diff := cmp.Diff(before, s.call(), cmp.AllowUnexported(before)); diff != "" {
		t.Errorf("replay changed the call (-before +after):\n%s", diff)
	}
	if before.Pauses != 1 || before.State != "paused" {
		t.Errorf("%d pauses, state %s", before.Pauses, before.State)
	}
}

func TestUnknownAndUnreadableFactsAreParked(t *testing.T) {
	s := newSite(t, "social")
	stray := s.fact(linkspec.CallLive, "", nil)
	stray.Call = ident.New[ident.Call]()
	broken := s.fact(linkspec.Meter, "", "text")
	good := s.fact(linkspec.SeatWaiting, "v1", nil)
	s.take(stray, broken, good)
	var parked int
	s.view(func(tx *store.Tx) error {
		return tx.Row(`SELECT count(*) FROM gateway_event WHERE parked <> ''`).Scan(&parked)
	})
	if parked != 2 || s.call().State != "waiting" {
		t.Errorf("%d parked, call %s", parked, s.call().State)
	}
}

func TestFactFromBeforeOurOrderDoesNotUndoIt(t *testing.T) {
	s := newSite(t, "social")
	s.goLive()
	monitor := staff("monitor")
	old := s.fact(linkspec.CallPaused, "", linkspec.PausedData{Reason: "conduct", By: monitor.ID})
	s.clock.Advance(time.Second)
	if _, err := s.calls.Pause(s.ctx, monitor, s.call().ID, "conduct"); err != nil {
		t.Fatal(err)
	}
	s.pass(monitor)
	s.take(old)
	if c := s.call(); c.State != "live" {
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
			s := newSite(t, "social")
			s.goLive()
			s.take(s.fact(linkspec.SeatLeft, tt.seat, linkspec.SeatData{Why: tt.why}))
			list := s.commands(1)
			if len(list) != 1 || list[0].Cmd != linkspec.CmdEnd {
				t.Fatalf("commands: %+v", list)
			}
			s.take(s.fact(linkspec.CallEnded, "", linkspec.EndedData{Code: list[0].Reason}))
			if got := s.visitState(); got != tt.want {
				t.Errorf("visit %s, want %s", got, tt.want)
			}
		})
	}
}

func TestLeavingTheWaitingRoomEndsNothing(t *testing.T) {
	s := newSite(t, "social")
	s.take(s.fact(linkspec.SeatWaiting, "v1", nil), s.fact(linkspec.SeatLeft, "v1", linkspec.SeatData{Why: "user"}))
	if got := s.call().State; got != "waiting" {
		t.Errorf("call %s", got)
	}
}

func TestCancelledVisitLosesItsCall(t *testing.T) {
	s := newSite(t, "social")
	s.take(s.fact(linkspec.SeatWaiting, "v1", nil))
	s.update(func(tx *store.Tx) error {
		_, err := s.visits.Finish(tx, ident.System(), s.visit, visits.Outcome{State: visits.NoShow, Side: "visitor", Reason: "visitor_absent"})
		return err
	})
	list := s.commands(1)
	if c := s.call(); c.State != "not_held" || len(list) != 1 || list[0].Cmd != linkspec.CmdEnd {
		t.Errorf("call %s, commands %+v", c.State, list)
	}
	// The gateway's word for it comes later and changes nothing.
	s.take(s.fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "visitor_absent"}))
	if got := s.visitState(); got != "no_show visitor_absent" {
		t.Errorf("visit %s", got)
	}
}

func TestCallThatNobodyEndedIsWrittenOff(t *testing.T) {
	s := newSite(t, "social")
	s.goLive()
	s.clock.Advance(40 * time.Minute)
	s.sweep()
	if c := s.call(); c.State != "ended" || s.visitState() != "completed time_up" {
		t.Errorf("call %s, visit %s", c.State, s.visitState())
	}
	late := s.fact(linkspec.CallEnded, "", linkspec.EndedData{Code: "time_up", MeteredS: 5})
	s.take(late)
}

func TestMonitorIsRequiredForFlaggedPairs(t *testing.T) {
	s := newSite(t, "social")
	if s.call().Spec.MonitorRequired {
		t.Error("an ordinary pair needs a monitor")
	}
	s.update(func(tx *store.Tx) error {
		if err := tx.Exec(`INSERT INTO restriction (id, code, inmate, starts, made_by, made_at) VALUES (?, ?, ?, '2027-01-01', 'x', 0)`,
			string(ident.New[ident.Restriction]()), people.MustMonitor, string(s.inmate)); err != nil {
			return err
		}
		for _, table := range []string{"call_seat", "call_command", "gateway_event", "call"} {
			if err := tx.Exec(`DELETE FROM ` + table); err != nil {
				return err
			}
		}
		return nil
	})
	s.sweep()
	if !s.call().Spec.MonitorRequired {
		t.Error("must_monitor did not reach the call")
	}
}
