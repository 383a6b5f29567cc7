// Package seed owns the facility of the evaluation: its people, rules, stations and a week of visits.
//
// It writes through the rooms, as bookingd would, so that what is seeded is audited, replicated and checked like
// everything else, and only while bookingd is not running. It must never be linked by anything that is shipped. Every
// fresh evaluation has secrets of its own; they are kept beside the database, so that a later run can print them again.
package seed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/moderation"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
	"sallyport/appliance/visits"
)

// Options say what to seed and where.
type Options struct {
	Dir         string        // people.json, 0600
	Booking     string        // bookingd's state folder
	Credentials string        // bookingd's secrets, made when missing
	Preset      string        // county-jail, prison
	Centre      string        // public keys of the centre
	Anchor      time.Duration // a visit can begin at the first whole minute after this long; 0: at round times
}

// People is who can be what in the evaluation, secrets included.
type People struct {
	Visitors []Visitor `json:"visitors"`
	Inmates  []Inmate  `json:"inmates"`
	Staff    []Staff   `json:"staff"`
	Stations []Station `json:"stations"`
	Soon     string    `json:"soon,omitempty"` // the visit that can be joined soon, in words
}

// Visitor is an account holder.
type Visitor struct {
	ID    ident.Visitor `json:"id"`
	Name  string        `json:"name"`
	Phone string        `json:"phone"`
	Email string        `json:"email"`
	PIN   string        `json:"pin"`
	Note  string        `json:"note"`
}

// Inmate is somebody who can sign in at a kiosk of the own unit.
type Inmate struct {
	ID      ident.Inmate `json:"id"`
	Name    string       `json:"name"`
	First   string       `json:"first"`
	Last    string       `json:"last"`
	Number  string       `json:"number"`
	Born    string       `json:"born"`
	PIN     string       `json:"pin"`
	Station string       `json:"station"` // one where the PIN works
}

// Staff is a member of staff with one role.
type Staff struct {
	ID       ident.Staff `json:"id"`
	Name     string      `json:"name"`
	Username string      `json:"username"`
	Password string      `json:"password"`
	Role     string      `json:"role"`
	TOTP     string      `json:"totp"` // base 32
}

// Station is a kiosk or tablet and the code that makes a device be it.
type Station struct {
	ID   ident.Station `json:"id"`
	Name string        `json:"name"`
	Unit string        `json:"unit"`
	Code string        `json:"code"`
}

// house is the rooms that the seed writes through.
type house struct {
	db         *store.DB
	facilities *facility.Facilities
	policy     *policy.Policy
	people     *people.People
	access     *access.Access
	cases      *moderation.Cases
	schedule   *schedule.Schedule
	visits     *visits.Visits
	preset     string
	place      place
	anchor     time.Duration
	first      time.Time // now and the anchor
}

// Open seeds an empty database, or reads who was seeded; in both cases it issues fresh station codes and sees to it that
// one visit can be joined soon.
func Open(ctx context.Context, o Options) (p People, err error) {
	secrets, err := vault.CreateCredentials(o.Credentials)
	if err != nil {
		return p, err
	}
	if err := os.MkdirAll(o.Booking, 0o700); err != nil {
		return p, err
	}
	db, err := store.Open(ctx, store.Options{Path: filepath.Join(o.Booking, "sallyport.db"), Migrations: api.Schemas()})
	if err != nil {
		return p, err
	}
	serving, stop := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error { return db.Serve(serving) })
	defer func() {
		stop()
		err = errors.Join(err, g.Wait(), db.Close())
	}()
	h, err := open(ctx, o, db, secrets)
	if err != nil {
		return p, err
	}
	file := filepath.Join(o.Dir, "people.json")
	raw, err := os.ReadFile(file)
	switch {
	case err == nil:
		if err := json.Unmarshal(raw, &p); err != nil {
			return p, fmt.Errorf("read %s (make run FRESH=1 starts anew): %w", file, err)
		}
	case errors.Is(err, fs.ErrNotExist):
		if p, err = h.found(ctx); err != nil {
			return p, fmt.Errorf("seed the facility: %w", err)
		}
	default:
		return p, err
	}
	if err := h.codes(ctx, &p); err != nil {
		return p, err
	}
	if p.Soon, err = h.soon(ctx, p); err != nil {
		return p, err
	}
	if raw, err = json.MarshalIndent(p, "", " "); err != nil {
		return p, err
	}
	return p, os.WriteFile(file, raw, 0o600)
}

func open(ctx context.Context, o Options, db *store.DB, secrets *vault.Credentials) (*house, error) {
	keys := map[string][]byte{}
	for _, name := range []string{vault.SiteSigningKey, vault.PINPepper, vault.BlobKey, vault.SessionKey} {
		key, err := secrets.Key(name)
		if err != nil {
			return nil, err
		}
		keys[name] = key
	}
	party, err := vault.NewParty(keys[vault.SiteSigningKey])
	if err != nil {
		return nil, err
	}
	centre, err := vault.ParsePeer(o.Centre)
	if err != nil {
		return nil, err
	}
	out, err := outbox.New(outbox.Options{Party: party, Centre: centre, Guard: filepath.Join(o.Booking, "incarnation")})
	if err != nil {
		return nil, err
	}
	if err := out.Begin(ctx, db); err != nil {
		return nil, err
	}
	blobs, err := vault.OpenBlobs(filepath.Join(o.Booking, "blobs"), keys[vault.BlobKey])
	if err != nil {
		return nil, err
	}
	h := &house{db: db, facilities: facility.Replicated(out.Put), policy: policy.New(), preset: o.Preset, place: places()[o.Preset], anchor: o.Anchor, first: time.Now().Add(o.Anchor)}
	h.cases = moderation.New(moderation.Deps{May: access.MayDecide, Lease: lease, Clock: caseClock})
	h.people = people.New(people.Deps{
		DB: db, Blobs: blobs, Facility: h.facilities, Policy: h.policy, Put: out.Put, Drop: out.Drop,
		OpenCase: func(tx *store.Tx, i people.CaseItem) (ident.Case, error) {
			return h.cases.Open(tx, moderation.Item{Kind: i.Kind, Item: i.Item, Hash: i.Hash, Submitter: i.Submitter, Due: i.Due})
		},
	})
	if h.access, err = access.New(access.Deps{
		DB: db, People: h.people, Policy: h.policy, Facility: h.facilities, Hasher: vault.NewHasher(keys[vault.PINPepper]),
		Key: keys[vault.SessionKey], Issuer: "Sallyport",
	}); err != nil {
		return nil, err
	}
	h.decide()
	h.schedule = schedule.New(schedule.Deps{Facility: h.facilities, Policy: h.policy, Put: out.Put})
	h.visits = visits.New(visits.Deps{Facility: h.facilities, Policy: h.policy, People: h.people, Schedule: h.schedule, Put: out.Put})
	return h, nil
}

// decide says what verdicts do, as bookingd does.
func (h *house) decide() {
	h.cases.Register("identity", func(tx *store.Tx, c moderation.Case, v moderation.Verdict) error {
		_, err := h.people.VerifyIdentity(tx, v.By, ident.Visitor(c.Item), "")
		return err
	})
	h.cases.OnClaim("identity", func(tx *store.Tx, c moderation.Case, by ident.Actor, taken bool) error {
		return h.people.ReviewIdentity(tx, by, ident.Visitor(c.Item), taken)
	})
	h.cases.Register("contact", func(tx *store.Tx, c moderation.Case, v moderation.Verdict) error {
		_, err := h.people.ApproveContact(tx, v.By, ident.Contact(c.Item))
		return err
	})
}
