package store

import (
	"database/sql/driver"
	"encoding/binary"
	"math"
	"slices"

	"github.com/mattn/go-sqlite3"
)

// The writer is what everybody waits for, and much of what it is asked is asked again and again and hardly ever changes:
// the facility, its stations, its rules, the key of the quarter. Such answers are kept, and are good until a statement
// changes one of their tables. Nobody but the writer changes the file, so it knows.
const (
	keepAnswers = 4096 // at most, then it starts anew
	keepRows    = 64   // of one answer
	// settleTurns is how many callers must have left a table alone before its answers are worth keeping.
	settleTurns = 64
)

// answers are what the writer's statements said lately. Only the writer's goroutine uses them.
//
// A caller whose own changes may still be rolled back is told what it sees, and nothing of that is kept. A change that was
// rolled back drops answers for nothing, and that is all. When a whole group is rolled back everything is dropped.
type answers struct {
	turn    int64            // one for each caller
	changed map[string]int64 // the turn that changed a table last
	kept    map[string]answer
	key     []byte
}

type answer struct {
	turn int64
	rows [][]driver.Value
}

func newAnswers() *answers {
	return &answers{changed: map[string]int64{}, kept: map[string]answer{}}
}

// tables are those of one statement, as SQLite itself names them while it prepares it: also those that only a trigger
// or a foreign key reaches.
type tables struct {
	reads, writes []string
	fickle        bool // it may answer otherwise although nothing has changed
}

func (t *tables) note(op int, table, function string) {
	list := &t.reads
	switch op {
	case sqlite3.SQLITE_READ:
	case sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE:
		list = &t.writes
	case sqlite3.SQLITE_FUNCTION:
		t.fickle = t.fickle || slices.Contains([]string{
			"random", "randomblob", "changes", "total_changes", "last_insert_rowid",
			"date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff",
		}, function)
		return
	default:
		return
	}
	if !slices.Contains(*list, table) {
		*list = append(*list, table)
	}
}

// forget is for a group that was rolled back.
func (a *answers) forget() { clear(a.kept) }

// wrote notes what a statement may have changed, also when it failed half way.
func (a *answers) wrote(t tables) {
	if a == nil {
		return // of a reader
	}
	for _, name := range t.writes {
		a.changed[name] = a.turn
	}
}

// keeps tells whether answers of a statement are worth keeping and, if so, since when they are good.
func (a *answers) keeps(s *stmt) (since int64, ok bool) {
	if !s.readonly || s.fickle || len(s.reads) == 0 {
		return 0, false
	}
	for _, name := range s.reads {
		since = max(since, a.changed[name])
	}
	return since, a.turn-since >= settleTurns
}

// find returns the answer that a question had after the turn since; where is what to keep a new one under.
func (a *answers) find(query string, args []driver.NamedValue, first bool, since int64) (rows [][]driver.Value, ok bool, where []byte) {
	key := a.key[:0]
	key = append(key, query...)
	if first {
		key = append(key, '1')
	}
	for _, one := range args {
		switch v := one.Value.(type) {
		case nil:
			key = append(key, 0)
		case int64:
			key = binary.BigEndian.AppendUint64(append(key, 1), uint64(v))
		case float64:
			key = binary.BigEndian.AppendUint64(append(key, 2), math.Float64bits(v))
		case bool:
			key = append(key, 3)
			if v {
				key[len(key)-1] = 4
			}
		case string:
			key = append(binary.BigEndian.AppendUint32(append(key, 5), uint32(len(v))), v...)
		case []byte:
			key = append(binary.BigEndian.AppendUint32(append(key, 6), uint32(len(v))), v...)
		}
	}
	a.key = key
	if one, ok := a.kept[string(key)]; ok && one.turn > since {
		return one.rows, true, key
	}
	return nil, false, key
}

func (a *answers) keep(where string, rows [][]driver.Value) {
	if len(a.kept) >= keepAnswers {
		clear(a.kept)
	}
	a.kept[where] = answer{a.turn, rows}
}

// copyRow is the row for somebody who may write into its bytes; all else in it never changes.
func copyRow(cols []driver.Value) []driver.Value {
	copied := false
	for i, v := range cols {
		b, ok := v.([]byte)
		if !ok {
			continue
		}
		if !copied {
			cols, copied = slices.Clone(cols), true
		}
		cols[i] = slices.Clone(b)
	}
	return cols
}
