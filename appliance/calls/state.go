package calls

import "sallyport/appliance/fault"

// State of a call.
type State string

// The states (rules.md, 3.8). A call that is not yet open has no row.
const (
	Scheduled     State = ""
	LobbyOpen     State = "lobby_open"
	Waiting       State = "waiting"
	Live          State = "live"
	Paused        State = "paused"
	SecurityCheck State = "security_check"
	Ending        State = "ending"
	Ended         State = "ended"
	Terminated    State = "terminated"
	Failed        State = "failed"
	NotHeld       State = "not_held"
)

// Over tells whether the call has found its end.
func (s State) Over() bool { return s == Ended || s == Terminated || s == Failed || s == NotHeld }

// Running tells whether the parties have been let into the call and it is not being ended.
func (s State) Running() bool { return s == Live || s == Paused || s == SecurityCheck }

// Phase is what the gateway calls the state: open, live, paused; "" when the call is not to run.
func (s State) Phase() string {
	switch s {
	case LobbyOpen, Waiting:
		return "open"
	case Live:
		return "live"
	case Paused, SecurityCheck:
		return "paused"
	default:
		return ""
	}
}

// Turn is what moves a call from one state to the next.
type Turn string

// The turns.
const (
	TurnOpen      Turn = "call.open"
	TurnAdmit     Turn = "seat.admit"
	TurnStart     Turn = "call.start"
	TurnPause     Turn = "call.pause"
	TurnCheck     Turn = "check.begin"
	TurnDrop      Turn = "check.drop" // the check is given up, the call stays paused
	TurnResume    Turn = "check.pass"
	TurnBack      Turn = "recorder.back" // the pause was the recorder's, and it has returned
	TurnEnding    Turn = "call.ending"
	TurnEnd       Turn = "call.end"
	TurnTerminate Turn = "call.terminate"
	TurnFail      Turn = "call.fail"
	TurnNoShow    Turn = "call.no_show"
)

// turns is the whole machine. A turn that is not here is refused; ends are possible from every state that is open.
var turns = map[State]map[Turn]State{
	Scheduled: {TurnOpen: LobbyOpen},
	LobbyOpen: ends(map[Turn]State{TurnAdmit: Waiting, TurnStart: Live, TurnNoShow: NotHeld}),
	Waiting:   ends(map[Turn]State{TurnAdmit: Waiting, TurnStart: Live, TurnNoShow: NotHeld}),
	Live:      ends(map[Turn]State{TurnAdmit: Live, TurnStart: Live, TurnPause: Paused}),
	Paused: ends(map[Turn]State{
		TurnAdmit: Paused, TurnPause: Paused, TurnCheck: SecurityCheck, TurnBack: Live,
	}),
	SecurityCheck: ends(map[Turn]State{
		TurnAdmit: SecurityCheck, TurnPause: SecurityCheck, TurnDrop: Paused, TurnResume: Live,
	}),
	Ending: {TurnEnding: Ending, TurnEnd: Ended, TurnTerminate: Terminated, TurnFail: Failed, TurnNoShow: NotHeld},
}

func ends(t map[Turn]State) map[Turn]State {
	t[TurnEnding], t[TurnEnd], t[TurnTerminate], t[TurnFail] = Ending, Ended, Terminated, Failed
	return t
}

// Next returns the state after a turn. It returns Conflict with the code call.state when the turn does not fit.
func Next(from State, turn Turn) (State, error) {
	to, ok := turns[from][turn]
	if !ok {
		return from, fault.New("calls.Next", fault.Conflict, "The call is in another state now. Look again.").
			WithCode("call.state").WithParam("state", string(from)).WithParam("turn", string(turn))
	}
	return to, nil
}
