// Package people owns the people of the house: inmates and their stays, visitors, the persons that visitors bring,
// contacts, restrictions, and the proof of who somebody is.
//
// It must not know how anybody signs in (access does), nor visits, cases or mails: a case is opened by a function that
// the daemon gives, those who must act when somebody is released or banned register with [People.OnEvent], and notices
// are queued in the outbox.
//
// An inmate arrives with the roster and is never removed, only released. A visitor begins pending, becomes active by
// the link in a mail and verified by a moderator. A contact joins the two: asked for by one side, accepted by the other,
// approved by the facility where policy says so.
package people

import (
	"context"
	"embed"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
)

// Schema holds the migrations of the room.
//
//go:embed schema/*.sql
var Schema embed.FS

// CaseItem is what a moderator is asked to look at.
type CaseItem struct {
	Kind      string    // identity, contact
	Item      string    // the typed id of what is looked at
	Hash      string    // of exactly what is shown; a changed item is a new item
	Submitter string    // who may not decide it
	Due       time.Time // zero: by the kind's own clock
}

// Event is something that happened to a person and that may touch future visits.
type Event struct {
	Kind    string // released, deceased, transferred_out, temp_out, returned, housing_moved, level_changed, contact_lost, restriction_changed, visitor_lost
	Inmate  ident.Inmate
	Visitor ident.Visitor
	Contact ident.Contact
	Reason  string // reason code of rules.md section 7 for what is cancelled because of it
}

// Deps are the rooms and functions that People works with. A nil function is not called.
type Deps struct {
	DB       *store.DB
	Clock    clock.Clock
	Blobs    *vault.Blobs
	Facility *facility.Facilities
	Policy   *policy.Policy
	OpenCase func(tx *store.Tx, item CaseItem) (ident.Case, error)
	Put      func(tx *store.Tx, r record.Record) error // replicates; nil when the site is on its own
	Drop     func(tx *store.Tx, k record.Key) error
}

// People is the room. All its methods may be called at once.
type People struct {
	Deps
	onEvent []func(tx *store.Tx, by ident.Actor, e Event) error
	decode  chan struct{} // one token a picture that is being decoded
}

// New makes the room; it starts nothing.
func New(d Deps) *People {
	if d.Clock == nil {
		d.Clock = clock.Real{}
	}
	return &People{Deps: d, decode: make(chan struct{}, 1)}
}

// OnEvent registers what is to be done when something happens to a person, in the same transaction. It is called while
// the daemon is wired, before anything is served.
func (p *People) OnEvent(do func(tx *store.Tx, by ident.Actor, e Event) error) {
	p.onEvent = append(p.onEvent, do)
}

func (p *People) happened(tx *store.Tx, by ident.Actor, e Event) error {
	for _, do := range p.onEvent {
		if err := do(tx, by, e); err != nil {
			return err
		}
	}
	return nil
}

// view is a read that returns one value.
func view[T any](ctx context.Context, db *store.DB, read func(tx *store.Tx) (T, error)) (T, error) {
	var v T
	err := db.View(ctx, func(tx *store.Tx) (err error) { v, err = read(tx); return err })
	return v, err
}
