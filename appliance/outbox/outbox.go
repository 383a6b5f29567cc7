package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
)

// Options say who this site is.
type Options struct {
	Site   ident.Facility // empty: the one that the database was founded with, or a fresh one
	Party  *vault.Party   // signs and opens for this site
	Centre vault.Peer     // whom records are sealed for, and whose commands are obeyed; empty until commissioning
	Guard  string         // path of the incarnation file: outside the database and every backup of it
	Log    *slog.Logger
}

// Outbox captures facts for the centre and takes in what the centre sends. A nil Outbox captures nothing, for a site
// that is not part of any.
type Outbox struct {
	site   string
	party  *vault.Party
	centre vault.Peer
	guard  string
	log    *slog.Logger

	mu     sync.Mutex // guards the rest
	keys   map[string]*vault.DataKey
	open   local
	report linkspec.SyncReport
	floor  guard
	wrote  time.Time // when the floor was last written

	reported time.Time
}

// local is the local transaction that rows are being added to. The pointer is kept so that its address is not reused:
// another transaction is another pointer.
type local struct {
	tx    *store.Tx
	first int64
	rows  int
	bytes int
}

// New returns the outbox of a site. [Outbox.Begin] has to be called before the first record.
func New(opts Options) (*Outbox, error) {
	if opts.Site != "" {
		if _, err := ident.Parse[ident.Facility](string(opts.Site)); err != nil {
			return nil, err
		}
	}
	if opts.Party == nil || opts.Guard == "" {
		return nil, fault.New("outbox.New", fault.Invalid, "The site needs a signing secret and a place for its incarnation file.")
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Outbox{
		site: string(opts.Site), party: opts.Party, centre: opts.Centre, guard: opts.Guard, log: log,
		keys: map[string]*vault.DataKey{},
	}, nil
}

// Begin compares the database with the guard outside it, before anybody reads from it: an older or copied database is
// put into recovery. On a first start it founds the site. The writer of db must be serving.
func (o *Outbox) Begin(ctx context.Context, db *store.DB) error {
	if err := o.compare(ctx, db); err != nil {
		return err
	}
	if len(o.centre.Wrap) == 0 {
		return nil
	}
	if err := db.Update(ctx, o.wrapToCentre); err != nil {
		return fmt.Errorf("wrap data keys to the centre: %w", err)
	}
	return nil
}

// Site returns the id under which the centre knows this site; it is fixed at the first start.
func (o *Outbox) Site() ident.Facility { return ident.Facility(o.site) }

// Put writes the record's new version beside the fact, in the caller's transaction. It returns Invalid for what may not
// leave the site ([record.Record.Check]) and for more than 100 records or 1 MiB in one transaction.
func (o *Outbox) Put(tx *store.Tx, r record.Record) error {
	if o == nil {
		return nil
	}
	if err := r.Check(); err != nil {
		return err
	}
	body, err := record.Marshal(r.Body)
	if err != nil {
		return fault.New("outbox.Put", fault.Internal, "The record cannot be encoded.").Because(err)
	}
	return o.put(tx, r, body, false)
}

// Drop writes a tombstone: the next version, deleted. A record that was never put, or is dropped already, needs none.
func (o *Outbox) Drop(tx *store.Tx, k record.Key) error {
	if o == nil {
		return nil
	}
	var deleted bool
	err := tx.Row(`SELECT deleted FROM sync_record WHERE key = ?`, k.Path(record.SitePrefix(o.site))).Scan(&deleted)
	if fault.Is(err, fault.NotFound) || err == nil && deleted {
		return nil
	}
	if err != nil {
		return err
	}
	return o.put(tx, record.Record{Key: k}, nil, true)
}

// put seals one version and adds it to the history.
func (o *Outbox) put(tx *store.Tx, r record.Record, body []byte, deleted bool) error {
	key, err := o.siteKey(tx)
	if err != nil {
		return err
	}
	h, err := readHead(tx)
	if err != nil {
		return err
	}
	epoch := h.epoch
	if r.Type.Custodial() {
		epoch = max(r.Custody, 1)
	}
	path := r.Path(record.SitePrefix(o.site))
	ver, err := nextVersion(tx, path)
	if err != nil {
		return err
	}
	e := &record.Envelope{
		Major: record.Major, Minor: record.Minor, Type: string(r.Type), Id: r.ID, Owner: o.site,
		Epoch: epoch, Ver: ver, Deleted: deleted, Cmd: string(r.Cmd),
	}
	if deleted {
		e.DeletedMs = store.Ms(tx.Now())
	}
	plain := &record.Plain{ActorKind: string(r.By.Kind), Actor: r.By.ID, AtMs: store.Ms(tx.Now()), Body: body}
	if err := key.SealRecord(path, e, plain); err != nil {
		return err
	}
	if r.Type == record.TypeHead {
		o.party.SignRecord(path, e)
	}
	return o.add(tx, h, path, e)
}

// head is the end of the history.
type head struct {
	epoch uint64
	seq   int64
	chain record.Chain
}

// readHead reads the end of the history in the caller's savepoint: one that was kept in memory would survive a rollback
// and fork the chain.
func readHead(tx *store.Tx) (h head, err error) {
	var chain []byte
	if err := tx.Row(`SELECT epoch, head, chain FROM sync_state`).Scan(&h.epoch, &h.seq, &chain); err != nil {
		return h, fault.New("outbox.Put", fault.Internal, "The outbox has not begun.").Because(err)
	}
	h.chain, err = record.ParseChain(chain)
	return h, err
}

func nextVersion(tx *store.Tx, path string) (uint64, error) {
	var ver uint64
	err := tx.Row(`SELECT ver FROM sync_record WHERE key = ?`, path).Scan(&ver)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return 0, err
	}
	return ver + 1, nil
}

