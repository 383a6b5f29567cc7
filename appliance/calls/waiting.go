package calls

import (
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

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

// Room is the waiting room of one party.
type Room struct {
	Phase   string // early, open, live, paused, over
	Wait    Wait
	Opens   time.Time
	Starts  time.Time
	Ends    time.Time
	Peer    string // first name of the other side
	Label   string // state of the visit
	Code    string // why it is over
	MayJoin bool
}

// WaitingRoom tells a party of a visit how things stand, in safe words. It returns NotFound for anybody else.
func (c *Calls) WaitingRoom(tx *store.Tx, actor ident.Actor, id ident.Visit) (Room, error) {
	v, err := c.partyTo(tx, actor, id)
	if err != nil {
		return Room{}, err
	}
	rules, err := c.rules(tx, v)
	if err != nil {
		return Room{}, err
	}
	room := Room{
		Phase: "early", Opens: v.Starts.Add(-rules.early), Starts: v.Starts, Ends: v.Ends, Label: string(v.State),
	}
	if room.Peer, err = c.peer(tx, actor, v.Inmate, v.Main); err != nil {
		return Room{}, err
	}
	facts := WaitFacts{Now: tx.Now(), Opens: room.Opens, Starts: v.Starts, NoShow: v.Starts.Add(rules.noShow)}
	if !v.Planned() {
		room.Phase, room.Code = "over", v.Reason
		return room, nil
	}
	call, err := c.ByVisit(tx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		room.Wait = WaitOf(facts)
		return room, nil
	case err != nil:
		return Room{}, err
	}
	if err := c.waitFacts(tx, actor, call, &facts); err != nil {
		return Room{}, err
	}
	room.Phase, room.Wait, room.Code = roomPhase(call.State), WaitOf(facts), call.Code
	room.MayJoin = room.Phase != "over" && room.Phase != "early" && facts.Now.Before(call.Ends)
	return room, nil
}

func (c *Calls) waitFacts(tx *store.Tx, actor ident.Actor, call Call, f *WaitFacts) error {
	other := call.side("inmate")
	if actor.Is(ident.ByInmate) {
		other = call.side("visitor")
	}
	f.OtherHere, f.OtherComing = other.Here(), !other.Asked.IsZero()
	f.StaffAwaited = call.Spec.Record && call.Recorder != "armed" && call.Recorder != "gap" || call.Spec.MonitorRequired && call.State != Live
	if err := c.standing(tx, call.Spec.Labels); err != nil {
		if !fault.Is(err, fault.Unavailable) {
			return err
		}
		f.FacilityLate = true
	}
	return nil
}

// peer is the first name of the other side: all that either side learns of the other here.
func (c *Calls) peer(tx *store.Tx, actor ident.Actor, inmate ident.Inmate, main ident.Visitor) (string, error) {
	if actor.Is(ident.ByInmate) {
		v, err := c.People.Visitor(tx, main)
		return v.First, err
	}
	i, err := c.People.Inmate(tx, inmate)
	return i.First, err
}

func roomPhase(s State) string {
	switch s {
	case LobbyOpen, Waiting:
		return "open"
	case Live:
		return "live"
	case Paused, SecurityCheck:
		return "paused"
	default:
		return "over"
	}
}

// says are the copy keys of the safe reasons; the UI owns the words.
var says = map[string]string{
	WaitOpensLater: "call.early", WaitOnTheWay: "wait.onWay", WaitNotTold: "wait.notTold", WaitStaff: "wait.ready",
	WaitDevice: "wait.deviceFault", WaitLate: "wait.late", WaitNotAvailable: "wait.away", WaitReady: "wait.ready",
}

// Says returns the copy key of the waiting room with what its words need.
func (r Room) Says() (key string, params map[string]any) {
	params = map[string]any{"name": r.Peer}
	switch r.Phase {
	case "over":
		return "call.ended", params
	case "paused":
		return "call.paused", params
	}
	if !r.Wait.Opens.IsZero() {
		params["time"] = r.Wait.Opens
	}
	if !r.Wait.Until.IsZero() {
		params["time"] = r.Wait.Until
	}
	return says[r.Wait.Reason], params
}
