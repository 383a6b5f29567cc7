package access

import (
	"context"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/store"
)

// gate bounds how often a secret may be tried: max failures in a window, then a lock that doubles, and hard failures in
// all, after which only a new secret helps. The count goes up in the database before the secret is looked at, so that
// neither parallel tries nor a kill between the two win a try.
type gate struct {
	key     string
	account string // of whom; a new secret opens all gates of an account
	max     int
	lock    time.Duration
	hard    int
	shared  bool // counts many people; a success takes back one try and no more
}

const (
	triesWindow = 15 * time.Minute
	lockLongest = time.Hour
	locksForget = 24 * time.Hour
)

// tried says how a try stands.
type tried struct {
	left   int
	locked time.Time // set when this try, if it fails, is the last one
}

// take takes a try through all gates at once, or refuses with TooMany when one is shut.
func (a *Access) take(ctx context.Context, gates ...gate) (tried, error) {
	return update(ctx, a.DB, func(tx *store.Tx) (tried, error) {
		t := tried{left: -1}
		for _, g := range gates {
			one, err := takeOne(tx, g)
			if err != nil {
				return tried{}, err
			}
			if t.left < 0 || one.left < t.left {
				t = one
			}
		}
		return t, nil
	})
}

func takeOne(tx *store.Tx, g gate) (tried, error) {
	now := tx.Now()
	var failures, locks, total int
	var since, last, until int64
	err := tx.Row(`SELECT failures, locks, total, since, last, locked_until FROM attempt WHERE key = ?`, g.key).
		Scan(&failures, &locks, &total, &since, &last, &until)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return tried{}, err
	}
	if g.hard > 0 && total >= g.hard {
		return tried{}, errLocked(now, time.Time{})
	}
	if until > store.Ms(now) {
		return tried{}, errLocked(now, store.Time(until))
	}
	if until != 0 || since == 0 || now.Sub(store.Time(since)) >= triesWindow {
		failures, since, until = 0, store.Ms(now), 0
	}
	if last != 0 && now.Sub(store.Time(last)) >= locksForget {
		locks = 0
	}
	failures, total = failures+1, total+1
	t := tried{left: max(0, g.max-failures)}
	if failures >= g.max {
		t.locked = now.Add(lockFor(g.lock, locks))
		until, locks = store.Ms(t.locked), locks+1
	}
	return t, tx.Exec(`INSERT INTO attempt (key, account, failures, locks, total, since, last, locked_until) VALUES (?,?,?,?,?,?,?,?)
		ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, locks = excluded.locks, total = excluded.total,
		since = excluded.since, last = excluded.last, locked_until = excluded.locked_until`,
		g.key, g.account, failures, locks, total, since, store.Ms(now), until)
}

// lockFor doubles a lock with every lock before it, to an hour or the rule's own length, whichever is longer.
func lockFor(base time.Duration, before int) time.Duration {
	d := base
	for range before {
		if d >= lockLongest {
			break
		}
		d = min(2*d, max(lockLongest, base))
	}
	return d
}

// passed takes a try back, because the secret was right.
func passed(tx *store.Tx, gates ...gate) error {
	for _, g := range gates {
		query := `DELETE FROM attempt WHERE key = ?`
		if g.shared {
			query = `UPDATE attempt SET failures = failures - 1, total = total - 1, locked_until = 0 WHERE key = ? AND failures > 0`
		}
		if err := tx.Exec(query, g.key); err != nil {
			return err
		}
	}
	return nil
}

// forgive opens all gates of an account, because it has a new secret.
func forgive(tx *store.Tx, account string) error {
	return tx.Exec(`DELETE FROM attempt WHERE account = ?`, account)
}

// errLocked says until when nothing is tried. Without a time only a new secret helps.
func errLocked(now, until time.Time) error {
	f := fault.New("access.SignIn", fault.TooMany, "We have locked this account because the PIN was wrong too often.").WithCode("auth.locked")
	if until.IsZero() {
		return f.WithParam("hard", true)
	}
	return f.WithParam("until", until).WithParam("retry_ms", int(until.Sub(now).Milliseconds()))
}

// errWrong is the answer to a wrong secret, whoever it was and whether or not they exist.
func (t tried) errWrong(now time.Time, code string) error {
	if !t.locked.IsZero() {
		return errLocked(now, t.locked)
	}
	return fault.New("access.SignIn", fault.Unauthenticated, "This is not right. Check it and try again.").
		WithCode(code).WithParam("left", t.left)
}
