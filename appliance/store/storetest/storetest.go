// Package storetest owns the database of a test: a real SQLite file in the test's own folder, with its writer at work.
//
// It must not be imported by anything but tests.
package storetest

import (
	"context"
	"io/fs"
	"path/filepath"
	"testing"

	"sallyport/appliance/clock"
	"sallyport/appliance/store"
)

// Open returns a served database with these schemas on the machine's clock. It is closed at the end of the test.
func Open(t testing.TB, migrations ...fs.FS) *store.DB {
	t.Helper()
	return OpenAt(t, clock.Real{}, migrations...)
}

// OpenAt is [Open] with a clock of the test's own.
func OpenAt(t testing.TB, c clock.Clock, migrations ...fs.FS) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "test.db"), Migrations: migrations, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	Serve(t, db)
	return db
}

// Serve serves a database until the end of the test and closes it then.
func Serve(t testing.TB, db *store.DB) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- db.Serve(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-served; err != nil {
			t.Errorf("the store's writer: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
}
