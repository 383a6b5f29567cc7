package visits_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/schedule"
	"sallyport/appliance/visits"
)

// facts are those of a visit against which nothing stands.
func facts() visits.Facts {
	start := on(4, 14, 0)
	return visits.Facts{
		By: ident.Actor{Kind: ident.ByVisitor, ID: "vr_a"}, Now: monday, Today: "2027-03-01", Date: "2027-03-04", BookingOpen: true,
		Limits: visits.Limits{
			Classes: []string{"social", "official", "privileged"}, Remote: true, IDRequired: "visit", PhotoIDAge: 18,
			Party: 4, Adults: 4, Minors: 3, MainAge: 18, AdultAt: 18, MinorNeedsAdult: true, WindowDays: 14, Notice: 24 * time.Hour,
			PairDay: 1, InmateDay: 2, MaxMinutes: 60, Accept: "suggested", Staff: "flagged", FirstSuggestOnly: true, ConfirmAfterFirst: true,
			Entitlement: "required",
		},
		Inmate:   people.Inmate{ID: "i_a", State: people.InCustody},
		Main:     people.Visitor{ID: "vr_a", Born: "1985-01-01", State: people.Active, Identity: "verified"},
		Contact:  people.Contact{ID: "ct_a", State: people.Approved, Privilege: "none", Met: true},
		Place:    schedule.Place{Starts: start, Ends: start.Add(30 * time.Minute)},
		HasPlace: true, Left: visits.Allowance{Calls: 1, Minutes: 30, To: "2027-03-31"}, Station: "st_a", NeedsPlace: true,
	}
}

func social() visits.Request {
	return visits.Request{Class: visits.Social, Start: on(4, 14, 0), Minutes: 30, Mode: visits.Confirm, Ticked: true}
}

func guest(born string) visits.Guest { return visits.Guest{ID: "p_a", Born: born, Listed: true} }

func restricted(code string) func(*visits.Facts, *visits.Request) {
	return func(f *visits.Facts, _ *visits.Request) {
		f.Limiting = []people.Restriction{{Code: code, Starts: "2027-03-04", Ends: "2027-03-04"}}
	}
}

