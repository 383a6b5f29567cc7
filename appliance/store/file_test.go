package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"filippo.io/age"

	"sallyport/appliance/fault"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

func open(t *testing.T, path string, rooms ...fs.FS) (*store.DB, error) {
	t.Helper()
	return store.Open(t.Context(), store.Options{Path: path, Migrations: rooms})
}

// made returns the path of a closed database that has these migrations and one thing in it.
func made(t *testing.T, rooms ...fs.FS) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.db")
	db, err := open(t, path, rooms...)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func raw(t *testing.T, path, stmt string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(stmt); err != nil {
		t.Fatal(err)
	}
}

func TestSettingsAreWhatTheyMustBe(t *testing.T) {
	db := storetest.Open(t, schema(things))
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "query_only": "0", "user_version": "1", "application_id": "1397512528"}
	read := func(view func(context.Context, func(*store.Tx) error) error) {
		t.Helper()
		err := view(t.Context(), func(tx *store.Tx) error {
			for name, value := range want {
				var got any
				if err := tx.Row("PRAGMA " + name).Scan(&got); err != nil {
					return err
				}
				if fmt.Sprint(got) != value {
					t.Errorf("%s is %v, want %s", name, got, value)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read(db.Update)
	want["query_only"] = "1"
	read(db.View)
	err := db.View(t.Context(), put("a", 1))
	if err == nil {
		t.Error("a reader has written")
	}
	if info, err := os.Stat(db.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v", info.Mode(), err)
	}
}

func TestOpenRefusesStrangeFiles(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T) string
		code string
		says string
	}{
		{"rubbish", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "x.db")
			if err := os.WriteFile(path, bytes.Repeat([]byte("rubbish "), 1024), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, "store.corrupt", "restore"},
		{"torn schema", func(t *testing.T) string {
			path := made(t, schema(things))
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 400), 100); err != nil {
				t.Fatal(err)
			}
			return path
		}, "store.corrupt", "restore"},
		{"another program's", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "x.db")
			raw(t, path, "CREATE TABLE bookmark (url TEXT)")
			return path
		}, "store.stranger", "another program"},
		{"newer", func(t *testing.T) string {
			return made(t, schema(things), fstest.MapFS{"schema/0002_test_more.sql": {Data: []byte("-- contract: reads 2\nCREATE TABLE more (id INTEGER PRIMARY KEY) STRICT")}})
		}, "store.newer", "newer program"},
		{"edited migration", func(t *testing.T) string { return made(t, schema(things+"\n-- once more")) }, "store.edited", "0001_test_thing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.make(t)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			db, err := open(t, path, schema(things))
			if err == nil {
				_ = db.Close()
				t.Fatal("it was opened")
			}
			if fault.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Open = %v, want %s with %q", err, tt.code, tt.says)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("a refused file was changed (%v)", err)
			}
		})
	}
}

func TestOneProcessOnly(t *testing.T) {
	db := storetest.Open(t, schema(things))
	if second, err := open(t, db.Path(), schema(things)); fault.CodeOf(err) != "store.locked" {
		t.Errorf("a second Open = %v, %v", second, err)
	}
}

func TestMigrationsRunOnceInNumberOrder(t *testing.T) {
	room := func(files map[string]string) fs.FS {
		m := fstest.MapFS{}
		for name, text := range files {
			m["schema/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
		return m
	}
	high := room(map[string]string{"0200_b_child.sql": "CREATE TABLE child (parent INTEGER NOT NULL REFERENCES parent(id)) STRICT; INSERT INTO child VALUES (1)"})
	low := room(map[string]string{"0100_a_parent.sql": "CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT; INSERT INTO parent VALUES (1)"})
	path := made(t, high, low)
	later := room(map[string]string{
		"0100_a_parent.sql": "CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT; INSERT INTO parent VALUES (1)",
		"0101_a_more.sql":   "ALTER TABLE parent ADD COLUMN name TEXT NOT NULL DEFAULT ''",
	})
	db, err := open(t, path, high, later)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Serve(t, db)
	if n := count(t, db, "SELECT count(*) FROM parent"); n != 1 {
		t.Errorf("a migration ran again: %d parents", n)
	}
	if n := count(t, db, "PRAGMA user_version"); n != 3 {
		t.Errorf("user_version = %d, want 3", n)
	}
}

func TestABadMigrationLeavesTheFileAsItWas(t *testing.T) {
	good := schema(things)
	path := made(t, good)
	for name, text := range map[string]string{
		"bad statement":    "CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT; CREATE TABLE nonsense (",
		"dangling":         "CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT; INSERT INTO thing (id, size, parent) VALUES ('a', 1, 'nobody')",
		"ends transaction": "CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT; COMMIT; SELECT 1",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "copy.db")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if db, err := open(t, dir, good, fstest.MapFS{"0002_test_bad.sql": {Data: []byte(text)}}); err == nil {
				_ = db.Close()
				t.Fatal("a bad migration passed")
			}
			if name == "ends transaction" {
				return // it took its own fate in its hands; that it is refused is all there is
			}
			db, err := open(t, dir, good)
			if err != nil {
				t.Fatal(err)
			}
			storetest.Serve(t, db)
			if n := count(t, db, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'"); n != 0 {
				t.Error("half of the migration is there")
			}
		})
	}
}

func TestMigrationNumbersAreUnique(t *testing.T) {
	_, err := open(t, filepath.Join(t.TempDir(), "x.db"), schema(things), fstest.MapFS{"0001_other_room.sql": {Data: []byte("SELECT 1")}})
	if err == nil || !strings.Contains(err.Error(), "one number") {
		t.Errorf("Open = %v", err)
	}
}

func TestBackupComesBack(t *testing.T) {
	db := storetest.Open(t, schema(things))
	ctx := t.Context()
	for i := range 300 {
		if err := db.Update(ctx, put(fmt.Sprint(i), i)); err != nil {
			t.Fatal(err)
		}
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	backup := filepath.Join(dir, "backup.age")
	if err := db.Backup(ctx, backup); !fault.Is(err, fault.Invalid) {
		t.Errorf("a backup for nobody: %v", err)
	}
	if err := db.Backup(ctx, backup, id.Recipient().String()); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(ctx, backup, id.Recipient().String()); !fault.Is(err, fault.Conflict) {
		t.Errorf("over another backup: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	sealed, err := os.ReadFile(backup)
	if err != nil || bytes.Contains(sealed, []byte("SQLite format")) {
		t.Fatalf("the backup is not sealed: %v", err)
	}
	restored := filepath.Join(dir, "restored.db")
	if err := store.Unseal(ctx, backup, restored, id); err != nil {
		t.Fatal(err)
	}
	again, err := open(t, restored, schema(things))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Serve(t, again)
	if n := count(t, again, "SELECT count(*) FROM thing"); n != 300 {
		t.Errorf("%d things came back", n)
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Unseal(ctx, backup, filepath.Join(dir, "a.db"), stranger); !fault.Is(err, fault.Forbidden) {
		t.Errorf("another key opens it: %v", err)
	}
	sealed[len(sealed)-100] ^= 1
	bad := filepath.Join(dir, "bad.age")
	if err := os.WriteFile(bad, sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.Unseal(ctx, bad, filepath.Join(dir, "b.db"), id); fault.CodeOf(err) != "store.corrupt" {
		t.Errorf("a damaged backup: %v", err)
	}
}
