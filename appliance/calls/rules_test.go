package calls_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sallyport/appliance/calls"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMachine prints every turn from every state; the transcript is read in review.
func TestMachine(t *testing.T) {
	states := []calls.State{
		calls.Scheduled, calls.LobbyOpen, calls.Waiting, calls.Live, calls.Paused, calls.SecurityCheck, calls.Ending,
		calls.Ended, calls.Terminated, calls.Failed, calls.NotHeld,
	}
	turns := []calls.Turn{
		calls.TurnOpen, calls.TurnAdmit, calls.TurnStart, calls.TurnPause, calls.TurnCheck, calls.TurnDrop, calls.TurnResume, calls.TurnBack,
		calls.TurnEnding, calls.TurnEnd, calls.TurnTerminate, calls.TurnFail, calls.TurnNoShow,
	}
	var b strings.Builder
	for _, from := range states {
		name := string(from)
		if name == "" {
			name = "scheduled"
		}
		fmt.Fprintf(&b, "-- %s (gateway: %s) --\n", name, from.Phase())
		for _, turn := range turns {
			to, err := calls.Next(from, turn)
			if err == nil {
				fmt.Fprintf(&b, "%s: %s\n", turn, to)
			} else if fault.CodeOf(err) != "call.state" {
				t.Errorf("%s from %s: %v", turn, from, err)
			}
		}
	}
	path := filepath.Join("testdata", "machine.txtar")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("the machine changed (-want +got):\n%s", diff)
	}
}

