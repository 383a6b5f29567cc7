package calls

import "time"

// Wait is what one side is told while it waits: a safe reason, never why the other side is away (rules.md, 8.4).
type Wait struct {
	Reason string    // one of the constants below
	Opens  time.Time // opens_later
	Until  time.Time // not_available: when we end the visit
}

// The safe reasons.
const (
	WaitOpensLater   = "opens_later"
	WaitOnTheWay     = "on_the_way"
	WaitNotTold      = "not_told"
	WaitStaff        = "staff_preparing"
	WaitDevice       = "device_fault"
	WaitLate         = "facility_late"
	WaitNotAvailable = "not_available"
	WaitReady        = "ready" // both are here; the call starts at its time
)

// WaitFacts is what a safe reason is chosen from.
type WaitFacts struct {
	Now, Opens, Starts, NoShow time.Time
	OtherHere                  bool // the other side holds its seat
	OtherComing                bool // acknowledged, escorted or signed in
	StaffAwaited               bool // identity check, required monitor or recorder
	DeviceFault                bool
	FacilityLate               bool
}

// WaitOf chooses the safe reason: the first line that fits. Where nothing else is known after the start it is always
// the same words, so that court, hospital, refusal and release cannot be told apart.
func WaitOf(f WaitFacts) Wait {
	switch {
	case f.Now.Before(f.Opens):
		return Wait{Reason: WaitOpensLater, Opens: f.Opens}
	case f.FacilityLate:
		return Wait{Reason: WaitLate}
	case f.DeviceFault:
		return Wait{Reason: WaitDevice}
	case f.OtherHere && f.StaffAwaited:
		return Wait{Reason: WaitStaff}
	case f.OtherHere:
		return Wait{Reason: WaitReady}
	case f.OtherComing:
		return Wait{Reason: WaitOnTheWay}
	case f.Now.Before(f.Starts) && f.Starts.Sub(f.Now) <= 5*time.Minute:
		return Wait{Reason: WaitNotTold}
	case f.Now.Before(f.Starts):
		return Wait{Reason: WaitOnTheWay}
	default:
		return Wait{Reason: WaitNotAvailable, Until: f.NoShow}
	}
}
