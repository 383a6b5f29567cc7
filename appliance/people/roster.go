package people

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport/appliance/fault"
)

// Limits of a roster file, far above any facility.
const (
	rosterBytesMax = 32 << 20
	rosterRowsMax  = 100_000
	rosterFieldMax = 200
)

// rosterColumns are the columns of a roster and the other names that jail management systems give them.
var rosterColumns = []struct {
	name    string
	needed  bool
	aliases []string
}{
	{"number", true, []string{"inmate number", "inmate no", "permanent number", "person number", "offender number", "noms number", "id"}},
	{"booking", true, []string{"booking number", "booking no", "stay", "booking id"}},
	{"first_name", true, []string{"first", "given name", "forename", "first names"}},
	{"last_name", true, []string{"last", "surname", "family name"}},
	{"date_of_birth", true, []string{"dob", "born", "birth date", "birthdate"}},
	{"unit", true, []string{"housing", "housing unit", "wing", "location", "block"}},
	{"state", false, []string{"status", "custody status"}},
	{"language", false, []string{"lang", "preferred language"}},
	{"level", false, []string{"privilege level", "iep level", "incentive level"}},
	{"category", false, []string{"security category", "classification"}},
	{"legal", false, []string{"legal status", "legal_status"}},
}

// rosterRow is one good line of a roster.
type rosterRow struct {
	line   int
	inmate Inmate
	unit   string // its name
}

// BadRow is one line of a roster that waits in quarantine.
type BadRow struct {
	Line   int
	Column string
	Cause  string // not_utf8, columns, required, too_long, date, unknown, twice, unit_unknown
	raw    string
	number string // of the person, where it could be read: somebody with a bad row has not left
}

// readRoster reads a roster file: every good line and every bad one. It returns Invalid when the file as a whole cannot be
// read: not CSV, or without the columns that are needed.
func readRoster(r io.Reader) ([]rosterRow, []BadRow, []byte, error) {
	const op = "people.ImportRoster"
	raw, err := io.ReadAll(io.LimitReader(r, rosterBytesMax+1))
	if err != nil {
		return nil, nil, nil, err
	}
	if len(raw) > rosterBytesMax {
		return nil, nil, nil, fault.New(op, fault.Invalid, "This file is too big.").WithCode("file.tooBig")
	}
	body := bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	first, _, _ := bytes.Cut(body, []byte("\n"))
	in := csv.NewReader(bufio.NewReader(bytes.NewReader(body)))
	in.FieldsPerRecord, in.ReuseRecord, in.LazyQuotes = -1, false, false
	if bytes.Count(first, []byte(";")) > bytes.Count(first, []byte(",")) {
		in.Comma = ';'
	}
	head, err := in.Read()
	if err != nil {
		return nil, nil, nil, fault.New(op, fault.Invalid, "This is not a roster file.").WithCode("roster.notCSV").Because(err)
	}
	at, err := mapHeader(op, head)
	if err != nil {
		return nil, nil, nil, err
	}
	var rows []rosterRow
	var bad []BadRow
	seen := map[string]bool{}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, bad, raw, nil
		}
		line, _ := in.FieldPos(0)
		if perr, ok := errors.AsType[*csv.ParseError](err); ok {
			bad = append(bad, BadRow{Line: perr.StartLine, Cause: "columns"})
			continue
		}
		if err != nil {
			return nil, nil, nil, err
		}
		if len(rows)+len(bad) >= rosterRowsMax {
			return nil, nil, nil, fault.New(op, fault.Invalid, "This file has too many lines.").WithCode("file.tooBig")
		}
		row, wrong := readRow(record, len(head), at)
		row.line = line
		if wrong.Cause == "" && seen[row.inmate.Number] {
			wrong = BadRow{Column: "number", Cause: "twice"}
		}
		if wrong.Cause != "" {
			wrong.Line, wrong.raw, wrong.number = line, strings.Join(record, ","), row.inmate.Number
			bad = append(bad, wrong)
			continue
		}
		seen[row.inmate.Number] = true
		rows = append(rows, row)
	}
}

