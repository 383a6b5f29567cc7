package visits

import (
	"slices"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// Own returns a visit that the actor may know of: a family member's own, any for staff, the system and the centre.
// Everything else is NotFound.
func (vs *Visits) Own(tx *store.Tx, by ident.Actor, id ident.Visit) (Visit, error) {
	v, err := vs.Get(tx, id)
	if err != nil {
		return Visit{}, err
	}
	if v.State == Held || by.Is(ident.ByVisitor) && by.ID != string(v.Main) || by.Is(ident.ByInmate) && by.ID != string(v.Inmate) {
		return Visit{}, fault.New("visits.Own", fault.NotFound, "There is no such visit.").WithCode("not_found")
	}
	return v, nil
}

// waited makes sure that the actor is the side that the visit waits on; staff may answer for the inmate.
func waited(op string, by ident.Actor, v Visit) error {
	side := map[ident.ActorKind]string{ident.ByVisitor: "visitor", ident.ByInmate: "inmate", ident.ByStaff: "inmate"}[by.Kind]
	if v.State != Suggested || v.WaitingOn != side {
		return fault.New(op, fault.Conflict, "This visit does not wait for your answer any more.").WithCode("visit.state").WithParam("state", string(v.State))
	}
	return nil
}

// rules reads the policy of a visit's own scope.
func (vs *Visits) rules(tx *store.Tx, v Visit) (policy.Rules, error) {
	i, err := vs.People.Inmate(tx, v.Inmate)
	if err != nil {
		return policy.Rules{}, err
	}
	return vs.Policy.At(tx, policy.Scope{Unit: i.Unit, Level: i.Level, Class: string(v.Class), Inmate: v.Inmate, Visitor: v.Main})
}

// look gathers the facts of a visit as it stands. Sessions are open to whoever asked, not to whoever answers.
func (vs *Visits) look(tx *store.Tx, by ident.Actor, v Visit) (Facts, error) {
	asker := by
	asker.Kind = v.AskedBy
	f, err := vs.facts(tx, asker, v.request(), v, answering)
	f.By = by
	return f, err
}

// recheck is look that refuses when a check fails now.
func (vs *Visits) recheck(tx *store.Tx, op string, by ident.Actor, v Visit) (Facts, error) {
	f, err := vs.look(tx, by, v)
	if err != nil {
		return f, err
	}
	return f, refuse(op, by, f, Check(f, v.request()))
}

// Accept is the yes of the side that a suggestion waits on. All checks run again and the slots are taken now, unless the
// request kept them. It returns Conflict when the visit does not wait for this side, Full when the time is gone.
func (vs *Visits) Accept(tx *store.Tx, by ident.Actor, id ident.Visit) (Visit, error) {
	v, err := vs.Own(tx, by, id)
	if err != nil {
		return Visit{}, err
	}
	if err := waited("visits.Accept", by, v); err != nil {
		return Visit{}, err
	}
	f, err := vs.recheck(tx, "visits.Accept", by, v)
	if err != nil {
		return Visit{}, err
	}
	if !staffDecide(f, v.Class) {
		return v, vs.confirm(tx, by, "visit.accept", &v, f)
	}
	if policy.BookingRequestReserves.Of(f.rules) {
		if err := vs.occupy(tx, &v, f); err != nil {
			return Visit{}, err
		}
	}
	if err := vs.People.MarkMet(tx, v.Contact); err != nil {
		return Visit{}, err
	}
	return v, vs.openRequest(tx, by, "visit.accept", &v, AwaitingStaff, f)
}

// Approve is the yes of staff. All checks run again.
func (vs *Visits) Approve(tx *store.Tx, by ident.Actor, id ident.Visit) (Visit, error) {
	v, err := vs.Own(tx, by, id)
	if err != nil {
		return Visit{}, err
	}
	if err := checkMove("visit.approve", v.State, Confirmed, by.Kind); err != nil {
		return Visit{}, err
	}
	f, err := vs.recheck(tx, "visits.Approve", by, v)
	if err != nil {
		return Visit{}, err
	}
	return v, vs.confirm(tx, by, "visit.approve", &v, f)
}

// Conflicts lists what stands against a visit that waits, for the staff who decide it.
func (vs *Visits) Conflicts(tx *store.Tx, by ident.Actor, v Visit) ([]Conflict, error) {
	f, err := vs.look(tx, by, v)
	if err != nil {
		return nil, err
	}
	return Check(f, v.request()), nil
}

// Decline is the no of the side that a suggestion waits on. reason is a code of the inmate's or visitor's own.
func (vs *Visits) Decline(tx *store.Tx, by ident.Actor, id ident.Visit, reason string) (Visit, error) {
	v, err := vs.Own(tx, by, id)
	if err != nil {
		return Visit{}, err
	}
	if err := waited("visits.Decline", by, v); err != nil {
		return Visit{}, err
	}
	return v, vs.refused(tx, by, "visit.decline", "visit.declined", &v, Declined, reason)
}

// Reject is the no of staff, with a code of rules.md, section 7.
func (vs *Visits) Reject(tx *store.Tx, by ident.Actor, id ident.Visit, reason string) (Visit, error) {
	if !slices.Contains(rejectReasons(), reason) {
		return Visit{}, fault.New("visits.Reject", fault.Invalid, "Choose a reason from the list.").WithField("reason", "unknown")
	}
	v, err := vs.Own(tx, by, id)
	if err != nil {
		return Visit{}, err
	}
	return v, vs.refused(tx, by, "visit.reject", "visit.rejected", &v, Rejected, reason)
}

// Withdraw takes an open request back.
func (vs *Visits) Withdraw(tx *store.Tx, by ident.Actor, id ident.Visit) (Visit, error) {
	v, err := vs.Own(tx, by, id)
	if err != nil {
		return Visit{}, err
	}
	return v, vs.refused(tx, by, "visit.withdraw", "visit.withdrawn", &v, Withdrawn, "")
}

// refused ends an open request: slots and reserved entitlement are given back.
func (vs *Visits) refused(tx *store.Tx, by ident.Actor, event, notice string, v *Visit, to State, reason string) error {
	if err := checkMove(event, v.State, to, by.Kind); err != nil {
		return err
	}
	if err := vs.free(tx, v); err != nil {
		return err
	}
	if err := giveBack(tx, *v, "freed", reason); err != nil {
		return err
	}
	if err := vs.step(tx, by, event, v, to, reason, policy.Rules{}); err != nil {
		return err
	}
	return vs.notify(tx, notice, *v, v.both()...)
}

// Cancel calls a planned visit off and takes back an open one. Reason is a code of rules.md, section 7; a family member
// needs none. What was used is given back by the credit matrix (5.5). Conflict once the visit is live or over.
func (vs *Visits) Cancel(tx *store.Tx, by ident.Actor, id ident.Visit, reason string) (Visit, error) {
	v, err := vs.Own(tx, by, id)
	if err != nil {
		return Visit{}, err
	}
	switch by.Kind {
	case ident.ByVisitor:
		reason = "visitor_cancelled"
	case ident.ByInmate:
		reason = "inmate_cancelled"
	default:
		if !slices.Contains(cancelReasons(), reason) {
			return Visit{}, fault.New("visits.Cancel", fault.Invalid, "Choose a reason from the list.").WithField("reason", "unknown")
		}
	}
	if v.Open() {
		return v, vs.refused(tx, by, "visit.withdraw", "visit.withdrawn", &v, Withdrawn, reason)
	}
	return v, vs.cancel(tx, by, &v, reason)
}

// Refuse is an inmate's no to a visit that was confirmed without asking (booking.confirm_may_be_declined). Where that is
// not allowed it is Forbidden.
func (vs *Visits) Refuse(tx *store.Tx, by ident.Actor, id ident.Visit) (Visit, error) {
	v, err := vs.Own(tx, by, id)
	if err != nil {
		return Visit{}, err
	}
	r, err := vs.rules(tx, v)
	if err != nil {
		return Visit{}, err
	}
	if !by.Is(ident.ByInmate) || !policy.BookingConfirmMayBeDeclined.Of(r) {
		return Visit{}, fault.New("visits.Refuse", fault.Forbidden, "This visit can only be called off by staff.").WithCode("visit.not_declinable")
	}
	return v, vs.cancel(tx, by, &v, "inmate_refused")
}

func (vs *Visits) cancel(tx *store.Tx, by ident.Actor, v *Visit, reason string) error {
	if err := checkMove("visit.cancel", v.State, Cancelled, by.Kind); err != nil {
		return err
	}
	r, err := vs.rules(tx, *v)
	if err != nil {
		return err
	}
	if err := vs.credit(tx, v, creditOnCancel(by, *v, reason, tx.Now(), r), reason); err != nil {
		return err
	}
	if err := vs.free(tx, v); err != nil {
		return err
	}
	if err := vs.step(tx, by, "visit.cancel", v, Cancelled, reason, r); err != nil {
		return err
	}
	return vs.notify(tx, "visit.cancelled", *v, v.both()...)
}

func rejectReasons() []string {
	return []string{"no_answer_in_time", "slot_unavailable", "no_entitlement", "details_wrong", "no_adult", "party_not_listed", "duplicate", "situation", "other"}
}

func cancelReasons() []string {
	return []string{
		"facility_operational", "staffing", "capacity", "schedule_changed", "booked_in_error", "duplicate", "lockdown", "weather", "outbreak",
		"device_maintenance", "system_fault", "recorder_fault", "released", "deceased", "transferred", "court", "medical", "temporary_absence", "programme",
		"housing_move", "privileges_suspended", "keep_separate", "child_protection", "restriction", "visitor_banned", "visitor_suspended", "contact_lost",
		"id_expired", "blocked", "visitor_cancelled", "inmate_cancelled", "inmate_refused", "other",
	}
}
