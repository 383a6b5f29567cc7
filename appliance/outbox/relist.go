package outbox

import (
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

// maxSweep is how many copies a relist may remove by itself. More than that looks like an accident at the centre.
const maxSweep = 20

// Relist drives a relist of the feed: begin gives a new mark, or the key to go on from after a crash; page applies what
// stands in the feed now; finish sweeps what is not there any more and sets the position.
func (o *Outbox) Relist(tx *store.Tx, r linkspec.SyncRelist, h Handlers) (linkspec.SyncRelisted, error) {
	var mode, after, generation string
	var r0, mark int64
	err := tx.Row(`SELECT mode, relist_r0, relist_after, relist_generation, mark FROM sync_state`).Scan(&mode, &r0, &after, &generation, &mark)
	switch {
	case err != nil:
		return linkspec.SyncRelisted{}, err
	case mode != "normal":
		return linkspec.SyncRelisted{}, fault.New("outbox.Relist", fault.Conflict, "Replication is in recovery.").WithCode("sync.recovery")
	case r.R0 <= 0 || r.Generation == "":
		return linkspec.SyncRelisted{}, fault.New("outbox.Relist", fault.Invalid, "A relist needs the revision that it begins at.")
	case r.Phase == "begin" && r.R0 == r0 && r.Generation == generation:
		return linkspec.SyncRelisted{Resume: after}, nil
	case r.Phase == "begin":
		return linkspec.SyncRelisted{}, tx.Exec(`UPDATE sync_state SET relist_r0 = ?, relist_after = '', relist_generation = ?, mark = mark + 1`, r.R0, r.Generation)
	case r.R0 != r0 || r.Generation != generation:
		return linkspec.SyncRelisted{}, fault.New("outbox.Relist", fault.Conflict, "Another relist is under way.").WithCode("sync.gap")
	case r.Phase == "page":
		if err := o.take(tx, r.Records, r.Commands, mark, h); err != nil {
			return linkspec.SyncRelisted{}, err
		}
		return linkspec.SyncRelisted{Resume: r.After}, tx.Exec(`UPDATE sync_state SET relist_after = ?`, r.After)
	case r.Phase == "finish":
		return linkspec.SyncRelisted{}, o.finishRelist(tx, r, mark)
	}
	return linkspec.SyncRelisted{}, fault.New("outbox.Relist", fault.Invalid, "This is not a phase of a relist.")
}

func (o *Outbox) finishRelist(tx *store.Tx, r linkspec.SyncRelist, mark int64) error {
	if r.Canary {
		if err := o.sweep(tx, mark); err != nil {
			return err
		}
	}
	return tx.Exec(`UPDATE sync_state SET revision = ?, feed_cluster = ?, feed_generation = ?, relist_r0 = 0, relist_after = '', relist_generation = ''`,
		r.R0, int64(r.Cluster), r.Generation)
}

// sweep forgets copies that the feed does not hold any more. It never loosens: restrictions stay until a tombstone and
// two approvals, and a large sweep waits for people.
func (o *Outbox) sweep(tx *store.Tx, mark int64) error {
	const gone = `mark <> ? AND key NOT LIKE '%/rec/restriction/%'`
	var n int
	if err := tx.Row(`SELECT count(*) FROM feed_record WHERE `+gone, mark).Scan(&n); err != nil || n == 0 {
		return err
	}
	if n > maxSweep {
		o.log.Warn("sweep of the feed held back", "op", "outbox.Relist", "reason", "sync.brake")
		return park(tx, "in", record.FeedPrefix(o.site), 0, "sync.brake")
	}
	return tx.Exec(`DELETE FROM feed_record WHERE `+gone, mark)
}

func openCommand(id string, plain *record.Plain) (record.Command, error) {
	typed, err := ident.Parse[ident.Command](id)
	if err != nil {
		return record.Command{}, err
	}
	b := &record.CommandBody{}
	if err := record.Decode(plain.GetBody(), b); err != nil {
		return record.Command{}, err
	}
	cmd := record.Command{ID: typed, Kind: b.GetKind(), Subject: b.GetSubject(), BaseVer: b.GetBaseVer(), Body: b.GetBody(), Issuer: b.GetIssuer()}
	if b.GetExpiresMs() != 0 {
		cmd.Expires = store.Time(b.GetExpiresMs())
	}
	return cmd, nil
}
