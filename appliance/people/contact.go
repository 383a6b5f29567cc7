package people

import (
	"slices"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// The states of a contact.
const (
	Requested        = "requested"
	AwaitingInmate   = "awaiting_inmate"
	AwaitingVisitor  = "awaiting_visitor"
	AwaitingFacility = "awaiting_facility"
	Approved         = "approved"
	Declined         = "declined"
	Rejected         = "rejected"
	BlockedByInmate  = "blocked_by_inmate"
	BlockedByVisitor = "blocked_by_visitor"
	Paused           = "suspended" // of a contact; Suspended is an account's
	Ended            = "ended"
	Unanswered       = "expired" // of a contact; Expired is an account's
)

// Contact is the relationship of one outside person with one inmate.
type Contact struct {
	ID           ident.Contact
	Visitor      ident.Visitor
	Inmate       ident.Inmate
	Relationship string
	State        string
	Privilege    string // none, claimed, verified, lapsed, revoked
	AskedBy      string // visitor, inmate, staff
	Met          bool   // the first visit was accepted
	Reason       string
	Until        time.Time // of a request: answer until; of a suspension: its end
	Asked        time.Time
	Version      int64
}

// move is one row of the table of rules.md 3.3.
type move struct {
	event string
	from  []string
	to    []string
}

// openStates are those from which a contact can end.
var openStates = []string{Requested, AwaitingInmate, AwaitingVisitor, AwaitingFacility, Approved, BlockedByInmate, BlockedByVisitor, Paused}

// contactMoves is the whole life of a contact; "" is a pair without a contact.
var contactMoves = []move{
	{"contact.request", []string{"", Declined, Rejected, Unanswered}, []string{Requested}},
	{"contact.route", []string{Requested}, []string{AwaitingInmate, AwaitingVisitor, AwaitingFacility, Approved}},
	{"contact.accept", []string{AwaitingInmate, AwaitingVisitor}, []string{AwaitingFacility, Approved}},
	{"contact.decline", []string{AwaitingInmate, AwaitingVisitor}, []string{Declined}},
	{"contact.expire", []string{AwaitingInmate, AwaitingVisitor}, []string{Unanswered}},
	{"contact.approve", []string{AwaitingFacility}, []string{Approved}},
	{"contact.reject", []string{AwaitingFacility}, []string{Rejected}},
	{"contact.block", []string{Approved}, []string{BlockedByInmate, BlockedByVisitor}},
	{"contact.unblock", []string{BlockedByInmate, BlockedByVisitor}, []string{Approved}},
	{"contact.suspend", []string{Approved}, []string{Paused}},
	{"contact.restore", []string{Paused}, []string{Approved}},
	{"contact.end", openStates, []string{Ended}},
	{"contact.reopen", []string{Ended}, []string{AwaitingFacility}},
}

// MayMove tells whether an event takes a contact from one state to another.
func MayMove(event, from, to string) bool {
	for _, m := range contactMoves {
		if m.event == event && slices.Contains(m.from, from) && slices.Contains(m.to, to) {
			return true
		}
	}
	return false
}

const contactColumns = `id, visitor, inmate, relationship, state, privilege, asked_by, met, reason, coalesce(until, 0), created_at, version`

func scanContact(r scanner) (c Contact, err error) {
	var until, asked int64
	err = r.Scan(&c.ID, &c.Visitor, &c.Inmate, &c.Relationship, &c.State, &c.Privilege, &c.AskedBy, &c.Met, &c.Reason, &until, &asked, &c.Version)
	c.Until, c.Asked = instant(until), store.Time(asked)
	return c, err
}

func rowsContact(r *store.Rows) (Contact, error) { return scanContact(r) }

// Contact returns a contact, NotFound when there is none.
func (p *People) Contact(tx *store.Tx, id ident.Contact) (Contact, error) {
	c, err := scanContact(tx.Row(`SELECT `+contactColumns+` FROM contact WHERE id = ?`, id))
	return c, missing(err, "people.Contact", "There is no such contact.")
}

// ContactOf returns the contact of a pair and whether there is one, in whatever state.
func (p *People) ContactOf(tx *store.Tx, v ident.Visitor, i ident.Inmate) (Contact, bool, error) {
	c, err := scanContact(tx.Row(`SELECT `+contactColumns+` FROM contact WHERE visitor = ? AND inmate = ?`, v, i))
	if fault.Is(err, fault.NotFound) {
		return Contact{}, false, nil
	}
	return c, err == nil, err
}

// ContactsOfVisitor lists a visitor's contacts, newest first.
func (p *People) ContactsOfVisitor(tx *store.Tx, v ident.Visitor) ([]Contact, error) {
	return store.All(tx, rowsContact, `SELECT `+contactColumns+` FROM contact WHERE visitor = ? ORDER BY created_at DESC, id`, v)
}

// ContactsOfInmate lists an inmate's contacts, newest first.
func (p *People) ContactsOfInmate(tx *store.Tx, i ident.Inmate) ([]Contact, error) {
	return store.All(tx, rowsContact, `SELECT `+contactColumns+` FROM contact WHERE inmate = ? ORDER BY created_at DESC, id`, i)
}

// ContactsIn lists the contacts in a state for staff, oldest first.
func (p *People) ContactsIn(tx *store.Tx, state string, limit int) ([]Contact, error) {
	return store.All(tx, rowsContact, `SELECT `+contactColumns+` FROM contact WHERE state = ? ORDER BY created_at, id LIMIT ?`, state, limit)
}

// MarkMet notes that the first visit of the pair was accepted, so that the next one may be confirmed without asking.
func (p *People) MarkMet(tx *store.Tx, id ident.Contact) error {
	n, err := tx.ExecN(`UPDATE contact SET met = 1, version = version + 1, changed_at = ? WHERE id = ? AND met = 0`, store.Ms(tx.Now()), id)
	if err != nil || n == 0 {
		return err
	}
	c, err := p.Contact(tx, id)
	if err != nil {
		return err
	}
	return p.replicate(tx, c)
}
