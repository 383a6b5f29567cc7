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
// would: the same statements, one transaction for each booking, through database/sql. It decides nothing.
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
	inmate, visitor, date := string(one.inmate), string(one.visitor), at.Format(time.DateOnly)
	for _, r := range []read{
		{`SELECT * FROM visits WHERE holder = ? AND state = 'held'`, []any{visitor}},
		{`SELECT * FROM facility WHERE one = 1`, nil},
		{`SELECT * FROM contact WHERE id = ?`, []any{string(one.contact)}},
		{`SELECT * FROM inmate WHERE id = ?`, []any{inmate}},
		{`SELECT * FROM visitor WHERE id = ?`, []any{visitor}},
		{`SELECT * FROM restriction WHERE lifted_at IS NULL AND ((visitor = ?1 AND inmate IS NULL) OR (visitor IS NULL AND inmate = ?2)
			OR (visitor = ?1 AND inmate = ?2)) ORDER BY starts, id`, []any{visitor, inmate}},
		{`SELECT version, stamp FROM policy_head WHERE one = 1`, nil},
		{`SELECT coalesce(sum(visitor = ? AND date = ?), 0), coalesce(sum(date = ?), 0), count(*) FROM visits
			WHERE inmate = ? AND date BETWEEN ? AND ? AND id <> '' AND class NOT IN ('official', 'privileged')
			AND state NOT IN ('declined', 'expired', 'withdrawn', 'rejected', 'auto_rejected', 'cancelled')`, []any{visitor, date, date, inmate, date, date}},
		{`SELECT coalesce(sum(calls), 0), coalesce(sum(minutes), 0) FROM entitlement WHERE inmate = ? AND period = '2027-03-01'`, []any{inmate}},
		{`SELECT template, starts, ends, date, taken < capacity + extra FROM slots WHERE starts = ?`, []any{ms}},
		{`SELECT * FROM session_templates WHERE id = ?`, []any{string(s.template)}},
		{
			`SELECT count(*), coalesce(sum(taken < capacity + extra), 0) FROM slots WHERE template = ? AND starts >= ? AND starts < ? AND date = ?`,
			[]any{string(s.template), ms, end, date},
		},
		{`SELECT * FROM closures WHERE lifted IS NULL AND ends > ? AND starts < ? ORDER BY starts`, []any{ms, end}},
		{lastSpan, []any{inmate, end}},
		{lastSpan, []any{visitor, end}},
		{`SELECT * FROM stations WHERE state = 'ready' ORDER BY kind, name`, nil},
		{`SELECT * FROM closures WHERE lifted IS NULL AND ends > ? AND starts < ? ORDER BY starts`, []any{ms, end}},
		{lastSpan, []any{string(s.kiosks[0]), end}},
	} {
		if err := r.all(tx); err != nil {
			return err
		}
	}
	var taken, capacity int
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
	if err := (read{`SELECT coalesce(sum(calls), 0), coalesce(sum(minutes), 0) FROM entitlement WHERE visit = ? AND visit <> ''`, []any{id}}).all(tx); err != nil {
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

const lastSpan = `SELECT ends FROM visit_spans WHERE subject = ? AND starts < ? ORDER BY starts DESC LIMIT 1`

// read is one query of the checks; its rows are scanned and not looked at.
type read struct {
	query string
	args  []any
}

func (r read) all(tx *sql.Tx) error {
	rows, err := tx.Query(r.query, r.args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	into := make([]any, len(names))
	for i := range into {
		into[i] = new(any)
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
	}
	return rows.Err()
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
