package visits

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// Hold is a time that is kept for some minutes while somebody makes up their mind.
type Hold struct {
	Visit
	Modes   []Mode    // what may be asked for, the first one is offered first
	Funding string    // what the visit would use: entitlement or none
	Until   time.Time // calling it off before then gives everything back
}

// Hold keeps a time for whoever asks, in place of an earlier hold of theirs. It returns the first conflict of B1 to B17
// as a refusal, and to staff the names of all of them in the parameter "conflicts".
func (vs *Visits) Hold(tx *store.Tx, by ident.Actor, r Request) (Hold, error) {
	r.Mode = ""
	v, f, err := vs.hold(tx, by, r)
	if err != nil {
		return Hold{}, err
	}
	h := Hold{Visit: v, Modes: Modes(f, v.Class), Funding: "none", Until: v.Starts.Add(-policy.CancelCreditCutoff.Of(f.rules))}
	if v.Class == Social && !f.Left.Off && f.Left.Covers(v.Minutes) && (f.QuotaTold || needsQuota(f)) {
		h.Funding = "entitlement"
	}
	return h, nil
}

func (vs *Visits) hold(tx *store.Tx, by ident.Actor, r Request) (Visit, Facts, error) {
	v, f, err := vs.plan(tx, by, r)
	if err != nil {
		return Visit{}, f, err
	}
	v.Version, v.Due = 1, due(v, f.rules)
	if err := vs.insert(tx, &v); err != nil {
		return Visit{}, f, err
	}
	return v, f, vs.publish(tx, by, "visit.hold", v, "")
}

// plan checks a request and takes its time, in place of an earlier hold. The visit has no version yet, because it stands
// in no table: it is written with its first move.
func (vs *Visits) plan(tx *store.Tx, by ident.Actor, r Request) (Visit, Facts, error) {
	if err := vs.dropHolds(tx, by); err != nil {
		return Visit{}, Facts{}, err
	}
	f, err := vs.facts(tx, by, r, Visit{}, asking)
	if err != nil {
		return Visit{}, f, err
	}
	if err := mine("visits.Hold", by, f.Contact); err != nil {
		return Visit{}, f, err
	}
	if err := refuse("visits.Hold", by, f, Check(f, r)); err != nil {
		return Visit{}, f, err
	}
	v := Visit{
		ID: ident.New[ident.Visit](), Ref: vs.reference(), Inmate: f.Inmate.ID, Contact: f.Contact.ID, Main: f.Main.ID, Party: r.Party, Class: r.Class,
		Starts: f.Place.Starts, Ends: f.Place.Ends, Date: f.Date, Minutes: r.Minutes, State: Held, AskedBy: by.Kind, holder: by.ID,
		PolicyVersion: f.rules.Version(), Created: f.Now, Changed: f.Now,
	}
	if err := checkMove("visit.hold", "", Held, by.Kind); err != nil {
		return Visit{}, f, err
	}
	return v, f, vs.occupy(tx, &v, f)
}

// mine makes sure that the asker has to do with the contact: what is not theirs does not exist for them.
func mine(op string, by ident.Actor, c people.Contact) error {
	if by.Is(ident.ByVisitor) && by.ID != string(c.Visitor) || by.Is(ident.ByInmate) && by.ID != string(c.Inmate) {
		return fault.New(op, fault.NotFound, "There is no such contact.").WithCode("not_found")
	}
	return nil
}

// refuse turns conflicts into the answer for this actor.
func refuse(op string, by ident.Actor, f Facts, found []Conflict) error {
	if len(found) == 0 {
		return nil
	}
	e := found[0].Fault(op, f)
	if by.Is(ident.ByStaff) || by.Is(ident.BySystem) {
		e = e.WithParam("conflicts", found)
	}
	return e
}

