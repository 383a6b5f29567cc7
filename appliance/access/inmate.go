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

// issuedPIN is how long an inmate has to sign in with a PIN that staff printed.
const issuedPIN = 7 * 24 * time.Hour

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
		i     people.Inmate
		hash  string
		stage string
	}
	acc, err := view(ctx, a.DB, func(tx *store.Tx) (account, error) {
		acc := account{stage: StageFull}
		i, err := a.People.InmateByNumber(tx, number)
		if fault.Is(err, fault.NotFound) {
			return acc, nil
		}
		if err != nil || i.State != people.InCustody || i.Unit != st.Unit {
			return acc, err
		}
		acc.i = i
		var until int64
		err = tx.Row(`SELECT hash, coalesce(issued_until, 0) FROM inmate_pin WHERE inmate = ?`, i.ID).Scan(&acc.hash, &until)
		if fault.Is(err, fault.NotFound) {
			err = nil
		}
		if until != 0 {
			acc.stage = StageNewPIN
			if until <= store.Ms(tx.Now()) { // too old: as if there were none
				acc.hash = ""
			}
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
		e, err := a.begin(tx, by, acc.stage, st.ID, time.Time{})
		if err != nil {
			return Entry{}, err
		}
		if err := tx.Exec(`UPDATE session SET ended_at = ? WHERE who = ? AND id <> ? AND ended_at IS NULL`, store.Ms(tx.Now()), by.ID, e.ID); err != nil {
			return Entry{}, err
		}
		return e, audit.Record(tx, by, "signin", acc.i.ID, audit.After(map[string]string{"station": string(st.ID)}))
	})
}

// SetInmatePIN gives an inmate a new PIN for good and opens the locks. Slow work is done before the transaction.
func (a *Access) SetInmatePIN(ctx context.Context, by ident.Actor, id ident.Inmate, pin string) error {
	w, err := a.preparePIN(ctx, "access.SetInmatePIN", id, pin)
	if err != nil {
		return err
	}
	return a.DB.Update(ctx, func(tx *store.Tx) error { return w.write(tx, a, by, "signin.pin", time.Time{}) })
}

// IssueInmatePIN makes a PIN that is good for one sign-in, for staff to print: the inmate then chooses another, so that
// nobody who handled the paper knows it. It replaces the PIN that was. Conflict for somebody who is not in custody.
func (a *Access) IssueInmatePIN(ctx context.Context, by ident.Actor, id ident.Inmate) (pin string, until time.Time, err error) {
	const op = "access.IssueInmatePIN"
	rules, err := a.rules(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	var w newPIN
	for {
		pin = ident.Digits(policy.PINInmateLength.Of(rules))
		w, err = a.preparePIN(ctx, op, id, pin)
		if fault.CodeOf(err) != "form" {
			break // else it was one of the few that are guessed first
		}
	}
	if err != nil {
		return "", time.Time{}, err
	}
	if w.inmate.State != people.InCustody {
		return "", time.Time{}, fault.New(op, fault.Conflict, "Only somebody in custody gets a PIN.").WithCode("pin.notInCustody")
	}
	err = a.DB.Update(ctx, func(tx *store.Tx) error {
		until = tx.Now().Add(issuedPIN)
		return w.write(tx, a, by, "signin.pin_issue", until)
	})
	return pin, until, err
}

// ChooseInmatePIN takes the PIN that an inmate chose after signing in with an issued one; the session is whole from then
// on. The issued PIN itself is refused.
func (a *Access) ChooseInmatePIN(ctx context.Context, s Session, pin string) (Entry, error) {
	const op = "access.ChooseInmatePIN"
	if err := waits(op, s, StageNewPIN); err != nil {
		return Entry{}, err
	}
	w, err := a.preparePIN(ctx, op, ident.Inmate(s.Actor.ID), pin)
	if err != nil {
		return Entry{}, err
	}
	issued, err := view(ctx, a.DB, func(tx *store.Tx) (hash string, err error) {
		err = tx.Row(`SELECT hash FROM inmate_pin WHERE inmate = ?`, s.Actor.ID).Scan(&hash)
		return hash, err
	})
	if err != nil {
		return Entry{}, err
	}
	same, err := a.Hasher.Verify(ctx, issued, pin)
	if err != nil {
		return Entry{}, err
	}
	if same {
		return Entry{}, fault.New(op, fault.Invalid, "Choose a PIN of your own.").WithCode("form").WithField("pin", "pinSame")
	}
	return update(ctx, a.DB, func(tx *store.Tx) (Entry, error) {
		e, err := a.forward(tx, s, StageFull, time.Time{})
		if err != nil {
			return Entry{}, err
		}
		return e, w.replace(tx, s.Actor, "signin.pin", time.Time{})
	})
}

// InmatePIN is whether an inmate has a PIN and of which kind.
type InmatePIN struct {
	Since time.Time // zero: there is none
	Until time.Time // of an issued one; zero: the inmate chose it
}

// InmatePIN tells whether an inmate has a PIN.
func (a *Access) InmatePIN(tx *store.Tx, id ident.Inmate) (p InmatePIN, err error) {
	var since, until int64
	err = tx.Row(`SELECT changed_at, coalesce(issued_until, 0) FROM inmate_pin WHERE inmate = ?`, id).Scan(&since, &until)
	if fault.Is(err, fault.NotFound) {
		return InmatePIN{}, nil
	}
	p.Since = store.Time(since)
	if until != 0 {
		p.Until = store.Time(until)
	}
	return p, err
}

// newPIN is a PIN that was checked and hashed.
type newPIN struct {
	inmate people.Inmate
	hash   string
}

func (a *Access) preparePIN(ctx context.Context, op string, id ident.Inmate, pin string) (newPIN, error) {
	rules, err := a.rules(ctx)
	if err != nil {
		return newPIN{}, err
	}
	i, err := view(ctx, a.DB, func(tx *store.Tx) (people.Inmate, error) { return a.People.Inmate(tx, id) })
	if err != nil {
		return newPIN{}, err
	}
	if err := checkPIN(op, pin, policy.PINInmateLength.Of(rules), i.Born); err != nil {
		return newPIN{}, err
	}
	hash, err := a.Hasher.Hash(ctx, vault.PIN, pin)
	return newPIN{inmate: i, hash: hash}, err
}

// write replaces the PIN and ends every session that began with the old one.
func (w newPIN) write(tx *store.Tx, a *Access, by ident.Actor, verb string, until time.Time) error {
	if err := a.End(tx, string(w.inmate.ID)); err != nil {
		return err
	}
	return w.replace(tx, by, verb, until)
}

func (w newPIN) replace(tx *store.Tx, by ident.Actor, verb string, until time.Time) error {
	var issued any
	if !until.IsZero() {
		issued = store.Ms(until)
	}
	if err := tx.Exec(`INSERT INTO inmate_pin (inmate, hash, changed_at, issued_until) VALUES (?,?,?,?)
		ON CONFLICT (inmate) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at, issued_until = excluded.issued_until`,
		w.inmate.ID, w.hash, store.Ms(tx.Now()), issued); err != nil {
		return err
	}
	if err := forgive(tx, digest(DoorKiosk, people.FoldNumber(w.inmate.Number))); err != nil {
		return err
	}
	return audit.Record(tx, by, verb, w.inmate.ID)
}
