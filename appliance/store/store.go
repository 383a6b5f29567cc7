// Package store owns the SQLite file of the appliance: one writer connection that commits in groups, a pool of readers,
// migrations and sealed backups.
//
// It must not know what the tables mean: every room brings its own schema and its own SQL, and the store only turns
// SQLite's codes into kinds of fault. Nobody else opens the file.
//
// A DB is opened, then served: [Open] checks the file and brings it up to date and starts nothing, [DB.Serve] is the
// writer. A function given to [DB.Update] may ride in one commit together with others, each in its own savepoint, and is
// answered only after that commit is on the disk. Therefore it does SQL and nothing else: no network, no files, no
// waiting, no second Update, and no change of anything in memory that a rollback would leave wrong.
//
// After an error of the disk itself the store refuses everything and Serve returns the error: an fsync that failed once
// may not be asked again, so the process has to start anew and read back what is really there.
package store

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
)

// Options says what to open.
type Options struct {
	Path       string       // the database file; its folder is made when it is missing
	Migrations []fs.FS      // every room's schema, applied in number order
	Clock      clock.Clock  // clock.Real{} when nil
	MaxGroup   int          // callers in one commit, 64 when 0
	Log        *slog.Logger // slog.Default() when nil
}

// DB is an open database.
type DB struct {
	path  string
	clock clock.Clock
	log   *slog.Logger
	max   int
	lock  *os.File // held while the file is open, so that a second process is refused

	writer  *conn // used by Serve only
	crowd   int   // how many callers came together lately; used by Serve only
	queue   chan *request
	readers chan *conn
	pool    []*conn

	serving atomic.Bool
	gone    chan struct{} // closed when nothing will be written any more
	goneErr error         // why; written before gone is closed

	mu      sync.Mutex // guards the rest
	changed chan struct{}
	closed  bool
}

// Open opens the file, checks its settings and migrates it. It starts nothing. It returns Conflict when another process
// has the file or when a newer program has changed it beyond this one's [Level], and Unavailable when it is not a database of Sallyport, is
// damaged, or the disk refuses.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.MaxGroup <= 0 {
		o.MaxGroup = 64
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	db := &DB{
		path: path, clock: o.Clock, log: o.Log, max: o.MaxGroup,
		queue: make(chan *request, o.MaxGroup), gone: make(chan struct{}), changed: make(chan struct{}),
	}
	if err := db.open(ctx, o.Migrations); err != nil {
		_ = db.release() // what went wrong before says more
		return nil, err
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, migrations []fs.FS) error {
	if err := checkLibrary(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(db.path), 0o700); err != nil {
		return err
	}
	if err := db.takeLock(); err != nil {
		return err
	}
	// Made by hand, because SQLite would make it readable for everybody.
	f, err := os.OpenFile(db.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := peek(db.path); err != nil {
		return err
	}
	if db.writer, err = openWriter(db.path); err != nil {
		return err
	}
	if err := migrate(ctx, db.writer, db.clock, migrations); err != nil {
		return err
	}
	if err := db.writer.check(writerPragmas()); err != nil {
		return err
	}
	n := 2 * runtime.NumCPU()
	db.readers = make(chan *conn, n)
	for range n {
		c, err := openReader(db.path)
		if err != nil {
			return err
		}
		db.pool = append(db.pool, c)
		db.readers <- c
	}
	return nil
}

// takeLock makes sure that one process only has the file: SQLite alone would let two writers take turns, and each
// would be blind to what the other one told its screens.
func (db *DB) takeLock() error {
	f, err := os.OpenFile(db.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return fault.Newf("store.Open", fault.Conflict,
			"The database %s is open in another process. Stop that one first.", db.path).WithCode("store.locked").Because(err)
	}
	db.lock = f
	return nil
}

// View runs fn on a snapshot of the database: it sees one commit, whatever is written meanwhile. fn cannot write.
// It returns what fn returns, or Unavailable when ctx ends first or the store is closed.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	var c *conn
	select {
	case <-db.gone:
		return db.refuse("store.View")
	default:
	}
	select {
	case c = <-db.readers:
	case <-db.gone:
		return db.refuse("store.View")
	case <-ctx.Done():
		return ended(ctx, "store.View")
	}
	defer func() { db.readers <- c }()
	if err := c.run("BEGIN"); err != nil {
		return wrap("store.View", err)
	}
	tx := &Tx{c: c, ctx: ctx, now: db.now()}
	defer func() {
		tx.over = true
		if err := c.run("ROLLBACK"); err != nil {
			db.log.Error("end of a read failed", "op", "store.View", "err", err)
		}
	}()
	return fn(tx)
}

// Changed returns a channel that is closed at the next commit that changed something. Take it before looking, then
// look, then wait on it: so nothing is missed.
func (db *DB) Changed() <-chan struct{} {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.changed
}

func (db *DB) tellChanged() {
	db.mu.Lock()
	defer db.mu.Unlock()
	close(db.changed)
	db.changed = make(chan struct{})
}

// Path returns the absolute path of the database file.
func (db *DB) Path() string { return db.path }

func (db *DB) now() time.Time { return db.clock.Now().UTC().Truncate(time.Millisecond) }

// Close closes the file. Serve must have returned, if it was ever started. Reads under way are waited for.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	db.mu.Unlock()
	if db.serving.Load() {
		return fault.New("store.Close", fault.Conflict, "The writer is still at work; end Serve first.")
	}
	db.stop(fault.New("store", fault.Unavailable, "The database is closed."))
	for range db.pool {
		<-db.readers
	}
	return db.release()
}

func (db *DB) release() error {
	var errs []error
	for _, c := range db.pool {
		errs = append(errs, c.close())
	}
	if db.writer != nil {
		errs = append(errs, db.writer.close()) // last, so that it folds the log into the file
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// Ms turns an instant into what a column holds: unix milliseconds. The zero time is 0.
func Ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time turns a column back into an instant, in UTC. 0 is the zero time.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Null returns nil for a zero value, so that an absent reference is NULL in SQL, and v otherwise.
func Null[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}
