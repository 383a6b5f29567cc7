package store_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/appliance/fault"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

// steps are migrations 1, 2, 3 ... in one room.
func steps(sql ...string) []fs.FS {
	m := fstest.MapFS{}
	for i, text := range sql {
		m[fmt.Sprintf("schema/%04d_test_step.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return []fs.FS{m}
}

const (
	step2 = "ALTER TABLE thing ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'; CREATE TABLE box (id INTEGER PRIMARY KEY) STRICT"
	step3 = "-- contract: reads 2\nDROP INDEX thing_label"
)

// The program before reads and writes a file that the next one has migrated, and the next one goes on with it.
func TestTheProgramBeforeReadsOn(t *testing.T) {
	path := made(t, steps(things, step2)...)
	for _, program := range [][]fs.FS{steps(things), steps(things, step2)} {
		db, err := open(t, path, program...)
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "PRAGMA user_version"); n != 2 {
			t.Errorf("user_version = %d, want 2", n)
		}
		t.Run("serve", func(t *testing.T) {
			storetest.Serve(t, db)
			if err := db.Update(t.Context(), put(fmt.Sprint(len(program[0].(fstest.MapFS))), 1)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	for _, tt := range []struct {
		name      string
		file, own []fs.FS
		code      string
	}{
		{"one back", steps(things, step2), steps(things), ""},
		{"over a contract, high enough", steps(things, step2, step3), steps(things, step2), ""},
		{"over a contract, too low", steps(things, step2, step3), steps(things), "store.newer"},
		{"forward over a contract", steps(things), steps(things, step2, step3), ""},
		{"of another line", steps(things, step2), append(steps(things), fstest.MapFS{"0009_test_other.sql": {Data: []byte("SELECT 1")}}), "store.newer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, err := open(t, made(t, tt.file...), tt.own...)
			if err == nil {
				defer db.Close()
			}
			if (err == nil) != (tt.code == "") || err != nil && fault.CodeOf(err) != tt.code {
				t.Errorf("Open = %v, want %q", err, tt.code)
			}
		})
	}
	got, err := store.LevelOf(steps(things, step2, step3))
	if want := (store.Level{Schema: 3, Reads: 2}); err != nil || got != want {
		t.Errorf("LevelOf = %+v, %v, want %+v", got, err, want)
	}
	if _, err := store.LevelOf(steps("-- Contract: reads 2\nSELECT 1")); err == nil {
		t.Error("a contract that is nearly right passes")
	}
}

// A file that was made before contracts were counted is taken as it is.
func TestFileWithoutContracts(t *testing.T) {
	path := made(t, schema(things))
	raw(t, path, "ALTER TABLE store_migration DROP COLUMN reads")
	for range 2 {
		db, err := open(t, path, schema(things))
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "SELECT reads FROM store_migration"); n != 0 {
			t.Errorf("reads = %d", n)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBreaks(t *testing.T) {
	for _, tt := range []struct{ name, sql, want string }{
		{"a column with a default", "ALTER TABLE thing ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'", ""},
		{"a column that may be empty", "ALTER TABLE thing ADD COLUMN colour TEXT CHECK (colour <> '')", ""},
		{"a table and its index", "CREATE TABLE box (id TEXT NOT NULL) STRICT; CREATE UNIQUE INDEX box_id ON box (id)", ""},
		{"an index", "CREATE INDEX thing_size ON thing (size)", ""},
		{"a trigger that copies", "CREATE TABLE log (id TEXT) STRICT; CREATE TRIGGER thing_log AFTER INSERT ON thing BEGIN INSERT INTO log VALUES (new.id); END", ""},
		{"a table is dropped", "DROP TABLE thing", "table thing is gone"},
		{"a table is renamed", "ALTER TABLE thing RENAME TO item", "table thing is gone"},
		{"a column is renamed", "ALTER TABLE thing RENAME COLUMN size TO length", "another form"},
		{"a column is dropped", "DROP INDEX thing_label; ALTER TABLE thing DROP COLUMN label", "another form"},
		{"a unique index is dropped", "DROP INDEX thing_label", "index thing_label is gone"},
		{"a unique index is added", "CREATE UNIQUE INDEX thing_size ON thing (size)", "unique index thing_size refuses"},
		{"a trigger refuses", "CREATE TRIGGER thing_full BEFORE INSERT ON thing BEGIN SELECT RAISE(ABORT, 'full'); END", "trigger thing_full refuses"},
		{
			"a table is made anew with a check",
			"DROP TABLE thing; " + strings.Replace(things, "raw BLOB)", "raw BLOB, CHECK (size < 10))", 1), "new constraint",
		},
		{
			"a table is made anew with a column that must be given",
			"DROP TABLE thing; " + strings.Replace(things, "raw BLOB)", "raw BLOB, colour TEXT NOT NULL)", 1), "must be given",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := storetest.Breaks(t, steps(things), steps(things, tt.sql))
			if tt.want == "" && len(got) > 0 || tt.want != "" && !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, tt.want) }) {
				t.Errorf("Breaks = %q, want %q", got, tt.want)
			}
		})
	}
}
