package visits_test

import (
	"flag"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/record"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/visits"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Monday, 9 o'clock in London and in UTC.
var monday = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

var (
	admin = ident.Actor{Kind: ident.ByStaff, ID: "sf_admin", Door: "setup", Roles: []string{"administrator"}}
	clerk = ident.Actor{Kind: ident.ByStaff, ID: "sf_clerk", Door: "staff", Roles: []string{"clerk"}}
)

// site is a facility with one unit, kiosks, two inmates and visitors who have an approved contact with the first.
type site struct {
	*store.DB
	*visits.Visits
	clock     *clock.Fake
	policy    *policy.Policy
	schedule  *schedule.Schedule
	facility  *facility.Facilities
	unit      facility.Unit
	kiosks    []ident.Station
	inmate    ident.Inmate
	inmates   []ident.Inmate
	visitors  []ident.Visitor
	contacts  []ident.Contact // of each visitor with the first inmate
	sent      int             // records given to replication
	inmateBy  ident.Actor
	visitorBy ident.Actor
	log       *slog.Logger
}

func open(t testing.TB, preset string, kiosks, capacity, pairs int) *site {
	t.Helper()
	s := &site{clock: clock.NewFake(monday), log: slog.New(slog.DiscardHandler)}
	s.DB = storetest.OpenAt(t, s.clock, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, schedule.Schema, visits.Schema)
	s.wire()
	s.seed(t, preset, kiosks, capacity, pairs)
	return s
}

func (s *site) wire() {
	put := func(_ *store.Tx, r record.Record) error {
		s.sent++
		return r.Check()
	}
	s.facility, s.policy = facility.New(), policy.New()
	who := people.New(people.Deps{DB: s.DB, Clock: s.clock, Facility: s.facility, Policy: s.policy})
	s.schedule = schedule.New(schedule.Deps{Facility: s.facility, Policy: s.policy})
	s.Visits = visits.New(visits.Deps{Facility: s.facility, Policy: s.policy, People: who, Schedule: s.schedule, Put: put})
}

func (s *site) seed(t testing.TB, preset string, kiosks, capacity, pairs int) {
	t.Helper()
	s.do(t, func(tx *store.Tx) (err error) {
		if _, err = s.facility.Put(tx, admin, facility.Facility{Name: "North", Zone: "Europe/London", Country: "GB", Currency: "GBP", BookingOpen: true}); err != nil {
			return err
		}
		if err = s.policy.Load(tx, preset, admin); err != nil {
			return err
		}
		if s.unit, err = s.facility.PutUnit(tx, admin, facility.Unit{Name: "A"}); err != nil {
			return err
		}
		for i := range kiosks {
			k, err := s.facility.PutStation(tx, admin, facility.Station{Name: fmt.Sprintf("A%02d", i+1), Kind: facility.Kiosk, Unit: s.unit.ID})
			if err != nil {
				return err
			}
			s.kiosks = append(s.kiosks, k.ID)
		}
		_, err = s.schedule.PutTemplate(tx, admin, schedule.Template{
			Name: "Afternoon", Class: "social", Weekdays: []time.Weekday{0, 1, 2, 3, 4, 5, 6}, Starts: 14 * 60, Ends: 17 * 60, Pitch: 15,
			Capacity: capacity, From: "2027-03-01",
		})
		return err
	})
	if err := s.schedule.UnfoldAll(t.Context(), s.DB); err != nil {
		t.Fatal(err)
	}
	for range pairs {
		s.pair(t)
	}
	s.inmate = s.inmates[0]
	s.inmateBy = ident.Actor{Kind: ident.ByInmate, ID: string(s.inmate), Door: "kiosk"}
	s.visitorBy = ident.Actor{Kind: ident.ByVisitor, ID: string(s.visitors[0]), Door: "visitor"}
}

// pair adds an inmate and a verified visitor with an approved contact between them.
func (s *site) pair(t testing.TB) {
	t.Helper()
	n := len(s.inmates)
	i, v := ident.New[ident.Inmate](), ident.New[ident.Visitor]()
	s.do(t, func(tx *store.Tx) error {
		err := tx.Exec(`INSERT INTO inmate (id, number, booking, first, last, folded, born, language, unit, state, created_at, changed_at)
			VALUES (?, ?, 'B1', 'Sam', 'Jones', 'sam jones', '1990-05-05', 'en', ?, 'in_custody', 0, 0)`, i, fmt.Sprintf("A%04d", n), s.unit.ID)
		if err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO visitor (id, first, last, folded, born, phone, email, email_key, zone, language, state, identity, created_at, changed_at)
			VALUES (?, 'Ann', 'Lee', 'ann lee', '1985-01-01', ?, ?, ?, 'Europe/London', 'en', 'active', 'verified', 0, 0)`,
			v, fmt.Sprintf("+4416329%05d", n), fmt.Sprintf("ann%d@mail.example", n), fmt.Sprintf("ann%d@mail.example", n))
	})
	s.inmates, s.visitors = append(s.inmates, i), append(s.visitors, v)
	s.contacts = append(s.contacts, s.contact(t, v, i))
}

func (s *site) contact(t testing.TB, v ident.Visitor, i ident.Inmate) ident.Contact {
	t.Helper()
	c := ident.New[ident.Contact]()
	s.do(t, func(tx *store.Tx) error {
		return tx.Exec(`INSERT INTO contact (id, visitor, inmate, relationship, state, asked_by, created_at, changed_at)
			VALUES (?, ?, ?, 'sibling', 'approved', 'visitor', 0, 0)`, c, v, i)
	})
	return c
}

// by is the n-th visitor.
func (s *site) by(n int) ident.Actor {
	return ident.Actor{Kind: ident.ByVisitor, ID: string(s.visitors[n]), Door: "visitor"}
}

func (s *site) do(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (s *site) set(t testing.TB, rule, value string) {
	t.Helper()
	s.do(t, func(tx *store.Tx) error {
		_, err := s.policy.Set(tx, admin, policy.Change{
			Rule: rule, Value: value,
			Approver: ident.Actor{Kind: ident.ByStaff, ID: "sf_second", Roles: []string{"governor"}},
		})
		return err
	})
}

// ask is a request of the n-th visitor for a half hour.
func (s *site) ask(n int, start time.Time) visits.Request {
	return visits.Request{Contact: s.contacts[n], Class: visits.Social, Start: start, Minutes: 30}
}

// on is an instant of March 2027, when London has UTC.
func on(day, hour, minute int) time.Time {
	return time.Date(2027, 3, day, hour, minute, 0, 0, time.UTC)
}
