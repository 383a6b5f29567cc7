package store

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"sallyport/appliance/fault"
)

// request is one caller of Update in the queue.
type request struct {
	ctx   context.Context
	fn    func(*Tx) error
	state atomic.Int32
	err   error         // written before done is closed
	done  chan struct{} // closed when the outcome is on the disk or refused
}

// maxYields bounds what the writer gives away for a fuller group: some microseconds, a commit costs hundreds.
const maxYields = 32

const (
	queued int32 = iota
	running
	abandoned
)

func (r *request) answer(err error) {
	r.err = err
	close(r.done)
}

// Update runs fn in the writer and returns after its commit is on the disk. An error of fn rolls back what fn did and
// nothing else, and is returned as it is. A panic of fn is rolled back too and returned as Internal. When ctx ends
// while fn waits for its turn, fn never runs and Unavailable is returned; once fn runs, its outcome is waited for.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	r := &request{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case <-db.gone:
		return db.refuse("store.Update")
	default:
	}
	select {
	case db.queue <- r:
	case <-ctx.Done():
		return ended(ctx, "store.Update")
	case <-db.gone:
		return db.refuse("store.Update")
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		if r.state.CompareAndSwap(queued, abandoned) {
			return ended(ctx, "store.Update")
		}
	case <-db.gone:
		if r.state.CompareAndSwap(queued, abandoned) {
			return db.refuse("store.Update")
		}
	}
	<-r.done
	return r.err
}

// Serve is the writer. It returns nil after ctx has ended and everybody in the queue is answered, or the error of the
// disk after which nothing may be written any more. It is called once.
func (db *DB) Serve(ctx context.Context) error {
	if !db.serving.CompareAndSwap(false, true) {
		return fault.New("store.Serve", fault.Internal, "The writer is already at work.")
	}
	defer db.serving.Store(false)
	// Also when a function ends this goroutine: nobody may wait for ever.
	defer db.stop(fault.New("store", fault.Unavailable, "The database has stopped."))
	for {
		select {
		case r := <-db.queue:
			if err := db.group(r); err != nil {
				db.stop(fault.New("store", fault.Unavailable, "The disk failed; the program has to start again.").WithCode("store.broken").Because(err))
				return fmt.Errorf("write the database: %w", err)
			}
		case <-ctx.Done():
			return db.drain()
		}
	}
}

// drain answers who waits already; later ones are refused.
func (db *DB) drain() error {
	for {
		select {
		case r := <-db.queue:
			if err := db.group(r); err != nil {
				return fmt.Errorf("write the database: %w", err)
			}
		default:
			return nil
		}
	}
}

// stop refuses everything from now on. Only the first reason counts.
func (db *DB) stop(why error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	select {
	case <-db.gone:
	default:
		db.goneErr = why
		close(db.gone)
	}
}

func (db *DB) refuse(op string) error {
	return fault.New(op, fault.Unavailable, "The database is not available.").WithCode("store.stopped").Because(db.goneErr)
}

// group runs first and whoever else waits in one transaction, and answers them after its COMMIT. It returns an error
// only when the file cannot be trusted any more.
func (db *DB) group(first *request) error {
	if !first.state.CompareAndSwap(queued, running) {
		return nil
	}
	g := &group{db: db}
	defer g.finish()
	if g.failed = db.writer.run("BEGIN IMMEDIATE"); g.failed != nil {
		g.members = append(g.members, member{r: first})
		return g.broken()
	}
	for r := first; r != nil; r = db.next(len(g.members)) {
		if g.run(r); g.failed != nil {
			break
		}
	}
	if g.failed == nil {
		db.crowd = (len(g.members) + len(db.queue) + 1 + db.crowd) / 2
		g.failed = db.writer.run("COMMIT")
	}
	if g.failed != nil {
		db.writer.answers.forget()
		if !db.writer.raw.AutoCommit() {
			_ = db.writer.run("ROLLBACK")
		}
	}
	return g.broken()
}

// next takes one more caller into the group. It waits for nobody, but it lets other goroutines run first as long as
// fewer have come than last time: callers that were answered a moment ago are about to come back, and a commit that
// leaves without them costs them all a whole one more.
func (db *DB) next(n int) *request {
	for yields := 0; n < db.max; {
		select {
		case r := <-db.queue:
			if r.state.CompareAndSwap(queued, running) {
				return r
			}
		default:
			if n >= db.crowd || yields == maxYields {
				return nil
			}
			yields++
			runtime.Gosched()
		}
	}
	return nil
}

type member struct {
	r   *request
	err error // what its own function said
}

// group is one transaction under way.
type group struct {
	db      *DB
	members []member
	wrote   bool
	failed  error // the transaction as a whole did not work
}

// run runs one caller in its savepoint.
func (g *group) run(r *request) {
	c := g.db.writer
	i := len(g.members)
	g.members = append(g.members, member{r: r})
	if g.failed = c.run("SAVEPOINT caller"); g.failed != nil {
		return
	}
	c.answers.turn++
	tx := &Tx{c: c, ctx: context.WithoutCancel(r.ctx), now: g.db.now()}
	err := g.call(tx, r.fn)
	tx.over = true
	g.members[i].err = err
	if err != nil && fatal(err) {
		g.failed = err
		return
	}
	if c.raw.AutoCommit() {
		// SQLite has rolled back the whole transaction by itself: full disk, I/O error, no memory.
		if g.failed = err; err == nil {
			g.failed = fault.New("store.Update", fault.Internal, "A function ended the transaction it was in.")
		}
		return
	}
	if err != nil {
		if g.failed = c.run("ROLLBACK TO caller"); g.failed != nil {
			return
		}
	} else {
		g.wrote = g.wrote || tx.wrote
	}
	g.failed = c.run("RELEASE caller")
}

func (g *group) call(tx *Tx, fn func(*Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New("store.Update", fault.Internal, "A function panicked.").Because(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return fn(tx)
}

// finish answers everybody. It also runs when a function has ended the goroutine (runtime.Goexit in a test).
func (g *group) finish() {
	if g.failed == nil && !g.db.writer.raw.AutoCommit() {
		g.failed = fault.New("store.Update", fault.Internal, "A function ended the writer's goroutine.")
		_ = g.db.writer.run("ROLLBACK")
		g.db.writer.answers.forget()
	}
	if g.failed == nil && g.wrote {
		g.db.tellChanged() // first: whoever is answered may look at once whether it was told
	}
	for _, m := range g.members {
		switch {
		case m.err != nil:
			m.r.answer(m.err)
		case g.failed != nil:
			m.r.answer(wrap("store.Update", g.failed))
		default:
			m.r.answer(nil)
		}
	}
}

func (g *group) broken() error {
	if g.failed != nil && fatal(g.failed) {
		return g.failed
	}
	return nil
}
