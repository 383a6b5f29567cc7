// Package callstest owns a small facility with one visit whose waiting room is open, for tests of calls and of what follows
// from them.
//
// It must not be imported by anything but tests.
package callstest

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io/fs"
	"os"
	"testing"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/calls"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/logs"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/visits"
)

// Fingerprint is a certificate's, as SDP prints it.
const Fingerprint = "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB"

// Site is a small facility with one visit whose waiting room is open.
type Site struct {
	t       *testing.T
	Ctx     context.Context
	DB      *store.DB
	Clock   *clock.Fake
	Calls   *calls.Calls
	Visits  *visits.Visits
	People  *people.People
	Keys    *grant.Verifier
	Inmate  ident.Inmate
	Visitor ident.Visitor
	Visit   ident.Visit
	Station ident.Station
	Unit    ident.Unit
	Starts  time.Time
	events  int64
}

// New opens a facility with a visit of a class that starts in five minutes and lasts thirty. more are further rooms' tables.
func New(t *testing.T, class string, more ...fs.FS) *Site {
	t.Helper()
	now := time.Date(2027, 3, 4, 13, 55, 0, 0, time.UTC)
	s := &Site{t: t, Ctx: t.Context(), Clock: clock.NewFake(now), Starts: now.Add(5 * time.Minute)}
	s.DB = storetest.OpenAt(t, s.Clock, append(more, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, schedule.Schema,
		visits.Schema, calls.Schema)...)
	f, p := facility.New(), policy.New()
	s.People = people.New(people.Deps{DB: s.DB, Clock: s.Clock, Facility: f, Policy: p})
	s.Visits = visits.New(visits.Deps{Facility: f, Policy: p, People: s.People, Schedule: schedule.New(schedule.Deps{Facility: f, Policy: p})})
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := grant.NewSigner("k1", key)
	s.Keys = grant.NewVerifier([]linkspec.PublicKey{signer.Public()})
	s.Calls = calls.New(calls.Options{
		DB: s.DB, Clock: s.Clock, Log: logs.New(os.Stderr), Policy: p, Facility: f, People: s.People, Visits: s.Visits, Signer: signer,
		TURN: []linkspec.TURNSecret{{KID: "t1", Secret: make([]byte, 32)}}, Recipients: []string{"age1test"},
		Signaling: map[string]string{"visitor": "wss://v/signal", "kiosk": "wss://k/signal", "staff": "wss://s/signal"},
		Relay:     []string{"turn:r:3478"},
	})
	s.furnish(f, p, class)
	s.Sweep()
	return s
}

