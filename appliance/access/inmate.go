package access

import (
	"context"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
)

// sprayMax is how many wrong PINs one station takes in a window, whoever they are for: a person who tries many numbers on
// one kiosk is stopped, and nobody on another kiosk is.
const sprayMax = 20

// SignInInmate lets an inmate in by number and PIN on an enrolled device of the own unit. Another session of the same
// inmate ends. A wrong number, a wrong PIN, another unit and somebody released all answer the same.
func (a *Access) SignInInmate(ctx context.Context, device, number, pin string) (Entry, error) {
	rules, err := a.rules(ctx)
	if err != nil {
		return Entry{}, err
	}
	st, err := a.Device(ctx, device)
	if err != nil {
		return Entry{}, err
	}
	type account struct {
		i    people.Inmate
		hash string
	}
	acc, err := view(ctx, a.DB, func(tx *store.Tx) (account, error) {
		var acc account
		i, err := a.People.InmateByNumber(tx, number)
		if fault.Is(err, fault.NotFound) {
			return acc, nil
		}
		if err != nil || i.State != people.InCustody || i.Unit != st.Unit {
			return acc, err
		}
		acc.i = i
		err = tx.Row(`SELECT hash FROM inmate_pin WHERE inmate = ?`, i.ID).Scan(&acc.hash)
		if fault.Is(err, fault.NotFound) {
			err = nil
		}
		return acc, err
	})
	if err != nil {
		return Entry{}, err
	}
	whose := digest(DoorKiosk, people.FoldNumber(number))
	lock := policy.PINLockout.Of(rules)
	own := gate{key: digest(whose, string(st.ID)), account: whose, max: policy.PINMaxFailures.Of(rules), lock: lock, hard: policy.PINHardFailures.Of(rules)}
	spray := gate{key: digest(DoorKiosk, "station", string(st.ID)), max: sprayMax, lock: lock, shared: true}
	t, err := a.take(ctx, own, spray)
	if err != nil {
		return Entry{}, err
	}
	right := false
	if acc.hash == "" {
		if err := a.Hasher.Decoy(ctx, vault.PIN); err != nil {
			return Entry{}, err
		}
	} else if right, err = a.Hasher.Verify(ctx, acc.hash, pin); err != nil {
		return Entry{}, err
	}
	if !right {
		return Entry{}, t.errWrong(a.Clock.Now(), "kiosk.signin")
	}
	by := ident.Actor{Kind: ident.ByInmate, ID: string(acc.i.ID), Door: DoorKiosk}
	return update(ctx, a.DB, func(tx *store.Tx) (Entry, error) {
		if err := passed(tx, own, spray); err != nil {
			return Entry{}, err
		}
		e, err := a.begin(tx, by, StageFull, st.ID, time.Time{})
		if err != nil {
			return Entry{}, err
		}
		if err := tx.Exec(`UPDATE session SET ended_at = ? WHERE who = ? AND id <> ? AND ended_at IS NULL`, store.Ms(tx.Now()), by.ID, e.ID); err != nil {
			return Entry{}, err
		}
		return e, audit.Record(tx, by, "signin", acc.i.ID, audit.After(map[string]string{"station": string(st.ID)}))
	})
}

// SetInmatePIN gives an inmate a new PIN and opens the locks. Slow work is done before the transaction.
func (a *Access) SetInmatePIN(ctx context.Context, by ident.Actor, id ident.Inmate, pin string) error {
	const op = "access.SetInmatePIN"
	rules, err := a.rules(ctx)
	if err != nil {
		return err
	}
	i, err := view(ctx, a.DB, func(tx *store.Tx) (people.Inmate, error) { return a.People.Inmate(tx, id) })
	if err != nil {
		return err
	}
	if err := checkPIN(op, pin, policy.PINInmateLength.Of(rules), i.Born); err != nil {
		return err
	}
	hash, err := a.Hasher.Hash(ctx, vault.PIN, pin)
	if err != nil {
		return err
	}
	return a.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Exec(`INSERT INTO inmate_pin (inmate, hash, changed_at) VALUES (?,?,?)
			ON CONFLICT (inmate) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at`, id, hash, store.Ms(tx.Now())); err != nil {
			return err
		}
		if err := forgive(tx, digest(DoorKiosk, people.FoldNumber(i.Number))); err != nil {
			return err
		}
		if err := a.End(tx, string(id)); err != nil {
			return err
		}
		return audit.Record(tx, by, "signin.pin", id)
	})
}
