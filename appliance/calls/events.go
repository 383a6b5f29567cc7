package calls

import (
	"context"
	"encoding/json"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
)

// maxEvents is the largest batch that the link takes.
const maxEvents = 256

// Take stores a batch of the gateway's facts and acts on those that are new. Taking a batch again changes nothing. A
// fact for an unknown call, or one that does not fit, is parked with the reason. It returns Invalid for a batch that is
// too large or has no ids, and the last sequence number that is stored.
func (c *Calls) Take(ctx context.Context, batch []linkspec.Event) (linkspec.Ack, error) {
	c.Heard()
	if len(batch) == 0 {
		return linkspec.Ack{}, nil
	}
	if len(batch) > maxEvents {
		return linkspec.Ack{}, fault.Newf("calls.Take", fault.Invalid, "A batch holds at most %d facts.", maxEvents).WithCode("events.many")
	}
	for _, e := range batch {
		if _, err := ident.Parse[ident.Event](string(e.ID)); err != nil || e.Kind == "" {
			return linkspec.Ack{}, fault.New("calls.Take", fault.Invalid, "A fact has no id or kind.").WithCode("events.shape")
		}
	}
	err := c.DB.Update(ctx, func(tx *store.Tx) error {
		for _, e := range batch {
			if err := c.takeOrPark(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return linkspec.Ack{}, err
	}
	return linkspec.Ack{Ack: batch[len(batch)-1].Seq}, nil
}

// takeOrPark takes one fact. One that breaks a rule is undone and parked: the gateway must not send it for ever, and the
// others of its batch must not suffer.
func (c *Calls) takeOrPark(tx *store.Tx, e linkspec.Event) error {
	err := tx.Try(func() error { return c.take(tx, e, true) })
	if err == nil || fault.Is(err, fault.Unavailable) {
		return err
	}
	c.Log.Error("a fact of the gateway was parked", "op", "calls.Take", "kind", e.Kind, "call", string(e.Call), "err", err)
	why := fault.KindOf(err).String()
	if code := fault.CodeOf(err); code != "" {
		why = code
	}
	if err := c.take(tx, e, false); err != nil {
		return err
	}
	return tx.Exec(`UPDATE gateway_event SET parked = ? WHERE id = ?`, why, string(e.ID))
}

// take stores one fact and, when it is new and act is set, acts on it.
func (c *Calls) take(tx *store.Tx, e linkspec.Event, act bool) error {
	n, err := tx.ExecN(`INSERT INTO gateway_event (id, at, taken, boot, seq, kind, call, seat, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO NOTHING`,
		string(e.ID), store.Ms(e.At), store.Ms(tx.Now()), e.Boot, e.Seq, e.Kind, string(e.Call), string(e.Seat), string(e.Data))
	if err != nil || n == 0 || !act {
		return err
	}
	if e.Call == "" {
		return c.hand(tx, e)
	}
	call, err := c.Get(tx, e.Call)
	if fault.Is(err, fault.NotFound) {
		return tx.Exec(`UPDATE gateway_event SET parked = 'call_unknown' WHERE id = ?`, string(e.ID))
	}
	if err != nil {
		return err
	}
	if err := c.apply(tx, &call, e); err != nil {
		return err
	}
	if err := c.hand(tx, e); err != nil {
		return err
	}
	return c.tell(tx, call)
}

func (c *Calls) hand(tx *store.Tx, e linkspec.Event) error {
	if take, ok := c.on[e.Kind]; ok {
		return take(tx, e)
	}
	return nil
}

// apply converges what we know of a call with a fact of it.
func (c *Calls) apply(tx *store.Tx, call *Call, e linkspec.Event) error {
	switch e.Kind {
	case linkspec.SeatWaiting, linkspec.SeatConnected, linkspec.SeatLost, linkspec.SeatBack, linkspec.SeatMoved,
		linkspec.SeatLeft, linkspec.SeatRefused:
		return c.applySeat(tx, call, e)
	case linkspec.CallLive, linkspec.CallPaused, linkspec.CallResumed, linkspec.CallEnding, linkspec.CallEnded:
		return c.applyPhase(tx, call, e)
	case linkspec.MonitorOpened, linkspec.MonitorClosed:
		return c.applyMonitor(tx, call, e)
	case linkspec.HintRaised, linkspec.HintCleared, linkspec.SignalSeen:
		return c.applyHint(tx, call, e)
	case linkspec.RecordingArmed, linkspec.RecordingGap, linkspec.RecordingFailed, linkspec.RecordingSealed:
		if call.Privileged() {
			return fault.New("calls.apply", fault.Conflict, "A privileged call has no recording.").WithCode("privilege.breach")
		}
		return tx.Exec(`UPDATE call SET recorder = ? WHERE id = ?`, recorderState[e.Kind], string(call.ID))
	case linkspec.Meter:
		var d linkspec.MeterData
		if err := read(e, &d); err != nil {
			return err
		}
		return c.meter(tx, call, d.MeteredS, d.LiveMS)
	default:
		return nil // kept as a fact; nothing of ours depends on it
	}
}

var recorderState = map[string]string{
	linkspec.RecordingArmed: "armed", linkspec.RecordingGap: "gap",
	linkspec.RecordingFailed: "failed", linkspec.RecordingSealed: "sealed",
}

// meter keeps the highest running totals: a repeated or late fact is harmless.
func (c *Calls) meter(tx *store.Tx, call *Call, meteredS, liveMS int64) error {
	call.MeteredS, call.LiveMS = max(call.MeteredS, meteredS), max(call.LiveMS, liveMS)
	return tx.Exec(`UPDATE call SET metered_s = max(metered_s, ?), live_ms = max(live_ms, ?) WHERE id = ?`,
		meteredS, liveMS, string(call.ID))
}

var seatState = map[string]string{
	linkspec.SeatWaiting: "waiting", linkspec.SeatConnected: "connected", linkspec.SeatLost: "lost", linkspec.SeatBack: "connected",
	linkspec.SeatMoved: "connected", linkspec.SeatLeft: "left", linkspec.SeatRefused: "refused",
}

func (c *Calls) applySeat(tx *store.Tx, call *Call, e linkspec.Event) error {
	var d linkspec.SeatData
	if err := read(e, &d); err != nil {
		return err
	}
	state, at := seatState[e.Kind], store.Ms(e.At)
	var joined any
	if e.Kind == linkspec.SeatConnected || e.Kind == linkspec.SeatBack {
		joined = at
	}
	n, err := tx.ExecN(`UPDATE call_seat SET state = ?, state_at = ?, joined_at = coalesce(joined_at, ?), generation = max(generation, ?),
		path = iif(? = '', path, ?) WHERE call = ? AND seat = ? AND state_at <= ?`,
		state, at, joined, d.Generation, d.Path, d.Path, string(call.ID), string(e.Seat), at)
	if err != nil || n == 0 {
		return err // an older fact than the one that stands
	}
	for i := range call.Seats {
		if s := &call.Seats[i]; s.Seat == e.Seat {
			s.State, s.Since = state, e.At
		}
	}
	if e.Kind == linkspec.SeatLeft {
		return c.sideLeft(tx, call, d.Why)
	}
	if to, err := Next(call.State, TurnAdmit); err == nil && to != call.State && (state == "waiting" || state == "connected") {
		return c.converge(tx, call, to)
	}
	return nil
}

// sideLeft ends a running call when nobody is left on one side: the gateway only reports it.
func (c *Calls) sideLeft(tx *store.Tx, call *Call, why string) error {
	if !call.State.Running() {
		return nil // in the waiting room people come and go
	}
	left := map[string]bool{"visitor": true, "inmate": true}
	for _, s := range call.Seats {
		if s.State != "left" && s.State != "removed" && s.State != "refused" && s.State != "expected" {
			left[s.Role] = false
		}
	}
	code := "line_lost"
	switch {
	case !left["inmate"] && !left["visitor"]:
		return nil
	case why == "lost": // the line was never found again within the grace
	case left["inmate"]:
		code = "inmate_left"
	default:
		code = "visitor_left"
	}
	return c.orderEnd(tx, call, code, ident.System())
}

func (c *Calls) applyPhase(tx *store.Tx, call *Call, e linkspec.Event) error {
	if call.State.Over() {
		return nil
	}
	switch e.Kind {
	case linkspec.CallLive:
		return c.start(tx, call, e.At)
	case linkspec.CallPaused:
		return c.paused(tx, call, e)
	case linkspec.CallEnding:
		if to, err := Next(call.State, TurnEnding); err == nil && !c.stale(call, e) {
			return c.converge(tx, call, to)
		}
		return nil
	case linkspec.CallEnded:
		var d linkspec.EndedData
		if err := read(e, &d); err != nil {
			return err
		}
		if err := c.meter(tx, call, d.MeteredS, d.LiveMS); err != nil {
			return err
		}
		return c.finish(tx, call, d.Code, d.By, e.At)
	default: // CallResumed: our own order already says so, unless it was the recorder that held the call
		if call.State == Paused && call.PauseReason == "recording_failed" && !c.stale(call, e) {
			return c.converge(tx, call, Live)
		}
		return nil
	}
}

// start notes the first going live; the visit is in progress from here.
func (c *Calls) start(tx *store.Tx, call *Call, at time.Time) error {
	if call.LiveAt.IsZero() {
		call.LiveAt = at
		if err := tx.Exec(`UPDATE call SET live_at = ? WHERE id = ?`, store.Ms(at), string(call.ID)); err != nil {
			return err
		}
		if err := c.visitStarted(tx, *call); err != nil {
			return err
		}
	}
	if call.State != LobbyOpen && call.State != Waiting {
		return nil // paused, checked or ending meanwhile: our order stands
	}
	to, err := Next(call.State, TurnStart)
	if err != nil {
		return err
	}
	return c.converge(tx, call, to)
}

// paused takes a pause that did not come from us: a monitor's hand on the gateway while we were away, or a rule.
func (c *Calls) paused(tx *store.Tx, call *Call, e linkspec.Event) error {
	var d linkspec.PausedData
	if err := read(e, &d); err != nil {
		return err
	}
	if call.State != Live || c.stale(call, e) {
		return nil
	}
	to, err := Next(call.State, TurnPause)
	if err != nil {
		return err
	}
	if err := c.notePause(tx, call, d.Reason, d.By); err != nil {
		return err
	}
	return c.converge(tx, call, to)
}

func (c *Calls) notePause(tx *store.Tx, call *Call, reason, by string) error {
	call.PauseReason, call.PauseBy, call.Pauses = reason, by, call.Pauses+1
	return tx.Exec(`UPDATE call SET pause_reason = ?, pause_by = ?, pauses = pauses + 1 WHERE id = ?`, reason, by, string(call.ID))
}

// converge stores a state that the gateway reported. It raises no version: nothing was ordered.
func (c *Calls) converge(tx *store.Tx, call *Call, to State) error {
	call.State, call.Since = to, tx.Now()
	return tx.Exec(`UPDATE call SET state = ?, state_at = ? WHERE id = ? AND ended_at IS NULL`,
		string(to), store.Ms(tx.Now()), string(call.ID))
}

// stale tells whether a fact is older than our last order to the call: it was true then and is not any more.
func (c *Calls) stale(call *Call, e linkspec.Event) bool {
	if e.Boot != "" && e.Boot == call.wanted.BootID {
		return e.Mono < call.wanted.Boot
	}
	return e.At.Before(call.wanted.Wall)
}

func (c *Calls) applyMonitor(tx *store.Tx, call *Call, e linkspec.Event) error {
	var d linkspec.MonitorData
	if err := read(e, &d); err != nil {
		return err
	}
	if call.Privileged() {
		return fault.New("calls.apply", fault.Conflict, "A privileged call has no monitor.").WithCode("privilege.breach")
	}
	column, guard := "opened", "opened IS NULL"
	if e.Kind == linkspec.MonitorClosed {
		column, guard = "closed", "opened IS NOT NULL AND closed IS NULL"
	}
	return tx.Exec(`UPDATE call_watch SET `+column+` = ? WHERE id = (SELECT id FROM call_watch
		WHERE call = ? AND staff = ? AND `+guard+` ORDER BY asked LIMIT 1)`, store.Ms(e.At), string(call.ID), d.Who)
}

// hint is what goes with hint.raised, hint.cleared and signal.seen.
type hint struct {
	Kind  string `json:"kind"`
	Level int    `json:"level"`
}

// applyHint keeps what monitors should look at. A hint never changes the state of a call.
func (c *Calls) applyHint(tx *store.Tx, call *Call, e linkspec.Event) error {
	var d hint
	if err := read(e, &d); err != nil {
		return err
	}
	if e.Kind == linkspec.HintCleared {
		return tx.Exec(`UPDATE call_hint SET cleared = ? WHERE call = ? AND seat = ? AND kind = ? AND cleared IS NULL`,
			store.Ms(e.At), string(call.ID), string(e.Seat), d.Kind)
	}
	return tx.Exec(`INSERT INTO call_hint (id, call, seat, kind, level, raised) VALUES (?, ?, ?, ?, ?, ?)`,
		string(e.ID), string(call.ID), string(e.Seat), d.Kind, d.Level, store.Ms(e.At))
}

// read decodes a fact's data; a fact without data has zero values.
func read(e linkspec.Event, into any) error {
	if len(e.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(e.Data, into); err != nil {
		return fault.New("calls.read", fault.Invalid, "The fact's data has another shape.").WithCode("events.data").Because(err)
	}
	return nil
}

// tell wakes the open screens of everybody whom a call concerns; ids only.
func (c *Calls) tell(tx *store.Tx, call Call) error {
	for _, s := range call.Seats {
		to := outbox.ToVisitor(ident.Visitor(s.Who))
		if s.Role == "inmate" {
			to = outbox.ToInmate(ident.Inmate(s.Who))
		} else if s.Role != "visitor" {
			continue
		}
		if err := outbox.Tell(tx, to, "call", string(call.Visit)); err != nil {
			return err
		}
	}
	return outbox.Tell(tx, outbox.ToStaff(), "call", string(call.ID))
}

// Heard notes that gatewayd spoke to us: facts, metrics, anything.
func (c *Calls) Heard() {
	c.watchdog.Lock()
	defer c.watchdog.Unlock()
	c.seen = c.Clock.Now()
}

// GatewaySeen returns when gatewayd last spoke to us, zero when never since we started.
func (c *Calls) GatewaySeen() time.Time {
	c.watchdog.Lock()
	defer c.watchdog.Unlock()
	return c.seen
}
