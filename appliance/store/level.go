package store

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"regexp"
	"strconv"

	"sallyport/appliance/fault"
)

// Level is how far a program's migrations reach. It is a plain number because releases only add migrations: of two
// programs of one line, the one with more of them has all of the other's.
//
// Both slots of a box share one database, and an update that fails goes back to the program before by itself, at night,
// without anybody to decide what becomes of the bookings made meanwhile. So the rule is not a snapshot that a rollback
// restores, which would lose them, but that a migration leaves the file readable and writable for the program before:
// what is new is added in one release, used in the next and the old form is taken away in the one after. A migration
// that adds needs no word. One that takes away begins with
//
//	-- contract: reads 14
//
// which says the lowest level of a program that can work with the file afterwards. The file keeps that number, so that
// the older program knows whether it may open it: [Open] refuses a file from a newer program only when a contract is
// above its own level. An update is refused when the program that runs could not read what it writes.
type Level struct {
	Schema int // number of migrations
	Reads  int // lowest level of a program that can work with a file of this one
}

// LevelOf returns the level of a program with these migrations.
func LevelOf(rooms []fs.FS) (Level, error) {
	all, err := collect(rooms)
	if err != nil {
		return Level{}, err
	}
	return level(all), nil
}

// level of migrations. Where nothing was ever taken away a program of any level can work with the file, as long as it
// has the first migration.
func level(all []migration) Level {
	l := Level{Schema: len(all), Reads: 1}
	for _, m := range all {
		l.Reads = max(l.Reads, int(m.reads))
	}
	return l
}

var (
	contractLine = regexp.MustCompile(`^-- contract: reads ([1-9]\d{0,5})\n`)
	contractWord = regexp.MustCompile(`(?i)^--\s*contract`)
)

// contract reads what a migration says of itself; a line that is nearly right is refused.
func contract(m migration) (reads int64, err error) {
	if at := contractLine.FindStringSubmatch(m.sql); at != nil {
		return strconv.ParseInt(at[1], 10, 64)
	}
	if contractWord.MatchString(m.sql) {
		return 0, fault.Newf("store.Open", fault.Internal, `The migration %s does not begin with "-- contract: reads N".`, m.name)
	}
	return 0, nil
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
