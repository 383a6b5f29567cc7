package storetest

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/appliance/store"
)

// object is a table, index, trigger or view.
type object struct{ kind, name, table, sql string }

// constraint begins what is added to a table without being a column: it could refuse what the program before writes.
var constraint = regexp.MustCompile(`(?i)^\s*,?\s*(CHECK|UNIQUE|FOREIGN|PRIMARY|CONSTRAINT)\b`)

// Breaks compares two sets of migrations by what they make of an empty file, and lists what a program with the first set
// could not read or write any more in a file that the second set has migrated. A migration that declares itself a
// contract is judged by its level alone: it may take away what programs below it need.
func Breaks(t testing.TB, before, after []fs.FS) []string {
	t.Helper()
	old, added := objects(t, before), objects(t, after)
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for key, was := range old {
		now, ok := added[key]
		switch {
		case !ok && was.kind == "index" && !unique(was):
			// The program before asks the same things, only slower.
		case !ok:
			say("%s %s is gone", was.kind, was.name)
		case was.sql == now.sql:
		case was.kind != "table":
			say("%s %s is another one", was.kind, was.name)
		default:
			why := grown(was.sql, now.sql)
			if why != "" {
				say("table %s %s", was.name, why)
			}
		}
	}
	for key, now := range added {
		_, had := old[key]
		_, onOld := old["table "+now.table]
		switch {
		case had || !onOld:
		case now.kind == "index" && unique(now):
			say("unique index %s refuses rows of %s that the program before may write", now.name, now.table)
		case now.kind == "trigger" && strings.Contains(strings.ToUpper(now.sql), "RAISE"):
			say("trigger %s refuses rows of %s that the program before may write", now.name, now.table)
		}
	}
	slices.Sort(all)
	return all
}

// grown says why a table is not the old one with columns added that the program before need not know, "" when it is.
func grown(was, now string) string {
	head := 0
	for head < min(len(was), len(now)) && was[head] == now[head] {
		head++
	}
	tail := 0
	for tail < min(len(was)-head, len(now)-head) && was[len(was)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	if head+tail < len(was) {
		return "was made anew in another form"
	}
	added := now[head : len(now)-tail]
	if constraint.MatchString(added) {
		return "has a new constraint:" + strings.TrimLeft(added, ",")
	}
	upper := strings.ToUpper(added)
	if strings.Contains(upper, "NOT NULL") && !strings.Contains(upper, "DEFAULT") {
		return "has a new column that must be given:" + strings.TrimLeft(added, ",")
	}
	return ""
}

func unique(o object) bool {
	return strings.HasPrefix(strings.ToUpper(strings.TrimSpace(o.sql)), "CREATE UNIQUE")
}

// objects applies migrations to an empty file and returns what is there, without what SQLite makes by itself.
func objects(t testing.TB, migrations []fs.FS) map[string]object {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "schema.db"), Migrations: migrations})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	all := map[string]object{}
	err = db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := store.All(tx, func(r *store.Rows) (o object, err error) {
			return o, r.Scan(&o.kind, &o.name, &o.table, &o.sql)
		}, "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'store_migration'")
		for _, o := range rows {
			all[o.kind+" "+o.name] = o
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
