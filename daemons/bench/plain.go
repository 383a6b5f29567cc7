package main

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/mattn/go-sqlite3"

	"sallyport/appliance/ident"
)

// errFull is a booking that lost.
var errFull = errors.New("full")

// plain is the yardstick: the same tables, file settings and durability, used the way a program without the store
// would: one transaction for each booking through database/sql. It runs the writes of a booking and the reads that
// nobody could leave out, but none of the checks, so the ratio is understated.
type plain struct {
	db      *sql.DB
	naive   bool
	kiosks  []ident.Station
	retries func()
}

// openPlain opens a site's file. The bare loop has one connection, so that it never meets a lock; the naive peer has
// the default pool, reads before it writes and tries again when the file is locked.
func openPlain(path string, naive bool) (*plain, error) {
	dsn := "file:" + path + "?_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on"
	if naive {
		dsn += "&_busy_timeout=0"
	} else {
		dsn += "&_txlock=immediate&_busy_timeout=10000"
	}
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	if !naive {
		db.SetMaxOpenConns(1)
	}
	return &plain{db: db, naive: naive}, db.Ping()
}

func (p *plain) book(ctx context.Context, s *site, n int, at time.Time) error {
	for {
		err := p.try(ctx, s, n, at)
		var locked sqlite3.Error
		if !p.naive || !errors.As(err, &locked) || locked.Code != sqlite3.ErrBusy && locked.Code != sqlite3.ErrLocked {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(1+rand.IntN(10)) * time.Millisecond):
		}
	}
}

func (p *plain) try(ctx context.Context, s *site, n int, at time.Time) (err error) {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if err := p.write(tx, s, s.pairs[n], at); err != nil {
		return err
	}
	return tx.Commit()
}

func (p *plain) write(tx *sql.Tx, s *site, one pair, at time.Time) error {
	ms, end := at.UnixMilli(), at.Add(15*time.Minute).UnixMilli()
	var text string
	for _, q := range []struct{ query, id string }{
		{`SELECT state FROM inmate WHERE id = ?`, string(one.inmate)},
		{`SELECT state FROM visitor WHERE id = ?`, string(one.visitor)},
		{`SELECT state FROM contact WHERE id = ?`, string(one.contact)},
	} {
		if err := tx.QueryRow(q.query, q.id).Scan(&text); err != nil {
			return err
		}
	}
	var used, taken, capacity int
	if err := tx.QueryRow(`SELECT coalesce(sum(calls), 0) FROM entitlement WHERE inmate = ? AND period = '2027-03-01'`, string(one.inmate)).Scan(&used); err != nil {
		return err
	}
	if err := tx.QueryRow(`SELECT taken, capacity FROM slots WHERE template = ? AND starts = ?`, string(s.template), ms).Scan(&taken, &capacity); err != nil {
		return err
	}
	if taken >= capacity {
		return errFull
	}
	res, err := tx.Exec(`UPDATE slots SET taken = taken + 1 WHERE template = ? AND starts = ? AND taken < capacity + extra`, string(s.template), ms)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errFull, err)
	}
	kiosk := s.kiosks[taken%len(s.kiosks)]
	id := string(ident.New[ident.Visit]())
	for _, subject := range []string{string(one.inmate), string(one.visitor), string(kiosk)} {
		if _, err := tx.Exec(`INSERT INTO visit_spans (subject, starts, ends, visit) VALUES (?, ?, ?, ?)`, subject, ms, end, id); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`INSERT INTO visits (id, ref, inmate, contact, visitor, class, template, starts, ends, date, minutes, slots, pitch, turnaround,
			state, asked_by, holder, taken, station, policy_version, due, created_at, changed_at)
		VALUES (?, ?, ?, ?, ?, 'social', ?, ?, ?, ?, 15, 1, 15, 0, 'held', 'visitor', ?, 1, ?, 1, ?, ?, ?)`,
		id, ident.Reference()+id[20:], string(one.inmate), string(one.contact), string(one.visitor), string(s.template), ms, end, at.Format(time.DateOnly),
		string(one.visitor), string(kiosk), ms, ms, ms); err != nil {
		return err
	}
	if err := journal(tx, id, "visit.hold"); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO entitlement (inmate, period, type, calls, minutes, visit, at) VALUES (?, '2027-03-01', 'used', 1, 15, ?, ?)`,
		string(one.inmate), id, ms); err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE visits SET state = 'confirmed', funding = 'entitlement', version = 2, due = ? WHERE id = ? AND version = 1`, ms, id); err != nil {
		return err
	}
	if err := journal(tx, id, "visit.confirm"); err != nil {
		return err
	}
	for _, to := range []string{"visitor:" + string(one.visitor), "inmate:" + string(one.inmate), "staff"} {
		if _, err := tx.Exec(`INSERT INTO outbox_feed (audience, kind, id, at) VALUES (?, 'visit', ?, ?)`, to, id, ms); err != nil {
			return err
		}
	}
	for _, to := range []string{string(one.visitor), string(one.inmate)} {
		if _, err := tx.Exec(`INSERT INTO outbox_notice (template, recipient, subject, params, at) VALUES ('visit.confirmed', ?, ?, '{"minutes":15}', ?)`, to, id, ms); err != nil {
			return err
		}
	}
	return nil
}

// journal writes an audit row with its link to the row before.
func journal(tx *sql.Tx, id, verb string) error {
	var prev []byte
	if err := tx.QueryRow(`SELECT hash FROM audit_row ORDER BY seq DESC LIMIT 1`).Scan(&prev); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO audit_row (at, actor_kind, actor_id, door, roles, verb, subject, reason, before, after, policy, prev, hash)
		VALUES (0, 'visitor', '', 'visitor', '', ?, ?, '', '', '{"state":"confirmed"}', '1', ?, ?)`, verb, id, prev, prev)
	return err
}
