package calls

import (
	"encoding/json"
	"strconv"
	"time"

	"sallyport/appliance/audit"
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

func policyName(version int64) string { return "policy-" + strconv.FormatInt(version, 10) }

// gateway is who reports facts.
func gateway() ident.Actor { return ident.Actor{Kind: ident.ByGateway, Door: "link"} }

// moved opens the call of a visit whose waiting room opens, and ends the call of one that is called off.
func (c *Calls) moved(tx *store.Tx, v visits.Visit) error {
	switch v.State {
	case visits.CheckingIn:
		if v.Class == visits.InPerson {
			return nil // they meet without us
		}
		return c.openFor(tx, v)
	case visits.Cancelled, visits.NoShow, visits.Terminated:
		return c.callOff(tx, v)
	default:
		return nil
	}
}

// openFor opens the call of a visit. Opening it again changes nothing.
func (c *Calls) openFor(tx *store.Tx, v visits.Visit) error {
	if _, err := c.ByVisit(tx, v.ID); err == nil || !fault.Is(err, fault.NotFound) {
		return err
	}
	f, err := c.Facility.Get(tx)
	if err != nil {
		return err
	}
	i, err := c.People.Inmate(tx, v.Inmate)
	if err != nil {
		return err
	}
	t, err := c.rules(tx, v)
	if err != nil {
		return err
	}
	spec, err := SpecOf(Plan{
		Call: ident.New[ident.Call](), Visit: v.ID, Facility: f.ID, Class: linkspec.Class(v.Class),
		Opens: v.Starts.Add(-t.early), Starts: v.Starts, Ends: v.Ends, Visitor: v.Main, Inmate: v.Inmate,
		Unit: i.Unit, Station: v.Station, Party: 1 + len(v.Party), Rules: t.call,
	}, c.now())
	if err != nil {
		return err
	}
	return c.insert(tx, spec)
}

func (c *Calls) insert(tx *store.Tx, spec linkspec.Spec) error {
	state, err := Next(Scheduled, TurnOpen)
	if err != nil {
		return err
	}
	body, err := json.Marshal(spec)
	if err != nil {
		return fault.New("calls.open", fault.Internal, "The call's plan could not be written.").Because(err)
	}
	now := store.Ms(tx.Now())
	if err := tx.Exec(`INSERT INTO call (id, visit, class, state, state_at, spec, version, opens, starts, ends) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(spec.Call), string(spec.Visit), string(spec.Class), string(state), now, string(body), spec.Version,
		store.Ms(spec.Opens.Wall), store.Ms(spec.Starts.Wall), store.Ms(spec.Ends.Wall)); err != nil {
		return err
	}
	for _, s := range spec.Seats {
		if err := tx.Exec(`INSERT INTO call_seat (call, seat, role, who, state_at) VALUES (?, ?, ?, ?, ?)`,
			string(spec.Call), string(s.Seat), s.Role, s.Who, now); err != nil {
			return err
		}
	}
	if err := audit.Record(tx, ident.System(), "call.open", spec.Call); err != nil {
		return err
	}
	if err := c.order(tx, linkspec.Command{Cmd: linkspec.CmdOpen, Call: spec.Call, Version: spec.Version, Spec: &spec}); err != nil {
		return err
	}
	call, err := c.Get(tx, spec.Call)
	if err != nil {
		return err
	}
	return c.tell(tx, call)
}

// callOff ends the call of a visit that found its end without it: cancelled, or not held.
func (c *Calls) callOff(tx *store.Tx, v visits.Visit) error {
	call, err := c.ByVisit(tx, v.ID)
	if fault.Is(err, fault.NotFound) || err == nil && call.State.Over() {
		return nil
	}
	if err != nil {
		return err
	}
	if call.State != Ending {
		if err := c.dropCheck(tx, call.ID, v.Reason); err != nil {
			return err
		}
		if err := c.orderEnd(tx, &call, v.Reason, ident.System()); err != nil {
			return err
		}
	}
	turn := TurnNoShow
	if v.State == visits.Terminated {
		turn = TurnTerminate
	}
	return c.close(tx, &call, turn, v.Reason, "", tx.Now())
}

// close writes a call's end. It raises no version: the gateway has ended it, or an order before this one does.
func (c *Calls) close(tx *store.Tx, call *Call, turn Turn, code, by string, at time.Time) error {
	to, err := Next(call.State, turn)
	if err != nil {
		return err
	}
	if err := c.dropCheck(tx, call.ID, code); err != nil {
		return err
	}
	n, err := tx.ExecN(`UPDATE call SET state = ?, state_at = ?, ended_at = ?, code = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL`,
		string(to), store.Ms(tx.Now()), store.Ms(at), code, by, string(call.ID))
	if err != nil || n == 0 {
		return err
	}
	call.State, call.EndedAt, call.Code, call.EndedBy = to, at, code, by
	if err := audit.Record(tx, gateway(), string(turn), call.ID, audit.Reason(code)); err != nil {
		return err
	}
	return c.tell(tx, *call)
}

// visitStarted moves the visit to in progress, once.
func (c *Calls) visitStarted(tx *store.Tx, call Call) error {
	v, err := c.Visits.Get(tx, call.Visit)
	if err != nil || v.State != visits.CheckingIn {
		return err
	}
	_, err = c.Visits.Start(tx, gateway(), call.Visit)
	return err
}

// finish takes the gateway's word that a call has ended, judges it, and closes call and visit.
func (c *Calls) finish(tx *store.Tx, call *Call, code, by string, at time.Time) error {
	ours := call.State == Ending && call.Code != ""
	if ours {
		code, by = call.Code, call.EndedBy // the gateway repeats our order; we know who gave it
	}
	f, err := c.facts(tx, *call)
	if err != nil {
		return err
	}
	f.Code, f.ByStaff = code, ours && (by != "" || endReasons[code]) || isStaff(by)
	o := OutcomeOf(f)
	if err := c.close(tx, call, o.Turn, o.Reason, by, at); err != nil {
		return err
	}
	v, err := c.Visits.Get(tx, call.Visit)
	if err != nil || v.State != visits.CheckingIn && v.State != visits.InProgress {
		return err
	}
	_, err = c.Visits.Finish(tx, gateway(), call.Visit, visits.Outcome{
		State: visits.State(o.Visit), Side: o.Side, Reason: o.Reason,
		Delivered: time.Duration(call.MeteredS) * time.Second,
	})
	return err
}

// Happened looks at the running calls of somebody to whom something happened: who may not be together any more is parted
// now, not at the end of the visit.
func (c *Calls) Happened(tx *store.Tx, inmate ident.Inmate, visitor ident.Visitor) error {
	all, err := c.open(tx)
	if err != nil {
		return err
	}
	for _, call := range all {
		i, v := call.side("inmate"), call.side("visitor")
		if inmate != "" && i.Who != string(inmate) || visitor != "" && v.Who != string(visitor) || call.State == Ending {
			continue
		}
		reason, err := c.parted(tx, call, ident.Inmate(i.Who), ident.Visitor(v.Who))
		if err != nil {
			return err
		}
		if reason == "" {
			continue
		}
		if err := c.dropCheck(tx, call.ID, reason); err != nil {
			return err
		}
		if err := c.orderEnd(tx, &call, reason, ident.System()); err != nil {
			return err
		}
		if err := c.tell(tx, call); err != nil {
			return err
		}
	}
	return nil
}

func isStaff(by string) bool {
	_, err := ident.Parse[ident.Staff](by)
	return err == nil
}

// whyNotHeld tells the room of visits who caused that a visit did not take place, or nothing while both parties are there
// and the call is about to begin.
func (c *Calls) whyNotHeld(tx *store.Tx, v visits.Visit) (visits.Outcome, error) {
	call, err := c.ByVisit(tx, v.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return visits.Outcome{}, err
	}
	f := Facts{Fault: true} // its waiting room never opened: ours
	if err == nil {
		if f, err = c.facts(tx, call); err != nil {
			return visits.Outcome{}, err
		}
		if call.side("visitor").Here() && call.side("inmate").Here() && !f.Fault && !f.Stopped {
			return visits.Outcome{}, nil
		}
	}
	side, reason := Cause(f)
	return visits.Outcome{State: visits.NoShow, Side: side, Reason: reason}, nil
}

// facts gathers what is stored about a call.
func (c *Calls) facts(tx *store.Tx, call Call) (Facts, error) {
	v, err := c.Visits.Get(tx, call.Visit)
	if err != nil {
		return Facts{}, err
	}
	i, err := c.People.Inmate(tx, v.Inmate)
	if err != nil {
		return Facts{}, err
	}
	visitor, inmate := call.side("visitor"), call.side("inmate")
	f := Facts{
		WasLive:     !call.LiveAt.IsZero(),
		Fault:       call.Recorder == "failed" && call.Spec.RecordFail == "block" || c.Clock.Now().Sub(c.GatewaySeen()) >= GatewayQuiet,
		VisitorCame: !visitor.Joined.IsZero(), InmateCame: !inmate.Joined.IsZero(),
		VisitorTry: !visitor.Asked.IsZero() && visitor.Joined.IsZero(),
		Acked:      v.AskedBy == ident.ByInmate || !inmate.Asked.IsZero(),
	}
	switch i.State {
	case people.TempOut, people.TransferredOut:
		f.Away = "temporary_absence"
	case people.Released, people.Deceased:
		f.Away = "released"
	}
	if err := c.standing(tx, call.Spec.Labels); err != nil {
		if !fault.Is(err, fault.Unavailable) {
			return Facts{}, err
		}
		f.Stopped = true
	}
	var refused int
	if err := tx.Row(`SELECT count(*) FROM gateway_event WHERE call = ? AND kind = ?`, string(call.ID), linkspec.RecordingFailed).Scan(&refused); err != nil {
		return Facts{}, err
	}
	f.Fault = f.Fault || refused > 0 && !f.WasLive && call.Spec.RecordFail == "block"
	return f, nil
}
