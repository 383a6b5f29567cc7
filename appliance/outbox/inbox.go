package outbox

import (
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

// Handlers are the rooms that own the types and commands of the feed.
type Handlers struct {
	Records  map[record.Type]func(*store.Tx, record.Copy) error
	Commands map[string]func(*store.Tx, record.Command) (record.Result, error)
}

// Apply takes in one batch of the feed. Everything is one transaction: copies, effects and results of commands, parked
// rows, and the position. It returns Conflict with the code sync.gap when the batch does not begin where the last ended.
func (o *Outbox) Apply(tx *store.Tx, a linkspec.SyncApply, h Handlers) (linkspec.SyncApplied, error) {
	var mode, generation string
	var revision, cluster, mark int64
	if err := tx.Row(`SELECT mode, feed_generation, feed_cluster, revision, mark FROM sync_state`).Scan(&mode, &generation, &cluster, &revision, &mark); err != nil {
		return linkspec.SyncApplied{}, err
	}
	switch {
	case mode != "normal":
		return linkspec.SyncApplied{}, fault.New("outbox.Apply", fault.Conflict, "Replication is in recovery.").WithCode("sync.recovery")
	case a.From != revision, a.Generation != generation, a.Cluster != uint64(cluster), a.Revision < a.From:
		return linkspec.SyncApplied{}, fault.New("outbox.Apply", fault.Conflict, "This is not what follows the last change from the centre.").WithCode("sync.gap")
	}
	if err := o.take(tx, a.Records, a.Commands, mark, h); err != nil {
		return linkspec.SyncApplied{}, err
	}
	if err := tx.Exec(`UPDATE sync_state SET revision = ?`, a.Revision); err != nil {
		return linkspec.SyncApplied{}, err
	}
	done := linkspec.SyncApplied{Revision: a.Revision}
	return done, tx.Row(`SELECT count(*) FROM parked WHERE direction = 'in'`).Scan(&done.Parked)
}

// take applies values one by one. One that is refused is parked and the rest goes on.
func (o *Outbox) take(tx *store.Tx, records, commands []linkspec.SyncRecord, mark int64, h Handlers) error {
	one := func(r linkspec.SyncRecord, apply func() error) error {
		err := tx.Try(apply)
		switch {
		case err == nil:
			return tx.Exec(`DELETE FROM parked WHERE direction = 'in' AND key = ? AND ver <= ?`, r.Key, int64(r.Ver))
		case fault.Is(err, fault.Unavailable):
			return err
		}
		reason := fault.CodeOf(err)
		if reason == "" {
			reason = fault.KindOf(err).String()
		}
		o.log.Warn("parked a value from the centre", "op", "outbox.Apply", "reason", reason)
		return park(tx, "in", clip(r.Key, record.MaxKey), r.Ver, reason)
	}
	for _, r := range records {
		if err := one(r, func() error { return o.takeRecord(tx, r, mark, h) }); err != nil {
			return err
		}
	}
	for _, c := range commands {
		if err := one(c, func() error { return o.takeCommand(tx, c, h) }); err != nil {
			return err
		}
	}
	return nil
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// decode reads a value of this site's feed.
func (o *Outbox) decode(r linkspec.SyncRecord) (*record.Envelope, record.Key, error) {
	e, k, err := record.DecodeEnvelope(r.Key, r.Sealed)
	if err != nil {
		return nil, k, err
	}
	if k.Path(record.FeedPrefix(o.site)) != r.Key {
		return nil, k, fault.New("outbox.Apply", fault.Forbidden, "This value is not of this site's feed.").WithCode("sync.key")
	}
	return e, k, nil
}

func (o *Outbox) takeRecord(tx *store.Tx, r linkspec.SyncRecord, mark int64, h Handlers) error {
	e, k, err := o.decode(r)
	if err != nil {
		return err
	}
	if k.Type == record.TypeKey {
		return o.takeKey(tx, r.Key, e)
	}
	if k.Type == record.TypeCommand || e.GetOwner() == o.site {
		return fault.New("outbox.Apply", fault.Forbidden, "The centre does not own this.").WithCode("sync.owner")
	}
	var mod int64
	var epoch, ver uint64
	err = tx.Row(`SELECT mod, epoch, ver FROM feed_record WHERE key = ?`, r.Key).Scan(&mod, &epoch, &ver)
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	case err == nil && r.Mod <= mod:
		return tx.Exec(`UPDATE feed_record SET mark = ? WHERE key = ?`, mark, r.Key)
	case err == nil && (e.GetEpoch() < epoch || e.GetEpoch() == epoch && e.GetVer() < ver):
		return fault.New("outbox.Apply", fault.Conflict, "The centre sent an older version.").WithCode("sync.downgrade")
	}
	plain, err := o.openFeed(tx, r.Key, e)
	if err != nil {
		return err
	}
	c := record.Copy{Key: k, Owner: e.GetOwner(), Epoch: e.GetEpoch(), Ver: e.GetVer(), Deleted: e.GetDeleted()}
	if !c.Deleted {
		if c.Body, err = record.Body(k.Type, plain.GetBody()); err != nil {
			return err
		}
	}
	if apply := h.Records[k.Type]; apply != nil {
		if err := apply(tx, c); err != nil {
			return err
		}
	}
	return tx.Exec(`INSERT INTO feed_record (key, mod, owner, epoch, ver, mark, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET mod = excluded.mod, owner = excluded.owner, epoch = excluded.epoch, ver = excluded.ver,
		mark = excluded.mark, sealed = excluded.sealed`, r.Key, r.Mod, e.GetOwner(), e.GetEpoch(), e.GetVer(), mark, r.Sealed)
}

// takeKey keeps a data key of the feed, if the centre signed it and it opens for this site.
func (o *Outbox) takeKey(tx *store.Tx, path string, e *record.Envelope) error {
	if err := o.centre.VerifyRecord(path, e); err != nil {
		return err
	}
	wrap := &record.KeyWrap{}
	if err := record.Decode(e.GetSealed(), wrap); err != nil {
		return err
	}
	if _, err := o.unwrap(e.GetId(), e.GetSealed()); err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO sync_key (id, side, quarter, wrapped, at) VALUES (?, 'feed', ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		e.GetId(), wrap.GetQuarter(), e.GetSealed(), tx.Now())
}

func (o *Outbox) openFeed(tx *store.Tx, path string, e *record.Envelope) (*record.Plain, error) {
	var wrapped []byte
	err := tx.Row(`SELECT wrapped FROM sync_key WHERE id = ? AND side = 'feed'`, e.GetKeyId()).Scan(&wrapped)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New("outbox.Apply", fault.Forbidden, "The key of this value is not known.").WithCode("sync.key_unknown")
	}
	if err != nil {
		return nil, err
	}
	key, err := o.unwrap(e.GetKeyId(), wrapped)
	if err != nil {
		return nil, err
	}
	return key.OpenRecord(path, e)
}

