package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
)

// migration is one numbered file of a room: schema/NNNN_room_what.sql.
type migration struct {
	number int64
	name   string
	sql    string
	sum    string
	reads  int64 // lowest level of a program that can work with the file afterwards, 0: any that could before
}

const (
	migrationTable = `CREATE TABLE store_migration (
	number INTEGER PRIMARY KEY,
	name   TEXT NOT NULL,
	sum    TEXT NOT NULL,
	at     INTEGER NOT NULL
) STRICT`
	readsColumn = `ALTER TABLE store_migration ADD COLUMN reads INTEGER NOT NULL DEFAULT 0`
)

// migrate brings the file up to date: each file in a transaction of its own, foreign keys off while it runs and checked
// before it commits. user_version counts the migrations that were applied; a file that the next program has migrated has
// more of them than this program knows ([Level]).
func migrate(ctx context.Context, c *conn, now clock.Clock, rooms []fs.FS) error {
	all, err := collect(rooms)
	if err != nil {
		return err
	}
	if err := sign(c); err != nil {
		return err
	}
	applied, err := appliedMigrations(c)
	if err != nil {
		return wrap("store.Open", err)
	}
	if err := compare(all, applied); err != nil {
		return err
	}
	if old, err := unread(c); err != nil || old {
		if err := errors.Join(err, c.script(readsColumn)); err != nil {
			return wrap("store.Open", err)
		}
	}
	if err := c.script("PRAGMA foreign_keys = OFF"); err != nil {
		return wrap("store.Open", err)
	}
	done := len(applied)
	for _, m := range all {
		if _, ok := applied[m.number]; ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return ended(ctx, "store.Open")
		}
		done++
		if err := apply(c, now, m, done); err != nil {
			return fmt.Errorf("apply migration %s: %w", m.name, err)
		}
	}
	return wrap("store.Open", c.script("PRAGMA foreign_keys = ON"))
}

// sign marks an empty file as ours. One transaction: a power cut must not leave a file that has tables and no name.
func sign(c *conn) error {
	id, err := c.number("PRAGMA application_id")
	if err != nil || id == applicationID {
		return wrap("store.Open", err)
	}
	return wrap("store.Open", c.script(fmt.Sprintf("BEGIN IMMEDIATE; PRAGMA application_id = %d; %s; %s; COMMIT", applicationID, migrationTable, readsColumn)))
}

// unread tells whether the file was made before migrations said who can read what they leave.
func unread(c *conn) (bool, error) {
	n, err := c.number("SELECT count(*) FROM pragma_table_info('store_migration') WHERE name = 'reads'")
	return n == 0, err
}

func collect(rooms []fs.FS) ([]migration, error) {
	var all []migration
	for _, room := range rooms {
		err := fs.WalkDir(room, ".", func(at string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(at) != ".sql" {
				return err
			}
			number, err := strconv.ParseInt(strings.SplitN(d.Name(), "_", 2)[0], 10, 32)
			if err != nil || number <= 0 {
				return fault.Newf("store.Open", fault.Internal, "The migration %s has no number.", at)
			}
			b, err := fs.ReadFile(room, at)
			if err != nil {
				return err
			}
			m := migration{number: number, name: strings.TrimSuffix(d.Name(), ".sql"), sql: string(b), sum: sum(b)}
			if m.reads, err = contract(m); err != nil {
				return err
			}
			all = append(all, m)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b migration) int { return int(a.number - b.number) })
	for i := 1; i < len(all); i++ {
		if all[i].number == all[i-1].number {
			return nil, fault.Newf("store.Open", fault.Internal, "The migrations %s and %s have one number.", all[i-1].name, all[i].name)
		}
	}
	return all, nil
}

func appliedMigrations(c *conn) (map[int64]migration, error) {
	query := "SELECT number, name, sum, reads FROM store_migration"
	old, err := unread(c)
	if err != nil {
		return nil, err
	}
	if old {
		query = "SELECT number, name, sum, 0 FROM store_migration"
	}
	applied := map[int64]migration{}
	_, err = c.query(context.Background(), query, nil, func(cols []driver.Value) (bool, error) {
		var m migration
		if err := scan(cols, []any{&m.number, &m.name, &m.sum, &m.reads}); err != nil {
			return false, err
		}
		applied[m.number] = m
		return true, nil
	})
	return applied, err
}

// compare refuses a file that a newer program has changed beyond what this one can work with, and a migration that was
// edited after it ran.
func compare(all []migration, applied map[int64]migration) error {
	known := map[int64]migration{}
	level := int64(len(all))
	missing := ""
	for _, m := range all {
		known[m.number] = m
		if _, ok := applied[m.number]; !ok {
			missing = m.name
		}
	}
	for _, was := range applied {
		m, ok := known[was.number]
		switch {
		case !ok && was.reads <= level && missing == "":
		case !ok:
			return fault.Newf("store.Open", fault.Conflict,
				"This database was written by a newer program (%s). Start that program, or restore a backup from before the upgrade.",
				was.name).WithCode("store.newer")
		case m.sum != was.sum:
			return fault.Newf("store.Open", fault.Conflict,
				"The migration %s is not the one that made this database. Use the program that made it, or start with an empty state folder.",
				was.name).WithCode("store.edited")
		}
	}
	return nil
}

func apply(c *conn, now clock.Clock, m migration, count int) (err error) {
	if err := c.script("BEGIN IMMEDIATE"); err != nil {
		return wrap("store.Open", err)
	}
	defer func() {
		if !c.raw.AutoCommit() {
			_ = c.script("ROLLBACK")
		}
	}()
	if err := c.script(m.sql); err != nil {
		return wrap("store.Open", err)
	}
	if c.raw.AutoCommit() {
		return fault.New("store.Open", fault.Internal, "A migration ended its own transaction.")
	}
	if err := checkReferences(c); err != nil {
		return err
	}
	_, err = c.exec("INSERT INTO store_migration (number, name, sum, at, reads) VALUES (?, ?, ?, ?, ?)",
		named(m.number, m.name, m.sum, Ms(now.Now()), m.reads))
	if err != nil {
		return wrap("store.Open", err)
	}
	if err := c.script(fmt.Sprintf("PRAGMA user_version = %d", count)); err != nil {
		return wrap("store.Open", err)
	}
	return wrap("store.Open", c.script("COMMIT"))
}

func checkReferences(c *conn) error {
	var bad string
	_, err := c.query(context.Background(), "PRAGMA foreign_key_check", nil, func(cols []driver.Value) (bool, error) {
		bad = fmt.Sprintf("row %v of %v refers to a missing row of %v", cols[1], cols[0], cols[2])
		return false, nil
	})
	if err != nil {
		return wrap("store.Open", err)
	}
	if bad != "" {
		return fault.New("store.Open", fault.Internal, "A migration leaves references to nothing.").Because(fmt.Errorf("%s", bad))
	}
	return nil
}

func named(args ...driver.Value) []driver.NamedValue {
	all := make([]driver.NamedValue, len(args))
	for i, v := range args {
		all[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return all
}
