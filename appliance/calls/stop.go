package calls

import (
	"context"
	"strings"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// Stop is a standing kill switch.
type Stop struct {
	ID     ident.Command
	Scope  string // all, unit:<id>, device:<id>
	Reason string
	Staff  string
}

// Stop silences every call of a scope and refuses joins until [Calls.Lift]. A monitor stops one device, an
// administrator or the operator anything. Stopping what is stopped changes nothing.
func (c *Calls) Stop(ctx context.Context, actor ident.Actor, scope, reason string) error {
	if err := mayStop(actor, scope); err != nil {
		return err
	}
	if !endReasons[reason] {
		return badReason("calls.Stop")
	}
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		id := ident.New[ident.Command]()
		n, err := tx.ExecN(`INSERT INTO media_stop (id, scope, reason, staff, at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (scope) WHERE lifted IS NULL DO NOTHING`,
			string(id), scope, reason, string(actor.Kind)+":"+actor.ID, store.Ms(tx.Now()))
		if err != nil || n == 0 {
			return err
		}
		if err := audit.Record(tx, actor, "media.stop", scope, audit.Reason(reason)); err != nil {
			return err
		}
		if err := c.order(tx, linkspec.Command{
			Cmd: linkspec.CmdStop, Scope: scope, Reason: reason, Says: "call.ended", By: actor.ID, ByRole: role(actor),
		}); err != nil {
			return err
		}
		return c.endCovered(tx, actor, scope, reason)
	})
}

// endCovered moves every covered call to ending. The stop command has silenced them; this gives each its outcome.
func (c *Calls) endCovered(tx *store.Tx, actor ident.Actor, scope, reason string) error {
	open, err := c.open(tx)
	if err != nil {
		return err
	}
	for _, call := range open {
		if call.State == Ending || !covers(scope, call.Spec.Labels) {
			continue
		}
		if err := c.dropCheck(tx, call.ID, reason); err != nil {
			return err
		}
		if err := c.orderEnd(tx, &call, reason, actor); err != nil {
			return err
		}
		if err := c.tell(tx, call); err != nil {
			return err
		}
	}
	return nil
}

// Lift takes a kill switch back; calls that it ended stay ended. It returns NotFound when none stands.
func (c *Calls) Lift(ctx context.Context, actor ident.Actor, scope string) error {
	if err := mayStop(actor, scope); err != nil {
		return err
	}
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.ExecN(`UPDATE media_stop SET lifted = ? WHERE scope = ? AND lifted IS NULL`, store.Ms(tx.Now()), scope)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New("calls.Lift", fault.NotFound, "Nothing is stopped there.").WithCode("stop.none")
		}
		if err := audit.Record(tx, actor, "media.lift", scope); err != nil {
			return err
		}
		return c.order(tx, linkspec.Command{Cmd: linkspec.CmdLift, Scope: scope, By: actor.ID, ByRole: role(actor)})
	})
}

// Stops lists the standing kill switches.
func (c *Calls) Stops(tx *store.Tx) ([]Stop, error) {
	return store.All(tx, func(r *store.Rows) (s Stop, err error) {
		err = r.Scan(&s.ID, &s.Scope, &s.Reason, &s.Staff)
		return s, err
	}, `SELECT id, scope, reason, staff FROM media_stop WHERE lifted IS NULL ORDER BY at, id`)
}

func mayStop(actor ident.Actor, scope string) error {
	kind, id, named := strings.Cut(scope, ":")
	switch {
	case scope == "all":
	case named && kind == "unit":
		if _, err := ident.Parse[ident.Unit](id); err != nil {
			return err
		}
	case named && kind == "device":
		if _, err := ident.Parse[ident.Station](id); err != nil {
			return err
		}
	default:
		return fault.New("calls.Stop", fault.Invalid, "Stop all, one unit or one device.").WithCode("stop.scope")
	}
	if actor.Is(ident.ByOperator) || actor.Has("administrator") || kind == "device" && actor.Has("monitor") {
		return nil
	}
	return fault.New("calls.Stop", fault.Forbidden, "You may not stop this.").WithCode("forbidden")
}

// covers tells whether a scope holds a call with these labels.
func covers(scope string, l linkspec.Labels) bool {
	kind, id, _ := strings.Cut(scope, ":")
	switch kind {
	case "all":
		return true
	case "unit":
		for _, u := range l.Units {
			if string(u) == id {
				return true
			}
		}
	case "device":
		for _, d := range l.Devices {
			if string(d) == id {
				return true
			}
		}
	}
	return false
}
