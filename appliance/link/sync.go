package link

import (
	"context"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

// Replication is bookingd's end of what syncd carries.
type Replication struct {
	db       *store.DB
	out      *outbox.Outbox
	handlers outbox.Handlers
}

// NewReplication serves the outbox. Rooms register what they take with [Replication.OnRecord] and
// [Replication.OnCommand] before the link serves.
func NewReplication(db *store.DB, out *outbox.Outbox) *Replication {
	return &Replication{db: db, out: out, handlers: outbox.Handlers{
		Records:  map[record.Type]func(*store.Tx, record.Copy) error{},
		Commands: map[string]func(*store.Tx, record.Command) (record.Result, error){},
	}}
}

// OnRecord registers the room that owns a type of copies. Its function runs in the transaction of the apply; what it
// refuses is parked.
func (r *Replication) OnRecord(t record.Type, apply func(*store.Tx, record.Copy) error) {
	r.handlers.Records[t] = apply
}

// OnCommand registers the room that executes a kind of command. Its function runs once for each command, in the
// transaction that notes its result; a refusal (Conflict, Forbidden, NotFound ...) is a result, too.
func (r *Replication) OnCommand(kind string, execute func(*store.Tx, record.Command) (record.Result, error)) {
	r.handlers.Commands[kind] = execute
}

// Routes returns what syncd may ask, and nobody else.
func (r *Replication) Routes(metrics *Metrics) []Route {
	return []Route{
		{Sync, fiber.MethodGet, linkspec.RouteSyncState, r.state},
		{Sync, fiber.MethodGet, linkspec.RouteSyncChanges, r.changes},
		{Sync, fiber.MethodGet, linkspec.RouteSyncBatch, r.batch},
		{Sync, fiber.MethodGet, linkspec.RouteSyncChain, r.chain},
		{Sync, fiber.MethodGet, linkspec.RouteSyncRecords, r.records},
		{Sync, fiber.MethodPost, linkspec.RouteSyncAcked, r.acked},
		{Sync, fiber.MethodPost, linkspec.RouteSyncApply, r.apply},
		{Sync, fiber.MethodPost, linkspec.RouteSyncRelist, r.relist},
		{Sync, fiber.MethodPost, linkspec.RouteSyncRecovery, r.recovery},
		{Sync, fiber.MethodPost, linkspec.RouteSyncPark, r.park},
		{Sync, fiber.MethodPost, linkspec.RouteSyncCollected, r.collected},
		{Sync, fiber.MethodPost, linkspec.RouteSyncReport, r.report},
		metrics.Put(Sync, linkspec.RouteSyncMetrics, "syncd"),
	}
}

// read answers with what fn finds in one snapshot.
func read[T any](c fiber.Ctx, db *store.DB, fn func(*store.Tx) (T, error)) error {
	var out T
	err := db.View(c.Context(), func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	if err != nil {
		return err
	}
	return c.JSON(out)
}

// write changes something in one transaction and answers with what fn returns.
func write[T any](c fiber.Ctx, db *store.DB, fn func(*store.Tx) (T, error)) error {
	var out T
	err := db.Update(c.Context(), func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	if err != nil {
		return err
	}
	return c.JSON(out)
}

func (r *Replication) state(c fiber.Ctx) error { return read(c, r.db, r.out.State) }

// changes wakes syncd: the newest head, whenever it is another.
func (r *Replication) changes(c fiber.Ctx) error {
	from, err := number(c, "after", 0)
	if err != nil {
		return err
	}
	return Stream(c, from, r.db.Changed, func(ctx context.Context, after int64) ([]Streamed, error) {
		var h linkspec.SyncHead
		err := r.db.View(ctx, func(tx *store.Tx) (err error) {
			h, err = r.out.Head(tx)
			return err
		})
		if err != nil || h.Seq <= after {
			return nil, err
		}
		return []Streamed{{ID: h.Seq, Event: "head", Data: h}}, nil
	})
}

func (r *Replication) batch(c fiber.Ctx) error {
	from, err := number(c, "after", 0)
	if err != nil {
		return err
	}
	records, err := number(c, "records", record.MaxBatch)
	if err != nil {
		return err
	}
	bytes, err := number(c, "bytes", record.MaxBatchSize)
	if err != nil {
		return err
	}
	var b linkspec.SyncBatch
	var some bool
	err = r.db.View(c.Context(), func(tx *store.Tx) (err error) {
		b, some, err = r.out.Batch(tx, from, int(min(records, record.MaxBatch)), int(min(bytes, record.MaxBatchSize)))
		return err
	})
	if err != nil {
		return err
	}
	if !some {
		return c.SendStatus(fiber.StatusNoContent)
	}
	return c.JSON(b)
}

func (r *Replication) chain(c fiber.Ctx) error {
	seq, err := number(c, "seq", 0)
	if err != nil {
		return err
	}
	return read(c, r.db, func(tx *store.Tx) (linkspec.SyncChain, error) { return r.out.Chain(tx, seq) })
}

func (r *Replication) records(c fiber.Ctx) error {
	to, err := number(c, "to", 0)
	if err != nil {
		return err
	}
	limit, err := number(c, "limit", 1000)
	if err != nil {
		return err
	}
	from := string([]byte(c.Query("after"))) // copied: fiber reuses the request's memory
	return read(c, r.db, func(tx *store.Tx) (linkspec.SyncRecords, error) {
		return r.out.Records(tx, from, to, int(min(limit, 1000)))
	})
}

func (r *Replication) acked(c fiber.Ctx) error {
	a, err := Bind[linkspec.SyncAcked](c)
	if err != nil {
		return err
	}
	if err := r.out.Acked(c.Context(), r.db, a); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func (r *Replication) park(c fiber.Ctx) error {
	p, err := Bind[linkspec.SyncPark](c)
	if err != nil {
		return err
	}
	if err := r.db.Update(c.Context(), func(tx *store.Tx) error { return r.out.Park(tx, p) }); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func (r *Replication) collected(c fiber.Ctx) error {
	k, err := Bind[linkspec.SyncCollected](c)
	if err != nil {
		return err
	}
	if err := r.db.Update(c.Context(), func(tx *store.Tx) error { return r.out.Collected(tx, k.Keys) }); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func (r *Replication) report(c fiber.Ctx) error {
	p, err := Bind[linkspec.SyncReport](c)
	if err != nil {
		return err
	}
	// The time is the database's, as is the one that it is compared with.
	if err := r.db.View(c.Context(), func(tx *store.Tx) error { r.out.Report(p, tx.Now()); return nil }); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func (r *Replication) recovery(c fiber.Ctx) error {
	p, err := Bind[linkspec.SyncRecovery](c)
	if err != nil {
		return err
	}
	if len(p.Records) > 0 || p.Finish {
		return fault.New("link.recovery", fault.Conflict, "This appliance cannot merge two histories yet; an officer has to be called.").WithCode("sync.merge")
	}
	if err := r.out.Recover(c.Context(), r.db, p.Cause); err != nil {
		return err
	}
	return r.state(c)
}
