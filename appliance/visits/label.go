package visits

import (
	"time"

	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// Label is the word that families read for a state (rules.md, 3.4); the UI owns its translation.
func (v Visit) Label() string {
	switch v.State {
	case Suggested:
		return "invited"
	case Held, AwaitingStaff:
		return "requested"
	case CheckingIn:
		return "open"
	case InProgress:
		return "live"
	case Completed:
		return "done"
	case EndedEarly:
		return "ended_early"
	case Terminated:
		return "ended_by_staff"
	case NoShow:
		return "missed"
	case Declined:
		return "declined"
	case Expired:
		return "no_answer"
	case Withdrawn:
		return "withdrawn"
	case Rejected, AutoRejected:
		return "not_approved"
	case Cancelled:
		return "cancelled"
	}
	return "confirmed"
}

// Opens is when the waiting room of a visit opens.
func (vs *Visits) Opens(tx *store.Tx, v Visit) (time.Time, error) {
	r, err := vs.rules(tx, v)
	if err != nil {
		return time.Time{}, err
	}
	return v.Starts.Add(-policy.VisitEarlyJoin.Of(r)), nil
}