func TestOutcome(t *testing.T) {
	live := func(code string) calls.Facts { return calls.Facts{Code: code, WasLive: true} }
	for _, tt := range []struct {
		name  string
		facts calls.Facts
		want  calls.Outcome
	}{
		{"to the end", live("time_up"), calls.Outcome{Turn: calls.TurnEnd, Visit: "completed", Reason: "time_up"}},
		{"visitor left", live("visitor_left"), calls.Outcome{Turn: calls.TurnEnd, Visit: "ended_early", Reason: "visitor_left"}},
		{"line lost", live("line_lost"), calls.Outcome{Turn: calls.TurnEnd, Visit: "ended_early", Reason: "line_lost"}},
		{
			"recorder gone while live", live("recording_failed"),
			calls.Outcome{Turn: calls.TurnFail, Visit: "ended_early", Reason: "system_fault"},
		},
		{
			"staff",
			calls.Facts{Code: "conduct", ByStaff: true, WasLive: true},
			calls.Outcome{Turn: calls.TurnTerminate, Visit: "terminated", Reason: "conduct"},
		},
		{
			"staff, before it was live",
			calls.Facts{Code: "emergency", ByStaff: true},
			calls.Outcome{Turn: calls.TurnTerminate, Visit: "terminated", Reason: "emergency"},
		},
		{
			"recorder never armed",
			calls.Facts{Code: "time_up", Fault: true, VisitorCame: true, InmateCame: true},
			calls.Outcome{Turn: calls.TurnNoShow, Visit: "no_show", Side: "facility_fault", Reason: "system_fault"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, calls.OutcomeOf(tt.facts)); diff != "" {
				t.Errorf("OutcomeOf mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCause follows the lines of rules.md 5.6.
func TestCause(t *testing.T) {
	for _, tt := range []struct {
		name  string
		facts calls.Facts
		want  string
	}{
		{"a stop stands", calls.Facts{Stopped: true, InmateCame: true}, "facility_fault system_fault"},
		{"at court", calls.Facts{Away: "court", VisitorCame: true}, "facility_fault court"},
		{"nobody told the inmate", calls.Facts{VisitorCame: true}, "facility_fault inmate_not_told"},
		{"escort called, not brought", calls.Facts{Escorted: true, VisitorCame: true}, "facility_fault inmate_not_brought"},
		{"the inmate said no", calls.Facts{Refusal: true, Escorted: true, VisitorCame: true}, "inmate inmate_refused"},
		{"own tablet, did not come", calls.Facts{OwnTablet: true, VisitorCame: true}, "inmate inmate_absent"},
		{"visitor's device failed", calls.Facts{InmateCame: true, VisitorTry: true}, "visitor visitor_device"},
		{"visitor never came", calls.Facts{InmateCame: true}, "visitor visitor_absent"},
		{"neither came", calls.Facts{Acked: true}, "both visitor_absent"},
		{"told, but nobody brought the inmate", calls.Facts{Acked: true, VisitorCame: true}, "facility_fault inmate_not_brought"},
		{"both came and it never started", calls.Facts{InmateCame: true, VisitorCame: true}, "facility_fault system_fault"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			side, reason := calls.Cause(tt.facts)
			if got := side + " " + reason; got != tt.want {
				t.Errorf("Cause = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestWaitNeverTellsWhy(t *testing.T) {
	starts := time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC)
	f := calls.WaitFacts{Opens: starts.Add(-10 * time.Minute), Starts: starts, NoShow: starts.Add(10 * time.Minute)}
	for _, tt := range []struct {
		name string
		at   time.Duration
		with func(*calls.WaitFacts)
		want string
	}{
		{"too early", -11 * time.Minute, nil, calls.WaitOpensLater},
		{"just open", -10 * time.Minute, nil, calls.WaitOnTheWay},
		{"nobody acknowledged", -4 * time.Minute, nil, calls.WaitNotTold},
		{"signed in", -4 * time.Minute, func(f *calls.WaitFacts) { f.OtherComing = true }, calls.WaitOnTheWay},
		{"after the start", time.Minute, nil, calls.WaitNotAvailable},
		{"locked down", time.Minute, func(f *calls.WaitFacts) { f.FacilityLate, f.OtherHere = true, true }, calls.WaitLate},
		{"screen broken", time.Minute, func(f *calls.WaitFacts) { f.DeviceFault = true }, calls.WaitDevice},
		{"staff prepare", time.Minute, func(f *calls.WaitFacts) { f.OtherHere, f.StaffAwaited = true, true }, calls.WaitStaff},
		{"both here", -time.Minute, func(f *calls.WaitFacts) { f.OtherHere = true }, calls.WaitReady},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := f
			g.Now = starts.Add(tt.at)
			if tt.with != nil {
				tt.with(&g)
			}
			if got := calls.WaitOf(g); got.Reason != tt.want {
				t.Errorf("WaitOf = %+v, want %s", got, tt.want)
			}
		})
	}
}

func TestSpecIsRefusedWithoutAnEnd(t *testing.T) {
	now := linkspec.Instant{BootID: "b", Boot: int64(time.Hour), Wall: time.Date(2027, 3, 4, 13, 0, 0, 0, time.UTC)}
	p := calls.Plan{
		Call: ident.New[ident.Call](), Visit: ident.New[ident.Visit](), Class: linkspec.Social, Visitor: "vr", Inmate: "i",
		Opens: now.Wall.Add(time.Hour), Starts: now.Wall.Add(time.Hour), Ends: now.Wall.Add(90 * time.Minute), Rules: calls.Rules{Record: true, RecordFail: "?"},
	}
	spec, err := calls.SpecOf(p, now)
	if err != nil || spec.Ends.Boot != int64(150*time.Minute) || spec.RecordFail != "block" {
		t.Fatalf("spec %+v, %v", spec, err)
	}
	for name, spoil := range map[string]func(*calls.Plan){
		"no end":        func(p *calls.Plan) { p.Ends = time.Time{} },
		"ends at start": func(p *calls.Plan) { p.Ends = p.Starts },
		"no class":      func(p *calls.Plan) { p.Class = "" },
		"other class":   func(p *calls.Plan) { p.Class = "in_person" },
		"nobody":        func(p *calls.Plan) { p.Visitor = "" },
	} {
		q := p
		spoil(&q)
		if _, err := calls.SpecOf(q, now); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
