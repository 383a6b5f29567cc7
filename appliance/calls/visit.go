package calls

import (
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// times are the rules about when; they and the call's own rules come from one reading of the policy.
type times struct {
	early  time.Duration
	noShow time.Duration
	steps  []string
	call   Rules
}

// rules reads the policy for a visit, with what its people's flags add.
func (c *Calls) rules(tx *store.Tx, v visits.Visit) (times, error) {
	i, err := c.People.Inmate(tx, v.Inmate)
	if err != nil {
		return times{}, err
	}
	r, err := c.Policy.At(tx, policy.Scope{Unit: i.Unit, Level: i.Level, Class: string(v.Class), Inmate: v.Inmate, Visitor: v.Main})
	if err != nil {
		return times{}, err
	}
	t := times{
		early: policy.VisitEarlyJoin.Of(r), noShow: policy.VisitNoShowAfter.Of(r), steps: policy.CallSecurityCheckSteps.Of(r),
		call: Rules{
			RecordFail: policy.RecordFail.Of(r), MonitorVisible: policy.CallMonitorVisible.Of(r), PauseOn: policy.CallPauseAutoOn.Of(r),
			Warnings: policy.CallEndWarnings.Of(r), Grace: policy.CallReconnectGrace.Of(r), PauseRemind: policy.CallPauseRemind.Of(r),
			Digest: policyName(r.Version()),
		},
	}
	switch linkspec.Class(v.Class) {
	case linkspec.Social, linkspec.OnSite:
		t.call.Record = policy.CallRecordSocial.Of(r)
	case linkspec.Official:
		t.call.Record = policy.CallRecordOfficial.Of(r)
	default:
		return t, nil
	}
	t.call.MonitorRequired, err = c.watchRequired(tx, v, policy.CallMonitorRequired.Of(r))
	return t, err
}

// watchRequired tells whether a monitor must be present: by rule for all, for flagged pairs, or by a restriction.
func (c *Calls) watchRequired(tx *store.Tx, v visits.Visit, rule string) (bool, error) {
	if rule == "all" {
		return true, nil
	}
	f, err := c.Facility.Get(tx)
	if err != nil {
		return false, err
	}
	zone, err := f.Location()
	if err != nil {
		return false, err
	}
	day := v.Starts.In(zone).Format(time.DateOnly)
	list, err := c.People.Restrictions(tx, v.Inmate, v.Main)
	if err != nil {
		return false, err
	}
	for _, r := range list {
		if r.On(day) && (r.Code == people.MustMonitor || rule == "flagged" && r.Flags()) {
			return true, nil
		}
	}
	return false, nil
}

// steps are the lines of the facility's checklist for a call; the identity line is always among them.
func (c *Calls) steps(tx *store.Tx, call Call) ([]string, error) {
	v, err := c.Visits.Get(tx, call.Visit)
	if err != nil {
		return nil, err
	}
	t, err := c.rules(tx, v)
	if err != nil {
		return nil, err
	}
	out := []string{StepIdentity}
	for _, s := range t.steps {
		if s != StepIdentity {
			out = append(out, s)
		}
	}
	return out, nil
}

func policyName(version int64) string {
	if version == 0 {
		return ""
	}
	return "policy-" + time.Duration(version).String()
}

var _ = ident.System
var _ = fault.New
