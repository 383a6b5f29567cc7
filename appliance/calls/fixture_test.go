package calls_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"strings"
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

// fingerprint is a certificate's, as SDP prints it.
var fingerprint = strings.TrimSuffix(strings.Repeat("AB:", 32), ":")

// site is a small facility with one visit whose waiting room is open.
type site struct {
	t       *testing.T
	ctx     context.Context
	db      *store.DB
	clock   *clock.Fake
	calls   *calls.Calls
	visits  *visits.Visits
	people  *people.People
	keys    *grant.Verifier
	inmate  ident.Inmate
	visitor ident.Visitor
	visit   ident.Visit
	station ident.Station
	unit    ident.Unit
	starts  time.Time
	events  int64
}

// newSite opens a facility with a visit of a class that starts in five minutes and lasts thirty.
func newSite(t *testing.T, class string) *site {
	t.Helper()
	now := time.Date(2027, 3, 4, 13, 55, 0, 0, time.UTC)
	s := &site{t: t, ctx: t.Context(), clock: clock.NewFake(now), starts: now.Add(5 * time.Minute)}
	s.db = storetest.OpenAt(t, s.clock, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, schedule.Schema,
		visits.Schema, calls.Schema)
	f, p := facility.New(), policy.New()
	s.people = people.New(people.Deps{DB: s.db, Clock: s.clock, Facility: f, Policy: p})
	s.visits = visits.New(visits.Deps{Facility: f, Policy: p, People: s.people, Schedule: schedule.New(schedule.Deps{Facility: f, Policy: p})})
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := grant.NewSigner("k1", key)
	s.keys = grant.NewVerifier([]linkspec.PublicKey{signer.Public()})
	s.calls = calls.New(calls.Options{
		DB: s.db, Clock: s.clock, Log: logs.New(os.Stderr), Policy: p, Facility: f, People: s.people, Visits: s.visits, Signer: signer,
		TURN: []linkspec.TURNSecret{{KID: "t1", Secret: make([]byte, 32)}}, Recipients: []string{"age1test"},
		Signaling: map[string]string{"visitor": "wss://v/signal", "kiosk": "wss://k/signal", "staff": "wss://s/signal"},
		Relay:     []string{"turn:r:3478"},
	})
	s.furnish(f, p, class)
	s.sweep()
	return s
}

func (s *site) furnish(f *facility.Facilities, p *policy.Policy, class string) {
	s.t.Helper()
	s.inmate, s.visitor, s.visit = ident.New[ident.Inmate](), ident.New[ident.Visitor](), ident.New[ident.Visit]()
	contact, template := ident.New[ident.Contact](), ident.New[ident.Template]()
	s.update(func(tx *store.Tx) error {
		by := ident.System()
		if _, err := f.Put(tx, by, facility.Facility{Name: "Test", Zone: "Europe/London", Country: "GB", Currency: "GBP"}); err != nil {
			return err
		}
		u, err := f.PutUnit(tx, by, facility.Unit{Name: "A"})
		if err != nil {
			return err
		}
		s.unit = u.ID
		k, err := f.PutStation(tx, by, facility.Station{Name: "Station 5", Kind: facility.Kiosk, Unit: u.ID, Private: true})
		if err != nil {
			return err
		}
		s.station = k.ID
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
				[]any{string(s.inmate), string(u.ID), ms, ms},
			},
			{
				`INSERT INTO visitor (id, first, last, folded, born, phone, email, email_key, zone, language, state, identity, created_at, changed_at)
				VALUES (?, 'Ann', 'Lee', 'ann lee', '1985-01-01', '+441', 'a@x', 'a@x', 'Europe/London', 'en', 'active', 'verified', ?, ?)`,
				[]any{string(s.visitor), ms, ms},
			},
			{
				`INSERT INTO contact (id, visitor, inmate, relationship, state, asked_by, created_at, changed_at) VALUES (?, ?, ?, 'friend', 'approved', 'visitor', ?, ?)`,
				[]any{string(contact), string(s.visitor), string(s.inmate), ms, ms},
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
					string(s.visit), string(s.inmate), string(contact), string(s.visitor), class, string(template), store.Ms(s.starts),
					store.Ms(s.starts.Add(30 * time.Minute)), string(s.visitor), string(s.station), ms, ms,
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

func (s *site) update(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Update(s.ctx, fn); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) sweep() {
	s.t.Helper()
	if err := s.calls.Sweep(s.ctx); err != nil {
		s.t.Fatal(err)
	}
}

// call returns the visit's call as it stands.
func (s *site) call() calls.Call {
	s.t.Helper()
	var c calls.Call
	s.view(func(tx *store.Tx) (err error) { c, err = s.calls.ByVisit(tx, s.visit); return err })
	return c
}

func (s *site) view(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.View(s.ctx, fn); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) visitState() string {
	s.t.Helper()
	var v visits.Visit
	s.view(func(tx *store.Tx) (err error) { v, err = s.visits.Get(tx, s.visit); return err })
	if v.Reason != "" {
		return string(v.State) + " " + v.Reason
	}
	return string(v.State)
}

// fact makes the next fact of the gateway.
func (s *site) fact(kind string, seat ident.Seat, data any) linkspec.Event {
	s.t.Helper()
	body, err := json.Marshal(data)
	if err != nil {
		s.t.Fatal(err)
	}
	s.events++
	return linkspec.Event{
		ID: ident.New[ident.Event](), Seq: s.events, At: s.clock.Now(), Boot: s.clock.BootID(), Mono: int64(s.clock.Boot()),
		Kind: kind, Call: s.call().ID, Seat: seat, Data: body,
	}
}

// take hands facts in and moves the clock on a little.
func (s *site) take(events ...linkspec.Event) {
	s.t.Helper()
	if _, err := s.calls.Take(s.ctx, events); err != nil {
		s.t.Fatal(err)
	}
	s.clock.Advance(10 * time.Millisecond)
}

// goLive brings both parties in.
func (s *site) goLive() {
	s.t.Helper()
	s.take(s.fact(linkspec.RecordingArmed, "", map[string]string{}))
	for _, seat := range []ident.Seat{"v1", "i1"} {
		s.take(s.fact(linkspec.SeatWaiting, seat, nil), s.fact(linkspec.SeatConnected, seat, linkspec.SeatData{Generation: 1, Path: "direct"}))
	}
	s.clock.Advance(6 * time.Minute)
	s.take(s.fact(linkspec.CallLive, "", nil))
}

func (s *site) asVisitor() ident.Actor {
	return ident.Actor{Kind: ident.ByVisitor, ID: string(s.visitor), Door: "visitor"}
}

func (s *site) asInmate() ident.Actor {
	return ident.Actor{Kind: ident.ByInmate, ID: string(s.inmate), Door: "kiosk"}
}

func staff(roles ...string) ident.Actor {
	return ident.Actor{Kind: ident.ByStaff, ID: string(ident.New[ident.Staff]()), Door: "staff", Roles: roles}
}

// lastCommands returns the names of the commands after a number.
func (s *site) commands(after int64) []linkspec.Command {
	s.t.Helper()
	list, err := s.calls.Commands(s.ctx, after, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}
