// Package visits owns visits: holding a time, asking for it, answering, calling it off, and what became of it; and the
// entitlement of inmates to free visits.
//
// It must not know media: a call is another room's, which tells this one that a visit opened, started and ended. Who
// people are, what the facility wants and which slots there are it asks the rooms below.
//
// A visit is held for some minutes, then suggested, requested or confirmed; it is accepted and approved where policy
// asks for it; it opens before its start, is in progress and ends. The table of moves is in moves.go, the checks B1 to
// B19 are the pure function [Check]. Every move is written with its audit row, its news for screens, its notices and its
// replicated record in one transaction.
package visits

import (
	"embed"
	"fmt"
	"strings"
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/record"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
)

// Schema holds the room's migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// Deps are the rooms and functions that Visits works with.
type Deps struct {
	Facility *facility.Facilities
	Policy   *policy.Policy
	People   *people.People
	Schedule *schedule.Schedule
	Put      func(*store.Tx, record.Record) error // replicates; nil when the site is on its own
	Link     string                               // address of the visitor door, for calendar files; "" leaves it out
}

// Visits is the room. It may be shared once it is wired.
type Visits struct {
	Deps
	onMove []func(*store.Tx, Visit) error
	noShow func(*store.Tx, Visit) (Outcome, error)

	reference func() string // a fresh one for people
}

// New returns the room; it starts nothing.
func New(d Deps) *Visits { return &Visits{Deps: d, reference: ident.Reference} }

// OnMove registers what else is to be done when a visit has moved, in the same transaction: a call is opened or called
// off. It is meant for wiring, before anything is served.
func (vs *Visits) OnMove(do func(*store.Tx, Visit) error) { vs.onMove = append(vs.onMove, do) }

// OnNoShow registers who tells why a visit did not take place (rules.md, 5.6). Without it the facility is at fault, so
// that nobody pays for what nobody knows. It is meant for wiring.
func (vs *Visits) OnNoShow(who func(*store.Tx, Visit) (Outcome, error)) { vs.noShow = who }

// Class is the kind of a visit, for ever.
type Class string

// The classes (rules.md, 0.1).
const (
	Social     Class = "social"
	OnSite     Class = "onsite"
	InPerson   Class = "in_person"
	Official   Class = "official"
	Privileged Class = "privileged"
)

// State is where a visit stands.
type State string

// The states (rules.md, 3.4).
const (
	Held          State = "held"
	Suggested     State = "suggested"
	AwaitingStaff State = "awaiting_staff"
	Confirmed     State = "confirmed"
	CheckingIn    State = "checking_in"
	InProgress    State = "in_progress"
	Completed     State = "completed"
	EndedEarly    State = "ended_early"
	Terminated    State = "terminated"
	NoShow        State = "no_show"
	Declined      State = "declined"
	Expired       State = "expired"
	Withdrawn     State = "withdrawn"
	Rejected      State = "rejected"
	AutoRejected  State = "auto_rejected"
	Cancelled     State = "cancelled"
)

// Visit is one booking.
type Visit struct {
	ID            ident.Visit
	Ref           string // for people: "KX4-92Q"
	Inmate        ident.Inmate
	Contact       ident.Contact
	Main          ident.Visitor
	Party         []ident.Person // with the main caller
	Class         Class
	Template      ident.Template
	Starts, Ends  time.Time
	Date          string // of the facility
	Minutes       int
	State         State
	WaitingOn     string // inmate, visitor, staff, or ""
	AskedBy       ident.ActorKind
	Reason        string   // code of rules.md, section 7
	Review        []string // open issues of a confirmed visit
	Taken         bool     // has its slots and its station
	Station       ident.Station
	Lobby         ident.Station // of the visitor's side of an onsite visit
	Funding       string        // entitlement, wallet, none; "" before it is confirmed
	Credited      bool          // what was used was given back
	CreditCutoff  time.Duration // before the start
	PolicyVersion int64
	Version       int // one more with every move; the SEQUENCE of calendar files
	Due           time.Time
	Created       time.Time
	Changed       time.Time

	slots      int
	pitch      time.Duration
	turnaround time.Duration
	holder     string
}

// Open tells whether the visit still waits for an answer.
func (v Visit) Open() bool { return v.State == Suggested || v.State == AwaitingStaff }

// Planned tells whether the visit will take place, or is taking place.
func (v Visit) Planned() bool {
	return v.State == Confirmed || v.State == CheckingIn || v.State == InProgress
}

// CreditedAt tells whether the visitor gets back what a planned visit uses when it is called off at this moment:
// exactly at the cut-off counts as in time.
func (v Visit) CreditedAt(now time.Time) bool { return v.Starts.Sub(now) >= v.CreditCutoff }

