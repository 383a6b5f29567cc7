package doortest

import (
	"sallyport/appliance/access"
	"sallyport/appliance/calls/callstest"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
)

// Objects are what the routes of the contract name: one of each, of the site's visitor and inmate.
type Objects struct {
	Visit     ident.Visit
	Contact   ident.Contact
	Case      ident.Case // somebody's identity, not claimed
	Call      ident.Call
	Recording ident.Recording
	Inmate    ident.Inmate
	Station   ident.Station
	View      ident.View
	Hold      ident.Visit
	Other     ident.Visitor // to whom none of them belongs, but the case is about them
	OtherIn   ident.Inmate
	Template  ident.Template
	Closure   int64
	Unit      ident.Unit // nothing is in it
	Staff     ident.Staff
}

// Seed adds what the site does not have: somebody else, whose identity waits in a case, another inmate, and a recording.
func (h *House) Seed() Objects {
	h.t.Helper()
	o := Objects{
		Visit: h.Visit, Inmate: h.Inmate, Station: h.Site.Station, Call: h.Call().ID, Recording: ident.New[ident.Recording](),
		View: ident.New[ident.View](), Hold: ident.New[ident.Visit](), OtherIn: ident.New[ident.Inmate](),
	}
	h.See(func(tx *store.Tx) error {
		return tx.Row(`SELECT contact FROM visits WHERE id = ?`, h.Visit).Scan(&o.Contact)
	})
	o.Other = h.someoneElse()
	if err := h.Schedule.UnfoldAll(h.t.Context(), h.Site.DB); err != nil {
		h.t.Fatal(err)
	}
	h.Update(func(tx *store.Tx) error {
		if err := tx.Row(`SELECT id FROM mod_case`).Scan(&o.Case); err != nil {
			return err
		}
		ms := store.Ms(tx.Now())
		if err := tx.Exec(`UPDATE slots SET taken = 1 WHERE starts = ?`, store.Ms(h.Starts)); err != nil {
			return err
		}
		if err := tx.Exec(`UPDATE facility SET booking_open = 1`); err != nil {
			return err
		}
		if err := tx.Exec(`INSERT INTO inmate (id, number, booking, first, last, folded, born, language, unit, state, created_at, changed_at)
			VALUES (?, 'A0178', 'B2', 'Lee', 'Bowen', 'lee bowen', '1991-01-01', 'en', ?, 'in_custody', ?, ?)`, o.OtherIn, h.Unit, ms, ms); err != nil {
			return err
		}
		if err := tx.Row(`SELECT template FROM visits WHERE id = ?`, h.Visit).Scan(&o.Template); err != nil {
			return err
		}
		if err := h.office(tx, &o); err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO recording (id, call, visit, folder, state, armed) VALUES (?, ?, ?, 'gone', 'available', ?)`, o.Recording, o.Call, o.Visit, ms)
	})
	return o
}

// office makes what set-up changes: an empty unit, a clerk who is invited, and a closure long after the visit.
func (h *House) office(tx *store.Tx, o *Objects) error {
	by := ident.System()
	u, err := h.Facility.PutUnit(tx, by, facility.Unit{Name: "Z Wing"})
	if err != nil {
		return err
	}
	s, _, err := h.Access.InviteStaff(tx, by, access.Staff{Username: "kit.hale", Name: "Kit Hale", Roles: []string{access.Clerk}})
	if err != nil {
		return err
	}
	c, err := h.Schedule.Close(tx, by, schedule.Closure{
		From: h.Starts.AddDate(0, 1, 0), To: h.Starts.AddDate(0, 1, 1), Scope: schedule.CloseFacility, Reason: "staffing",
	})
	o.Unit, o.Staff, o.Closure = u.ID, s.ID, c.ID
	return err
}

// someoneElse is an active visitor whose photos wait for a moderator.
func (h *House) someoneElse() ident.Visitor {
	h.t.Helper()
	var bob people.Visitor
	folk := h.Rooms.People
	h.Update(func(tx *store.Tx) (err error) {
		if bob, err = folk.AddVisitor(tx, ident.System(), people.Visitor{
			First: "Bob", Last: "Jones", Born: "1980-05-05", Phone: "+442079460002", Email: "bob@example.org", Zone: "Europe/London", Language: "en",
		}); err != nil {
			return err
		}
		_, err = folk.MoveVisitor(tx, ident.System(), "visitor.activate", bob.ID, "", tx.Now())
		return err
	})
	h.SendIdentity(bob.ID)
	return bob.ID
}

// SendIdentity sends a visitor's photos in and opens the case about them.
func (h *House) SendIdentity(who ident.Visitor) {
	h.t.Helper()
	for _, kind := range []string{people.IDFront, people.IDBack, people.Selfie} {
		if _, err := h.Rooms.People.AddDocument(h.t.Context(), ident.System(), who, kind, Photo()); err != nil {
			h.t.Fatal(err)
		}
	}
	h.Update(func(tx *store.Tx) error { _, err := h.Rooms.People.SubmitIdentity(tx, ident.System(), who); return err })
}

// Fingerprint is the body of a request to join.
func Fingerprint() map[string]any { return map[string]any{"fingerprint": callstest.Fingerprint} }

// Plan puts the site's visit back to where it is planned, before its waiting room opened.
func (h *House) Plan(id ident.Visit) {
	h.t.Helper()
	h.Update(func(tx *store.Tx) error { return tx.Exec(`UPDATE visits SET state = 'confirmed' WHERE id = ?`, id) })
}
