package people

import (
	"cmp"
	"slices"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
)

// The codes of restrictions, rules.md 6.2.
const (
	Ban             = "ban"
	NoContact       = "no_contact"
	ChildProtection = "child_protection"
	MustMonitor     = "must_monitor"
	OneWayVideo     = "one_way_video"
	HoldMessages    = "hold_messages"
	NoMessages      = "no_messages"
	NoPhotos        = "no_photos"
	ClosedVisit     = "closed_visit"
	StaffReview     = "staff_review"
	AccessNeed      = "access_need"
	Health          = "health"
	VisitsLost      = "visits_lost"
	VisitsReduced   = "visits_reduced"
)

// Restriction is a dated limit on a person, an inmate or a pair. Starts and Ends are dates of the facility, both
// included; Ends "" is until it is lifted.
type Restriction struct {
	ID      ident.Restriction
	Code    string
	Visitor ident.Visitor // "" when it lies on the inmate alone
	Inmate  ident.Inmate  // "" when it lies on the person outside alone
	Starts  string
	Ends    string
	Step    string // of a ban: warning, days, until, permanent
	Comment string // internal
}

// On tells whether the restriction is in force on a date of the facility. A ban that is only a warning never is.
func (r Restriction) On(date string) bool {
	return r.Starts <= date && (r.Ends == "" || date <= r.Ends) && (r.Code != Ban || r.Step != "warning")
}

// Blocks tells whether the restriction forbids a visit of these people as such (check B6).
func (r Restriction) Blocks() bool { return r.Code == Ban || r.Code == NoContact }

// Flags tells whether staff look before anything is approved by itself.
func (r Restriction) Flags() bool {
	return r.Code == StaffReview || r.Code == MustMonitor || r.Code == ChildProtection
}

const restrictionColumns = `id, code, coalesce(visitor, ''), coalesce(inmate, ''), starts, coalesce(ends, ''), step, comment`

func scanRestriction(r *store.Rows) (n Restriction, err error) {
	err = r.Scan(&n.ID, &n.Code, &n.Visitor, &n.Inmate, &n.Starts, &n.Ends, &n.Step, &n.Comment)
	return n, err
}

// Restrictions lists what touches a pair: the inmate's own, the visitor's own and the pair's, on whatever dates. With one
// side empty it lists what lies on the other side, alone or in any pair.
func (p *People) Restrictions(tx *store.Tx, i ident.Inmate, v ident.Visitor) ([]Restriction, error) {
	const all = `SELECT ` + restrictionColumns + ` FROM restriction WHERE lifted_at IS NULL AND `
	switch {
	case v == "":
		return store.All(tx, scanRestriction, all+`inmate = ? ORDER BY starts, id`, i)
	case i == "":
		return store.All(tx, scanRestriction, all+`visitor = ? ORDER BY starts, id`, v)
	}
	// Two looks into an index each; an OR over both columns would read the whole table.
	list, err := store.All(tx, scanRestriction, all+`visitor = ?1 AND (inmate IS NULL OR inmate = ?2)
		UNION ALL `+all+`inmate = ?2 AND visitor IS NULL`, string(v), string(i))
	slices.SortFunc(list, func(a, b Restriction) int {
		return cmp.Or(cmp.Compare(a.Starts, b.Starts), cmp.Compare(a.ID, b.ID))
	})
	return list, err
}

// Restrict puts a restriction in force. A reason for staff eyes is required; what it cancels is done by those who
// registered with OnEvent.
func (p *People) Restrict(tx *store.Tx, by ident.Actor, n Restriction) (Restriction, error) {
	const op = "people.Restrict"
	f := fault.New(op, fault.Invalid, "Check the restriction.").WithCode("form")
	if _, err := time.Parse(time.DateOnly, n.Starts); err != nil {
		f.WithField("starts", "date")
	}
	if _, err := time.Parse(time.DateOnly, n.Ends); n.Ends != "" && (err != nil || n.Ends < n.Starts) {
		f.WithField("ends", "date")
	}
	n.Comment = clean(n.Comment)
	if n.Comment == "" {
		f.WithField("comment", "required")
	}
	if len(f.Fields) > 0 {
		return Restriction{}, f
	}
	n.ID = ident.New[ident.Restriction]()
	err := tx.Exec(`INSERT INTO restriction (id, code, visitor, inmate, starts, ends, step, comment, made_by, made_at)
		VALUES (?, ?, nullif(?, ''), nullif(?, ''), ?, nullif(?, ''), ?, ?, ?, ?)`,
		n.ID, n.Code, n.Visitor, n.Inmate, n.Starts, n.Ends, n.Step, n.Comment, by.ID, store.Ms(tx.Now()))
	if err != nil {
		return Restriction{}, err
	}
	if err := audit.Record(tx, by, "restriction.add", string(n.ID), audit.Reason(n.Code)); err != nil {
		return Restriction{}, err
	}
	if err := outbox.Tell(tx, outbox.ToStaff(), "restriction", string(n.ID)); err != nil {
		return Restriction{}, err
	}
	if err := p.replicate(tx, n); err != nil {
		return Restriction{}, err
	}
	reason := "restriction"
	if n.Code == Ban {
		reason = "visitor_banned"
	}
	return n, p.happened(tx, by, Event{Kind: "restriction_changed", Inmate: n.Inmate, Visitor: n.Visitor, Reason: reason})
}

// Lift ends a restriction. Bans and no-contact are lifted by two people: second names the other one, who is not by.
func (p *People) Lift(tx *store.Tx, by ident.Actor, id ident.Restriction, second ident.Staff, why string) error {
	const op = "people.Lift"
	var code string
	if err := tx.Row(`SELECT code FROM restriction WHERE id = ? AND lifted_at IS NULL`, id).Scan(&code); err != nil {
		return missing(err, op, "There is no such restriction.")
	}
	if (code == Ban || code == NoContact) && (second == "" || string(second) == by.ID) {
		return fault.New(op, fault.Forbidden, "A second person must approve this.").WithCode("staff.second")
	}
	if clean(why) == "" {
		return fault.New(op, fault.Invalid, "Give a reason.").WithCode("form").WithField("reason", "required")
	}
	if err := tx.Exec(`UPDATE restriction SET lifted_at = ?, lifted_by = ? WHERE id = ?`, store.Ms(tx.Now()), by.ID, id); err != nil {
		return err
	}
	if err := audit.Record(tx, by, "restriction.lift", string(id), audit.Reason(code), audit.After(map[string]string{"second": string(second)})); err != nil {
		return err
	}
	if err := outbox.Tell(tx, outbox.ToStaff(), "restriction", string(id)); err != nil {
		return err
	}
	return p.unreplicate(tx, "restriction", string(id))
}

// Flagged tells whether anything in force on a date asks staff to look at this pair.
func (p *People) Flagged(tx *store.Tx, i ident.Inmate, v ident.Visitor, date string) (bool, error) {
	rs, err := p.Restrictions(tx, i, v)
	if err != nil {
		return false, err
	}
	for _, r := range rs {
		if r.Flags() && r.On(date) {
			return true, nil
		}
	}
	return false, nil
}
