package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/mattn/go-sqlite3"

	"sallyport/appliance/fault"
)

const (
	applicationID = 0x534C5950 // "SLYP", so that a stranger's database is recognised
	minLibrary    = 3_051_003  // before it, resetting the write-ahead log could lose a commit
	maxStatements = 512        // prepared statements kept for each connection
	// checkpointPages is how long the log grows before a commit folds it into the file, 32 MiB. A group of bookings writes
	// nearly the 1000 pages that SQLite allows by itself, and would wait for two more fsyncs and for pages that the next
	// group writes again.
	checkpointPages = 8000
	writerCache     = "-65536" // KiB: a page that left the cache while its group is open is written twice
)

// conn is one SQLite connection with its prepared statements. One goroutine uses it at a time.
type conn struct {
	raw       *sqlite3.SQLiteConn
	stmts     map[string]*stmt
	preparing *tables  // of the statement that is being prepared
	answers   *answers // of the writer
}

type stmt struct {
	*sqlite3.SQLiteStmt
	tables
	readonly bool
	returns  bool // writes and answers with rows
	busy     bool // its rows are being read, so that it cannot start again
	kept     bool // in the cache
}

func checkLibrary() error {
	version, number, _ := sqlite3.Version()
	if number < minLibrary {
		return fault.Newf("store.Open", fault.Unavailable,
			"This program is built with SQLite %s, which may lose commits. Build it with 3.51.3 or newer.", version).WithCode("store.sqlite_old")
	}
	return nil
}

// peek looks at an existing file without changing it, and refuses what is not ours before any setting is made.
func peek(path string) error {
	c, err := dial(path, url.Values{"mode": {"ro"}, "_mutex": {"no"}, "_busy_timeout": {"5000"}})
	if err != nil {
		return err
	}
	id, err := c.number("PRAGMA application_id")
	if err != nil {
		return errors.Join(refuseFile(path, err), c.close())
	}
	tables, err := c.number("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return errors.Join(refuseFile(path, err), c.close())
	}
	if id != applicationID && (id != 0 || tables != 0) {
		err = fault.Newf("store.Open", fault.Unavailable,
			"%s is a database of another program. Name another path in the configuration.", path).WithCode("store.stranger")
	}
	return errors.Join(err, c.close())
}

// Settings belong into the address, so that no connection ever works without them.
func openWriter(path string) (*conn, error) {
	c, err := dial(path, url.Values{
		"mode": {"rw"}, "_mutex": {"no"}, "_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"},
		"_foreign_keys": {"on"}, "_busy_timeout": {"5000"}, "_cache_size": {writerCache},
	})
	if err != nil {
		return nil, err
	}
	c.answers = newAnswers()
	c.raw.RegisterAuthorizer(func(op int, table, function, _ string) int {
		if c.preparing != nil { // SQLite prepares a statement anew by itself, with the same tables
			c.preparing.note(op, table, function)
		}
		return sqlite3.SQLITE_OK
	})
	if err := c.script(fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", checkpointPages)); err != nil {
		_ = c.close()
		return nil, refuseFile(path, err)
	}
	return c, nil
}

func openReader(path string) (*conn, error) {
	c, err := dial(path, url.Values{
		"mode": {"ro"}, "_mutex": {"no"}, "_query_only": {"true"}, "_synchronous": {"FULL"}, "_foreign_keys": {"on"},
		"_busy_timeout": {"5000"},
	})
	if err != nil {
		return nil, err
	}
	if err := c.check(pragmas{"query_only": 1, "application_id": applicationID}); err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}

