package policy_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	noon   = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	admin  = ident.Actor{Kind: ident.ByStaff, ID: "sf_a", Door: "staff", Roles: []string{"administrator"}}
	second = ident.Actor{Kind: ident.ByStaff, ID: "sf_b", Door: "staff", Roles: []string{"governor"}}
)

func open(t testing.TB, preset string) (*store.DB, *policy.Policy, *clock.Fake) {
	t.Helper()
	c := clock.NewFake(noon)
	db := storetest.OpenAt(t, c, audit.Schema, facility.Schema, policy.Schema)
	p := policy.New()
	write(t, db, func(tx *store.Tx) error { return p.Load(tx, preset, admin) })
	return db, p, c
}

func write(t testing.TB, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func rules(t testing.TB, db *store.DB, p *policy.Policy, s policy.Scope) (r policy.Rules) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		r, err = p.At(tx, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPresets(t *testing.T) {
	for _, tt := range []struct {
		preset string
		days   int
		staff  string
		wallet bool
		length []int
	}{
		{policy.CountyJail, 14, "flagged", true, []int{15, 30, 60}},
		{policy.Prison, 7, "always", false, []int{30, 60}},
	} {
		t.Run(tt.preset, func(t *testing.T) {
			db, p, _ := open(t, tt.preset)
			r := rules(t, db, p, policy.Scope{})
			if got := policy.BookingWindowMaxDays.Of(r); got != tt.days {
				t.Errorf("window %d days, want %d", got, tt.days)
			}
			if got := policy.BookingNeedsStaffApproval.Of(r); got != tt.staff {
				t.Errorf("staff approval %q, want %q", got, tt.staff)
			}
			if got := policy.WalletEnabled.Of(r); got != tt.wallet {
				t.Errorf("wallet %v, want %v", got, tt.wallet)
			}
			if diff := cmp.Diff(tt.length, policy.VisitLengthsMin.Of(r)); diff != "" {
				t.Errorf("lengths mismatch (-want +got):\n%s", diff)
			}
			if got := policy.CancelCreditCutoff.Of(r); got != 24*time.Hour {
				t.Errorf("cut-off %v", got)
			}
			if !policy.ServiceClasses.Has(r, "social") || policy.CallPauseAutoOn.Has(r, "no_face") {
				t.Error("sets are wrong")
			}
			if got := policy.ConflictAppointments.Of(r)["court"]; got != "block" {
				t.Errorf("court appointments: %q", got)
			}
			if !policy.NoticeQuietHours.Of(r).Covers(23*60) || policy.NoticeQuietHours.Of(r).Covers(8*60) {
				t.Error("quiet hours are wrong")
			}
		})
	}
}

func TestNothingBeforeAPreset(t *testing.T) {
	db := storetest.Open(t, audit.Schema, facility.Schema, policy.Schema)
	err := db.View(t.Context(), func(tx *store.Tx) error {
		_, err := policy.New().At(tx, policy.Scope{})
		return err
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("At without a preset: %v", err)
	}
	var none policy.Rules
	if policy.WalletEnabled.Of(none) || policy.VisitMaxMinutes.Of(none) != 0 {
		t.Error("zero rules allow something")
	}
}

func TestLoadOnce(t *testing.T) {
	db, p, _ := open(t, policy.Prison)
	err := db.Update(t.Context(), func(tx *store.Tx) error { return p.Load(tx, policy.CountyJail, admin) })
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("second preset: %v", err)
	}
	if got := policy.BookingWindowMaxDays.Of(rules(t, db, p, policy.Scope{})); got != 7 {
		t.Errorf("the refused preset changed the window to %d", got)
	}
}

func TestNarrowestWins(t *testing.T) {
	db, p, _ := open(t, policy.CountyJail)
	unit, inmate, visitor := ident.New[ident.Unit](), ident.New[ident.Inmate](), ident.New[ident.Visitor]()
	set := func(value string, scope policy.ScopeKind, key string) {
		write(t, db, func(tx *store.Tx) error {
			_, err := p.Set(tx, admin, policy.Change{Rule: string(policy.VisitPartyMax), Value: value, Scope: scope, Key: key})
			return err
		})
	}
	set("8", policy.ForPair, policy.Pair(inmate, visitor))
	set("3", policy.ForUnit, string(unit))
	set("6", policy.ForClass, "official")
	set("5", policy.ForLevel, "enhanced")
	set("7", policy.ForInmate, string(inmate))
	for _, tt := range []struct {
		name  string
		scope policy.Scope
		want  int
	}{
		{"facility", policy.Scope{}, 4},
		{"other unit", policy.Scope{Unit: ident.New[ident.Unit]()}, 4},
		{"unit", policy.Scope{Unit: unit}, 3},
		{"level over unit", policy.Scope{Unit: unit, Level: "enhanced"}, 5},
		{"class over level", policy.Scope{Unit: unit, Level: "enhanced", Class: "official"}, 6},
		{"inmate over class", policy.Scope{Unit: unit, Class: "official", Inmate: inmate}, 7},
		{"pair over inmate", policy.Scope{Unit: unit, Class: "official", Inmate: inmate, Visitor: visitor}, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := policy.VisitPartyMax.Of(rules(t, db, p, tt.scope)); got != tt.want {
				t.Errorf("party of %d, want %d", got, tt.want)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	db, p, _ := open(t, policy.CountyJail)
	for _, tt := range []struct {
		name   string
		change policy.Change
		want   fault.Kind
	}{
		{"unknown rule", policy.Change{Rule: "booking.window", Value: "3"}, fault.Invalid},
		{"not a number", policy.Change{Rule: string(policy.BookingWindowMaxDays), Value: "ten"}, fault.Invalid},
		{"out of range", policy.Change{Rule: string(policy.BookingWindowMaxDays), Value: "61"}, fault.Invalid},
		{"not in steps", policy.Change{Rule: string(policy.VisitLengthsMin), Value: "15,33"}, fault.Invalid},
		{"unknown word", policy.Change{Rule: string(policy.BookingNeedsStaffApproval), Value: "maybe"}, fault.Invalid},
		{"member twice", policy.Change{Rule: string(policy.NoticeChannels), Value: "sms,sms"}, fault.Invalid},
		{"in the past", policy.Change{Rule: string(policy.VisitPartyMax), Value: "3", From: noon.Add(-time.Second)}, fault.Invalid},
		{"ends before it starts", policy.Change{Rule: string(policy.VisitPartyMax), Value: "3", From: noon.Add(time.Hour), To: noon}, fault.Invalid},
		{"scope without a key", policy.Change{Rule: string(policy.VisitPartyMax), Value: "3", Scope: policy.ForUnit}, fault.Invalid},
		{"kept by the facility", policy.Change{Rule: string(policy.FacilityTimezone), Value: "Europe/London"}, fault.Invalid},
		{"nobody can pay", policy.Change{Rule: string(policy.WalletEnabled), Value: "false", Approver: second}, fault.Invalid},
		{"no second person", policy.Change{Rule: string(policy.CallRecordSocial), Value: "false"}, fault.Forbidden},
		{"second person is the first", policy.Change{Rule: string(policy.CallRecordSocial), Value: "false", Approver: admin}, fault.Forbidden},
		{"second person without authority", policy.Change{Rule: string(policy.CallRecordSocial), Value: "false", Approver: ident.Actor{Kind: ident.ByStaff, ID: "sf_c", Roles: []string{"clerk"}}}, fault.Forbidden},
		{"keep less alone", policy.Change{Rule: string(policy.RetentionRecording), Value: "30d"}, fault.Forbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := p.Set(tx, admin, tt.change)
				return err
			})
			if !fault.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if got := rules(t, db, p, policy.Scope{}).Version(); got != 1 {
		t.Errorf("refused changes made version %d", got)
	}
}

func TestSetInTime(t *testing.T) {
	db, p, c := open(t, policy.CountyJail)
	write(t, db, func(tx *store.Tx) error {
		_, err := p.Set(tx, admin, policy.Change{Rule: string(policy.CallRecordSocial), Value: "false", Approver: second, From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour)})
		return err
	})
	for i, want := range []bool{true, false, true} {
		if got := policy.CallRecordSocial.Of(rules(t, db, p, policy.Scope{})); got != want {
			t.Errorf("hour %d: recorded %v, want %v", i, got, want)
		}
		c.Advance(time.Hour)
	}
	write(t, db, func(tx *store.Tx) error {
		_, err := p.Set(tx, admin, policy.Change{Rule: string(policy.RetentionRecording), Value: "120d"})
		return err
	})
	if got := policy.RetentionRecording.Of(rules(t, db, p, policy.Scope{})); got != 120*24*time.Hour {
		t.Errorf("keeping more alone: %v", got)
	}
}

func TestEqualNarrownessRefused(t *testing.T) {
	db, p, _ := open(t, policy.CountyJail)
	set := func(value string, from time.Time) error {
		return db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := p.Set(tx, admin, policy.Change{Rule: string(policy.VisitPartyMax), Value: value, From: from})
			return err
		})
	}
	if err := set("5", noon.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := set("6", noon.Add(time.Hour)); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second value for the same days: %v", err)
	}
	if got := policy.VisitPartyMax.Of(rules(t, db, p, policy.Scope{})); got != 4 {
		t.Errorf("party of %d after a refused change", got)
	}
}

// A transaction that is rolled back must not leave its rules behind in the parsed copy.
func TestRolledBackChangeIsForgotten(t *testing.T) {
	db, p, _ := open(t, policy.CountyJail)
	undo := fmt.Errorf("undo")
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := p.Set(tx, admin, policy.Change{Rule: string(policy.VisitPartyMax), Value: "8"}); err != nil {
			return err
		}
		r, err := p.At(tx, policy.Scope{})
		if err != nil || policy.VisitPartyMax.Of(r) != 8 {
			t.Errorf("own change not seen: %v %v", policy.VisitPartyMax.Of(r), err)
		}
		return undo
	})
	if err == nil {
		t.Fatal("the change was committed")
	}
	write(t, db, func(tx *store.Tx) error {
		_, err := p.Set(tx, admin, policy.Change{Rule: string(policy.VisitPartyMax), Value: "2"})
		return err
	})
	if got := policy.VisitPartyMax.Of(rules(t, db, p, policy.Scope{})); got != 2 {
		t.Errorf("party of %d, want 2", got)
	}
}

