package schedule_test

import (
	"errors"
	"fmt"
	"sync"
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
	"sallyport/appliance/record"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

var admin = ident.Actor{Kind: ident.ByStaff, ID: "sf_a", Door: "staff", Roles: []string{"administrator"}}

type site struct {
	*store.DB
	*schedule.Schedule
	clock *clock.Fake
	rules policy.Rules
	sent  []record.Record
}

func open(t testing.TB, zone string, now time.Time) *site {
	t.Helper()
	s := &site{clock: clock.NewFake(now)}
	s.DB = storetest.OpenAt(t, s.clock, audit.Schema, facility.Schema, policy.Schema, schedule.Schema)
	f, p := facility.New(), policy.New()
	s.Schedule = schedule.New(schedule.Deps{Facility: f, Policy: p, Put: func(_ *store.Tx, r record.Record) error {
		s.sent = append(s.sent, r)
		return r.Check()
	}})
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := f.Put(tx, admin, facility.Facility{Name: "North", Zone: zone, Country: "GB", Currency: "GBP", BookingOpen: true}); err != nil {
			return err
		}
		if err := p.Load(tx, policy.CountyJail, admin); err != nil {
			return err
		}
		var err error
		s.rules, err = p.At(tx, policy.Scope{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) put(t testing.TB, tpl schedule.Template) schedule.Template {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) (err error) {
		tpl, err = s.PutTemplate(tx, admin, tpl)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.UnfoldAll(t.Context(), s.DB); err != nil {
		t.Fatal(err)
	}
	return tpl
}

func (s *site) starts(t testing.TB, from, to string, f schedule.For) (out []schedule.Place) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) (err error) {
		out, err = s.Starts(tx, from, to, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *site) social(minutes int) schedule.For {
	return schedule.For{Class: "social", Initiator: "visitor", Minutes: minutes, Rules: s.rules}
}

var everyDay = []time.Weekday{0, 1, 2, 3, 4, 5, 6}

func pattern() schedule.Template {
	return schedule.Template{
		Name: "Afternoon", Class: "social", Weekdays: everyDay, Starts: 14 * 60, Ends: 16 * 60, Pitch: 20, Capacity: 2, From: "2027-03-01",
	}
}

func times(places []schedule.Place, loc *time.Location) (out []string) {
	for _, p := range places {
		out = append(out, p.Starts.In(loc).Format("01-02 15:04"))
	}
	return out
}

var march = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

func TestStartsFitLengthAndTurnaround(t *testing.T) {
	s := open(t, "Europe/London", march)
	s.put(t, pattern())
	// 30 minutes and 5 of turnaround take 2 slots of 20: the last start is 15:20. An hour takes 4.
	got := times(s.starts(t, "2027-03-02", "2027-03-02", s.social(30)), time.UTC)
	if diff := cmp.Diff([]string{"03-02 14:00", "03-02 14:20", "03-02 14:40", "03-02 15:00", "03-02 15:20"}, got); diff != "" {
		t.Errorf("30 minutes mismatch (-want +got):\n%s", diff)
	}
	got = times(s.starts(t, "2027-03-02", "2027-03-02", s.social(60)), time.UTC)
	if diff := cmp.Diff([]string{"03-02 14:00", "03-02 14:20", "03-02 14:40"}, got); diff != "" {
		t.Errorf("60 minutes mismatch (-want +got):\n%s", diff)
	}
	if got := s.starts(t, "2027-03-02", "2027-03-02", s.social(45)); got != nil {
		t.Errorf("a length that the policy does not have: %v", got)
	}
}

func TestUnfoldsSixtyDaysOnce(t *testing.T) {
	s := open(t, "Europe/London", march)
	tpl := s.put(t, pattern())
	count := func() (n int) {
		t.Helper()
		if err := s.View(t.Context(), func(tx *store.Tx) error { return tx.Row(`SELECT count(*) FROM slots`).Scan(&n) }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got, want := count(), 61*6; got != want {
		t.Errorf("%d slots, want %d", got, want)
	}
	if err := s.UnfoldAll(t.Context(), s.DB); err != nil || count() != 61*6 {
		t.Errorf("unfolding again made slots: %d, %v", count(), err)
	}
	s.clock.Advance(24 * time.Hour)
	if err := s.UnfoldAll(t.Context(), s.DB); err != nil || count() != 62*6 {
		t.Errorf("a day later: %d slots, %v", count(), err)
	}
	if got := len(s.sent); got != 1+62*6 {
		t.Errorf("%d records replicated", got)
	}
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		taken, err := s.EndTemplate(tx, admin, tpl.ID, "2027-03-10")
		if taken != 0 {
			t.Errorf("%d slots are taken", taken)
		}
		return err
	})
	if err != nil || count() != 10*6 {
		t.Errorf("after its end: %d slots, %v", count(), err)
	}
	if err := s.UnfoldAll(t.Context(), s.DB); err != nil || count() != 10*6 {
		t.Errorf("an ended template unfolded: %d, %v", count(), err)
	}
}

func TestClosuresNameWhatTheyClose(t *testing.T) {
	s := open(t, "Europe/London", march)
	tpl := s.put(t, pattern())
	day := schedule.Closure{From: march.AddDate(0, 0, 1), To: march.AddDate(0, 0, 2), Scope: schedule.CloseFacility, Reason: "lockdown"}
	for _, tt := range []struct {
		name  string
		spoil func(*schedule.Closure)
		field string
	}{
		{"an end before the beginning", func(c *schedule.Closure) { c.To = c.From }, "to"},
		{"all of it past", func(c *schedule.Closure) { c.From, c.To = march.AddDate(0, 0, -2), march.AddDate(0, 0, -1) }, "to"},
		{"no reason", func(c *schedule.Closure) { c.Reason = "" }, "reason"},
		{"a key of the whole facility", func(c *schedule.Closure) { c.Key = "u_x" }, "key"},
		{"a unit that does not exist", func(c *schedule.Closure) { c.Scope, c.Key = schedule.CloseUnit, "u_x" }, "key"},
		{"a station that does not exist", func(c *schedule.Closure) { c.Scope, c.Key = schedule.CloseStation, "st_x" }, "key"},
		{"a place of no kind", func(c *schedule.Closure) { c.Scope, c.Key = "town", "t_x" }, "key"},
	} {
		c := day
		tt.spoil(&c)
		err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := s.Schedule.Close(tx, admin, c); return err })
		if f, ok := fault.Of(err); !ok || f.Kind != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Name != tt.field {
			t.Errorf("%s: %v, want the field %s", tt.name, err, tt.field)
		}
	}
	day.Scope, day.Key = schedule.CloseTemplate, string(tpl.ID)
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		c, err := s.Schedule.Close(tx, admin, day)
		if err != nil {
			return err
		}
		if got, err := s.Closure(tx, c.ID); err != nil || got.Key != string(tpl.ID) || !got.To.Equal(day.To) {
			t.Errorf("Closure = %+v, %v", got, err)
		}
		if err := s.Lift(tx, admin, c.ID); err != nil {
			return err
		}
		if _, err := s.Closure(tx, c.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("lifted, and still there: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestATemplateEndsOnce(t *testing.T) {
	s := open(t, "Europe/London", march)
	tpl := s.put(t, pattern())
	end := func(id ident.Template) error {
		return s.Update(t.Context(), func(tx *store.Tx) error { _, err := s.EndTemplate(tx, admin, id, "2027-03-10"); return err })
	}
	if err := end(tpl.ID); err != nil {
		t.Fatal(err)
	}
	if err := end(tpl.ID); fault.CodeOf(err) != "template.ended" {
		t.Errorf("ended twice: %v", err)
	}
	if err := end(ident.New[ident.Template]()); !fault.Is(err, fault.NotFound) {
		t.Errorf("one that does not exist: %v", err)
	}
}

func TestClockChanges(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, date string
		now        time.Time
		want       []string // UTC
	}{
		// 28 March 2027: 01:00 becomes 02:00. Starts at 01:00 and 01:30 do not exist.
		{"spring", "2027-03-28", march, []string{"00:00", "00:30", "01:00", "01:30"}},
		// 31 October 2027: 02:00 becomes 01:00. The first 01:00 and 01:30 are used.
		{"autumn", "2027-10-31", march.AddDate(0, 7, 0), []string{"23:00", "23:30", "00:00", "00:30", "02:00", "02:30"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, "Europe/London", tt.now)
			night := pattern()
			night.Starts, night.Ends, night.Pitch = 0, 3*60, 30
			s.put(t, night)
			var got []string
			err := s.View(t.Context(), func(tx *store.Tx) error {
				slots, err := s.Day(tx, tt.date)
				for _, one := range slots {
					got = append(got, one.Starts.Format("15:04"))
					if one.Starts.In(london).Format(time.DateOnly) != tt.date {
						t.Errorf("a slot of %s starts on %v", tt.date, one.Starts.In(london))
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Day mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever the zone, the pattern and the season: slots of a session never overlap, show the pattern's wall time on
// their date, and each wall time comes at most once.
func TestUnfoldedSlotsAreSane(t *testing.T) {
	zones := []string{"Europe/London", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kolkata", "Africa/Cairo", "UTC", "Pacific/Apia"}
	rapid.Check(t, func(rt *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(rt, "zone")
		loc, err := time.LoadLocation(zone)
		if err != nil {
			rt.Skip(err)
		}
		now := march.AddDate(0, 0, rapid.IntRange(0, 700).Draw(rt, "day"))
		tpl := pattern()
		tpl.Starts = rapid.IntRange(0, 1200).Draw(rt, "starts")
		tpl.Pitch = rapid.IntRange(5, 90).Draw(rt, "pitch")
		tpl.Ends = min(1440, tpl.Starts+tpl.Pitch*rapid.IntRange(1, 12).Draw(rt, "slots"))
		if tpl.Ends-tpl.Starts < tpl.Pitch {
			rt.Skip("no slot fits")
		}
		s := open(t, zone, now)
		s.put(t, tpl)
		err = s.View(t.Context(), func(tx *store.Tx) error {
			date := now.In(loc).Format(time.DateOnly)
			for range 61 {
				slots, err := s.Day(tx, date)
				if err != nil {
					return err
				}
				seen := map[string]bool{}
				for i, one := range slots {
					wall := one.Starts.In(loc)
					minute := wall.Hour()*60 + wall.Minute()
					if wall.Format(time.DateOnly) != date || (minute-tpl.Starts)%tpl.Pitch != 0 || minute < tpl.Starts || minute+tpl.Pitch > tpl.Ends {
						return fmt.Errorf("%s: slot at %v does not fit the pattern", date, wall)
					}
					if seen[wall.Format("15:04")] {
						return fmt.Errorf("%s: %v comes twice", date, wall)
					}
					seen[wall.Format("15:04")] = true
					if i > 0 && one.Starts.Before(slots[i-1].Ends) {
						return fmt.Errorf("%s: %v overlaps the slot before", date, wall)
					}
				}
				d, err := time.Parse(time.DateOnly, date)
				if err != nil {
					return err
				}
				date = d.AddDate(0, 0, 1).Format(time.DateOnly)
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func TestSessionsSuitInmates(t *testing.T) {
	s := open(t, "UTC", march)
	unit := ident.New[ident.Unit]()
	narrow := pattern()
	narrow.Units, narrow.Levels, narrow.Initiators, narrow.Lengths = []ident.Unit{unit}, []string{"basic"}, []string{"staff"}, []int{60}
	s.put(t, narrow)
	ok := schedule.For{Class: "social", Initiator: "staff", Unit: unit, Level: "basic", Minutes: 60, Rules: s.rules}
	if got := s.starts(t, "2027-03-02", "2027-03-02", ok); len(got) != 3 {
		t.Fatalf("%d starts for whom the session is meant", len(got))
	}
	for name, spoil := range map[string]func(*schedule.For){
		"class":     func(f *schedule.For) { f.Class = "official" },
		"initiator": func(f *schedule.For) { f.Initiator = "visitor" },
		"unit":      func(f *schedule.For) { f.Unit = ident.New[ident.Unit]() },
		"level":     func(f *schedule.For) { f.Level = "enhanced" },
		"length":    func(f *schedule.For) { f.Minutes = 30 },
	} {
		f := ok
		spoil(&f)
		if got := s.starts(t, "2027-03-02", "2027-03-02", f); got != nil {
			t.Errorf("another %s: %v", name, times(got, time.UTC))
		}
	}
}

func TestEveryOtherWeekAndExcludedDates(t *testing.T) {
	s := open(t, "UTC", march)
	tpl := pattern()
	tpl.Weekdays, tpl.EveryWeeks, tpl.Excluded = []time.Weekday{time.Wednesday}, 2, []string{"2027-03-31"}
	s.put(t, tpl)
	var dates []string
	for _, p := range s.starts(t, "2027-03-01", "2027-04-20", s.social(60)) {
		if len(dates) == 0 || dates[len(dates)-1] != p.Date {
			dates = append(dates, p.Date)
		}
	}
	if diff := cmp.Diff([]string{"2027-03-03", "2027-03-17", "2027-04-14"}, dates); diff != "" {
		t.Errorf("dates mismatch (-want +got):\n%s", diff)
	}
}

func TestClosures(t *testing.T) {
	s := open(t, "UTC", march)
	tpl := s.put(t, pattern())
	day := func() int { return len(s.starts(t, "2027-03-02", "2027-03-02", s.social(30))) }
	at := time.Date(2027, 3, 2, 15, 0, 0, 0, time.UTC)
	var c schedule.Closure
	err := s.Update(t.Context(), func(tx *store.Tx) (err error) {
		c, err = s.Schedule.Close(tx, admin, schedule.Closure{From: at, To: at.Add(5 * time.Minute), Scope: "template", Key: string(tpl.ID), Reason: "staffing"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := day(); got != 3 { // 14:00, 14:20 and 15:20 stay; 14:40 ends inside, 15:00 begins inside
		t.Errorf("%d starts beside the closure", got)
	}
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return s.Lift(tx, admin, c.ID) }); err != nil || day() != 5 {
		t.Errorf("after lifting: %d starts, %v", day(), err)
	}
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return s.Lift(tx, admin, c.ID) }); !fault.Is(err, fault.NotFound) {
		t.Errorf("lifted twice: %v", err)
	}
}

func TestPutTemplateRefuses(t *testing.T) {
	s := open(t, "UTC", march)
	for name, spoil := range map[string]func(*schedule.Template){
		"name":     func(p *schedule.Template) { p.Name = "" },
		"class":    func(p *schedule.Template) { p.Class = "party" },
		"ends":     func(p *schedule.Template) { p.Ends = p.Starts },
		"capacity": func(p *schedule.Template) { p.Capacity = 0 },
		"weekdays": func(p *schedule.Template) { p.Weekdays = nil },
		"lengths":  func(p *schedule.Template) { p.Lengths = []int{7} },
		"excluded": func(p *schedule.Template) { p.Excluded = []string{"1 April"} },
	} {
		tpl := pattern()
		spoil(&tpl)
		err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := s.PutTemplate(tx, admin, tpl); return err })
		f, ok := fault.Of(err)
		if !ok || f.Kind != fault.Invalid || f.Fields[0].Name != name {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
}

// Many claim and release at once; nothing is ever overbooked, and what is left fits what was won.
func TestNeverOverbooked(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, "UTC", march)
		tpl := pattern()
		tpl.Capacity = rapid.IntRange(1, 5).Draw(rt, "capacity")
		s.put(t, tpl)
		places := s.starts(t, "2027-03-02", "2027-03-02", s.social(30))
		type act struct{ place, undo int }
		acts := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) act {
			return act{rapid.IntRange(0, len(places)-1).Draw(rt, "place"), rapid.IntRange(0, 3).Draw(rt, "undo")}
		}), 1, 40).Draw(rt, "acts")
		held := make([]int, len(places))
		var mu sync.Mutex // guards held
		var all sync.WaitGroup
		errs := make(chan error, len(acts))
		for _, a := range acts {
			all.Go(func() {
				err := s.Update(t.Context(), func(tx *store.Tx) error { return s.Claim(tx, places[a.place]) })
				if fault.Is(err, fault.Full) {
					return
				}
				if err == nil && a.undo == 0 {
					err = s.Update(t.Context(), func(tx *store.Tx) error { return s.Release(tx, places[a.place]) })
				} else if err == nil {
					mu.Lock()
					held[a.place]++
					mu.Unlock()
				}
				errs <- err
			})
		}
		all.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				rt.Fatal(err)
			}
		}
		err := s.View(t.Context(), func(tx *store.Tx) error {
			slots, err := s.Day(tx, "2027-03-02")
			for _, one := range slots {
				want := 0
				for i, p := range places {
					if !p.Starts.After(one.Starts) && one.Starts.Before(p.Starts.Add(time.Duration(p.Slots)*p.Pitch)) {
						want += held[i]
					}
				}
				if one.Taken > one.Capacity || one.Taken != want {
					err = errors.Join(err, fmt.Errorf("%v: %d taken of %d, want %d", one.Starts, one.Taken, one.Capacity, want))
				}
			}
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}
