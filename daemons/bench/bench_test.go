package main

import (
	"database/sql"
	"testing"
	"time"
)

// The yardstick is honest when it writes what a booking writes: into every table the same number of rows, and as many
// bytes give or take what times and random ids come to.
func TestYardstickWritesTheSame(t *testing.T) {
	s, err := build(t.Context(), t.TempDir(), shape{pairs: 2, kiosks: 2, capacity: 2})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2027, 3, 3, 0, 0, 0, 0, time.UTC)
	if won, err := s.book(t.Context(), s.pairs[0], at); err != nil || !won {
		t.Fatalf("the first booking: %v, %v", won, err)
	}
	before := look(t, s.path)
	if won, err := s.book(t.Context(), s.pairs[0], at.Add(time.Hour)); err != nil || !won {
		t.Fatalf("through the store: %v, %v", won, err)
	}
	store := look(t, s.path)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	p, err := openPlain(s, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.db.Close()
	if won, err := p.book(t.Context(), s.pairs[1], at.Add(2*time.Hour)); err != nil || !won {
		t.Fatalf("through the yardstick: %v, %v", won, err)
	}
	plain := look(t, s.path)
	for name, was := range before {
		rows, bytes := store[name].rows-was.rows, store[name].bytes-was.bytes
		gotRows, gotBytes := plain[name].rows-store[name].rows, plain[name].bytes-store[name].bytes
		if gotRows != rows || gotBytes < bytes*95/100-4 || gotBytes > bytes*105/100+4 {
			t.Errorf("%s: the yardstick writes %d rows of %d bytes, a booking %d rows of %d bytes", name, gotRows, gotBytes, rows, bytes)
		}
	}
}

type size struct{ rows, bytes int }

// look measures every table, with another connection.
func look(t *testing.T, path string) map[string]size {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT m.name, group_concat('coalesce(octet_length("' || c.name || '"), 0)', ' + ')
		FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' GROUP BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	sums := map[string]string{}
	for rows.Next() {
		var name, sum string
		if err := rows.Scan(&name, &sum); err != nil {
			t.Fatal(err)
		}
		sums[name] = sum
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	all := map[string]size{}
	for name, sum := range sums {
		var one size
		if err := db.QueryRow(`SELECT count(*), coalesce(sum(`+sum+`), 0) FROM "`+name+`"`).Scan(&one.rows, &one.bytes); err != nil {
			t.Fatal(err)
		}
		all[name] = one
	}
	return all
}