// dropHolds ends what the asker holds already: one open hold a person.
func (vs *Visits) dropHolds(tx *store.Tx, by ident.Actor) error {
	held, err := vs.list(tx, `holder = ? AND state = 'held'`, by.ID)
	if err != nil {
		return err
	}
	for _, v := range held {
		if err := vs.drop(tx, by, v); err != nil {
			return err
		}
	}
	return nil
}

// Drop ends a hold before its time; NotFound when it is not the asker's or gone already.
func (vs *Visits) Drop(tx *store.Tx, by ident.Actor, id ident.Visit) error {
	v, err := vs.held(tx, "visits.Drop", by, id)
	if err != nil {
		return err
	}
	return vs.drop(tx, by, v)
}

func (vs *Visits) drop(tx *store.Tx, by ident.Actor, v Visit) error {
	if err := checkMove("visit.hold_expire", v.State, gone, by.Kind); err != nil {
		return err
	}
	if err := vs.free(tx, &v); err != nil {
		return err
	}
	if err := tx.Exec(`DELETE FROM visits WHERE id = ? AND state = 'held'`, string(v.ID)); err != nil {
		return fmt.Errorf("end a hold: %w", err)
	}
	v.State = gone
	return vs.publish(tx, by, "visit.hold_expire", v, Held)
}

// held returns a hold of the asker.
func (vs *Visits) held(tx *store.Tx, op string, by ident.Actor, id ident.Visit) (Visit, error) {
	v, err := vs.Get(tx, id)
	if fault.Is(err, fault.NotFound) || err == nil && (v.State != Held || v.holder != by.ID) {
		return Visit{}, fault.New(op, fault.NotFound, "This time is not kept for you any more. Choose a time again.").WithCode("hold.gone")
	}
	return v, err
}

// Ask turns a hold into a suggestion, a request or a confirmed visit, as the mode and policy have it. The same key of
// the same asker gets the first answer again. It returns NotFound when the hold is gone and the first conflict of all
// checks as a refusal.
func (vs *Visits) Ask(tx *store.Tx, by ident.Actor, hold ident.Visit, mode Mode, ticked bool, key string) (Visit, error) {
	if v, again, err := vs.answered(tx, by, key); err != nil || again {
		return v, err
	}
	v, err := vs.held(tx, "visits.Ask", by, hold)
	if err != nil {
		return Visit{}, err
	}
	if !v.Due.After(tx.Now()) {
		return Visit{}, fault.New("visits.Ask", fault.NotFound, "This time is not kept for you any more. Choose a time again.").WithCode("hold.gone")
	}
	if mode != Suggest && mode != Confirm {
		return Visit{}, fault.New("visits.Ask", fault.Invalid, "Choose to suggest or to confirm.").WithField("mode", "unknown")
	}
	r := v.request()
	r.Mode, r.Ticked = mode, ticked
	f, err := vs.facts(tx, by, r, v, asking)
	if err != nil {
		return Visit{}, err
	}
	// The notice was kept when the hold was made; the minutes of making up one's mind do not count against it.
	f.Now = v.Created
	if err := refuse("visits.Ask", by, f, Check(f, r)); err != nil {
		return Visit{}, err
	}
	if err := vs.settle(tx, by, &v, mode, f); err != nil {
		return Visit{}, err
	}
	return v, vs.remember(tx, by, key, v.ID)
}

// request is what the visit once was as a request.
func (v Visit) request() Request {
	return Request{Contact: v.Contact, Party: v.Party, Class: v.Class, Start: v.Starts, Minutes: v.Minutes}
}

func (vs *Visits) answered(tx *store.Tx, by ident.Actor, key string) (Visit, bool, error) {
	if key == "" {
		return Visit{}, false, nil
	}
	var id ident.Visit
	err := tx.Row(`SELECT visit FROM visit_keys WHERE actor = ? AND key = ?`, by.ID, key).Scan(&id)
	if fault.Is(err, fault.NotFound) {
		return Visit{}, false, nil
	}
	if err != nil {
		return Visit{}, false, err
	}
	v, err := vs.Get(tx, id)
	return v, true, err
}

