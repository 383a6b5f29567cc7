package calls

import "sallyport/appliance/linkspec"

// Outcome is what a call's end means for its visit.
type Outcome struct {
	Turn   Turn   // of the call
	Visit  string // completed, ended_early, terminated, no_show
	Side   string // no_show only: visitor, inmate, both, facility_fault
	Reason string // code of rules.md, section 7
}

// Facts about a call that is over or was never held; all of them are stored before anybody judges.
type Facts struct {
	Code        string // of the end: time_up, visitor_left, inmate_left, line_lost, a fault or staff's reason
	ByStaff     bool   // somebody ended it
	WasLive     bool
	Stopped     bool   // a kill switch stands over it
	Fault       bool   // device, gateway, recorder or required monitor was missing
	Away        string // court, medical, unit_closed: what roster or movement says
	Refusal     bool   // the inmate said no
	OwnTablet   bool   // the inmate's own device was on line and told
	Acked       bool   // the inmate knows: accepted the visit or said "I know about it"
	Escorted    bool   // an escort was called
	InmateCame  bool   // the inmate's seat was taken
	VisitorCame bool   // the visitor's seat was taken
	VisitorTry  bool   // the visitor opened the waiting room but never got media through
}

// faultCodes are ends that the facility's machines caused.
var faultCodes = map[string]bool{
	"system_fault": true, "recorder_fault": true, "recording_failed": true, "device_maintenance": true, "gateway_restart": true,
	"no_recorder": true,
}

// OutcomeOf judges the end of a call (rules.md, 3.8 and 5.6): first line that fits.
func OutcomeOf(f Facts) Outcome {
	switch {
	case faultCodes[f.Code] && f.WasLive:
		return Outcome{Turn: TurnFail, Visit: "ended_early", Reason: "system_fault"}
	case f.ByStaff:
		return Outcome{Turn: TurnTerminate, Visit: "terminated", Reason: f.Code}
	case f.WasLive && f.Code == "time_up":
		return Outcome{Turn: TurnEnd, Visit: "completed", Reason: "time_up"}
	case f.WasLive:
		return Outcome{Turn: TurnEnd, Visit: "ended_early", Reason: f.Code}
	default:
		side, reason := Cause(f)
		return Outcome{Turn: TurnNoShow, Visit: "no_show", Side: side, Reason: reason}
	}
}

// Cause tells who caused that a call was not held: the lines of rules.md 5.6 in their order.
func Cause(f Facts) (side, reason string) {
	away := !f.InmateCame
	told := f.Acked || f.Refusal || f.OwnTablet
	switch {
	case f.Stopped || f.Fault || faultCodes[f.Code]:
		return "facility_fault", "system_fault"
	case f.Away != "":
		return "facility_fault", f.Away
	case away && !told && !f.Escorted:
		return "facility_fault", "inmate_not_told"
	case away && f.Escorted && !f.Refusal && !f.OwnTablet:
		return "facility_fault", "inmate_not_brought"
	case away && f.Refusal:
		return "inmate", "inmate_refused"
	case away && f.OwnTablet:
		return "inmate", "inmate_absent"
	case !f.VisitorCame && f.VisitorTry:
		return "visitor", "visitor_device"
	case !f.VisitorCame && !away:
		return "visitor", "visitor_absent"
	case !f.VisitorCame:
		return "both", "visitor_absent"
	case away:
		return "facility_fault", "inmate_not_brought"
	default:
		return "facility_fault", "system_fault" // both came and the call never started: ours
	}
}

// privileged tells whether nobody but the parties may see or hear the call.
func privileged(c linkspec.Class) bool {
	return c != linkspec.Social && c != linkspec.OnSite && c != linkspec.Official
}