// mapHeader finds the place of each column by its name or one of its other names.
func mapHeader(op string, head []string) (map[string]int, error) {
	at := map[string]int{}
	plain := func(s string) string { return strings.ReplaceAll(fold(s), " ", "") }
	for i, h := range head {
		for _, c := range rosterColumns {
			names := append([]string{c.name}, c.aliases...)
			if _, have := at[c.name]; !have && slices.ContainsFunc(names, func(n string) bool { return plain(n) == plain(h) }) {
				at[c.name] = i
				break
			}
		}
	}
	f := fault.New(op, fault.Invalid, "Some columns are missing.").WithCode("roster.columns")
	for _, c := range rosterColumns {
		if _, ok := at[c.name]; c.needed && !ok {
			f.WithField(c.name, "required")
		}
	}
	if len(f.Fields) > 0 {
		return nil, f
	}
	return at, nil
}

// readRow reads one line; the number is filled in even when the line is bad, where it can be read.
func readRow(record []string, width int, at map[string]int) (rosterRow, BadRow) {
	var r rosterRow
	field := func(name string) string {
		i, ok := at[name]
		if !ok || i >= len(record) {
			return ""
		}
		return clean(record[i])
	}
	r.inmate.Number = FoldNumber(field("number"))
	if len(record) != width {
		return r, BadRow{Cause: "columns"}
	}
	for _, c := range rosterColumns {
		i, ok := at[c.name]
		if !ok {
			continue
		}
		switch {
		case !utf8.ValidString(record[i]):
			return r, BadRow{Column: c.name, Cause: "not_utf8"}
		case utf8.RuneCountInString(record[i]) > rosterFieldMax:
			return r, BadRow{Column: c.name, Cause: "too_long"}
		case c.needed && c.name != "unit" && field(c.name) == "":
			return r, BadRow{Column: c.name, Cause: "required"}
		}
	}
	if len(r.inmate.Number) > 20 {
		return r, BadRow{Column: "number", Cause: "too_long"}
	}
	r.inmate.Booking, r.inmate.First, r.inmate.Last = field("booking"), field("first_name"), field("last_name")
	for _, n := range []struct{ column, name string }{{"first_name", r.inmate.First}, {"last_name", r.inmate.Last}} {
		if !nameFits(n.name) {
			return r, BadRow{Column: n.column, Cause: "unknown"}
		}
	}
	born, ok := readDate(field("date_of_birth"))
	if !ok {
		return r, BadRow{Column: "date_of_birth", Cause: "date"}
	}
	r.inmate.Born, r.unit = born, field("unit")
	state, ok := readState(field("state"))
	if !ok {
		return r, BadRow{Column: "state", Cause: "unknown"}
	}
	r.inmate.State = state
	if r.unit == "" && state == InCustody {
		return r, BadRow{Column: "unit", Cause: "required"}
	}
	r.inmate.Language = strings.ToLower(field("language"))
	if r.inmate.Language != "" && !slices.Contains([]string{"en", "cy", "es"}, r.inmate.Language) {
		return r, BadRow{Column: "language", Cause: "unknown"}
	}
	r.inmate.Level, r.inmate.Category, r.inmate.Legal = field("level"), field("category"), field("legal")
	return r, BadRow{}
}

// readDate reads YYYY-MM-DD, as the standard has it; other orders cannot be told apart and are refused.
func readDate(s string) (string, bool) {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil || d.Year() < 1900 {
		return "", false
	}
	return s, true
}

func readState(s string) (string, bool) {
	switch fold(s) {
	case "", "in custody", "incustody", "in", "active", "present", "admitted":
		return InCustody, true
	case "temp out", "out to court", "court", "hospital", "temporary absence", "out":
		return TempOut, true
	case "transferred out", "transferred":
		return TransferredOut, true
	case "released", "discharged":
		return Released, true
	case "escaped":
		return Escaped, true
	case "deceased", "died":
		return Deceased, true
	case "status unknown", "unknown":
		return StatusUnknown, true
	}
	return "", false
}

// RosterUnits returns the names of the housing units in a roster file, each once, in their order. It returns Invalid when
// the file as a whole cannot be read.
func RosterUnits(file io.Reader) ([]string, error) {
	rows, _, _, err := readRoster(file)
	if err != nil {
		return nil, err
	}
	var names []string
	seen := map[string]bool{}
	for _, r := range rows {
		if key := fold(r.unit); key != "" && !seen[key] {
			seen[key] = true
			names = append(names, r.unit)
		}
	}
	return names, nil
}
