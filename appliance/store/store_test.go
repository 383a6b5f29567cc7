package store_test

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

func schema(sql string) fstest.MapFS {
	return fstest.MapFS{"schema/0001_test_thing.sql": {Data: []byte(sql)}}
}

const things = `CREATE TABLE thing (id TEXT PRIMARY KEY, size INTEGER NOT NULL CHECK (size >= 0), label TEXT, parent TEXT REFERENCES thing(id), at INTEGER NOT NULL DEFAULT 0, raw BLOB) STRICT;
CREATE UNIQUE INDEX thing_label ON thing (label);`

func put(id string, size int) func(*store.Tx) error {
	return func(tx *store.Tx) error { return tx.Exec("INSERT INTO thing (id, size) VALUES (?, ?)", id, size) }
}

func count(t *testing.T, db *store.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.View(t.Context(), func(tx *store.Tx) error { return tx.Row(query, args...).Scan(&n) }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestErrorsBecomeKinds(t *testing.T) {
	db := storetest.Open(t, schema(things))
	ctx := t.Context()
	if err := db.Update(ctx, put("a", 1)); err != nil {
		t.Fatal(err)
	}
	own := errors.New("not today")
	for _, tt := range []struct {
		name string
		fn   func(*store.Tx) error
		want fault.Kind
	}{
		{"primary key", put("a", 2), fault.Conflict},
		{"check", put("b", -1), fault.Invalid},
		{"not null", func(tx *store.Tx) error { return tx.Exec("INSERT INTO thing (id) VALUES ('c')") }, fault.Invalid},
		{"strict type", func(tx *store.Tx) error { return tx.Exec("INSERT INTO thing (id, size) VALUES ('c', 'big')") }, fault.Invalid},
		{"foreign key", func(tx *store.Tx) error {
			return tx.Exec("INSERT INTO thing (id, size, parent) VALUES ('c', 1, 'nobody')")
		}, fault.Invalid},
		{"unique index", func(tx *store.Tx) error {
			return errors.Join(tx.Exec("INSERT INTO thing (id, size, label) VALUES ('c', 1, 'x')"), tx.Exec("INSERT INTO thing (id, size, label) VALUES ('d', 1, 'x')"))
		}, fault.Conflict},
		{"no row", func(tx *store.Tx) error {
			var id string
			return tx.Row("SELECT id FROM thing WHERE id = 'nobody'").Scan(&id)
		}, fault.NotFound},
		{"bad statement", func(tx *store.Tx) error { return tx.Exec("INSERT INTO nowhere VALUES (1)") }, fault.Internal},
		{"own error", func(*store.Tx) error { return own }, fault.Internal},
		{"panic", func(*store.Tx) error { panic("oh") }, fault.Internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := db.Update(ctx, tt.fn)
			if err == nil || fault.KindOf(err) != tt.want {
				t.Errorf("Update = %v, want kind %v", err, tt.want)
			}
		})
	}
	if n := count(t, db, "SELECT count(*) FROM thing"); n != 1 {
		t.Errorf("%d rows, want the first one only", n)
	}
}

func TestValuesComeBack(t *testing.T) {
	db := storetest.Open(t, schema(things))
	id, at := ident.New[ident.Visit](), time.Date(2027, 3, 4, 14, 0, 0, 123e6, time.FixedZone("x", 3600))
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Exec("INSERT INTO thing (id, size, label, at, raw) VALUES (?, ?, ?, ?, ?)", id, true, store.Null(""), store.Ms(at), []byte{1, 2})
	})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		id    ident.Visit
		size  uint8
		label string
		maybe *string
		at    time.Time
		raw   []byte
	}
	var got []row
	err = db.View(t.Context(), func(tx *store.Tx) (err error) {
		got, err = store.All(tx, func(r *store.Rows) (row row, err error) {
			return row, r.Scan(&row.id, &row.size, &row.label, &row.maybe, &row.at, &row.raw)
		}, "SELECT id, size, label, label, at, raw FROM thing WHERE id = ?", id)
		return err
	})
	if err != nil || len(got) != 1 {
		t.Fatalf("All = %v, %v", got, err)
	}
	r := got[0]
	if r.id != id || r.size != 1 || r.label != "" || r.maybe != nil || !r.at.Equal(at) || r.at.Location() != time.UTC || len(r.raw) != 2 {
		t.Errorf("came back as %+v", r)
	}
}

func oneRoom(sql string) []fs.FS { return []fs.FS{schema(sql)} }

// Insert tells the number of its own row; what changed nothing does not pass on the number of an earlier one.
func TestInsertTellsTheNumber(t *testing.T) {
	db := storetest.Open(t, schema("CREATE TABLE line (seq INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE) STRICT;"))
	var got []int64
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for _, word := range []string{"a", "b", "a"} {
			n, err := tx.Insert("INSERT INTO line (word) VALUES (?) ON CONFLICT DO NOTHING", word)
			if err != nil {
				return err
			}
			got = append(got, n)
		}
		return nil
	})
	if diff := cmp.Diff([]int64{1, 2, 0}, got); err != nil || diff != "" {
		t.Errorf("Insert (-want +got):\n%s%v", diff, err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Insert("INSERT INTO line (word) VALUES ('a')"); return err })
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("the same word twice: %v, want a conflict", err)
	}
}
