package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
	"sallyport/appliance/visits"
)

// now is the moment of every round: a Monday, so that weeks and windows are the same in each.
var now = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

// pair is an inmate and a visitor who may visit.
type pair struct {
	inmate  ident.Inmate
	visitor ident.Visitor
	contact ident.Contact
}

// site is a facility in a file of its own.
type site struct {
	id       ident.Facility // under which it replicates
	path     string
	db       *store.DB
	visits   *visits.Visits
	stop     func() error
	template ident.Template
	unit     ident.Unit
	kiosks   []ident.Station
	pairs    []pair
}

// shape says how big a site is.
type shape struct {
	pairs, kiosks, capacity int
}

// build makes a site: sessions around the clock, no limits, an allowance that never ends, and nobody to ask, so that
// what is measured is booking and not refusing.
func build(ctx context.Context, dir string, sh shape) (*site, error) {
	s := &site{path: filepath.Join(dir, "site.db")}
	db, err := store.Open(ctx, store.Options{Path: s.path, Clock: clock.NewFake(now), Migrations: []fs.FS{
		audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, schedule.Schema, visits.Schema,
	}})
	if err != nil {
		return nil, err
	}
	serving, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- db.Serve(serving) }()
	s.db = db
	s.stop = func() error {
		cancel()
		if err := <-served; err != nil {
			return err
		}
		return db.Close()
	}
	out, err := replicated(ctx, db, dir)
	if err != nil {
		return nil, err
	}
	s.id = out.Site()
	f, p := facility.Replicated(out.Put), policy.New()
	who := people.New(people.Deps{DB: db, Clock: clock.NewFake(now), Facility: f, Policy: p, Put: out.Put, Drop: out.Drop})
	sched := schedule.New(schedule.Deps{Facility: f, Policy: p, Put: out.Put})
	s.visits = visits.New(visits.Deps{Facility: f, Policy: p, People: who, Schedule: sched, Put: out.Put})
	if err := db.Update(ctx, func(tx *store.Tx) error { return s.seed(tx, sh, f, p, sched) }); err != nil {
		return nil, err
	}
	return s, sched.UnfoldAll(ctx, db)
}

// replicated makes the site's part of a central site: every booking is sealed for it.
func replicated(ctx context.Context, db *store.DB, dir string) (*outbox.Outbox, error) {
	party, err := vault.NewParty([]byte("the secret of a site that is only measured"))
	if err != nil {
		return nil, err
	}
	centre, err := vault.NewParty([]byte("the secret of a centre that is never asked"))
	if err != nil {
		return nil, err
	}
	out, err := outbox.New(outbox.Options{Party: party, Centre: centre.Peer(), Guard: filepath.Join(dir, "incarnation")})
	if err != nil {
		return nil, err
	}
	return out, out.Begin(ctx, db)
}

func (s *site) seed(tx *store.Tx, sh shape, f *facility.Facilities, p *policy.Policy, sched *schedule.Schedule) error {
	admin := ident.Actor{Kind: ident.ByStaff, ID: "sf_bench", Roles: []string{"administrator"}}
	if _, err := f.Put(tx, admin, facility.Facility{Name: "Bench", Zone: "UTC", Country: "GB", Currency: "GBP", BookingOpen: true}); err != nil {
		return err
	}
	if err := p.Load(tx, policy.Prison, admin); err != nil {
		return err
	}
	for rule, value := range map[string]string{
		string(policy.BookingNeedsStaffApproval): "never", string(policy.BookingWindowMaxDays): "60", string(policy.LimitPairPerDay): "0",
		string(policy.LimitInmatePerDay): "0", string(policy.LimitRemandPerWeek): "0", string(policy.VisitTurnaround): "0",
		string(policy.VisitLengthsMin): "15", string(policy.EntitlementCalls): "60", string(policy.EntitlementMinutes): "3600",
	} {
		if _, err := p.Set(tx, admin, policy.Change{Rule: rule, Value: value}); err != nil {
			return fmt.Errorf("%s: %w", rule, err)
		}
	}
	unit, err := f.PutUnit(tx, admin, facility.Unit{Name: "A"})
	if err != nil {
		return err
	}
	s.unit = unit.ID
	for i := range sh.kiosks {
		k, err := f.PutStation(tx, admin, facility.Station{Name: fmt.Sprintf("A%03d", i), Kind: facility.Kiosk, Unit: unit.ID})
		if err != nil {
			return err
		}
		s.kiosks = append(s.kiosks, k.ID)
	}
	t, err := sched.PutTemplate(tx, admin, schedule.Template{
		Name: "All day", Class: "social", Weekdays: []time.Weekday{0, 1, 2, 3, 4, 5, 6}, Starts: 0, Ends: 24 * 60, Pitch: 15,
		Capacity: sh.capacity, From: "2027-03-01", To: "2027-03-20",
	})
	if err != nil {
		return err
	}
	s.template = t.ID
	for n := range sh.pairs {
		one := pair{ident.New[ident.Inmate](), ident.New[ident.Visitor](), ident.New[ident.Contact]()}
		if err := addPair(tx, n, unit.ID, one); err != nil {
			return err
		}
		s.pairs = append(s.pairs, one)
	}
	return nil
}

func addPair(tx *store.Tx, n int, unit ident.Unit, one pair) error {
	err := tx.Exec(`INSERT INTO inmate (id, number, booking, first, last, folded, born, language, unit, state, created_at, changed_at)
		VALUES (?, ?, 'B1', 'Sam', 'Jones', 'sam jones', '1990-05-05', 'en', ?, 'in_custody', 0, 0)`, one.inmate, fmt.Sprintf("A%05d", n), unit)
	if err != nil {
		return err
	}
	err = tx.Exec(`INSERT INTO visitor (id, first, last, folded, born, phone, email, email_key, zone, language, state, identity, created_at, changed_at)
		VALUES (?, 'Ann', 'Lee', 'ann lee', '1985-01-01', ?, ?, ?, 'UTC', 'en', 'active', 'verified', 0, 0)`,
		one.visitor, fmt.Sprintf("+4416329%05d", n), fmt.Sprintf("%d@mail.example", n), fmt.Sprintf("%d@mail.example", n))
	if err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO contact (id, visitor, inmate, relationship, state, asked_by, met, created_at, changed_at)
		VALUES (?, ?, ?, 'sibling', 'approved', 'visitor', 1, 0, 0)`, one.contact, one.visitor, one.inmate)
}

// book is one whole booking: all checks, slots, people, station, entitlement, audit, news, the sealed record and notices.
func (s *site) book(ctx context.Context, one pair, at time.Time) (won bool, err error) {
	by := ident.Actor{Kind: ident.ByVisitor, ID: string(one.visitor), Door: "visitor"}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		_, err := s.visits.Book(tx, by, visits.Request{
			Contact: one.contact, Class: visits.Social, Start: at, Minutes: 15, Mode: visits.Confirm, Ticked: true,
		}, "")
		return err
	})
	if fault.Is(err, fault.Full) {
		return false, nil
	}
	return err == nil, err
}
