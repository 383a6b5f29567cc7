package people

import (
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// The states of an inmate's custody.
const (
	InCustody      = "in_custody"
	TempOut        = "temp_out"
	TransferredOut = "transferred_out"
	Released       = "released"
	Escaped        = "escaped"
	Deceased       = "deceased"
	StatusUnknown  = "status_unknown"
)

// Inmate is a person in the facility's custody: a permanent number, and a stay named by Booking.
type Inmate struct {
	ID          ident.Inmate
	Number      string
	Booking     string
	First, Last string
	Born        string // YYYY-MM-DD
	Language    string
	Level       string // privilege level
	Category    string // security category
	Legal       string // remand, sentenced, ...
	Unit        ident.Unit
	State       string
	Version     int64
}

// Name is first and last name.
func (i Inmate) Name() string { return i.First + " " + i.Last }

// Present tells whether the inmate is in the building's custody now.
func (i Inmate) Present() bool { return i.State == InCustody }

const inmateColumns = `id, number, booking, first, last, born, language, level, category, legal, coalesce(unit, ''), state, version`

type scanner interface{ Scan(dest ...any) error }

func scanInmate(r scanner) (i Inmate, err error) {
	err = r.Scan(&i.ID, &i.Number, &i.Booking, &i.First, &i.Last, &i.Born, &i.Language, &i.Level, &i.Category, &i.Legal, &i.Unit, &i.State, &i.Version)
	return i, err
}

func rowsInmate(r *store.Rows) (Inmate, error) { return scanInmate(r) }

// Inmate returns an inmate, NotFound when there is none.
func (p *People) Inmate(tx *store.Tx, id ident.Inmate) (Inmate, error) {
	i, err := scanInmate(tx.Row(`SELECT `+inmateColumns+` FROM inmate WHERE id = ?`, id))
	return i, missing(err, "people.Inmate", "There is no such inmate.")
}

// InmateByNumber returns the inmate with a permanent number, NotFound when there is none.
func (p *People) InmateByNumber(tx *store.Tx, number string) (Inmate, error) {
	i, err := scanInmate(tx.Row(`SELECT `+inmateColumns+` FROM inmate WHERE number = ?`, FoldNumber(number)))
	return i, missing(err, "people.InmateByNumber", "There is no such inmate.")
}

// Inmates lists inmates for staff, those whose name or number holds the words of query, in order of their names, and says
// how many there are in all.
func (p *People) Inmates(tx *store.Tx, query string, offset, limit int) ([]Inmate, int, error) {
	const fits = ` FROM inmate WHERE folded LIKE ?1 ESCAPE '\' OR number LIKE ?2 ESCAPE '\'`
	name, number := "%"+escapeLike(fold(query))+"%", escapeLike(FoldNumber(query))+"%"
	var total int
	if err := tx.Row(`SELECT count(*)`+fits, name, number).Scan(&total); err != nil {
		return nil, 0, err
	}
	list, err := store.All(tx, rowsInmate, `SELECT `+inmateColumns+fits+` ORDER BY last, first, id LIMIT ?3 OFFSET ?4`, name, number, limit, offset)
	return list, total, err
}

// InUnits counts who lives in each housing unit now, whoever is out for a while included.
func (p *People) InUnits(tx *store.Tx) (map[ident.Unit]int, error) {
	type count struct {
		unit ident.Unit
		n    int
	}
	list, err := store.All(tx, func(r *store.Rows) (c count, err error) { err = r.Scan(&c.unit, &c.n); return c, err },
		`SELECT unit, count(*) FROM inmate WHERE state IN ('in_custody','temp_out') AND unit IS NOT NULL GROUP BY unit`)
	in := map[ident.Unit]int{}
	for _, c := range list {
		in[c.unit] = c.n
	}
	return in, err
}

// missing turns a row that is not there into the room's own words.
func missing(err error, op, words string) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(op, fault.NotFound, words).WithCode("not_found")
	}
	return err
}