func (s *Site) furnish(f *facility.Facilities, p *policy.Policy, class string) {
	s.t.Helper()
	s.Inmate, s.Visitor, s.Visit = ident.New[ident.Inmate](), ident.New[ident.Visitor](), ident.New[ident.Visit]()
	contact, template := ident.New[ident.Contact](), ident.New[ident.Template]()
	s.Update(func(tx *store.Tx) error {
		by := ident.System()
		if _, err := f.Put(tx, by, facility.Facility{Name: "Test", Zone: "Europe/London", Country: "GB", Currency: "GBP"}); err != nil {
			return err
		}
		u, err := f.PutUnit(tx, by, facility.Unit{Name: "A"})
		if err != nil {
			return err
		}
		s.Unit = u.ID
		k, err := f.PutStation(tx, by, facility.Station{Name: "Station 5", Kind: facility.Kiosk, Unit: u.ID, Private: true})
		if err != nil {
			return err
		}
		s.Station = k.ID
		if err := p.Load(tx, policy.CountyJail, by); err != nil {
			return err
		}
		ms := store.Ms(tx.Now())
		for _, q := range []struct {
			sql  string
			args []any
		}{
			{
				`INSERT INTO inmate (id, number, booking, first, last, folded, born, language, unit, state, created_at, changed_at)
				VALUES (?, 'A0177', 'B1', 'Sam', 'Reed', 'sam reed', '1990-01-01', 'en', ?, 'in_custody', ?, ?)`,
				[]any{string(s.Inmate), string(u.ID), ms, ms},
			},
			{
				`INSERT INTO visitor (id, first, last, folded, born, phone, email, email_key, zone, language, state, identity, created_at, changed_at)
				VALUES (?, 'Ann', 'Lee', 'ann lee', '1985-01-01', '+441', 'a@x', 'a@x', 'Europe/London', 'en', 'active', 'verified', ?, ?)`,
				[]any{string(s.Visitor), ms, ms},
			},
			{
				`INSERT INTO contact (id, visitor, inmate, relationship, state, asked_by, created_at, changed_at) VALUES (?, ?, ?, 'friend', 'approved', 'visitor', ?, ?)`,
				[]any{string(contact), string(s.Visitor), string(s.Inmate), ms, ms},
			},
			{
				`INSERT INTO session_templates (id, name, class, weekdays, starts, ends, pitch, capacity, valid_from) VALUES (?, 't', ?, 127, 540, 1080, 30, 2, '2027-01-01')`,
				[]any{string(template), class},
			},
			{
				`INSERT INTO visits (id, ref, inmate, contact, visitor, class, template, starts, ends, date, minutes, slots, pitch, turnaround, state, asked_by,
				holder, taken, station, policy_version, created_at, changed_at)
				VALUES (?, 'KX4-92Q', ?, ?, ?, ?, ?, ?, ?, '2027-03-04', 30, 1, 30, 5, 'checking_in', 'visitor', ?, 1, ?, 1, ?, ?)`,
				[]any{
					string(s.Visit), string(s.Inmate), string(contact), string(s.Visitor), class, string(template), store.Ms(s.Starts),
					store.Ms(s.Starts.Add(30 * time.Minute)), string(s.Visitor), string(s.Station), ms, ms,
				},
			},
		} {
			if err := tx.Exec(q.sql, q.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Update runs a transaction that must not fail.
func (s *Site) Update(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.DB.Update(s.Ctx, fn); err != nil {
		s.t.Fatal(err)
	}
}

// Sweep runs the room's sweep once.
func (s *Site) Sweep() {
	s.t.Helper()
	if err := s.Calls.Sweep(s.Ctx); err != nil {
		s.t.Fatal(err)
	}
}

// Call returns the visit's call as it stands.
func (s *Site) Call() calls.Call {
	s.t.Helper()
	var c calls.Call
	s.See(func(tx *store.Tx) (err error) { c, err = s.Calls.ByVisit(tx, s.Visit); return err })
	return c
}

// See reads in one snapshot.
func (s *Site) See(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.DB.View(s.Ctx, fn); err != nil {
		s.t.Fatal(err)
	}
}

// VisitState is the visit's state and reason.
func (s *Site) VisitState() string {
	s.t.Helper()
	var v visits.Visit
	s.See(func(tx *store.Tx) (err error) { v, err = s.Visits.Get(tx, s.Visit); return err })
	if v.Reason != "" {
		return string(v.State) + " " + v.Reason
	}
	return string(v.State)
}

// Fact makes the next fact of the gateway.
func (s *Site) Fact(kind string, seat ident.Seat, data any) linkspec.Event {
	s.t.Helper()
	body, err := json.Marshal(data)
	if err != nil {
		s.t.Fatal(err)
	}
	s.events++
	return linkspec.Event{
		ID: ident.New[ident.Event](), Seq: s.events, At: s.Clock.Now(), Boot: s.Clock.BootID(), Mono: int64(s.Clock.Boot()),
		Kind: kind, Call: s.Call().ID, Seat: seat, Data: body,
	}
}

// Take hands facts in and moves the clock on a little.
func (s *Site) Take(events ...linkspec.Event) {
	s.t.Helper()
	if _, err := s.Calls.Take(s.Ctx, events); err != nil {
		s.t.Fatal(err)
	}
	s.Clock.Advance(10 * time.Millisecond)
}

// GoLive brings both parties in.
func (s *Site) GoLive() {
	s.t.Helper()
	s.Take(s.Fact(linkspec.RecordingArmed, "", map[string]string{}))
	for _, seat := range []ident.Seat{"v1", "i1"} {
		s.Take(s.Fact(linkspec.SeatWaiting, seat, nil), s.Fact(linkspec.SeatConnected, seat, linkspec.SeatData{Generation: 1, Path: "direct"}))
	}
	s.Clock.Advance(6 * time.Minute)
	s.Take(s.Fact(linkspec.CallLive, "", nil))
}

// AsVisitor is the visit's main caller.
func (s *Site) AsVisitor() ident.Actor {
	return ident.Actor{Kind: ident.ByVisitor, ID: string(s.Visitor), Door: "visitor"}
}

// AsInmate is the visit's inmate.
func (s *Site) AsInmate() ident.Actor {
	return ident.Actor{Kind: ident.ByInmate, ID: string(s.Inmate), Door: "kiosk"}
}

// Staff is a member of staff with these roles.
func Staff(roles ...string) ident.Actor {
	return ident.Actor{Kind: ident.ByStaff, ID: string(ident.New[ident.Staff]()), Door: "staff", Roles: roles}
}

// Commands returns the commands after a number.
func (s *Site) Commands(after int64) []linkspec.Command {
	s.t.Helper()
	list, err := s.Calls.Commands(s.Ctx, after, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}
