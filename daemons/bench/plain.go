package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	mathrand "math/rand/v2"
	"time"

	"github.com/mattn/go-sqlite3"

	"sallyport/appliance/ident"
	"sallyport/appliance/record"
	"sallyport/appliance/vault"
)

// errFull is a booking that lost.
var errFull = errors.New("full")

// plain is the yardstick: the same tables, file settings and durability, used the way a program without the store
// would: the same statements, one transaction for each booking, through database/sql. It decides, hashes and seals
// nothing.
type plain struct {
	db    *sql.DB
	site  *site
	naive bool
}

// openPlain opens a site's file. The bare loop has one connection, so that it never meets a lock, with the writer's own
// settings; the naive peer has the default pool, reads before it writes and tries again when the file is locked.
func openPlain(s *site, naive bool) (*plain, error) {
	dsn := "file:" + s.path + "?_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on"
	if naive {
		dsn += "&_busy_timeout=0"
	} else {
		dsn += "&_txlock=immediate&_busy_timeout=10000&_cache_size=-65536"
	}
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	if !naive {
		db.SetMaxOpenConns(1)
		if _, err := db.Exec("PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 8000"); err != nil {
			return nil, err
		}
	}
	return &plain{db: db, site: s, naive: naive}, db.Ping()
}

func (p *plain) book(ctx context.Context, who pair, at time.Time) (won bool, err error) {
	for {
		err := p.try(ctx, who, at)
		var locked sqlite3.Error
		if !p.naive || !errors.As(err, &locked) || locked.Code != sqlite3.ErrBusy && locked.Code != sqlite3.ErrLocked {
			if errors.Is(err, errFull) {
				return false, nil
			}
			return err == nil, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Duration(1+mathrand.IntN(10)) * time.Millisecond):
		}
	}
}

func (p *plain) try(ctx context.Context, who pair, at time.Time) (err error) {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	monday := at.AddDate(0, 0, -(int(at.Weekday())+6)%7)
	b := booking{
		tx: tx, site: p.site, id: string(ident.New[ident.Visit]()), inmate: string(who.inmate), visitor: string(who.visitor), contact: string(who.contact),
		template: string(p.site.template), starts: at.UnixMilli(), ends: at.Add(15 * time.Minute).UnixMilli(), date: at.Format(time.DateOnly),
		monday: monday.Format(time.DateOnly), sunday: monday.AddDate(0, 0, 6).Format(time.DateOnly),
	}
	if err := b.look(); err != nil {
		return err
	}
	if err := b.write(); err != nil {
		return err
	}
	return tx.Commit()
}

// booking is one booking of the yardstick.
type booking struct {
	tx                           *sql.Tx
	site                         *site
	id, inmate, visitor, contact string
	template, kiosk              string
	date, monday, sunday         string
	starts, ends, taken          int64
}

