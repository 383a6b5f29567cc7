package calls

import (
	"context"
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

const (
	sweepEvery = time.Second
	// grace is how long after the fixed end we wait for the gateway's word before we write the end ourselves. It may be
	// away; it has ended the call alone all the same.
	grace = 3 * time.Minute
	// keepCommands is longer than any gateway stays away without asking for the snapshot.
	keepCommands = 7 * 24 * time.Hour
)

// Serve looks every second for calls that must open or that nobody ended. It returns when ctx ends.
func (c *Calls) Serve(ctx context.Context) error {
	for {
		if err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error("calls are behind", "op", "calls.Sweep", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.Clock.After(sweepEvery):
		}
	}
}

// Sweep opens what should be open and closes what the gateway never reported.
func (c *Calls) Sweep(ctx context.Context) error {
	var missing []visits.Visit
	var late []Call
	old := false
	err := c.DB.View(ctx, func(tx *store.Tx) error {
		open, err := c.Visits.In(tx, visits.CheckingIn)
		if err != nil {
			return err
		}
		for _, v := range open {
			var n int
			if err := tx.Row(`SELECT count(*) FROM call WHERE visit = ?`, string(v.ID)).Scan(&n); err != nil {
				return err
			}
			if n == 0 && v.Class != visits.InPerson {
				missing = append(missing, v)
			}
		}
		all, err := c.open(tx)
		if err != nil {
			return err
		}
		for _, call := range all {
			if tx.Now().After(call.Ends.Add(grace)) {
				late = append(late, call)
			}
		}
		return tx.Row(`SELECT EXISTS (SELECT 1 FROM call_command WHERE at < ?)`, store.Ms(tx.Now().Add(-keepCommands))).Scan(&old)
	})
	if err != nil {
		return err
	}
	for _, v := range missing {
		if err := c.DB.Update(ctx, func(tx *store.Tx) error { return c.openFor(tx, v) }); err != nil {
			return err
		}
	}
	for _, call := range late {
		if err := c.DB.Update(ctx, func(tx *store.Tx) error { return c.writeOff(tx, call.ID) }); err != nil {
			return err
		}
	}
	if !old {
		return nil
	}
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		// The last command stays, so that its number is never given again to a gateway that asks for the head.
		return tx.Exec(`DELETE FROM call_command WHERE at < ? AND seq < (SELECT max(seq) FROM call_command)`,
			store.Ms(tx.Now().Add(-keepCommands)))
	})
}

// writeOff closes a call that is long past its end and of whose end nobody told us.
func (c *Calls) writeOff(tx *store.Tx, id ident.Call) error {
	call, err := c.Get(tx, id)
	if err != nil || call.State.Over() {
		return err
	}
	code := "time_up"
	if call.LiveAt.IsZero() {
		code = "system_fault"
	}
	return c.finish(tx, &call, code, "", call.Ends)
}