// add appends an envelope to the history, after its head.
func (o *Outbox) add(tx *store.Tx, h head, path string, e *record.Envelope) error {
	value, err := record.Marshal(e)
	if err != nil {
		return fault.New("outbox.Put", fault.Internal, "The record cannot be encoded.").Because(err)
	}
	seq := h.seq + 1
	rows := 1
	if e.GetType() == string(record.TypeKey) {
		rows = 0 // or a full transaction would be refused once a quarter
	}
	txn, err := o.count(tx, seq, rows, len(value))
	if err != nil {
		return err
	}
	chain := h.chain.Link(seq, path, e)
	if seq > txn { // not the first of its transaction
		if err := tx.Exec(`UPDATE outbox SET last = 0 WHERE txn = ? AND last = 1`, txn); err != nil {
			return err
		}
	}
	if err := tx.Exec(`INSERT INTO outbox (seq, txn, last, key, ver, sealed, chain, at) VALUES (?, ?, 1, ?, ?, ?, ?, ?)`,
		seq, txn, path, e.GetVer(), value, chain[:], tx.Now()); err != nil {
		return err
	}
	if err := tx.Exec(`INSERT INTO sync_record (key, epoch, ver, deleted, seq, sealed) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, ver = excluded.ver, deleted = excluded.deleted,
		seq = excluded.seq, sealed = excluded.sealed`, path, e.GetEpoch(), e.GetVer(), e.GetDeleted(), seq, value); err != nil {
		return err
	}
	return tx.Exec(`UPDATE sync_state SET head = ?, chain = ?`, seq, chain[:])
}

// count adds to the local transaction and returns its number. It bounds what one push must carry whole.
func (o *Outbox) count(tx *store.Tx, seq int64, rows, bytes int) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open.tx != tx {
		o.open = local{tx: tx, first: seq}
	}
	o.open.rows += rows
	o.open.bytes += bytes
	if o.open.rows > record.MaxLocal || o.open.bytes > record.MaxLocalSize {
		return 0, fault.New("outbox.Put", fault.Invalid, "One transaction changes more than 100 replicated records; do it in parts.").WithCode("sync.local_too_large")
	}
	return o.open.first, nil
}

