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
	from  State // "" is nothing yet
	to    []State
	by    []ident.ActorKind
}

// moves is the whole life of a visit. What is not in it is refused.
func moves() []move {
	const (
		visitor, inmate, staff = ident.ByVisitor, ident.ByInmate, ident.ByStaff
		system, central        = ident.BySystem, ident.ByCentral
		gateway                = ident.ByGateway
	)
	type who = []ident.ActorKind
	return []move{
		{"visit.hold", "", []State{Held}, who{visitor, inmate, staff, central}},
		{"visit.hold_expire", Held, []State{gone}, who{system, visitor, inmate, staff, central}},
		{"visit.suggest", Held, []State{Suggested}, who{visitor, inmate}},
		{"visit.request", Held, []State{AwaitingStaff}, who{visitor, inmate, central}},
		{"visit.confirm", Held, []State{Confirmed}, who{visitor, inmate, staff}},
		{"visit.accept", Suggested, []State{Confirmed, AwaitingStaff}, who{inmate, visitor, staff}},
		{"visit.decline", Suggested, []State{Declined}, who{inmate, visitor}},
		{"visit.expire", Suggested, []State{Expired}, who{system}},
		{"visit.withdraw", Suggested, []State{Withdrawn}, who{visitor, inmate, staff, central}},
		{"visit.withdraw", AwaitingStaff, []State{Withdrawn}, who{visitor, inmate, staff, central}},
		{"visit.approve", AwaitingStaff, []State{Confirmed}, who{staff}},
		{"visit.reject", AwaitingStaff, []State{Rejected}, who{staff}},
		{"visit.auto_reject", Suggested, []State{AutoRejected}, who{system, staff, central}},
		{"visit.auto_reject", AwaitingStaff, []State{AutoRejected}, who{system, staff, central}},
		{"visit.flag", Confirmed, []State{Confirmed}, who{system, staff, central}},
		{"visit.cancel", Confirmed, []State{Cancelled}, who{visitor, inmate, staff, system, central}},
		{"visit.cancel", CheckingIn, []State{Cancelled}, who{visitor, inmate, staff, system, central}},
		{"visit.open", Confirmed, []State{CheckingIn}, who{system}},
		{"visit.start", CheckingIn, []State{InProgress}, who{system, gateway}},
		{"visit.no_show", CheckingIn, []State{NoShow}, who{system, gateway}},
		{"visit.terminate", CheckingIn, []State{Terminated}, who{system, gateway, staff}},
		{"visit.complete", InProgress, []State{Completed}, who{system, gateway}},
		{"visit.end_early", InProgress, []State{EndedEarly}, who{system, gateway, visitor, inmate}},
		{"visit.terminate", InProgress, []State{Terminated}, who{system, gateway, staff}},
	}
}

// MayMove tells whether an event may take a visit from one state to another.
func MayMove(event string, from, to State, by ident.ActorKind) bool {
	for _, m := range moves() {
		if m.event == event && m.from == from && slices.Contains(m.to, to) && slices.Contains(m.by, by) {
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
