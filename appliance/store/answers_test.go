package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

// family has what changes one table by way of another: a foreign key that deletes, one that empties, and a trigger.
const family = `CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL, raw BLOB) STRICT;
CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE, name TEXT NOT NULL) STRICT;
CREATE TABLE friend (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent (id) ON DELETE SET NULL) STRICT;
CREATE TABLE heard (name TEXT NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (name)) STRICT, WITHOUT ROWID;
CREATE TRIGGER child_heard AFTER INSERT ON child BEGIN
	INSERT INTO heard (name, times) VALUES (new.name, 1) ON CONFLICT (name) DO UPDATE SET times = times + 1;
END;`

func update(t testing.TB, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// rest lets so many callers pass that answers are kept from then on.
func rest(t testing.TB, db *store.DB) {
	t.Helper()
	for range 70 {
		update(t, db, func(*store.Tx) error { return nil })
	}
}

func names(tx *store.Tx, query string, args ...any) ([]string, error) {
	return store.All(tx, func(r *store.Rows) (s string, err error) { return s, r.Scan(&s) }, query, args...)
}

// What the writer was told once it is not told again: a stranger's hand at the file, which nobody has in earnest, is not
// seen before one of our own statements changes the table.
func TestWriterKeepsAnswers(t *testing.T) {
	db := storetest.Open(t, schema(family))
	update(t, db, func(tx *store.Tx) error {
		return tx.Exec(`INSERT INTO parent VALUES (1, 'Ann', x'0102'), (2, 'Bob', NULL)`)
	})
	rest(t, db)
	var raw []byte
	ask := func() (all []string, one, none string) {
		t.Helper()
		update(t, db, func(tx *store.Tx) (err error) {
			if all, err = names(tx, `SELECT name FROM parent WHERE id > ? ORDER BY id`, 0); err != nil {
				return err
			}
			if err := tx.Row(`SELECT name, raw FROM parent WHERE id = ?`, 1).Scan(&one, &raw); err != nil {
				return err
			}
			return tx.Row(`SELECT coalesce(max(name), 'nobody') FROM parent WHERE id = ?`, 7).Scan(&none)
		})
		return all, one, none
	}
	for range 2 { // only what is asked for again is kept
		if all, one, none := ask(); !cmp.Equal(all, []string{"Ann", "Bob"}) || one != "Ann" || none != "nobody" {
			t.Fatal(all, one, none)
		}
	}
	raw[0] = 9 // whoever was answered may do with the bytes as they like
	stranger, err := sql.Open("sqlite3", db.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.ExecContext(t.Context(), `UPDATE parent SET name = 'Eve'; INSERT INTO parent VALUES (7, 'Mal', NULL)`); err != nil {
		t.Fatal(err)
	}
	if all, one, none := ask(); !cmp.Equal(all, []string{"Ann", "Bob"}) || one != "Ann" || none != "nobody" || raw[0] != 1 {
		t.Fatalf("asked again: %v %s %s %v", all, one, none, raw)
	}
	update(t, db, func(tx *store.Tx) error { return tx.Exec(`UPDATE parent SET name = 'Kim' WHERE id = 2`) })
	if all, one, none := ask(); !cmp.Equal(all, []string{"Eve", "Kim", "Mal"}) || one != "Eve" || none != "Mal" {
		t.Fatalf("after a change: %v %s %s", all, one, none)
	}
}

func TestFickleAnswersAreNotKept(t *testing.T) {
	db := storetest.Open(t, schema(family))
	update(t, db, func(tx *store.Tx) error { return tx.Exec(`INSERT INTO parent VALUES (1, 'Ann', NULL)`) })
	rest(t, db)
	for _, query := range []string{`SELECT hex(randomblob(16)) FROM parent`, `SELECT 'r' || random() FROM parent WHERE id = 1`} {
		said := map[string]bool{}
		for range 4 {
			var one string
			update(t, db, func(tx *store.Tx) error { return tx.Row(query).Scan(&one) })
			said[one] = true
		}
		if len(said) != 4 {
			t.Errorf("%s said no more than %d things", query, len(said))
		}
	}
}

// Whatever is written, by whom, by way of what, and whether it is taken back: the writer is told what stands in the file.
func TestKeptAnswersAreTrue(t *testing.T) {
	questions := []string{
		`SELECT name FROM parent ORDER BY id`, `SELECT name FROM child ORDER BY id`, `SELECT name || times FROM heard ORDER BY name`,
		`SELECT id || '/' || coalesce(parent, '-') FROM friend ORDER BY id`,
		`SELECT p.name || c.name FROM parent p JOIN child c ON c.parent = p.id ORDER BY c.id`,
		`SELECT 'n' || count(*) FROM child WHERE EXISTS (SELECT 1 FROM parent)`,
		`WITH f AS (SELECT parent FROM friend) SELECT 'f' || count(*) FROM f`,
	}
	changes := []string{
		`INSERT INTO parent (id, name) VALUES (?1, 'P' || ?2) ON CONFLICT (id) DO UPDATE SET name = excluded.name`,
		`INSERT OR IGNORE INTO child (id, parent, name) SELECT ?2, id, 'C' || (?2 % 3) FROM parent WHERE id = ?1`,
		`INSERT OR REPLACE INTO friend (id, parent) SELECT ?2, id FROM parent WHERE id = ?1`,
		`DELETE FROM parent WHERE id = ?1 AND ?2 > 0`, `DELETE FROM child WHERE id = ?2 AND ?1 > 0`,
		`UPDATE child SET name = 'D' || ?2 WHERE parent = ?1`,
	}
	never := errors.New("never mind")
	var fresh int
	rapid.Check(t, func(rt *rapid.T) {
		db := storetest.Open(t, schema(family))
		update(t, db, func(tx *store.Tx) error { return tx.Exec(`INSERT INTO parent (id, name) VALUES (1, 'A'), (2, 'B')`) })
		look := func(tx *store.Tx) error {
			for _, q := range questions {
				kept, err := names(tx, q)
				if err != nil {
					return err
				}
				fresh++
				is, err := names(tx, fmt.Sprintf("%s -- %d", q, fresh)) // words that nobody has asked with yet
				if err != nil {
					return err
				}
				if !cmp.Equal(kept, is) {
					return fmt.Errorf("%s\nsaid %v\n is  %v", q, kept, is)
				}
			}
			return nil
		}
		for range rapid.IntRange(2, 5).Draw(rt, "rounds") {
			rest(t, db)
			for range rapid.IntRange(1, 4).Draw(rt, "callers") {
				back := rapid.Bool().Draw(rt, "taken back")
				type change struct {
					words         string
					parent, other int
				}
				writes := make([]change, rapid.IntRange(0, 3).Draw(rt, "changes"))
				for i := range writes {
					writes[i] = change{rapid.SampledFrom(changes).Draw(rt, "change"), rapid.IntRange(1, 3).Draw(rt, "parent"), rapid.IntRange(1, 5).Draw(rt, "other")}
				}
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					if err := look(tx); err != nil {
						return err
					}
					for _, w := range writes {
						if err := tx.Exec(w.words, w.parent, w.other); err != nil {
							return err
						}
						if err := look(tx); err != nil {
							return err
						}
					}
					if back {
						return never
					}
					return nil
				})
				if err != nil && !errors.Is(err, never) {
					rt.Fatal(err)
				}
			}
		}
	})
}

// Whoever stopped at the first row leaves no half answer to whoever wants them all.
func TestHalfAnswersAreNotKept(t *testing.T) {
	db := storetest.Open(t, schema(family))
	update(t, db, func(tx *store.Tx) error {
		return tx.Exec(`INSERT INTO parent VALUES (1, 'Ann', NULL), (2, 'Bob', NULL)`)
	})
	rest(t, db)
	const query = `SELECT name FROM parent ORDER BY id`
	enough := errors.New("enough")
	for range 3 {
		update(t, db, func(tx *store.Tx) error {
			if err := tx.Each(func(*store.Rows) error { return enough }, query); !errors.Is(err, enough) {
				return fmt.Errorf("stopped with %w", err)
			}
			var one string
			if err := tx.Row(query).Scan(&one); err != nil || one != "Ann" {
				return fmt.Errorf("the first is %s: %w", one, err)
			}
			return nil
		})
	}
	update(t, db, func(tx *store.Tx) error {
		if all, err := names(tx, query); err != nil || len(all) != 2 {
			return fmt.Errorf("all are %v: %w", all, err)
		}
		return nil
	})
}
