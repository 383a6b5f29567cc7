package visits

import "sallyport/appliance/fault"

// Conflict is one check of rules.md, 4.1 that a visit fails.
type Conflict string

// The conflicts in the order of the checks B1 to B19.
const (
	ServiceOff   Conflict = "service_off"   // B1
	Account      Conflict = "account"       // B2
	Identity     Conflict = "identity"      // B3
	Party        Conflict = "party"         // B4
	NoContact    Conflict = "contact"       // B5
	NotAvailable Conflict = "not_available" // B6, B7: neutral words, never different by cause
	WrongClass   Conflict = "class"         // B8
	TooFar       Conflict = "window"        // B9: the date is not open yet
	TooLate      Conflict = "notice"        // B9: not enough notice
	Blocked      Conflict = "blocked"       // B10
	NoSession    Conflict = "session"       // B11
	OwnOverlap   Conflict = "own_overlap"   // B12: the asker already has a visit then
	Overlap      Conflict = "overlap"       // B12: somebody else has
	OwnLimit     Conflict = "own_limit"     // B15: the pair's
	Limit        Conflict = "limit"         // B15: the inmate's
	NoQuota      Conflict = "entitlement"   // B16
	NoFunds      Conflict = "funds"         // B16
	Full         Conflict = "full"          // B17
	NoStation    Conflict = "no_station"    // B17: no fitting device; never overridden
	SuggestOnly  Conflict = "suggest_only"  // B18
	Terms        Conflict = "terms"         // B19
)

// Fault is the refusal that a family member reads. Causes that lie with the inmate or the facility all read as a day
// without free times, and a restriction as neutral words: who may not know the cause cannot tell one from another.
func (c Conflict) Fault(op string, f Facts) *fault.Error {
	none := func() *fault.Error {
		return fault.New(op, fault.Conflict, "There are no free times on this day. Choose another day.").WithCode("slot.none")
	}
	switch c {
	case ServiceOff:
		return fault.New(op, fault.Unavailable, "This facility does not offer this kind of visit.").WithCode("visit.service_off")
	case Account:
		return fault.New(op, fault.Forbidden, "Your account cannot book yet. Look at the list of things to do.").WithCode("visit.account")
	case Identity:
		return fault.New(op, fault.Forbidden, "Send your ID first. You can book when it is checked.").WithCode("visit.identity").WithParam("state", f.Main.Identity)
	case Party:
		return fault.New(op, fault.Invalid, "This group of people cannot be on one visit.").WithCode("party.tooMany").WithParam("max", f.Limits.Party)
	case NoContact:
		return fault.New(op, fault.Forbidden, "This person is not on your list yet.").WithCode("visit.contact")
	case NotAvailable:
		return fault.New(op, fault.Forbidden, "You cannot book a visit with this person right now.").WithCode("visit.not_available")
	case WrongClass:
		return fault.New(op, fault.Invalid, "This person cannot be visited in this way.").WithCode("visit.class")
	case TooFar:
		return fault.New(op, fault.TooSoon, "This day is not open yet.").WithCode("visit.window").WithParam("days", f.Limits.WindowDays)
	case TooLate:
		return fault.New(op, fault.Invalid, "It is too late to book this time.").WithCode("visit.notice").WithParam("hours", int(f.Limits.Notice.Hours()))
	case OwnOverlap:
		return fault.New(op, fault.Conflict, "You already have a visit at this time.").WithCode("visit.overlap")
	case OwnLimit:
		return fault.New(op, fault.Conflict, "You have as many visits with this person as one day may have.").WithCode("visit.limit").WithParam("max", f.Limits.PairDay)
	case NoQuota:
		if !f.QuotaTold {
			return none()
		}
		return fault.New(op, fault.Conflict, "There are no visits left for this period.").WithCode("visit.noQuota").WithParam("from", f.NextPeriod)
	case NoFunds:
		return fault.New(op, fault.Conflict, "There is not enough money to book this visit.").WithCode("funds.short")
	case Full, NoStation:
		return fault.New(op, fault.Full, "Someone else has just booked this time. Choose another time.").WithCode("slot.taken")
	case SuggestOnly:
		return fault.New(op, fault.Invalid, "Suggest a time first. Your first visit must be accepted.").WithCode("visit.suggestOnly")
	case Terms:
		return fault.New(op, fault.Invalid, "Tick every box to show that you agree.").WithCode("terms.notAll").WithField("rules", "required")
	}
	return none() // blocked, session, overlap, limit
}
