package calls

import (
	"context"
	"strings"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// Reason codes of rules.md, section 7, that staff may give.
var (
	pauseReasons = words("person_not_booked conduct dress recording_or_screenshot face_not_visible place_or_vehicle child_alone " +
		"monitor_request monitor_missing facility_alarm other")
	endReasons = words("check_refused check_failed repeat_breach conduct emergency lockdown inmate_removed privilege_mismatch ban " +
		"staff_error other")
)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		set[w] = true
	}
	return set
}

// sayTemplates are the canned lines that staff may put on the parties' screens; the UI owns the words.
var sayTemplates = words("say.camera_up say.speak_up say.one_at_a_time say.only_booked say.time_soon say.dress say.stop_recording " +
	"say.technician")

// maxSay bounds staff's own words, in code points.
const maxSay = 200

// mayControl asks the table of who may.
func mayControl(actor ident.Actor) error {
	if access.Can(actor, "calls.pause") {
		return nil
	}
	return fault.New("calls.control", fault.Forbidden, "Only a monitor may do this.").WithCode("forbidden")
}

// Pause cuts the media of a live call both ways. It returns Conflict when the call is not live, Forbidden for anybody
// but a monitor, NotFound for a privileged call, Invalid for an unknown reason.
func (c *Calls) Pause(ctx context.Context, actor ident.Actor, id ident.Call, reason string) (Call, error) {
	if err := mayControl(actor); err != nil {
		return Call{}, err
	}
	if !pauseReasons[reason] {
		return Call{}, badReason("calls.Pause")
	}
	return c.control(ctx, actor, id, "call.pause", reason, func(tx *store.Tx, call *Call) error {
		to, err := Next(call.State, TurnPause)
		if err != nil {
			return err
		}
		if call.State != Live {
			return nil // paused already: nothing to do, and the first reason stands
		}
		if err := c.notePause(tx, call, reason, actor.ID); err != nil {
			return err
		}
		if err := c.bump(tx, call, to); err != nil {
			return err
		}
		return c.order(tx, linkspec.Command{
			Cmd: linkspec.CmdPause, Call: call.ID, Version: call.Version, Reason: reason, Says: pauseSays(reason),
			By: actor.ID, ByRole: "monitor",
		})
	})
}

// pauseSays is the copy that the parties read.
func pauseSays(reason string) string {
	switch reason {
	case "recording_or_screenshot":
		return "call.pausedScreen"
	case "monitor_missing", "facility_alarm":
		return "call.pausedAuto"
	default:
		return "call.paused"
	}
}

// Mute says what a monitor switches on one side.
type Mute struct {
	Seat  ident.Seat // one seat, or
	Side  string     // visitor, inmate
	Audio bool
	Video bool
	On    bool
}

// Mute silences or blanks one seat or side, or gives it back. It returns Conflict when the call is not running.
func (c *Calls) Mute(ctx context.Context, actor ident.Actor, id ident.Call, m Mute) (Call, error) {
	if err := mayControl(actor); err != nil {
		return Call{}, err
	}
	if (m.Seat == "") == (m.Side != "visitor" && m.Side != "inmate") || !m.Audio && !m.Video {
		return Call{}, fault.New("calls.Mute", fault.Invalid, "Name one seat or side, and sound or picture.").WithCode("call.mute")
	}
	return c.control(ctx, actor, id, "call.mute", "", func(tx *store.Tx, call *Call) error {
		if !call.State.Running() {
			return notRunning("calls.Mute", call.State)
		}
		if err := c.noteMute(tx, call, m); err != nil {
			return err
		}
		if err := c.bump(tx, call, call.State); err != nil {
			return err
		}
		return c.order(tx, linkspec.Command{
			Cmd: linkspec.CmdMute, Call: call.ID, Version: call.Version, Seat: m.Seat, Side: m.Side,
			Audio: m.Audio, Video: m.Video, On: m.On, By: actor.ID, ByRole: "monitor",
		})
	})
}

func (c *Calls) noteMute(tx *store.Tx, call *Call, m Mute) error {
	found := false
	for i := range call.Seats {
		s := &call.Seats[i]
		if s.Seat != m.Seat && s.Role != m.Side {
			continue
		}
		found = true
		audio := s.Muted == "audio" || s.Muted == "both"
		video := s.Muted == "video" || s.Muted == "both"
		if m.Audio {
			audio = m.On
		}
		if m.Video {
			video = m.On
		}
		s.Muted = map[[2]bool]string{{true, true}: "both", {true, false}: "audio", {false, true}: "video"}[[2]bool{audio, video}]
		if err := tx.Exec(`UPDATE call_seat SET muted = ? WHERE call = ? AND seat = ?`, s.Muted, string(call.ID), string(s.Seat)); err != nil {
			return err
		}
	}
	if !found {
		return fault.New("calls.Mute", fault.NotFound, "There is no such seat in this call.").WithCode("call.seat")
	}
	return nil
}

// Words are a line for the parties' screens: a template, or staff's own.
type Words struct {
	Seat   ident.Seat
	Side   string // visitor, inmate, all
	Key    string
	Params map[string]any
	Body   string
}

// sayFor is how long a line may be shown late; after that it would only confuse.
const sayFor = 30 * time.Second