func TestFollowsFacility(t *testing.T) {
	db, p, _ := open(t, policy.CountyJail)
	put := func(phone string) {
		write(t, db, func(tx *store.Tx) error {
			_, err := facility.New().Put(tx, admin, facility.Facility{Name: "North", Zone: "Europe/London", Country: "GB", Currency: "GBP", Support: facility.Support{Phone: phone}})
			return err
		})
	}
	put("1")
	rules(t, db, p, policy.Scope{})
	put("2")
	if got := policy.FacilitySupport.Of(rules(t, db, p, policy.Scope{})); got != "2" {
		t.Errorf("support %q after the facility changed", got)
	}
}

func TestTableGolden(t *testing.T) {
	var b strings.Builder
	for _, r := range policy.New().Table() {
		fmt.Fprintf(&b, "%s %s %s\n  county-jail %q\n  prison %q\n  second %s override %s\n", r.Rule, r.Type, r.Range, r.CountyJail, r.Prison, r.Second, r.Override)
	}
	const golden = "testdata/table.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("table mismatch (-want +got):\n%s", diff)
	}
}

// Every rule has a name of its type, and every name a rule.
func TestNamesFitTable(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			rule, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			names[rule] = strings.ToLower(spec.Type.(*ast.Ident).Name)
		}
		return true
	})
	table := map[string]string{}
	for _, r := range policy.New().Table() {
		table[r.Rule] = r.Type
	}
	if diff := cmp.Diff(table, names); diff != "" {
		t.Errorf("names mismatch (-table +names):\n%s", diff)
	}
}

// Whatever is set and accepted comes back, and reading rules never fails afterwards.
func TestSetIsReadBack(t *testing.T) {
	db, p, _ := open(t, policy.CountyJail)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(-5, 90).Draw(rt, "days")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := p.Set(tx, admin, policy.Change{Rule: string(policy.BookingWindowMaxDays), Value: strconv.Itoa(n)})
			return err
		})
		if ok := n >= 1 && n <= 60; ok != (err == nil) {
			rt.Fatalf("%d days: %v", n, err)
		}
		if got := policy.BookingWindowMaxDays.Of(rules(t, db, p, policy.Scope{})); err == nil && got != n {
			rt.Fatalf("set %d, read %d", n, got)
		}
	})
}

func BenchmarkAt(b *testing.B) {
	db, p, _ := open(b, policy.CountyJail)
	err := db.View(b.Context(), func(tx *store.Tx) error {
		for b.Loop() {
			r, err := p.At(tx, policy.Scope{Class: "social"})
			if err != nil || policy.VisitMaxMinutes.Of(r) != 60 {
				return fmt.Errorf("read: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
