package policy

import (
	_ "embed" // for the table
	"fmt"
	"strings"
)

// tableText is the rule table: what a facility may decide, in which range, and what each preset begins with.
//
//go:embed table.tsv
var tableText string

// Second says when a change of a rule needs a second person.
type Second string

// When a second person is needed.
const (
	SecondNever   Second = "-"
	SecondAlways  Second = "dagger"  // rules that guard safety, privilege, evidence or money
	SecondShorter Second = "shorter" // retention: when less is kept
)

// Row is one rule of the table.
type Row struct {
	Rule       string
	Type       string // bool, int, duration, money, decimal, enum, set, ints, durations, map, hours, zone, text
	Range      string // "1..60", "5..120/5", "a|b|c", "x|y=a|b"; "-" for none
	CountyJail string
	Prison     string
	Second     Second
	Override   string // who may pass the rule for one case: C clerk, G governor's authority, M moderator, W monitor, A administrator, V the visitor's own choice, 2 two people, - nobody
	limits     limits
}

// Preset returns the value that a preset begins with.
func (r Row) Preset(name string) string {
	if name == Prison {
		return r.Prison
	}
	return r.CountyJail
}

type table struct {
	rows  []Row
	index map[string]int
}

func (t *table) find(rule string) (Row, bool) {
	i, ok := t.index[rule]
	if !ok {
		return Row{}, false
	}
	return t.rows[i], true
}

// parseTable reads the table and checks it against itself: every preset's value must be in its own range.
func parseTable(text string) (*table, error) {
	t := &table{index: map[string]int{}}
	for n, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 7 {
			return nil, fmt.Errorf("table line %d has %d columns", n+1, len(f))
		}
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
			if f[i] == `""` {
				f[i] = ""
			}
		}
		row := Row{Rule: f[0], Type: f[1], Range: f[2], CountyJail: f[3], Prison: f[4], Second: Second(f[5]), Override: f[6]}
		var err error
		if row.limits, err = parseLimits(row.Type, row.Range); err != nil {
			return nil, fmt.Errorf("table line %d, %s: %w", n+1, row.Rule, err)
		}
		for _, preset := range []string{CountyJail, Prison} {
			if _, err := row.parse(row.Preset(preset)); err != nil {
				return nil, fmt.Errorf("table line %d, %s, %s: %w", n+1, row.Rule, preset, err)
			}
		}
		if _, twice := t.index[row.Rule]; twice {
			return nil, fmt.Errorf("table line %d: %s stands twice", n+1, row.Rule)
		}
		t.index[row.Rule] = len(t.rows)
		t.rows = append(t.rows, row)
	}
	return t, nil
}

// Table returns all rules in the order of the table.
func (p *Policy) Table() []Row { return append([]Row(nil), p.table.rows...) }