// Say puts a line on the parties' screens.
func (c *Calls) Say(ctx context.Context, actor ident.Actor, id ident.Call, w Words) (Call, error) {
	if err := mayControl(actor); err != nil {
		return Call{}, err
	}
	body := strings.TrimSpace(w.Body)
	if (body == "") == (w.Key == "") || w.Key != "" && !sayTemplates[w.Key] || len([]rune(body)) > maxSay {
		return Call{}, fault.Newf("calls.Say", fault.Invalid, "Choose a line, or write up to %d letters.", maxSay).WithCode("call.say")
	}
	if w.Seat == "" && w.Side == "" {
		w.Side = "all"
	}
	return c.control(ctx, actor, id, "call.say", "", func(tx *store.Tx, call *Call) error {
		if call.State.Phase() == "" {
			return notRunning("calls.Say", call.State)
		}
		if err := c.bump(tx, call, call.State); err != nil {
			return err
		}
		now := c.now()
		expires := At(now, now.Wall.Add(sayFor))
		return c.order(tx, linkspec.Command{
			Cmd: linkspec.CmdSay, Call: call.ID, Version: call.Version, Seat: w.Seat, Side: w.Side, Key: w.Key, Params: w.Params,
			Body: body, By: actor.ID, ByRole: "monitor", Expires: &expires,
		})
	})
}

// End ends a call by staff, with a reason. A privileged call ends by this for an emergency only. It returns Conflict
// when the call is over.
func (c *Calls) End(ctx context.Context, actor ident.Actor, id ident.Call, reason string) (Call, error) {
	if !access.Can(actor, "calls.end") {
		return Call{}, fault.New("calls.End", fault.Forbidden, "Only a monitor or an administrator may end a call.").WithCode("forbidden")
	}
	if !endReasons[reason] {
		return Call{}, badReason("calls.End")
	}
	return c.change(ctx, actor, id, "call.terminate", reason, func(tx *store.Tx, call *Call) error {
		if call.Privileged() && reason != "emergency" && reason != "lockdown" {
			return unknown("calls.End")
		}
		if call.State == Ending {
			return nil
		}
		if err := c.dropCheck(tx, call.ID, reason); err != nil {
			return err
		}
		return c.orderEnd(tx, call, reason, actor)
	})
}

// orderEnd moves a call to ending and tells the gateway; the visit's outcome follows with the gateway's fact.
func (c *Calls) orderEnd(tx *store.Tx, call *Call, code string, by ident.Actor) error {
	to, err := Next(call.State, TurnEnding)
	if err != nil {
		return err
	}
	call.Code, call.EndedBy = code, endedBy(by)
	if err := tx.Exec(`UPDATE call SET code = ?, ended_by = ? WHERE id = ?`, code, call.EndedBy, string(call.ID)); err != nil {
		return err
	}
	if err := c.bump(tx, call, to); err != nil {
		return err
	}
	says := "call.ended"
	if call.EndedBy != "" {
		says = "call.endedByStaff"
	}
	return c.order(tx, linkspec.Command{
		Cmd: linkspec.CmdEnd, Call: call.ID, Version: call.Version, Reason: code, Says: says, By: by.ID, ByRole: role(by),
	})
}

// endedBy is the staff member who ended a call, "" for anybody else: it decides "terminated" against "ended early".
func endedBy(by ident.Actor) string {
	if by.Is(ident.ByStaff) || by.Is(ident.ByOperator) {
		return string(by.Kind) + ":" + by.ID
	}
	return ""
}

func role(by ident.Actor) string {
	if len(by.Roles) > 0 {
		return by.Roles[0]
	}
	return string(by.Kind)
}

// control is change for what must never reach a privileged call: it does not exist there.
func (c *Calls) control(ctx context.Context, actor ident.Actor, id ident.Call, verb, reason string, fn func(*store.Tx, *Call) error) (Call, error) {
	return c.change(ctx, actor, id, verb, reason, func(tx *store.Tx, call *Call) error {
		if call.Privileged() {
			return unknown("calls.control")
		}
		return fn(tx, call)
	})
}

// change runs one order on an open call: fact, audit row, command and news in one transaction.
func (c *Calls) change(ctx context.Context, actor ident.Actor, id ident.Call, verb, reason string, fn func(*store.Tx, *Call) error) (Call, error) {
	var call Call
	err := c.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if call, err = c.Get(tx, id); err != nil {
			return err
		}
		if call.State.Over() {
			return fault.New("calls.change", fault.Conflict, "The call has ended.").WithCode("call_over")
		}
		before := call.State
		if err := fn(tx, &call); err != nil {
			return err
		}
		if err := audit.Record(tx, actor, verb, string(id), audit.Reason(reason), audit.Before(before), audit.After(call.State)); err != nil {
			return err
		}
		return c.tell(tx, call)
	})
	if err != nil {
		return Call{}, err
	}
	return call, nil
}

func badReason(op string) error {
	return fault.New(op, fault.Invalid, "Choose a reason from the list.").WithCode("reason").WithField("reason", "reason")
}

func notRunning(op string, s State) error {
	return fault.New(op, fault.Conflict, "The call is not running.").WithCode("call.state").WithParam("state", string(s))
}
