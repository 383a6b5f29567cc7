package visits

import (
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// credit gives back what a visit used, or notes that it stays used.
func (vs *Visits) credit(tx *store.Tx, v *Visit, back bool, reason string) error {
	v.Credited = back
	if !back || v.Funding != "entitlement" {
		return nil
	}
	return giveBack(tx, *v, "returned", reason)
}

// creditOnCancel is the part of the credit matrix (rules.md, 5.5) about visits that never began. Whatever the facility
// calls off, for whatever reason and at whatever time, is given back.
func creditOnCancel(by ident.Actor, v Visit, reason string, now time.Time, r policy.Rules) bool {
	switch {
	case by.Is(ident.ByVisitor) || reason == "visitor_cancelled":
		return v.CreditedAt(now) || policy.CancelLateEntitlement.Of(r) == "return"
	case by.Is(ident.ByInmate) || reason == "inmate_cancelled" || reason == "inmate_refused" || reason == "blocked":
		return policy.CancelInmateEntitlement.Of(r) == "return"
	}
	return true
}

// Outcome is what became of a visit that opened.
type Outcome struct {
	State     State         // Completed, EndedEarly, Terminated, NoShow
	Reason    string        // code of rules.md, section 7
	Side      string        // of a no-show: visitor, inmate, both, facility_fault
	Delivered time.Duration // how long both sides were together
}

// creditOnOutcome is the part of the credit matrix about visits that opened.
func creditOnOutcome(v Visit, o Outcome, r policy.Rules) bool {
	half := time.Duration(policy.CreditEntitlementReturnBelow.Of(r)) * time.Duration(v.Minutes) * time.Minute / 100
	short := o.Delivered < half
	switch o.State {
	case NoShow:
		switch o.Side {
		case "facility_fault":
			return true
		case "inmate":
			return policy.CancelInmateEntitlement.Of(r) == "return" || o.Reason == "inmate_not_told" || o.Reason == "inmate_not_brought"
		}
		return false
	case Terminated:
		switch o.Reason {
		case "emergency", "lockdown", "staff_error", "system_fault", "recorder_fault", "inmate_removed", "privilege_mismatch":
			return short
		}
		return false
	case EndedEarly, Completed:
		switch o.Reason {
		case "line_lost", "system_fault", "recorder_fault":
			return short
		}
	}
	return false
}