// takeCommand runs a command of the mailbox exactly once: its effect, the note that it ran and its result are one
// transaction, and a second delivery finds the note.
func (o *Outbox) takeCommand(tx *store.Tx, r linkspec.SyncRecord, h Handlers) error {
	e, k, err := o.decode(r)
	if err != nil {
		return err
	}
	if k.Type != record.TypeCommand {
		return fault.New("outbox.Apply", fault.Forbidden, "This is not a command.").WithCode("sync.key")
	}
	if err := o.centre.VerifyRecord(r.Key, e); err != nil {
		return err
	}
	var known int
	if err := tx.Row(`SELECT count(*) FROM applied_cmd WHERE id = ?`, k.ID).Scan(&known); err != nil || known > 0 {
		return err
	}
	plain, err := o.openFeed(tx, r.Key, e)
	if err != nil {
		return err
	}
	cmd, err := openCommand(k.ID, plain)
	if err != nil {
		return err
	}
	result, err := o.execute(tx, cmd, h)
	if err != nil {
		return err
	}
	// Long enough that no copy of the mailbox, however old, can run it again.
	keep := tx.Now().AddDate(0, 0, 180)
	if late := cmd.Expires.AddDate(0, 0, 30); late.After(keep) {
		keep = late
	}
	if err := tx.Exec(`INSERT INTO applied_cmd (id, kind, result, at, keep) VALUES (?, ?, ?, ?, ?)`, k.ID, cmd.Kind, result.Outcome, tx.Now(), keep); err != nil {
		return err
	}
	return o.Put(tx, record.New(record.TypeResult, cmd.ID, &record.ResultBody{
		Kind: cmd.Kind, Outcome: result.Outcome, Reason: result.Reason, Subject: cmd.Subject, AtMs: store.Ms(tx.Now()),
	}).For(cmd.ID))
}

// execute asks the room that registered for the kind. A refusal is an outcome; only what is worth trying again, or is
// our own mistake, is an error.
func (o *Outbox) execute(tx *store.Tx, cmd record.Command, h Handlers) (record.Result, error) {
	if !cmd.Expires.IsZero() && !tx.Now().Before(cmd.Expires) {
		return record.Result{Outcome: record.Expired}, nil
	}
	run := h.Commands[cmd.Kind]
	if run == nil {
		return record.Result{Outcome: record.Refused, Reason: "sync.unknown_command"}, nil
	}
	var result record.Result
	err := tx.Try(func() (err error) {
		result, err = run(tx, cmd)
		return err
	})
	if err == nil {
		return result, nil
	}
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable:
		return record.Result{}, err
	case fault.NotFound:
		return record.Result{Outcome: record.Gone, Reason: fault.CodeOf(err)}, nil
	}
	return record.Result{Outcome: record.Refused, Reason: fault.CodeOf(err)}, nil
}
