package outbox

import (
	"context"
	"fmt"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

// State is where the site stands; syncd asks after every (re)connect.
func (o *Outbox) State(tx *store.Tx) (linkspec.SyncState, error) {
	s := linkspec.SyncState{SchemaMin: record.Major, SchemaMax: record.Major}
	var cluster int64
	err := tx.Row(`SELECT site, incarnation, mode, epoch, head, acked, cluster, generation,
		CASE WHEN generation = '' OR (feed_cluster, feed_generation) = (cluster, generation) THEN revision ELSE 0 END, relist_r0, relist_after FROM sync_state`).
		Scan(&s.Site, &s.Incarnation, &s.Mode, &s.Epoch, &s.Head, &s.Acked, &cluster, &s.Generation, &s.Revision, &s.RelistR0, &s.RelistAfter)
	s.Cluster = uint64(cluster)
	return s, err
}

// Head is what waits for the centre. The bytes are those of the first thousand rows at most: it is asked for often.
func (o *Outbox) Head(tx *store.Tx) (linkspec.SyncHead, error) {
	var h linkspec.SyncHead
	err := tx.Row(`SELECT head, head - acked, (SELECT coalesce(sum(length(sealed)), 0) FROM outbox WHERE seq > acked AND seq <= acked + 1000),
		coalesce((SELECT at FROM outbox WHERE seq = acked + 1), 0) FROM sync_state`).Scan(&h.Seq, &h.Rows, &h.Bytes, &h.OldestMS)
	return h, err
}

// row is one row of the outbox.
type row struct {
	seq, txn int64
	last     bool
	key      string
	ver      uint64
	sealed   []byte
	chain    []byte
	parked   bool
}

// Batch returns the next push after a sequence: whole local transactions, of each key the last version only, since etcd
// refuses the same key twice. It returns false when nothing waits.
func (o *Outbox) Batch(tx *store.Tx, after int64, records, bytes int) (linkspec.SyncBatch, bool, error) {
	records, bytes = min(max(records, record.MaxLocal+1), record.MaxBatch), min(max(bytes, record.MaxLocalSize), record.MaxBatchSize)
	rows, err := store.All(tx, scanRow, `SELECT o.seq, o.txn, o.last, o.key, o.ver, o.sealed, o.chain, p.key IS NOT NULL
		FROM outbox o LEFT JOIN parked p ON p.direction = 'out' AND p.key = o.key
		WHERE o.seq > ? ORDER BY o.seq LIMIT ?`, after, 4*record.MaxBatch)
	if err != nil {
		return linkspec.SyncBatch{}, false, err
	}
	if len(rows) == 0 {
		return linkspec.SyncBatch{}, false, nil
	}
	if rows[0].seq != after+1 {
		return linkspec.SyncBatch{}, false, fault.New("outbox.Batch", fault.Conflict, "The changes after this number are not kept any more.").WithCode("sync.gap")
	}
	taken := cut(rows, records, bytes)
	if taken == 0 {
		return linkspec.SyncBatch{}, false, fault.New("outbox.Batch", fault.Internal, "A local transaction is larger than a push.")
	}
	b := linkspec.SyncBatch{From: after + 1, Rows: taken, Records: latest(rows[:taken])}
	end := rows[taken-1]
	b.To, b.Chain = end.seq, end.chain
	b.Epoch, b.Sig, err = o.signCursor(tx, end.seq, end.chain)
	return b, err == nil, err
}

func scanRow(r *store.Rows) (row, error) {
	var one row
	err := r.Scan(&one.seq, &one.txn, &one.last, &one.key, &one.ver, &one.sealed, &one.chain, &one.parked)
	return one, err
}

// cut returns how many rows, from the first, fit into one push and end a local transaction. The limits count what would
// travel: distinct keys in their last version.
func cut(rows []row, records, bytes int) int {
	size := map[string]int{}
	total, taken := 0, 0
	for i, r := range rows {
		if !r.parked {
			total += len(r.sealed) + len(r.key) - size[r.key]
			size[r.key] = len(r.sealed) + len(r.key)
		}
		if len(size) > records || total > bytes && taken > 0 {
			break
		}
		if r.last {
			taken = i + 1
		}
	}
	return taken
}

// latest leaves out what is superseded inside the batch, and what is parked.
func latest(rows []row) []linkspec.SyncRecord {
	at := map[string]int{}
	for i, r := range rows {
		at[r.key] = i
	}
	out := make([]linkspec.SyncRecord, 0, len(at))
	for i, r := range rows {
		if at[r.key] == i && !r.parked {
			out = append(out, linkspec.SyncRecord{Key: r.key, Ver: r.ver, Sealed: r.sealed})
		}
	}
	return out
}

func (o *Outbox) signCursor(tx *store.Tx, seq int64, chain []byte) (epoch uint64, sig []byte, err error) {
	c := &record.Cursor{Seq: seq, Chain: chain}
	if err := tx.Row(`SELECT epoch, incarnation FROM sync_state`).Scan(&c.Epoch, &c.Incarnation); err != nil {
		return 0, nil, err
	}
	o.party.SignCursor(o.site, c)
	return c.Epoch, c.Sig, nil
}

// Chain answers "what was the hash at this sequence", signed as a cursor. It returns NotFound for a sequence that this
// database never reached or has forgotten.
func (o *Outbox) Chain(tx *store.Tx, seq int64) (linkspec.SyncChain, error) {
	c := linkspec.SyncChain{Seq: seq}
	if seq == 0 {
		c.Chain = make([]byte, len(record.Chain{}))
	} else if err := tx.Row(`SELECT chain FROM outbox WHERE seq = ?1 UNION ALL SELECT chain FROM sync_chain WHERE seq = ?1`, seq).Scan(&c.Chain); err != nil {
		return linkspec.SyncChain{}, err
	}
	var err error
	_, c.Sig, err = o.signCursor(tx, seq, c.Chain)
	return c, err
}

// Kept limits of history.
const (
	keepAcked = 7 * 24 * time.Hour // rows after their acknowledgement
	keepChain = 10_000             // newest acknowledged cursors
	pruneRows = 1000               // at most, with one acknowledgement
)

// Acked notes that the centre holds everything up to a.Seq. It returns Conflict for another epoch or an impossible
// sequence; an older acknowledgement changes nothing.
func (o *Outbox) Acked(ctx context.Context, db *store.DB, a linkspec.SyncAcked) error {
	var now time.Time
	err := db.Update(ctx, func(tx *store.Tx) error {
		now = tx.Now()
		s, err := o.State(tx)
		if err != nil {
			return err
		}
		if s.Mode != "normal" || a.Epoch != s.Epoch || a.Seq > s.Head || a.Seq < 0 {
			return fault.New("outbox.Acked", fault.Conflict, "This acknowledgement is not for the present history.").WithCode("sync.epoch")
		}
		if err := o.keepCursor(tx, a.Seq); err != nil {
			return err
		}
		if err := tx.Exec(`UPDATE sync_state SET acked = max(acked, ?1), cluster = ?2, generation = ?3,
			synced_at = CASE WHEN max(acked, ?1) = head THEN ?4 ELSE synced_at END`, a.Seq, int64(a.Cluster), a.Generation, tx.Now()); err != nil {
			return err
		}
		return tx.Exec(`DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE seq <= ? AND at < ? ORDER BY seq LIMIT ?)`,
			a.Seq, tx.Now().Add(-keepAcked), pruneRows)
	})
	if err != nil {
		return fmt.Errorf("acknowledge %d: %w", a.Seq, err)
	}
	return o.raise(a.Epoch, a.Seq, now)
}

func (o *Outbox) keepCursor(tx *store.Tx, seq int64) error {
	if err := tx.Exec(`INSERT INTO sync_chain (seq, chain, at) SELECT seq, chain, ?2 FROM outbox WHERE seq = ?1 ON CONFLICT DO NOTHING`, seq, tx.Now()); err != nil {
		return err
	}
	// Beyond the newest cursors one an hour is enough to tell where two histories part.
	return tx.Exec(`DELETE FROM sync_chain WHERE seq IN (SELECT seq FROM sync_chain WHERE seq < ?1 - ?2
		AND (at < ?3 OR EXISTS (SELECT 1 FROM sync_chain n WHERE n.seq > sync_chain.seq AND n.seq < ?1 - ?2 AND n.at / 3600000 = sync_chain.at / 3600000)) LIMIT ?4)`,
		seq, keepChain, tx.Now().Add(-400*24*time.Hour), pruneRows)
}

// Records is a page of the site's own records in key order, each in its last version if that is at or below to.
func (o *Outbox) Records(tx *store.Tx, after string, to int64, limit int) (linkspec.SyncRecords, error) {
	limit = min(max(limit, 1), 1000)
	list, err := store.All(tx, func(r *store.Rows) (linkspec.SyncRecord, error) {
		var one linkspec.SyncRecord
		err := r.Scan(&one.Key, &one.Ver, &one.Sealed)
		return one, err
	}, `SELECT key, ver, sealed FROM sync_record WHERE key > ? AND seq <= ?
		AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.direction = 'out' AND p.key = sync_record.key) ORDER BY key LIMIT ?`, after, to, limit)
	page := linkspec.SyncRecords{Records: list}
	if len(list) == limit {
		page.Next = list[limit-1].Key
	}
	return page, err
}

// Park notes that the centre refuses a record. Its later versions wait behind it until a person retries or drops it.
func (o *Outbox) Park(tx *store.Tx, p linkspec.SyncPark) error {
	if _, site, _, err := record.ParsePath(p.Key); err != nil || site != o.site {
		return fault.New("outbox.Park", fault.Invalid, "This is not a record of this site.")
	}
	return park(tx, "out", p.Key, p.Ver, p.Reason)
}

func park(tx *store.Tx, direction, key string, ver uint64, reason string) error {
	return tx.Exec(`INSERT INTO parked (direction, key, ver, reason, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (direction, key) DO UPDATE SET ver = excluded.ver, reason = excluded.reason`, direction, key, int64(ver), reason, tx.Now())
}

// Collected forgets own tombstones that the centre has collected.
func (o *Outbox) Collected(tx *store.Tx, keys []string) error {
	for _, k := range keys {
		if err := tx.Exec(`DELETE FROM sync_record WHERE key = ? AND deleted = 1`, k); err != nil {
			return err
		}
	}
	return nil
}
