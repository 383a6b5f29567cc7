package visits

import (
	"slices"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// gone is the state of a hold that ended: nothing is kept of it.
const gone State = "gone"

// move is one line of the life of a visit (rules.md, 3.4). The event is also the audit action.
type move struct {
	event string
	from  State    // "" is nothing yet
	to    [2]State // "" fills it up
	by    [5]ident.ActorKind
}

// moves is the whole life of a visit. What is not in it is refused. It is made of arrays, which cost nothing to make.
func moves() [24]move {
	const (
		visitor, inmate, staff = ident.ByVisitor, ident.ByInmate, ident.ByStaff
		system, central        = ident.BySystem, ident.ByCentral
		gateway                = ident.ByGateway
	)
	type (
		states = [2]State
		who    = [5]ident.ActorKind
	)
	return [...]move{
		{"visit.hold", "", states{Held}, who{visitor, inmate, staff, central}},
		{"visit.hold_expire", Held, states{gone}, who{system, visitor, inmate, staff, central}},
		{"visit.suggest", Held, states{Suggested}, who{visitor, inmate}},
		{"visit.request", Held, states{AwaitingStaff}, who{visitor, inmate, central}},
		{"visit.confirm", Held, states{Confirmed}, who{visitor, inmate, staff}},
		{"visit.accept", Suggested, states{Confirmed, AwaitingStaff}, who{inmate, visitor, staff}},
		{"visit.decline", Suggested, states{Declined}, who{inmate, visitor}},
		{"visit.expire", Suggested, states{Expired}, who{system}},
		{"visit.withdraw", Suggested, states{Withdrawn}, who{visitor, inmate, staff, central}},
		{"visit.withdraw", AwaitingStaff, states{Withdrawn}, who{visitor, inmate, staff, central}},
		{"visit.approve", AwaitingStaff, states{Confirmed}, who{staff}},
		{"visit.reject", AwaitingStaff, states{Rejected}, who{staff}},
		{"visit.auto_reject", Suggested, states{AutoRejected}, who{system, staff, central}},
		{"visit.auto_reject", AwaitingStaff, states{AutoRejected}, who{system, staff, central}},
		{"visit.flag", Confirmed, states{Confirmed}, who{system, staff, central}},
		{"visit.cancel", Confirmed, states{Cancelled}, who{visitor, inmate, staff, system, central}},
		{"visit.cancel", CheckingIn, states{Cancelled}, who{visitor, inmate, staff, system, central}},
		{"visit.open", Confirmed, states{CheckingIn}, who{system}},
		{"visit.start", CheckingIn, states{InProgress}, who{system, gateway}},
		{"visit.no_show", CheckingIn, states{NoShow}, who{system, gateway}},
		{"visit.terminate", CheckingIn, states{Terminated}, who{system, gateway, staff}},
		{"visit.complete", InProgress, states{Completed}, who{system, gateway}},
		{"visit.end_early", InProgress, states{EndedEarly}, who{system, gateway, visitor, inmate}},
		{"visit.terminate", InProgress, states{Terminated}, who{system, gateway, staff}},
	}
}

// MayMove tells whether an event may take a visit from one state to another.
func MayMove(event string, from, to State, by ident.ActorKind) bool {
	if to == "" || by == "" {
		return false
	}
	for _, m := range moves() {
		if m.event == event && m.from == from && slices.Contains(m.to[:], to) && slices.Contains(m.by[:], by) {
			return true
		}
	}
	return false
}

// checkMove refuses with Conflict what the table does not have.
func checkMove(event string, from, to State, by ident.ActorKind) error {
	if MayMove(event, from, to, by) {
		return nil
	}
	return fault.New("visits."+event, fault.Conflict, "The visit is not in a state for this any more. Look at it again.").
		WithCode("visit.state").WithParam("state", string(from))
}
