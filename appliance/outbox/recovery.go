package outbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// The causes of recovery, as staff and the centre see them.
const (
	CauseRestored = "restored" // the database is older than its guard, or a copy of another
	CauseFenced   = "fenced"   // the centre let another incarnation in
	CauseForked   = "forked"   // the centre holds a history that this database does not know
)

// guard lies outside the database, because everything inside a restored database rewinds with it.
type guard struct {
	Incarnation []byte `json:"incarnation"`
	Mode        string `json:"mode"`
	Epoch       uint64 `json:"epoch"`
	Seq         int64  `json:"seq"` // floor: the centre has acknowledged this much
}

func (g guard) same(as guard) bool {
	return bytes.Equal(g.Incarnation, as.Incarnation) && g.Mode == as.Mode && g.Epoch == as.Epoch && g.Seq == as.Seq
}

// compare decides at start whether this database is the one that the guard was written with. A guard that says already what
// it should is left alone: a site whose disk is full has to start, or nobody could make room.
func (o *Outbox) compare(ctx context.Context, db *store.DB) error {
	g, found, err := readGuard(o.guard)
	if err != nil {
		return err
	}
	written, there := g, found
	fresh := make([]byte, 16)
	rand.Read(fresh)
	if !found {
		if g, found, err = o.firstGuard(ctx, db, fresh); err != nil {
			return err
		}
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		var site, mode string
		var id []byte
		var epoch uint64
		var head int64
		err := tx.Row(`SELECT site, incarnation, mode, epoch, head FROM sync_state`).Scan(&site, &id, &mode, &epoch, &head)
		switch {
		case fault.Is(err, fault.NotFound) && g.Seq == 0 && g.Mode == "normal":
			return o.born(tx, g, "")
		case fault.Is(err, fault.NotFound):
			// An empty database beside a guard that has seen acknowledgements: the old one is lost.
			g = guard{Incarnation: fresh, Mode: "recovery", Epoch: g.Epoch, Seq: g.Seq}
			return o.born(tx, g, CauseRestored)
		case err != nil:
			return err
		case site == "":
			return fault.New("outbox.Begin", fault.Internal, "The database names no site.")
		case o.site != "" && site != o.site:
			return fault.New("outbox.Begin", fault.Invalid, "The database belongs to another facility than the configuration names.").WithCode("sync.site")
		}
		o.site = site
		switch {
		case mode == "recovery":
			g.Incarnation, g.Mode, g.Epoch = id, mode, epoch
			return nil
		case found && subtle.ConstantTimeCompare(id, g.Incarnation) == 1 && head >= g.Seq && g.Mode == "normal":
			g.Epoch = epoch
			return nil
		}
		g = guard{Incarnation: fresh, Mode: "recovery", Epoch: epoch, Seq: g.Seq}
		return tx.Exec(`UPDATE sync_state SET incarnation = ?, mode = 'recovery', cause = ?`, g.Incarnation, CauseRestored)
	})
	if err != nil {
		return fmt.Errorf("compare database with its guard: %w", err)
	}
	if g.Mode == "recovery" {
		o.log.Warn("replication is in recovery; visits go on", "op", "outbox.Begin")
	}
	o.floor = g
	if there && g.same(written) {
		return nil
	}
	return writeGuard(o.guard, g)
}

// firstGuard writes the guard of a new site before the database learns its id: the other way round, a crash between the
// two would leave a database without a guard, which is what a restored one looks like.
func (o *Outbox) firstGuard(ctx context.Context, db *store.DB, fresh []byte) (g guard, found bool, err error) {
	var sites int
	if err := db.View(ctx, func(tx *store.Tx) error { return tx.Row(`SELECT count(*) FROM sync_state`).Scan(&sites) }); err != nil {
		return guard{}, false, fmt.Errorf("compare database with its guard: %w", err)
	}
	if sites > 0 {
		return guard{}, false, nil
	}
	g = guard{Incarnation: fresh, Mode: "normal", Epoch: 1}
	return g, true, writeGuard(o.guard, g)
}

func (o *Outbox) born(tx *store.Tx, g guard, cause string) error {
	if o.site == "" {
		o.site = string(ident.New[ident.Facility]())
	}
	return tx.Exec(`INSERT INTO sync_state (one, site, incarnation, mode, cause, epoch, chain) VALUES (1, ?, ?, ?, ?, ?, zeroblob(32))`,
		o.site, g.Incarnation, g.Mode, cause, g.Epoch)
}

// Recover puts the site into recovery: replication stops and everything else goes on, until an officer of the centre
// lets the new incarnation in. Doing it twice changes nothing.
func (o *Outbox) Recover(ctx context.Context, db *store.DB, cause string) error {
	switch cause {
	case CauseRestored, CauseFenced, CauseForked:
	default:
		return fault.New("outbox.Recover", fault.Invalid, "This is not a cause of recovery.")
	}
	fresh := make([]byte, 16)
	rand.Read(fresh)
	var g guard
	err := db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Exec(`UPDATE sync_state SET mode = 'recovery', cause = ?, incarnation = ? WHERE mode = 'normal'`, cause, fresh); err != nil {
			return err
		}
		return tx.Row(`SELECT incarnation, mode, epoch, acked FROM sync_state`).Scan(&g.Incarnation, &g.Mode, &g.Epoch, &g.Seq)
	})
	if err != nil {
		return fmt.Errorf("enter recovery: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	g.Seq = max(g.Seq, o.floor.Seq)
	o.floor = g
	o.log.Warn("replication is in recovery; visits go on", "op", "outbox.Recover")
	return writeGuard(o.guard, g)
}

// raise lifts the floor after an acknowledgement, at most once a second: the floor may lag, never lead.
func (o *Outbox) raise(epoch uint64, seq int64, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if seq <= o.floor.Seq || now.Sub(o.wrote) < time.Second && now.After(o.wrote) {
		return nil
	}
	g := o.floor
	g.Epoch, g.Seq = epoch, seq
	if err := writeGuard(o.guard, g); err != nil {
		return err
	}
	o.floor, o.wrote = g, now
	return nil
}

func readGuard(path string) (g guard, found bool, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return guard{}, false, nil
	}
	if err != nil {
		return guard{}, false, fmt.Errorf("read incarnation: %w", err)
	}
	if err := json.Unmarshal(raw, &g); err != nil || len(g.Incarnation) != 16 {
		// A guard that cannot be read guards nothing: treated as absent, which ends in recovery when there is a database.
		return guard{}, false, nil
	}
	return g, true, nil
}

// writeGuard replaces the file whole: a torn guard would look like a restored database.
func writeGuard(path string, g guard) error {
	raw, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("write incarnation: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".incarnation-*")
	if err != nil {
		return fmt.Errorf("write incarnation: %w", err)
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write incarnation: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write incarnation: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("write incarnation: %w", err)
	}
	return nil
}