func dial(path string, settings url.Values) (*conn, error) {
	at := (&url.URL{Path: path}).EscapedPath()
	raw, err := (&sqlite3.SQLiteDriver{}).Open("file:" + at + "?" + settings.Encode())
	if err != nil {
		return nil, refuseFile(path, err)
	}
	c := &conn{raw: raw.(*sqlite3.SQLiteConn), stmts: map[string]*stmt{}}
	// Every caller of a group has a savepoint, and SQLite keeps the old pages of a savepoint in a temporary file once they
	// are more than a few: one small write of a file for each page that a booking touches. They are gone at COMMIT anyway.
	if err := c.script("PRAGMA temp_store = MEMORY"); err != nil {
		_ = c.close()
		return nil, refuseFile(path, err)
	}
	// Opening reads nothing; this reads the header and the schema, so that rubbish is refused here.
	if _, err := c.number("SELECT count(*) FROM sqlite_schema"); err != nil {
		_ = c.close()
		return nil, refuseFile(path, err)
	}
	return c, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// take returns a prepared statement that nobody reads from; give takes it back.
func (c *conn) take(query string) (*stmt, error) {
	if s, ok := c.stmts[query]; ok && !s.busy {
		s.busy = true
		return s, nil
	}
	s := &stmt{busy: true}
	c.preparing = &s.tables
	d, err := c.raw.Prepare(query)
	c.preparing = nil
	if err != nil {
		return nil, err
	}
	s.SQLiteStmt = d.(*sqlite3.SQLiteStmt)
	s.readonly = s.Readonly()
	s.returns = !s.readonly && strings.Contains(strings.ToUpper(query), "RETURNING")
	if _, taken := c.stmts[query]; !taken && len(c.stmts) < maxStatements {
		s.kept = true
		c.stmts[query] = s
	}
	return s, nil
}

func (c *conn) give(s *stmt) {
	s.busy = false
	if !s.kept {
		_ = s.Close()
	}
}

// execution is what a statement did.
type execution struct {
	changed int64 // rows
	last    int64 // number of the row that was added last
	wrote   bool
}

// exec runs one statement.
func (c *conn) exec(query string, args []driver.NamedValue) (execution, error) {
	s, err := c.take(query)
	if err != nil {
		return execution{}, err
	}
	defer c.give(s)
	c.answers.wrote(s.tables)
	if s.readonly || s.returns {
		// Only closing the rows resets the statement; one that stands on a row would hold up later commits.
		rows, err := s.QueryContext(context.Background(), args)
		if err != nil {
			return execution{}, err
		}
		return execution{wrote: s.returns}, rows.Close()
	}
	res, err := s.ExecContext(context.Background(), args)
	if err != nil {
		return execution{}, err
	}
	e := execution{wrote: true}
	if e.changed, err = res.RowsAffected(); err == nil {
		e.last, err = res.LastInsertId()
	}
	return e, err
}

// query runs one statement and calls each for every row until it returns false.
func (c *conn) query(ctx context.Context, query string, args []driver.NamedValue, each func(cols []driver.Value) (bool, error)) (wrote bool, err error) {
	s, err := c.take(query)
	if err != nil {
		return false, err
	}
	defer c.give(s)
	if !s.readonly {
		c.answers.wrote(s.tables)
		ctx = context.Background() // to interrupt a write would roll back everybody in the group
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return !s.readonly, err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	cols := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(cols); {
		case errors.Is(err, io.EOF):
			return !s.readonly, nil
		case err != nil:
			return !s.readonly, err
		}
		more, err := each(cols)
		if err != nil || !more {
			return !s.readonly, err
		}
	}
}

// run is exec for statements without arguments and answers: BEGIN, SAVEPOINT, COMMIT.
func (c *conn) run(query string) error {
	s, err := c.take(query)
	if err != nil {
		return err
	}
	defer c.give(s)
	_, err = s.ExecContext(context.Background(), nil)
	return err
}

// script runs several statements that are prepared one after the other, as a migration has them.
func (c *conn) script(sql string) error {
	_, err := c.raw.ExecContext(context.Background(), sql, nil)
	return err
}

func (c *conn) number(query string) (n int64, err error) {
	_, err = c.query(context.Background(), query, nil, func(cols []driver.Value) (bool, error) {
		var ok bool
		if n, ok = cols[0].(int64); !ok {
			return false, fmt.Errorf("%s answered %v", query, cols[0])
		}
		return false, nil
	})
	return n, err
}

func (c *conn) text(query string) (t string, err error) {
	_, err = c.query(context.Background(), query, nil, func(cols []driver.Value) (bool, error) {
		t = fmt.Sprint(cols[0])
		return false, nil
	})
	return t, err
}

// pragmas are settings with the values that must be read back.
type pragmas map[string]any

func writerPragmas() pragmas {
	return pragmas{"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "temp_store": 2, "wal_autocheckpoint": checkpointPages, "application_id": applicationID}
}

// check reads settings back: the driver's own defaults are weaker, and a setting that SQLite does not take is not an
// error there.
func (c *conn) check(want pragmas) error {
	for name, value := range want {
		got, err := c.text("PRAGMA " + name)
		if err != nil {
			return wrap("store.Open", err)
		}
		if !strings.EqualFold(got, fmt.Sprint(value)) {
			return fault.Newf("store.Open", fault.Unavailable,
				"SQLite's setting %s is %s and must be %v.", name, got, value).WithCode("store.setting")
		}
	}
	return nil
}