// siteKey returns this quarter's data key, made and published on first use. The database decides which key it is; only
// its content is kept in memory, and that never changes.
func (o *Outbox) siteKey(tx *store.Tx) (*vault.DataKey, error) {
	quarter := vault.Quarter(tx.Now())
	var id string
	var wrapped []byte
	err := tx.Row(`SELECT id, wrapped FROM sync_key WHERE side = 'site' AND quarter = ?`, quarter).Scan(&id, &wrapped)
	switch {
	case fault.Is(err, fault.NotFound):
		return o.newSiteKey(tx, quarter)
	case err != nil:
		return nil, err
	}
	return o.unwrap(id, wrapped)
}

func (o *Outbox) newSiteKey(tx *store.Tx, quarter string) (*vault.DataKey, error) {
	key, err := vault.NewDataKey(quarter)
	if err != nil {
		return nil, err
	}
	if err := o.publish(tx, key, quarter); err != nil {
		return nil, err
	}
	o.keep(key)
	return key, nil
}

// publish wraps a data key to this site and to the centre, keeps it and sends it ahead of what it seals.
func (o *Outbox) publish(tx *store.Tx, key *vault.DataKey, quarter string) error {
	readers := []vault.Peer{o.party.Peer()}
	if len(o.centre.Wrap) > 0 {
		readers = append(readers, o.centre)
	}
	wrap, err := key.Wrap(quarter, readers...)
	if err != nil {
		return err
	}
	raw, err := record.Marshal(wrap)
	if err != nil {
		return fault.New("outbox.Put", fault.Internal, "The data key cannot be encoded.").Because(err)
	}
	if err := tx.Exec(`INSERT INTO sync_key (id, side, quarter, wrapped, at) VALUES (?, 'site', ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET wrapped = excluded.wrapped`, key.ID, quarter, raw, tx.Now()); err != nil {
		return err
	}
	path := record.KeyOf(record.TypeKey, key.ID).Path(record.SitePrefix(o.site))
	ver, err := nextVersion(tx, path)
	if err != nil {
		return err
	}
	e := &record.Envelope{Major: record.Major, Minor: record.Minor, Type: string(record.TypeKey), Id: key.ID, Owner: o.site, Epoch: 1, Ver: ver, Sealed: raw}
	o.party.SignRecord(path, e)
	h, err := readHead(tx)
	if err != nil {
		return err
	}
	return o.add(tx, h, path, e)
}

// wrapToCentre makes the site's data keys readable for a centre that was not known when they were made.
func (o *Outbox) wrapToCentre(tx *store.Tx) error {
	type kept struct {
		id, quarter string
		wrapped     []byte
	}
	all, err := store.All(tx, func(r *store.Rows) (k kept, err error) {
		err = r.Scan(&k.id, &k.quarter, &k.wrapped)
		return k, err
	}, `SELECT id, quarter, wrapped FROM sync_key WHERE side = 'site'`)
	if err != nil {
		return err
	}
	for _, k := range all {
		wrap := &record.KeyWrap{}
		if err := record.Decode(k.wrapped, wrap); err != nil {
			return err
		}
		if slices.ContainsFunc(wrap.GetTo(), func(w *record.Wrapped) bool { return w.GetReader() == o.centre.Fingerprint() }) {
			continue
		}
		key, err := o.unwrap(k.id, k.wrapped)
		if err != nil {
			return err
		}
		if err := o.publish(tx, key, k.quarter); err != nil {
			return err
		}
	}
	return nil
}

// unwrap opens a data key once and keeps it: opening costs more than sealing a thousand records.
func (o *Outbox) unwrap(id string, wrapped []byte) (*vault.DataKey, error) {
	o.mu.Lock()
	key, ok := o.keys[id]
	o.mu.Unlock()
	if ok {
		return key, nil
	}
	wrap := &record.KeyWrap{}
	if err := record.Decode(wrapped, wrap); err != nil {
		return nil, err
	}
	key, err := o.party.Unwrap(id, wrap)
	if err != nil {
		return nil, err
	}
	o.keep(key)
	return key, nil
}

func (o *Outbox) keep(key *vault.DataKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys[key.ID] = key
}
