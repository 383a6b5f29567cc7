package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"

	"sallyport/appliance/fault"
)

// wrap turns SQLite's codes into kinds, here and nowhere else.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return fault.New(op, fault.Unavailable, "The request ended before the database had answered.").WithCode("store.ended").Because(err)
		}
		return fmt.Errorf("%s: %w", op, err)
	}
	switch e.ExtendedCode {
	case sqlite3.ErrConstraintUnique, sqlite3.ErrConstraintPrimaryKey, sqlite3.ErrConstraintRowID:
		return fault.New(op, fault.Conflict, "This exists already.").WithCode("store.unique").Because(err)
	case sqlite3.ErrConstraintForeignKey:
		return fault.New(op, fault.Invalid, "This refers to something that does not exist, or is still referred to.").WithCode("store.foreign_key").Because(err)
	case sqlite3.ErrConstraintTrigger:
		return fault.New(op, fault.Conflict, "This may not be changed.").WithCode("store.trigger").Because(err)
	}
	switch e.Code {
	case sqlite3.ErrConstraint, sqlite3.ErrMismatch, sqlite3.ErrTooBig:
		return fault.New(op, fault.Invalid, "A value is not allowed here.").WithCode("store.check").Because(err)
	case sqlite3.ErrFull:
		return fault.New(op, fault.Unavailable, "The disk is full. Reading works; make room to write again.").WithCode("disk.full").Because(err)
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return fault.New(op, fault.Unavailable, "The database is busy. Try again.").WithCode("store.busy").Because(err)
	case sqlite3.ErrInterrupt:
		return fault.New(op, fault.Unavailable, "The request ended before the database had answered.").WithCode("store.ended").Because(err)
	}
	if fatal(err) {
		return fault.New(op, fault.Unavailable, "The disk or the database file is damaged.").WithCode("store.broken").Because(err)
	}
	return fault.New(op, fault.Internal, "The database refused a statement.").Because(err)
}

// fatal tells whether err means that the file or the disk cannot be trusted any more.
func fatal(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case sqlite3.ErrIoErr, sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrCantOpen, sqlite3.ErrProtocol:
		return true
	}
	return false
}

// refuseFile says what to do with a file that SQLite cannot open.
func refuseFile(path string, err error) error {
	e, ok := errors.AsType[sqlite3.Error](err)
	if ok && (e.Code == sqlite3.ErrNotADB || e.Code == sqlite3.ErrCorrupt) {
		return fault.Newf("store.Open", fault.Unavailable,
			"%s is damaged or not a database. Keep a copy of it, then restore the newest backup with: sallyportctl restore", path).
			WithCode("store.corrupt").Because(err)
	}
	return fault.Newf("store.Open", fault.Unavailable, "%s cannot be opened.", path).WithCode("store.unopened").Because(err)
}

// ended is the refusal of a caller whose context ended before its turn came.
func ended(ctx context.Context, op string) error {
	return fault.New(op, fault.Unavailable, "The request ended before the database had answered.").WithCode("store.ended").Because(context.Cause(ctx))
}
