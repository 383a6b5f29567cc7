package visits

import (
	"slices"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// open opens the waiting room of a confirmed visit. What is not allowed any more is not opened: it is called off, and
// credited, with neutral words.
func (vs *Visits) open(tx *store.Tx, v Visit) error {
	by := ident.System()
	f, err := vs.look(tx, by, v)
	if err != nil {
		return err
	}
	for _, c := range Check(f, v.request()) {
		switch c {
		case Account, Identity, NoContact:
			return vs.cancel(tx, by, &v, "contact_lost")
		case NotAvailable:
			return vs.cancel(tx, by, &v, "restriction")
		case Blocked, NoStation:
			return vs.cancel(tx, by, &v, "facility_operational")
		}
	}
	if err := vs.step(tx, by, "visit.open", &v, CheckingIn, "", f.rules); err != nil {
		return err
	}
	return vs.notify(tx, "visit.open", v, v.both()...)
}

// Start notes that the call of a visit is live. Starting again is harmless.
func (vs *Visits) Start(tx *store.Tx, by ident.Actor, id ident.Visit) (Visit, error) {
	v, err := vs.Get(tx, id)
	if err != nil || v.State == InProgress {
		return v, err
	}
	return v, vs.step(tx, by, "visit.start", &v, InProgress, "", policy.Rules{})
}

// Finish notes what became of a visit that opened and settles what it used (rules.md, 5.5). Telling the same outcome
// again is harmless; another one is Conflict.
func (vs *Visits) Finish(tx *store.Tx, by ident.Actor, id ident.Visit, o Outcome) (Visit, error) {
	event, ok := map[State]string{Completed: "visit.complete", EndedEarly: "visit.end_early", Terminated: "visit.terminate", NoShow: "visit.no_show"}[o.State]
	if !ok {
		return Visit{}, fault.New("visits.Finish", fault.Invalid, "This is no outcome of a visit.").WithField("state", "unknown")
	}
	v, err := vs.Get(tx, id)
	if err != nil || v.State == o.State {
		return v, err
	}
	if err := checkMove(event, v.State, o.State, by.Kind); err != nil {
		return Visit{}, err
	}
	r, err := vs.rules(tx, v)
	if err != nil {
		return Visit{}, err
	}
	if err := vs.credit(tx, &v, creditOnOutcome(v, o, r), o.Reason); err != nil {
		return Visit{}, err
	}
	if err := vs.step(tx, by, event, &v, o.State, o.Reason, r); err != nil {
		return Visit{}, err
	}
	switch {
	case o.State == NoShow:
		return v, vs.notify(tx, "visit.no_show", v, v.both()...)
	case o.State == Terminated || v.Credited && v.Funding == "entitlement":
		return v, vs.notify(tx, "visit.outcome", v, v.both()...)
	}
	return v, nil
}

// Flag raises an issue on a confirmed visit, for staff to look at. Raising it again is harmless.
func (vs *Visits) Flag(tx *store.Tx, by ident.Actor, id ident.Visit, issue string) error {
	v, err := vs.Get(tx, id)
	if err != nil || v.State == Confirmed && slices.Contains(v.Review, issue) {
		return err
	}
	r, err := vs.rules(tx, v)
	if err != nil {
		return err
	}
	v.Review = append(slices.Clone(v.Review), issue)
	if err := vs.step(tx, by, "visit.flag", &v, Confirmed, "", r); err != nil {
		return err
	}
	return vs.notify(tx, "staff.review", v, "staff:clerk")
}