// write runs the statements that write a booking, with the reads between them.
func (b *booking) write() error {
	res, err := b.tx.Exec(`UPDATE slots SET taken = taken + 1 WHERE template = ? AND starts >= ? AND starts < ? AND taken < capacity + extra`,
		b.template, b.starts, b.ends)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errFull, err)
	}
	now := now.UnixMilli()
	err = b.all(`INSERT INTO visit_spans (subject, starts, ends, visit) VALUES (?, ?, ?, ?)`,
		[]any{b.inmate, b.starts, b.ends, b.id}, []any{b.visitor, b.starts, b.ends, b.id}, []any{b.kiosk, b.starts, b.ends, b.id})
	if err != nil {
		return err
	}
	err = b.all(`INSERT INTO entitlement (inmate, period, type, calls, minutes, visit, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		[]any{b.inmate, period, "used", 1, 15, b.id, "", now})
	if err != nil {
		return err
	}
	err = b.all(`INSERT INTO visits (id, ref, inmate, contact, visitor, party, class, template, starts, ends, date, minutes, slots, pitch, turnaround,
			state, waiting_on, asked_by, holder, reason, review, taken, station, lobby, funding, credited, credit_cutoff, policy_version, version,
			due, created_at, changed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), ?, ?, ?, ?, ?, nullif(?, 0), ?, ?)`,
		[]any{
			b.id, ident.Reference() + b.id[20:], b.inmate, b.contact, b.visitor, "", "social", b.template, b.starts, b.ends, b.date, 15, 1, 15, 0,
			"confirmed", "", "visitor", b.visitor, "", "", 1, b.kiosk, "", "entitlement", 0, 86400000, 10, 1, b.starts - 600000, now, now,
		})
	if err != nil {
		return err
	}
	if err := b.audit(now); err != nil {
		return err
	}
	err = b.all(`INSERT INTO outbox_feed (audience, kind, id, at) VALUES (?, ?, ?, ?)`,
		[]any{"visitor:" + b.visitor, "visit", b.id, now}, []any{"inmate:" + b.inmate, "visit", b.id, now}, []any{"staff", "visit", b.id, now})
	if err != nil {
		return err
	}
	if err := b.replicate(now); err != nil {
		return err
	}
	return b.all(`INSERT INTO outbox_notice (template, recipient, subject, params, at) VALUES (?, ?, ?, ?, ?)`,
		[]any{"visit.confirmed", b.visitor, b.id, notice, now}, []any{"visit.confirmed", b.inmate, b.id, notice, now})
}

// notice is as long as what a notice of a booking carries.
const notice = `{"class":"social","credited":false,"ends":"2027-03-03T00:15:00Z","funding":"entitlement","inmate":"i_00000000000000000000000000",` +
	`"minutes":15,"reason":"","ref":"KX4-92Q","starts":"2027-03-03T00:00:00Z","state":"confirmed","version":1,"visitor":"vr_00000000000000000000000000"}`

// all runs one statement for every list of arguments.
func (b *booking) all(query string, lists ...[]any) error {
	for _, args := range lists {
		if _, err := b.tx.Exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}

// audit writes the row of the act with its link to the row before.
func (b *booking) audit(now int64) error {
	var seq int64
	var prev []byte
	if err := b.tx.QueryRow(`SELECT seq, hash FROM audit_row ORDER BY seq DESC LIMIT 1`).Scan(&seq, &prev); err != nil {
		return err
	}
	return b.all(`INSERT INTO audit_row (seq, at, actor_kind, actor_id, door, roles, verb, subject, reason, before, after, policy, prev, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		[]any{
			seq + 1, now, "visitor", b.visitor, "visitor", "[]", "visit.confirm", b.id, "", "",
			`{"state":"confirmed","version":1,"starts":"2027-03-03T00:00:00Z","station":"` + b.kiosk + `","funding":"entitlement"}`, "10", prev, noise(32),
		})
}

// sealedLength is how long the sealed record of a booking is.
const sealedLength = 396

// replicate writes the record of the visit, random bytes for sealed ones.
func (b *booking) replicate(at int64) error {
	var key, chain, wrapped []byte
	var epoch, head int64
	if err := b.tx.QueryRow(`SELECT id, wrapped FROM sync_key WHERE side = 'site' AND quarter = ?`, vault.Quarter(now)).Scan(&key, &wrapped); err != nil {
		return err
	}
	if err := b.tx.QueryRow(`SELECT epoch, head, chain FROM sync_state`).Scan(&epoch, &head, &chain); err != nil {
		return err
	}
	path := record.KeyOf(record.TypeVisit, b.id).Path(record.SitePrefix(string(b.site.id)))
	if err := b.read(`SELECT ver FROM sync_record WHERE key = ?`, path); err != nil {
		return err
	}
	head, chain = head+1, noise(32)
	sealed := noise(sealedLength)
	err := b.all(`INSERT INTO outbox (seq, txn, last, key, ver, sealed, chain, at) VALUES (?, ?, 1, ?, ?, ?, ?, ?)`,
		[]any{head, head, path, 1, sealed, chain, at})
	if err != nil {
		return err
	}
	err = b.all(`INSERT INTO sync_record (key, epoch, ver, deleted, seq, sealed) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, ver = excluded.ver, deleted = excluded.deleted,
		seq = excluded.seq, sealed = excluded.sealed`, []any{path, epoch, 1, 0, head, sealed})
	if err != nil {
		return err
	}
	return b.all(`UPDATE sync_state SET head = ?, chain = ?`, []any{head, chain})
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
