package store_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

func TestTryRollsBackItsPartOnly(t *testing.T) {
	db := storetest.Open(t, fstest.MapFS{"schema/9000_try.sql": {Data: []byte(`CREATE TABLE thing (name TEXT PRIMARY KEY) STRICT;`)}})
	refused := errors.New("refused")
	put := func(tx *store.Tx, name string) error { return tx.Exec(`INSERT INTO thing VALUES (?)`, name) }
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := put(tx, "before"); err != nil {
			return err
		}
		err := tx.Try(func() error {
			if err := put(tx, "inside"); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Errorf("Try = %v, want its function's error", err)
		}
		if err := tx.Try(func() error { return put(tx, "kept") }); err != nil {
			return err
		}
		return put(tx, "after")
	})
	if err != nil {
		t.Fatal(err)
	}
	var names string
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		return tx.Row(`SELECT group_concat(name) FROM (SELECT name FROM thing ORDER BY name)`).Scan(&names)
	}); err != nil {
		t.Fatal(err)
	}
	if names != "after,before,kept" {
		t.Errorf("kept %q, want after,before,kept", names)
	}
}
