package calls

import (
	"context"
	"encoding/json"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// order appends a command for the gateway. What it orders is written in the same transaction.
func (c *Calls) order(tx *store.Tx, cmd linkspec.Command) error {
	cmd.ID, cmd.At, cmd.Seq = ident.New[ident.Command](), tx.Now(), 0
	body, err := json.Marshal(cmd)
	if err != nil {
		return fault.New("calls.order", fault.Internal, "The order could not be written.").Because(err)
	}
	var call any
	if cmd.Call != "" {
		call = string(cmd.Call)
	}
	return tx.Exec(`INSERT INTO call_command (id, at, call, body) VALUES (?, ?, ?, ?)`,
		string(cmd.ID), store.Ms(cmd.At), call, string(body))
}

// bump raises the call's version, notes the instant of the order and stores the state.
func (c *Calls) bump(tx *store.Tx, call *Call, to State) error {
	now := c.now()
	call.Version++
	call.Spec.Version = call.Version
	call.State, call.wanted = to, now
	spec, err := json.Marshal(call.Spec)
	if err != nil {
		return fault.New("calls.bump", fault.Internal, "The call's plan could not be written.").Because(err)
	}
	n, err := tx.ExecN(`UPDATE call SET state = ?, state_at = ?, version = ?, spec = ?, wanted_boot = ?, wanted_mono = ?, wanted_at = ?
		WHERE id = ? AND version = ? AND ended_at IS NULL`,
		string(to), store.Ms(tx.Now()), call.Version, string(spec), now.BootID, now.Boot, store.Ms(now.Wall),
		string(call.ID), call.Version-1)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New("calls.bump", fault.Conflict, "The call changed meanwhile. Look again.").WithCode("call.state")
	}
	return nil
}

// Commands returns up to limit commands after a sequence number, oldest first.
func (c *Calls) Commands(ctx context.Context, after int64, limit int) ([]linkspec.Command, error) {
	var list []linkspec.Command
	err := c.DB.View(ctx, func(tx *store.Tx) (err error) {
		list, err = store.All(tx, func(r *store.Rows) (linkspec.Command, error) {
			var cmd linkspec.Command
			var seq int64
			var body string
			if err := r.Scan(&seq, &body); err != nil {
				return cmd, err
			}
			err := json.Unmarshal([]byte(body), &cmd)
			cmd.Seq = seq
			return cmd, err
		}, `SELECT seq, body FROM call_command WHERE seq > ? ORDER BY seq LIMIT ?`, after, limit)
		return err
	})
	return list, err
}

// Snapshot returns every call that is to run, with the last command's number.
func (c *Calls) Snapshot(ctx context.Context) (linkspec.Calls, error) {
	out := linkspec.Calls{Calls: []linkspec.Open{}}
	err := c.DB.View(ctx, func(tx *store.Tx) error {
		if err := tx.Row(`SELECT coalesce(max(seq), 0) FROM call_command`).Scan(&out.Head); err != nil {
			return err
		}
		list, err := c.open(tx)
		if err != nil {
			return err
		}
		for _, call := range list {
			if phase := call.State.Phase(); phase != "" {
				out.Calls = append(out.Calls, linkspec.Open{Spec: call.Spec, Phase: phase})
			}
		}
		return nil
	})
	return out, err
}

// Keys is what gatewayd checks grants, relays and recordings with. It returns NotFound before the facility is set up.
func (c *Calls) Keys(ctx context.Context) (linkspec.Keys, error) {
	keys := linkspec.Keys{
		GrantKeys: []linkspec.PublicKey{c.Signer.Public()}, TURN: c.TURN, Recipients: c.Recipients, Origins: c.Origins,
	}
	err := c.DB.View(ctx, func(tx *store.Tx) error {
		f, err := c.Facility.Get(tx)
		keys.Facility = f.ID
		return err
	})
	return keys, err
}

// Head returns the number of the last command.
func (c *Calls) Head(ctx context.Context) (head int64, err error) {
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		return tx.Row(`SELECT coalesce(max(seq), 0) FROM call_command`).Scan(&head)
	})
	return head, err
}

// Changed is closed when something may have been ordered; ask [Calls.Commands] again then.
func (c *Calls) Changed() <-chan struct{} { return c.DB.Changed() }