// place is the visit's run of slots.
func (v Visit) place() schedule.Place {
	return schedule.Place{Template: v.Template, Starts: v.Starts, Ends: v.Ends, Slots: v.slots, Pitch: v.pitch, Date: v.Date}
}

const columns = `id, ref, inmate, contact, visitor, party, class, template, starts, ends, date, minutes, slots, pitch, turnaround, state, waiting_on,
	asked_by, holder, reason, review, taken, coalesce(station, ''), coalesce(lobby, ''), funding, credited, credit_cutoff, policy_version, version,
	coalesce(due, 0), created_at, changed_at`

func scanVisit(scan func(...any) error) (v Visit, err error) {
	var id, inmate, contact, main, party, class, template, state, asked, review, station, lobby string
	var pitch, turnaround, cutoff, due int64
	err = scan(&id, &v.Ref, &inmate, &contact, &main, &party, &class, &template, &v.Starts, &v.Ends, &v.Date, &v.Minutes, &v.slots, &pitch,
		&turnaround, &state, &v.WaitingOn, &asked, &v.holder, &v.Reason, &review, &v.Taken, &station, &lobby, &v.Funding, &v.Credited, &cutoff,
		&v.PolicyVersion, &v.Version, &due, &v.Created, &v.Changed)
	v.ID, v.Inmate, v.Contact, v.Main = ident.Visit(id), ident.Inmate(inmate), ident.Contact(contact), ident.Visitor(main)
	v.Class, v.Template, v.State, v.AskedBy = Class(class), ident.Template(template), State(state), ident.ActorKind(asked)
	v.Station, v.Lobby = ident.Station(station), ident.Station(lobby)
	v.pitch, v.turnaround = time.Duration(pitch)*time.Minute, time.Duration(turnaround)*time.Minute
	v.CreditCutoff = time.Duration(cutoff) * time.Millisecond
	if due != 0 {
		v.Due = store.Time(due)
	}
	v.Party, v.Review = split[ident.Person](party), split[string](review)
	return v, err
}

func split[T ~string](text string) (list []T) {
	if text == "" {
		return nil
	}
	for one := range strings.SplitSeq(text, ",") {
		list = append(list, T(one))
	}
	return list
}

func join[T ~string](list []T) string {
	parts := make([]string, len(list))
	for i, one := range list {
		parts[i] = string(one)
	}
	return strings.Join(parts, ",")
}

// Get returns one visit; NotFound.
func (vs *Visits) Get(tx *store.Tx, id ident.Visit) (Visit, error) {
	v, err := scanVisit(tx.Row(`SELECT `+columns+` FROM visits WHERE id = ?`, string(id)).Scan)
	if fault.Is(err, fault.NotFound) {
		return Visit{}, fault.New("visits.Get", fault.NotFound, "There is no such visit.").WithCode("not_found")
	}
	if err != nil {
		return Visit{}, fmt.Errorf("read visit: %w", err)
	}
	return v, nil
}

// list returns visits by a condition.
func (vs *Visits) list(tx *store.Tx, where string, args ...any) ([]Visit, error) {
	return store.All(tx, func(r *store.Rows) (Visit, error) { return scanVisit(r.Scan) }, `SELECT `+columns+` FROM visits WHERE `+where, args...)
}

// OfVisitor returns a visitor's visits that start in [from, to), holds left out, by start.
func (vs *Visits) OfVisitor(tx *store.Tx, id ident.Visitor, from, to time.Time) ([]Visit, error) {
	return vs.list(tx, `visitor = ? AND starts >= ? AND starts < ? AND state <> 'held' ORDER BY starts, id LIMIT 500`, string(id), store.Ms(from), store.Ms(to))
}

// OfInmate returns an inmate's visits on facility dates, both included, holds left out, by start.
func (vs *Visits) OfInmate(tx *store.Tx, id ident.Inmate, from, to string) ([]Visit, error) {
	return vs.list(tx, `inmate = ? AND date BETWEEN ? AND ? AND state <> 'held' ORDER BY starts, id LIMIT 500`, string(id), from, to)
}

// OnDate returns all visits of a facility date, holds left out, by start.
func (vs *Visits) OnDate(tx *store.Tx, date string) ([]Visit, error) {
	return vs.list(tx, `date = ? AND state <> 'held' ORDER BY starts, id LIMIT 1000`, date)
}

// In returns the visits in one of the open states (suggested, awaiting_staff, confirmed, checking_in, in_progress), by start.
func (vs *Visits) In(tx *store.Tx, state State) ([]Visit, error) {
	return vs.list(tx, `state = ? AND state IN ('suggested', 'awaiting_staff', 'confirmed', 'checking_in', 'in_progress') ORDER BY starts, id LIMIT 500`, string(state))
}
