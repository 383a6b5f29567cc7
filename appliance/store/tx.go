package store

import (
	"context"
	"database/sql/driver"
	"slices"
	"time"

	"sallyport/appliance/fault"
)

// Tx is one caller's part of a transaction. It is good only inside the function it was given to, in that function's
// goroutine.
type Tx struct {
	c     *conn
	ctx   context.Context
	now   time.Time
	args  []driver.NamedValue
	wrote bool
	over  bool
}

// Now is the time of the transaction: one value, UTC, whole milliseconds.
func (tx *Tx) Now() time.Time { return tx.now }

// Exec runs one statement. It returns Conflict when a UNIQUE or PRIMARY KEY refuses, Invalid when a CHECK, NOT NULL,
// a type or a FOREIGN KEY does, and the message of a trigger's RAISE as Conflict.
func (tx *Tx) Exec(query string, args ...any) error {
	_, err := tx.ExecN(query, args...)
	return err
}

// ExecN is [Tx.Exec] that also returns how many rows were changed.
func (tx *Tx) ExecN(query string, args ...any) (int64, error) {
	e, err := tx.exec(query, args)
	return e.changed, err
}

// Insert is [Tx.Exec] of an INSERT of one row that returns its number, the INTEGER PRIMARY KEY. It costs less than
// RETURNING, for which SQLite makes a temporary table. An INSERT that changed nothing returns 0.
func (tx *Tx) Insert(query string, args ...any) (int64, error) {
	e, err := tx.exec(query, args)
	if e.changed == 0 {
		return 0, err // what is there belongs to another INSERT
	}
	return e.last, err
}

func (tx *Tx) exec(query string, args []any) (execution, error) {
	if err := tx.bind(args); err != nil {
		return execution{}, err
	}
	e, err := tx.c.exec(query, tx.args)
	tx.wrote = tx.wrote || e.wrote && e.changed > 0
	return e, wrap("store.Exec", err)
}

// Row runs one statement that answers with at most one row. Errors come from [Row.Scan].
func (tx *Tx) Row(query string, args ...any) *Row {
	if err := tx.bind(args); err != nil {
		return &Row{err: err}
	}
	r := &Row{}
	r.err = wrap("store.Row", tx.ask(query, true, func(cols []driver.Value) (bool, error) {
		r.cols = cols
		return false, nil
	}))
	return r
}

// Row is the answer of [Tx.Row].
type Row struct {
	cols []driver.Value
	err  error
}

// Scan copies the columns into dest: pointers to strings, numbers, booleans, byte slices, time.Time (from unix
// milliseconds), types made of them, or pointers to those for columns that may be NULL. NULL in a plain value is its
// zero. It returns NotFound when there was no row.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if r.cols == nil {
		return fault.New("store.Row", fault.NotFound, "There is no such thing.")
	}
	return scan(r.cols, dest)
}

// Rows is the present row inside [All].
type Rows struct{ cols []driver.Value }

// Scan copies the columns of the present row into dest, as [Row.Scan] does.
func (r *Rows) Scan(dest ...any) error { return scan(r.cols, dest) }

// All runs one statement and returns what scan makes of every row; no rows are an empty, nil slice. An error of scan
// ends it.
func All[T any](tx *Tx, scan func(*Rows) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := tx.Each(func(r *Rows) error {
		one, err := scan(r)
		if err == nil {
			all = append(all, one)
		}
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Each runs one statement and calls fn for every row without keeping any. An error of fn ends it.
func (tx *Tx) Each(fn func(*Rows) error, query string, args ...any) error {
	if err := tx.bind(args); err != nil {
		return err
	}
	var inner error
	err := tx.ask(query, false, func(cols []driver.Value) (bool, error) {
		inner = fn(&Rows{cols})
		return inner == nil, nil
	})
	if inner != nil {
		return inner
	}
	return wrap("store.All", err)
}

// ask runs one statement and calls each for every row until it returns false; first says that one row is enough.
func (tx *Tx) ask(query string, first bool, each func(cols []driver.Value) (bool, error)) error {
	known := tx.c.answers // nil for a reader
	var since int64
	keeps := false
	if s, prepared := tx.c.stmts[query]; known != nil && prepared {
		since, keeps = known.keeps(s)
	}
	if !keeps {
		wrote, err := tx.c.query(tx.ctx, query, tx.args, each)
		tx.wrote = tx.wrote || wrote
		return err
	}
	rows, ok, where := known.find(query, tx.args, first, since)
	if ok {
		for _, cols := range rows {
			if more, err := each(copyRow(cols)); err != nil || !more {
				return err
			}
		}
		return nil
	}
	key, whole := string(where), true // each may ask as well
	_, err := tx.c.query(tx.ctx, query, tx.args, func(cols []driver.Value) (bool, error) {
		if whole = whole && len(rows) < keepRows; whole {
			rows = append(rows, slices.Clone(copyRow(cols))) // cols is used again for the next row
		}
		more, err := each(cols)
		whole = whole && (more || first)
		return more, err
	})
	if err == nil && whole {
		known.keep(key, rows)
	}
	return err
}

func (tx *Tx) bind(args []any) error {
	if tx.over {
		return fault.New("store.Tx", fault.Internal, "A transaction was used after its end.")
	}
	if err := tx.ctx.Err(); err != nil {
		return ended(tx.ctx, "store.Tx")
	}
	tx.args = tx.args[:0]
	for i, a := range args {
		v, err := value(a)
		if err != nil {
			return fault.Newf("store.Tx", fault.Internal, "Argument %d cannot be stored.", i+1).Because(err)
		}
		tx.args = append(tx.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return nil
}