func (vs *Visits) remember(tx *store.Tx, by ident.Actor, key string, id ident.Visit) error {
	if key == "" {
		return nil
	}
	return tx.Exec(`INSERT INTO visit_keys (actor, key, visit) VALUES (?, ?, ?)`, by.ID, key, string(id))
}

// settle moves a hold to where its request leads.
func (vs *Visits) settle(tx *store.Tx, by ident.Actor, v *Visit, mode Mode, f Facts) error {
	switch {
	case mode == Suggest && !slices.Contains(Modes(f, v.Class), Suggest):
		return fault.New("visits.Ask", fault.Invalid, "Visits are not suggested here. Ask for it.").WithField("mode", "unknown")
	case mode == Suggest:
		v.WaitingOn = "inmate"
		if by.Is(ident.ByInmate) {
			v.WaitingOn = "visitor"
		}
		return vs.openRequest(tx, by, "visit.suggest", v, Suggested, f)
	case staffDecide(f, v.Class):
		return vs.openRequest(tx, by, "visit.request", v, AwaitingStaff, f)
	}
	return vs.confirm(tx, by, "visit.confirm", v, f)
}

// openRequest makes the visit wait for somebody, with its slots or without, as policy has it. Only who is to answer a
// suggestion is invited; the other side hears that it is on its way.
func (vs *Visits) openRequest(tx *store.Tx, by ident.Actor, event string, v *Visit, to State, f Facts) error {
	if !policy.BookingRequestReserves.Of(f.rules) {
		if err := vs.free(tx, v); err != nil {
			return err
		}
	}
	if err := reserve(tx, *v, f); err != nil {
		return err
	}
	v.PolicyVersion = f.rules.Version()
	if err := vs.step(tx, by, event, v, to, "", f.rules); err != nil {
		return err
	}
	if to == AwaitingStaff {
		return vs.notify(tx, "visit.requested", *v, append(v.both(), "staff:clerk")...)
	}
	invited, waits := string(v.Inmate), string(v.Main)
	if v.WaitingOn == "visitor" {
		invited, waits = waits, invited
	}
	return errors.Join(vs.notify(tx, "visit.invited", *v, invited), vs.notify(tx, "visit.suggested", *v, waits))
}

// confirm takes what the visit needs, for good, and ends "first visit" for the pair.
func (vs *Visits) confirm(tx *store.Tx, by ident.Actor, event string, v *Visit, f Facts) error {
	if err := vs.occupy(tx, v, f); err != nil {
		return err
	}
	if err := fund(tx, v, f); err != nil {
		return err
	}
	v.CreditCutoff, v.PolicyVersion = policy.CancelCreditCutoff.Of(f.rules), f.rules.Version()
	if err := vs.step(tx, by, event, v, Confirmed, "", f.rules); err != nil {
		return err
	}
	if !f.Contact.Met {
		if err := vs.People.MarkMet(tx, v.Contact); err != nil {
			return err
		}
	}
	return vs.notify(tx, "visit.confirmed", *v, v.both()...)
}

// Book asks for a time in one go, without a hold that others could see: for staff at the desk, for orders of the centre,
// and wherever nobody needs time to make up their mind. It is one act, with one audit row.
func (vs *Visits) Book(tx *store.Tx, by ident.Actor, r Request, key string) (Visit, error) {
	if v, again, err := vs.answered(tx, by, key); err != nil || again {
		return v, err
	}
	if r.Mode != Suggest && r.Mode != Confirm {
		return Visit{}, fault.New("visits.Book", fault.Invalid, "Choose to suggest or to confirm.").WithField("mode", "unknown")
	}
	v, f, err := vs.plan(tx, by, r)
	if err != nil {
		return Visit{}, err
	}
	if err := vs.settle(tx, by, &v, r.Mode, f); err != nil {
		return Visit{}, err
	}
	return v, vs.remember(tx, by, key, v.ID)
}
