package access

import (
	"context"
	"strings"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// kioskIdle ends an inmate's session that nobody uses; the kiosk's own screen signs out much sooner.
const kioskIdle = 15 * time.Minute

// touchEvery is how often the time of last use is written, so that reading pages does not write.
const touchEvery = 20 * time.Second

func errSignedOut() error {
	return fault.New("access.Lookup", fault.Unauthenticated, "Sign in first.").WithCode("auth.signedOut")
}

// Lookup returns the session of a cookie at a door and counts as use of it. It returns Unauthenticated when there is none:
// unknown, of another door, idle too long, over, ended, or of somebody who may not enter any more.
func (a *Access) Lookup(ctx context.Context, door, secret string) (Session, error) {
	if secret == "" || len(secret) > 128 {
		return Session{}, errSignedOut()
	}
	var touch bool
	s, err := view(ctx, a.DB, func(tx *store.Tx) (Session, error) {
		s, seen, err := a.find(tx, door, secret)
		touch = err == nil && tx.Now().Sub(seen) >= touchEvery
		return s, err
	})
	if err != nil || !touch {
		return s, err
	}
	err = a.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.Exec(`UPDATE session SET seen_at = ? WHERE id = ? AND ended_at IS NULL AND seen_at < ?`, store.Ms(tx.Now()), s.ID, store.Ms(tx.Now()))
	})
	if fault.CodeOf(err) == "disk.full" {
		// The session ends as if it had not been used; until then whoever is signed in reads on, and may make room.
		return s, nil
	}
	return s, err
}

// Peek is [Access.Lookup] without counting as use: for streams that stay open while nobody is there.
func (a *Access) Peek(ctx context.Context, door, secret string) (Session, error) {
	return view(ctx, a.DB, func(tx *store.Tx) (Session, error) {
		s, _, err := a.find(tx, door, secret)
		return s, err
	})
}

func (a *Access) find(tx *store.Tx, door, secret string) (Session, time.Time, error) {
	var s Session
	var idle, factor, seen, expires int64
	err := tx.Row(`SELECT id, door, kind, who, stage, csrf, station, idle_ms, coalesce(factor_at, 0), max(seen_at, busy_until), expires_at FROM session
		WHERE hash = ? AND door = ? AND ended_at IS NULL`, digest(secret), door).
		Scan(&s.ID, &s.Door, &s.Actor.Kind, &s.Actor.ID, &s.Stage, &s.CSRF, &s.Station, &idle, &factor, &seen, &expires)
	if fault.Is(err, fault.NotFound) {
		return Session{}, time.Time{}, errSignedOut()
	}
	if err != nil {
		return Session{}, time.Time{}, err
	}
	s.Actor.Door, s.Idle, s.Expires = s.Door, time.Duration(idle)*time.Millisecond, store.Time(expires)
	if factor != 0 {
		s.Factor = store.Time(factor)
	}
	last := store.Time(seen)
	if !tx.Now().Before(s.Expires) || tx.Now().Sub(last) >= s.Idle {
		return Session{}, time.Time{}, errSignedOut()
	}
	if s.Actor.Kind == ident.ByStaff {
		var words string
		err := tx.Row(`SELECT roles FROM staff WHERE id = ? AND disabled_at IS NULL`, s.Actor.ID).Scan(&words)
		if fault.Is(err, fault.NotFound) {
			return Session{}, time.Time{}, errSignedOut()
		}
		if err != nil {
			return Session{}, time.Time{}, err
		}
		s.Actor.Roles = strings.Fields(words)
	}
	if s.Station != "" {
		var enrolled int
		if err := tx.Row(`SELECT count(*) FROM device WHERE station = ? AND revoked_at IS NULL`, s.Station).Scan(&enrolled); err != nil {
			return Session{}, time.Time{}, err
		}
		if enrolled == 0 {
			return Session{}, time.Time{}, errSignedOut()
		}
	}
	return s, last, nil
}

