package people

import (
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// The states of a visitor's account.
const (
	Pending   = "pending"
	Active    = "active"
	Expired   = "expired"
	Suspended = "suspended"
	Banned    = "banned"
	Closed    = "closed"
	Merged    = "merged"
)

// Visitor is an account holder outside.
type Visitor struct {
	ID            ident.Visitor
	First, Last   string
	Born          string // YYYY-MM-DD
	Phone         string // E.164
	Email         string
	Zone          string // IANA name
	Language      string
	State         string
	StateUntil    time.Time
	Identity      string    // state of 3.2
	IdentityUntil time.Time // verified until, zero when it never ends
	IdentityDue   time.Time // answer promised by, while submitted or in review
	IdentityWhy   string    // reason code of the last refusal
	Refusals      int
	Version       int64
	Registered    time.Time
}

// Name is first and last name.
func (v Visitor) Name() string { return v.First + " " + v.Last }

const visitorColumns = `id, first, last, born, phone, email, zone, language, state, coalesce(state_until, 0),
	identity, coalesce(identity_until, 0), coalesce(identity_due, 0), identity_reason, refusals, version, created_at`

func scanVisitor(r scanner) (v Visitor, err error) {
	var until, verified, due, made int64
	err = r.Scan(&v.ID, &v.First, &v.Last, &v.Born, &v.Phone, &v.Email, &v.Zone, &v.Language, &v.State, &until,
		&v.Identity, &verified, &due, &v.IdentityWhy, &v.Refusals, &v.Version, &made)
	v.StateUntil, v.IdentityUntil, v.IdentityDue = instant(until), instant(verified), instant(due)
	v.Registered = instant(made)
	return v, err
}

func rowsVisitor(r *store.Rows) (Visitor, error) { return scanVisitor(r) }

// Visitor returns a visitor, NotFound when there is none.
func (p *People) Visitor(tx *store.Tx, id ident.Visitor) (Visitor, error) {
	v, err := scanVisitor(tx.Row(`SELECT `+visitorColumns+` FROM visitor WHERE id = ?`, id))
	return v, missing(err, "people.Visitor", "There is no such visitor.")
}

// VisitorByPhone returns the open account with this number (E.164), NotFound when there is none.
func (p *People) VisitorByPhone(tx *store.Tx, phone string) (Visitor, error) {
	v, err := scanVisitor(tx.Row(`SELECT `+visitorColumns+` FROM visitor WHERE phone = ? AND state NOT IN ('closed','merged')`, phone))
	return v, missing(err, "people.VisitorByPhone", "There is no such visitor.")
}

// VisitorByEmail returns the open account with this address in any spelling, NotFound when there is none.
func (p *People) VisitorByEmail(tx *store.Tx, email string) (Visitor, error) {
	v, err := scanVisitor(tx.Row(`SELECT `+visitorColumns+` FROM visitor WHERE email_key = ? AND state NOT IN ('closed','merged')`, emailKey(email)))
	return v, missing(err, "people.VisitorByEmail", "There is no such visitor.")
}

// Visitors lists visitors for staff, those whose name holds the words of query, and says how many there are in all.
func (p *People) Visitors(tx *store.Tx, query string, offset, limit int) ([]Visitor, int, error) {
	name := "%" + escapeLike(fold(query)) + "%"
	var total int
	if err := tx.Row(`SELECT count(*) FROM visitor WHERE folded LIKE ? ESCAPE '\'`, name).Scan(&total); err != nil {
		return nil, 0, err
	}
	list, err := store.All(tx, rowsVisitor, `SELECT `+visitorColumns+` FROM visitor WHERE folded LIKE ? ESCAPE '\' ORDER BY last, first, id LIMIT ? OFFSET ?`,
		name, limit, offset)
	return list, total, err
}

// instant reads a time of SQL where 0 stands for none.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return store.Time(ms)
}

// orNull writes a time to SQL where none is NULL.
func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return store.Ms(t)
}
