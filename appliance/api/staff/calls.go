package staff

import (
	"context"

	"sallyport/appliance/api"
	"sallyport/appliance/calls"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// GetLive answers the wall: stations, open calls and the next start.
func (d *Door) GetLive(ctx context.Context, _ GetLiveRequestObject) (GetLiveResponseObject, error) {
	out := GetLive200JSONResponse{Stations: []Station{}, Calls: []LiveCall{}, Gateway: Ok}
	err := d.DB.View(ctx, func(tx *store.Tx) (err error) {
		out.Now = tx.Now()
		if out.Stations, err = d.boardStations(tx); err != nil {
			return err
		}
		list, err := d.Calls.Live(tx)
		if err != nil {
			return err
		}
		for _, s := range list {
			out.Calls = append(out.Calls, d.liveCall(tx, s))
		}
		next, err := d.Visits.In(tx, visits.Confirmed)
		if err == nil && len(next) > 0 {
			out.Next = &next[0].Starts
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if seen := d.Calls.GatewaySeen(); out.Now.Sub(seen) >= calls.GatewayQuiet {
		out.Gateway = Down
		if !seen.IsZero() {
			out.GatewaySince = &seen
		}
	}
	return out, nil
}

// phaseOf folds the states of a call into what a tile shows.
func phaseOf(s calls.State) LiveCallPhase {
	switch {
	case s.Over():
		return LiveCallPhaseEnded
	case s == calls.Ending:
		return LiveCallPhaseEnding
	default:
		return LiveCallPhase(s.Phase())
	}
}

func recorderOf(c calls.Call) LiveCallRecorder {
	switch {
	case !c.Spec.Record:
		return LiveCallRecorderNone
	case c.Recorder == "":
		return LiveCallRecorderArming
	case c.Recorder == "failed":
		return LiveCallRecorderFailed
	default:
		return LiveCallRecorderRecording
	}
}

func (d *Door) liveCall(tx *store.Tx, s calls.Shown) LiveCall {
	out := LiveCall{
		Call: string(s.ID), Visit: string(s.Visit), Ref: s.Ref, VisitClass: string(s.Class), Private: s.Privileged(), Phase: phaseOf(s.State),
		Since: s.Since, Start: s.Starts, Ends: s.Ends, Seats: []LiveSeat{}, Recorded: s.Spec.Record, Recorder: recorderOf(s.Call), Flags: s.Flags,
		Station: optional(s.Station), StationId: optional(string(s.StationID)), Inmate: optional(s.Inmate), InmateNumber: optional(s.InmateNumber),
		Visitor: optional(s.Visitor), EndedCode: optional(s.Code),
	}
	for _, seat := range s.Seats {
		out.Seats = append(out.Seats, LiveSeat{Seat: string(seat.Seat), Role: seat.Role, State: seat.State})
	}
	if out.Phase == LiveCallPhasePaused {
		out.PausedReason = optional(s.PauseReason)
		if s.PauseBy != "" {
			out.PausedBy = optional(d.name(tx, s.PauseBy))
		}
	}
	if s.Check != nil {
		check := d.securityCheck(tx, *s.Check)
		out.Check = &check
	}
	return out
}

func (d *Door) securityCheck(tx *store.Tx, k calls.Check) SecurityCheck {
	out := SecurityCheck{Id: string(k.ID), Call: string(k.Call), By: d.name(tx, string(k.Staff)), Begun: k.Began, Steps: []CheckStep{}}
	for _, step := range k.Asked {
		out.Steps = append(out.Steps, CheckStep{Key: step, MaySkip: step != calls.StepIdentity})
	}
	return out
}

// shown reads a call again after an order, as the wall shows it.
func (d *Door) shown(ctx context.Context, c calls.Call, err error) (out LiveCall, _ error) {
	if err != nil {
		return out, err
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		s, err := d.Calls.Show(tx, c.ID)
		if err == nil {
			out = d.liveCall(tx, s)
		}
		return err
	})
	return out, err
}

// MonitorCall gives a place outside the participants; who and why are on record before.
func (d *Door) MonitorCall(ctx context.Context, r MonitorCallRequestObject) (MonitorCallResponseObject, error) {
	t, err := d.Calls.Monitor(ctx, api.From(ctx).Actor(), ident.Call(r.Call), string(r.Body.Purpose), r.Body.Fingerprint)
	if err != nil {
		return nil, err
	}
	return MonitorCall200JSONResponse{TicketJSONResponse{
		Grant: t.Grant, Signaling: t.Signaling, IceServers: []IceServer{}, Seat: string(t.Seat), Recorded: t.Recorded, NoticeVersion: t.Notice,
		Now: t.Now, Start: &t.Starts, Ends: &t.Ends, Peer: optional(t.Peer), Ref: optional(t.Ref), Call: optional(string(t.Call)),
	}}, nil
}

// PauseCall cuts the media of a live call both ways.
func (d *Door) PauseCall(ctx context.Context, r PauseCallRequestObject) (PauseCallResponseObject, error) {
	c, err := d.Calls.Pause(ctx, api.From(ctx).Actor(), ident.Call(r.Call), r.Body.Reason)
	out, err := d.shown(ctx, c, err)
	if err != nil {
		return nil, err
	}
	return PauseCall200JSONResponse{LiveCallJSONResponse(out)}, nil
}

// BeginCheck takes the security check of a paused call.
func (d *Door) BeginCheck(ctx context.Context, r BeginCheckRequestObject) (BeginCheckResponseObject, error) {
	k, err := d.Calls.BeginCheck(ctx, api.From(ctx).Actor(), ident.Call(r.Call))
	if err != nil {
		return nil, err
	}
	var out SecurityCheck
	if err := d.DB.View(ctx, func(tx *store.Tx) error { out = d.securityCheck(tx, k); return nil }); err != nil {
		return nil, err
	}
	return BeginCheck200JSONResponse{SecurityCheckJSONResponse(out)}, nil
}

// ResumeCall stores the answers of the check and, when it has passed, lets the media flow again.
func (d *Door) ResumeCall(ctx context.Context, r ResumeCallRequestObject) (ResumeCallResponseObject, error) {
	answers := make([]calls.Step, 0, len(r.Body.Steps))
	for _, s := range r.Body.Steps {
		step := calls.Step{Step: s.Key, Answer: "passed"}
		if !s.Done {
			if s.SkippedReason == nil || *s.SkippedReason == "" {
				return nil, fault.New("staff.ResumeCall", fault.Conflict, "Finish the security check first.").
					WithCode("check.incomplete").WithParam("steps", []string{s.Key})
			}
			step.Answer, step.Reason = "skipped", *s.SkippedReason
		}
		answers = append(answers, step)
	}
	c, err := d.Calls.Resume(ctx, api.From(ctx).Actor(), ident.Call(r.Call), ident.Check(r.Body.Check), answers...)
	out, err := d.shown(ctx, c, err)
	if err != nil {
		return nil, err
	}
	return ResumeCall200JSONResponse{LiveCallJSONResponse(out)}, nil
}

// SayToCall puts staff's words on the parties' screens.
func (d *Door) SayToCall(ctx context.Context, r SayToCallRequestObject) (SayToCallResponseObject, error) {
	w := calls.Words{Side: string(r.Body.Side), Body: r.Body.Body}
	if _, err := d.Calls.Say(ctx, api.From(ctx).Actor(), ident.Call(r.Call), w); err != nil {
		return nil, err
	}
	return SayToCall204Response{}, nil
}

// EndCall ends a call with a reason.
func (d *Door) EndCall(ctx context.Context, r EndCallRequestObject) (EndCallResponseObject, error) {
	c, err := d.Calls.End(ctx, api.From(ctx).Actor(), ident.Call(r.Call), r.Body.Reason)
	out, err := d.shown(ctx, c, err)
	if err != nil {
		return nil, err
	}
	return EndCall200JSONResponse{LiveCallJSONResponse(out)}, nil
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
