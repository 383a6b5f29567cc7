// Package calls owns calls, the media of a visit: when the waiting room opens, who may take which seat, what staff order
// (pause, check, mute, say, end, stop), and the facts that the gateway reports back, each taken exactly once.
//
// It must not know SDP, packets or files: the gateway moves media, recordings keeps evidence. It decides nothing that
// stops media in time: the gateway ends a call at its fixed end alone. A privileged call is planned by another function
// than a social one; that function has nothing to put into the recorder's and the monitor's place.
//
// The life of a call: lobby_open, waiting, live, paused, security_check, ending, then one of ended, terminated, failed,
// not_held (state.go). Orders of ours change the state at once and go out as commands with a sequence number; facts of
// the gateway converge it, and a fact from before our last order cannot undo that order.
package calls