func TestCheck(t *testing.T) {
	type change = func(*visits.Facts, *visits.Request)
	for _, tt := range []struct {
		name   string
		change change
		want   []visits.Conflict
	}{
		{"nothing", func(*visits.Facts, *visits.Request) {}, nil},
		{"B1 closed", func(f *visits.Facts, _ *visits.Request) { f.BookingOpen = false }, []visits.Conflict{visits.ServiceOff}},
		{"B1 class", func(_ *visits.Facts, r *visits.Request) { r.Class = visits.InPerson }, []visits.Conflict{visits.ServiceOff}},
		{"B1 remote", func(f *visits.Facts, _ *visits.Request) { f.Limits.Remote = false }, []visits.Conflict{visits.ServiceOff}},
		{"B2 suspended", func(f *visits.Facts, _ *visits.Request) { f.Main.State = people.Suspended }, []visits.Conflict{visits.Account}},
		{"B3 not sent", func(f *visits.Facts, _ *visits.Request) { f.Main.Identity = "submitted" }, []visits.Conflict{visits.Identity}},
		{"B3 runs out before", func(f *visits.Facts, _ *visits.Request) { f.Main.IdentityUntil = on(4, 14, 29) }, []visits.Conflict{visits.Identity}},
		{"B3 runs out after", func(f *visits.Facts, _ *visits.Request) { f.Main.IdentityUntil = on(4, 14, 30) }, nil},
		{"B3 adult guest without one", func(f *visits.Facts, _ *visits.Request) { f.Guests = []visits.Guest{guest("2009-03-04")} }, []visits.Conflict{visits.Identity}},
		{"B3 minor needs none", func(f *visits.Facts, _ *visits.Request) { f.Guests = []visits.Guest{guest("2009-03-05")} }, nil},
		{"B3 not asked for", func(f *visits.Facts, _ *visits.Request) {
			f.Limits.IDRequired = "none"
			f.Main.Identity = "not_started"
		}, nil},
		{"B4 too many", func(f *visits.Facts, _ *visits.Request) {
			f.Guests = []visits.Guest{guest("2015-01-01"), guest("2015-01-01"), guest("2015-01-01"), guest("2015-01-01")}
		}, []visits.Conflict{visits.Party}},
		{"B4 twice", func(f *visits.Facts, _ *visits.Request) { f.Twice = true }, []visits.Conflict{visits.Party}},
		{"B4 main caller a day too young", func(f *visits.Facts, _ *visits.Request) { f.Main.Born = "2009-03-05" }, []visits.Conflict{visits.Party}},
		{"B4 main caller of age that day", func(f *visits.Facts, _ *visits.Request) { f.Main.Born = "2009-03-04" }, nil},
		{"B4 never under 16", func(f *visits.Facts, _ *visits.Request) {
			f.Main.Born, f.Limits.MainAge, f.Limits.AdultAt = "2011-03-05", 10, 10
		}, []visits.Conflict{visits.Party}},
		{"B5 not on the list", func(f *visits.Facts, _ *visits.Request) { f.Contact.State = people.AwaitingInmate }, []visits.Conflict{visits.NoContact}},
		{"B5 stranger in the party", func(f *visits.Facts, _ *visits.Request) { f.Guests = []visits.Guest{{ID: "p_x"}} }, []visits.Conflict{visits.NoContact}},
		{"B6 ban", restricted(people.Ban), []visits.Conflict{visits.NotAvailable}},
		{"B6 no contact", restricted(people.NoContact), []visits.Conflict{visits.NotAvailable}},
		{"B6 ends before", func(f *visits.Facts, _ *visits.Request) {
			f.Limiting = []people.Restriction{{Code: people.Ban, Starts: "2027-01-01", Ends: "2027-03-03"}}
		}, nil},
		{"B6 warning only", func(f *visits.Facts, _ *visits.Request) {
			f.Limiting = []people.Restriction{{Code: people.Ban, Step: "warning", Starts: "2027-01-01"}}
		}, nil},
		{"B6 child protection without a child", restricted(people.ChildProtection), nil},
		{"B6 child protection with a child", func(f *visits.Facts, r *visits.Request) {
			restricted(people.ChildProtection)(f, r)
			f.Guests = []visits.Guest{guest("2015-01-01")}
		}, []visits.Conflict{visits.NotAvailable}},
		{"B7 visits lost", restricted(people.VisitsLost), []visits.Conflict{visits.NotAvailable}},
		{"B7 away", func(f *visits.Facts, _ *visits.Request) { f.Inmate.State = people.TempOut }, []visits.Conflict{visits.NotAvailable}},
		{"B7 released", func(f *visits.Facts, _ *visits.Request) { f.Inmate.State = people.Released }, []visits.Conflict{visits.NotAvailable}},
		{"B8 private without privilege", func(_ *visits.Facts, r *visits.Request) { r.Class = visits.Privileged }, []visits.Conflict{visits.WrongClass}},
		{"B8 lawyer as family", func(f *visits.Facts, _ *visits.Request) { f.Contact.Privilege = "verified" }, []visits.Conflict{visits.WrongClass}},
		{"B9 last day", func(f *visits.Facts, _ *visits.Request) { f.Date = "2027-03-15" }, nil},
		{"B9 a day too far", func(f *visits.Facts, _ *visits.Request) { f.Date = "2027-03-16" }, []visits.Conflict{visits.TooFar}},
		{"B9 staff further", func(f *visits.Facts, _ *visits.Request) { f.Date = "2027-04-20"; f.By.Kind = ident.ByStaff }, nil},
		{"B9 notice kept", func(_ *visits.Facts, r *visits.Request) { r.Start = monday.Add(24 * time.Hour) }, nil},
		{"B9 notice broken", func(_ *visits.Facts, r *visits.Request) { r.Start = monday.Add(24*time.Hour - time.Second) }, []visits.Conflict{visits.TooLate}},
		{"B10 blocked", func(f *visits.Facts, _ *visits.Request) { f.Place.Closed = true }, []visits.Conflict{visits.Blocked}},
		{"B11 no session", func(f *visits.Facts, _ *visits.Request) { f.HasPlace = false }, []visits.Conflict{visits.NoSession}},
		{"B11 too long", func(f *visits.Facts, r *visits.Request) { r.Minutes = 65; f.Left.Minutes = 65 }, []visits.Conflict{visits.NoSession}},
		{"B12 own", func(f *visits.Facts, _ *visits.Request) { f.OwnBusy = true }, []visits.Conflict{visits.OwnOverlap}},
		{"B12 theirs", func(f *visits.Facts, _ *visits.Request) { f.Busy = true }, []visits.Conflict{visits.Overlap}},
		{"B15 one a day", func(f *visits.Facts, _ *visits.Request) { f.PairDay = 1 }, []visits.Conflict{visits.OwnLimit}},
		{"B15 inmate's day", func(f *visits.Facts, _ *visits.Request) { f.InmateDay = 2 }, []visits.Conflict{visits.Limit}},
		{"B15 remand", func(f *visits.Facts, _ *visits.Request) {
			f.Limits.Remand, f.InmateWeek, f.Inmate.Legal = 3, 3, "remand"
		}, []visits.Conflict{visits.Limit}},
		{"B15 remand's limit is not for others", func(f *visits.Facts, _ *visits.Request) { f.Limits.Remand, f.InmateWeek = 3, 3 }, nil},
		{"B15 not for official visits", func(f *visits.Facts, r *visits.Request) { f.PairDay, r.Class = 1, visits.Official }, nil},
		{"B16 no calls", func(f *visits.Facts, _ *visits.Request) { f.Left.Calls = 0 }, []visits.Conflict{visits.NoQuota}},
		{"B16 no minutes", func(f *visits.Facts, _ *visits.Request) { f.Left.Minutes = 29 }, []visits.Conflict{visits.NoQuota}},
		{"B16 free while nothing costs", func(f *visits.Facts, _ *visits.Request) { f.Left.Calls, f.Limits.Entitlement = 0, "free_then_paid" }, nil},
		{"B16 nobody can pay yet", func(f *visits.Facts, _ *visits.Request) {
			f.Left.Calls, f.Limits.Entitlement, f.Limits.Charged = 0, "free_then_paid", true
		}, []visits.Conflict{visits.NoQuota}},
		{"B16 not counted", func(f *visits.Facts, _ *visits.Request) { f.Left = visits.Allowance{Off: true} }, nil},
		{"B17 full", func(f *visits.Facts, _ *visits.Request) { f.Place.Full = true }, []visits.Conflict{visits.Full}},
		{"B17 no device", func(f *visits.Facts, _ *visits.Request) { f.Station = "" }, []visits.Conflict{visits.NoStation}},
		{"B18 first visit", func(f *visits.Facts, _ *visits.Request) { f.Contact.Met = false }, []visits.Conflict{visits.SuggestOnly}},
		{"B18 first visit suggested", func(f *visits.Facts, r *visits.Request) { f.Contact.Met, r.Mode = false, visits.Suggest }, nil},
		{"B18 first visit where nobody accepts", func(f *visits.Facts, _ *visits.Request) { f.Contact.Met, f.Limits.Accept = false, "never" }, nil},
		{"B18 clerk", func(f *visits.Facts, _ *visits.Request) { f.Contact.Met, f.By.Kind = false, ident.ByStaff }, nil},
		{"B19 not ticked", func(_ *visits.Facts, r *visits.Request) { r.Ticked = false }, []visits.Conflict{visits.Terms}},
		{"a hold needs no tick", func(f *visits.Facts, r *visits.Request) { r.Mode, r.Ticked, f.Contact.Met = "", false, false }, nil},
		{"in order", func(f *visits.Facts, r *visits.Request) {
			f.Main.State, f.Inmate.State, f.Place.Full, r.Ticked = people.Banned, people.Released, true, false
		}, []visits.Conflict{visits.Account, visits.NotAvailable, visits.Full, visits.Terms}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, r := facts(), social()
			tt.change(&f, &r)
			if diff := cmp.Diff(tt.want, visits.Check(f, r)); diff != "" {
				t.Errorf("Check mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// A family member cannot tell causes apart that lie with the inmate or the facility.
func TestRefusalsAreNeutral(t *testing.T) {
	for _, group := range [][]visits.Conflict{
		{visits.Blocked, visits.NoSession, visits.Overlap, visits.Limit, visits.NoQuota},
		{visits.Full, visits.NoStation},
	} {
		first := group[0].Fault("x", facts())
		for _, c := range group {
			got := c.Fault("x", facts())
			if diff := cmp.Diff(first, got); diff != "" {
				t.Errorf("%s can be told from %s (-%s +%s):\n%s", c, group[0], group[0], c, diff)
			}
		}
	}
	f := facts()
	f.QuotaTold = true
	if got := visits.NoQuota.Fault("x", f).Code; got != "visit.noQuota" {
		t.Errorf("where the count is shared the code is %q", got)
	}
}

// Every conflict has a refusal of its own kind: never Internal, always with a code.
func TestConflictsHaveWords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f, r := facts(), social()
		f.BookingOpen, f.HasPlace, f.Busy = rapid.Bool().Draw(rt, "open"), rapid.Bool().Draw(rt, "place"), rapid.Bool().Draw(rt, "busy")
		f.Place.Full, f.Place.Closed, r.Ticked = rapid.Bool().Draw(rt, "full"), rapid.Bool().Draw(rt, "closed"), rapid.Bool().Draw(rt, "ticked")
		f.Contact.Met, f.PairDay = rapid.Bool().Draw(rt, "met"), rapid.IntRange(0, 3).Draw(rt, "pair")
		seen := map[visits.Conflict]bool{}
		for _, c := range visits.Check(f, r) {
			e := c.Fault("visits.Hold", f)
			if e.Kind == fault.Internal || e.Code == "" || e.Msg == "" {
				rt.Fatalf("%s is refused with %v", c, e)
			}
			if seen[c] {
				rt.Fatalf("%s stands twice", c)
			}
			seen[c] = true
		}
	})
}

func TestModes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*visits.Facts)
		want   []visits.Mode
	}{
		{"met", func(*visits.Facts) {}, []visits.Mode{visits.Confirm, visits.Suggest}},
		{"first", func(f *visits.Facts) { f.Contact.Met = false }, []visits.Mode{visits.Suggest}},
		{"always accepted", func(f *visits.Facts) { f.Limits.Accept = "always" }, []visits.Mode{visits.Suggest}},
		{"never accepted", func(f *visits.Facts) { f.Limits.Accept = "never" }, []visits.Mode{visits.Confirm}},
		{"clerk", func(f *visits.Facts) { f.By.Kind = ident.ByStaff }, []visits.Mode{visits.Confirm}},
		{"inmate", func(f *visits.Facts) { f.By.Kind = ident.ByInmate }, []visits.Mode{visits.Suggest}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := facts()
			tt.change(&f)
			if diff := cmp.Diff(tt.want, visits.Modes(f, visits.Social)); diff != "" {
				t.Errorf("Modes mismatch (-want +got):\n%s", diff)
			}
		})
	}
}