// begin writes a new session and returns what its door keeps.
func (a *Access) begin(tx *store.Tx, by ident.Actor, stage string, station ident.Station, factor time.Time) (Entry, error) {
	rules, err := a.rulesIn(tx)
	if err != nil {
		return Entry{}, err
	}
	idle, absolute := policy.AccountIdle.Of(rules), policy.AccountAbsolute.Of(rules)
	switch by.Door {
	case DoorKiosk:
		idle = kioskIdle
	case DoorStaff, DoorSetup:
		idle, absolute = policy.StaffIdleLock.Of(rules), policy.StaffAbsolute.Of(rules)
	}
	e := Entry{
		Session: Session{
			ID: ident.New[ident.Session](), Actor: by, Door: by.Door, Stage: stage, CSRF: ident.Secret(),
			Station: station, Idle: idle, Expires: tx.Now().Add(absolute), Factor: factor,
		},
		Secret: ident.Secret(),
	}
	var last int64
	if err := tx.Row(`SELECT coalesce(max(created_at), 0) FROM session WHERE who = ? AND stage = 'full'`, by.ID).Scan(&last); err != nil {
		return Entry{}, err
	}
	if last != 0 {
		e.Last = store.Time(last)
	}
	var shown any
	if !factor.IsZero() {
		shown = store.Ms(factor)
	}
	return e, tx.Exec(`INSERT INTO session (id, hash, door, kind, who, stage, csrf, station, idle_ms, factor_at, created_at, seen_at, expires_at)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`, e.ID, digest(e.Secret), e.Door, string(by.Kind), by.ID, stage, e.CSRF, station,
		idle.Milliseconds(), shown, store.Ms(tx.Now()), store.Ms(tx.Now()), store.Ms(e.Expires))
}

// forward replaces a session by one of a later stage with a new secret, so that a secret seen before the step is worth nothing.
func (a *Access) forward(tx *store.Tx, s Session, stage string, factor time.Time) (Entry, error) {
	n, err := tx.ExecN(`UPDATE session SET ended_at = ? WHERE id = ? AND ended_at IS NULL`, store.Ms(tx.Now()), s.ID)
	if err != nil {
		return Entry{}, err
	}
	if n == 0 {
		return Entry{}, errSignedOut()
	}
	return a.begin(tx, s.Actor, stage, s.Station, factor)
}

// Busy says that whoever is signed in sits in a call until a time, so that the session does not end for idleness before.
func (a *Access) Busy(ctx context.Context, s Session, until time.Time) error {
	return a.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.Exec(`UPDATE session SET busy_until = max(busy_until, ?) WHERE id = ? AND ended_at IS NULL`, store.Ms(until), s.ID)
	})
}

// SignOut ends a session; ending it twice is no error.
func (a *Access) SignOut(ctx context.Context, s Session) error {
	return a.DB.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.ExecN(`UPDATE session SET ended_at = ? WHERE id = ? AND ended_at IS NULL`, store.Ms(tx.Now()), s.ID)
		if err != nil || n == 0 {
			return err
		}
		return audit.Record(tx, s.Actor, "signin.end", s.Actor.ID)
	})
}

// End ends every session of a person (typed id), for whoever disables, bans or releases them.
func (a *Access) End(tx *store.Tx, who string) error {
	return tx.Exec(`UPDATE session SET ended_at = ? WHERE who = ? AND ended_at IS NULL`, store.Ms(tx.Now()), who)
}

// Sweep forgets what is of no more use: sessions over for 30 days, tries of a day ago, used codes. At most limit rows each.
func (a *Access) Sweep(tx *store.Tx, limit int) error {
	now := tx.Now()
	for _, s := range []struct {
		query  string
		before time.Time
	}{
		{`DELETE FROM session WHERE id IN (SELECT id FROM session WHERE expires_at < ? LIMIT ?)`, now.AddDate(0, 0, -30)},
		{`DELETE FROM attempt WHERE key IN (SELECT key FROM attempt WHERE last < ? AND total < 20 LIMIT ?)`, now.AddDate(0, 0, -7)},
		{`DELETE FROM browser_code WHERE session IN (SELECT session FROM browser_code WHERE expires_at < ? LIMIT ?)`, now},
		{`DELETE FROM enrolment WHERE hash IN (SELECT hash FROM enrolment WHERE expires_at < ? LIMIT ?)`, now},
	} {
		if err := tx.Exec(s.query, store.Ms(s.before), limit); err != nil {
			return err
		}
	}
	return nil
}
