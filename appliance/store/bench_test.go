package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

// One booking: a guarded claim, the visit, its outbox row and its audit row.
const bookingTables = `CREATE TABLE slot (id INTEGER PRIMARY KEY, taken INTEGER NOT NULL, capacity INTEGER NOT NULL, CHECK (taken <= capacity)) STRICT;
CREATE TABLE visit (id TEXT PRIMARY KEY, slot INTEGER NOT NULL REFERENCES slot(id)) STRICT;
CREATE TABLE line (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL) STRICT;
INSERT INTO slot WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) SELECT i, 0, 1000000000 FROM n;`

const (
	claim = "UPDATE slot SET taken = taken + 1 WHERE id = ? AND taken < capacity"
	visit = "INSERT INTO visit (id, slot) VALUES (?, ?)"
	line  = "INSERT INTO line (kind, id) VALUES (?, ?)"
)

func book(db *store.DB, n int64) error {
	id := fmt.Sprint("v_", n)
	return db.Update(context.Background(), func(tx *store.Tx) error {
		if err := tx.Exec(claim, n%20+1); err != nil {
			return err
		}
		if err := tx.Exec(visit, id, n%20+1); err != nil {
			return err
		}
		if err := tx.Exec(line, "outbox", id); err != nil {
			return err
		}
		return tx.Exec(line, "audit", id)
	})
}

func BenchmarkGroupCommit(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers, "callers"), func(b *testing.B) {
			db := storetest.Open(b, schema(bookingTables))
			var n atomic.Int64
			b.SetParallelism((callers + 1) / 2) // times GOMAXPROCS, 2 on the machine that the bars are for
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := book(db, n.Add(1)); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// The yardstick: the same statements as a plain database/sql loop over one connection.
func BenchmarkPlainSQL(b *testing.B) {
	path := filepath.Join(b.TempDir(), "plain.db")
	db, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_busy_timeout=5000")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(bookingTables); err != nil {
		b.Fatal(err)
	}
	plain := func(n int64) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		id := fmt.Sprint("v_", n)
		for _, s := range []struct {
			query string
			args  []any
		}{{claim, []any{n%20 + 1}}, {visit, []any{id, n%20 + 1}}, {line, []any{"outbox", id}}, {line, []any{"audit", id}}} {
			if _, err := tx.Exec(s.query, s.args...); err != nil {
				return err
			}
		}
		return tx.Commit()
	}
	var n atomic.Int64
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := plain(n.Add(1)); err != nil {
				b.Error(err)
			}
		}
	})
}
