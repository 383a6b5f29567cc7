package visits

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
)

// Ground is what visits stand on and staff may take away: a session template after a date, a station, a unit, a span of
// time. What is empty does not narrow; a visit stands on the ground when everything that is set fits.
type Ground struct {
	Template ident.Template
	After    string // facility date; the days after it
	Station  ident.Station
	Unit     ident.Unit // where the inmate lives
	From, To time.Time
}

// Under returns what a closure takes away.
func Under(c schedule.Closure) Ground {
	g := Ground{From: c.From, To: c.To}
	switch c.Scope {
	case schedule.CloseUnit:
		g.Unit = ident.Unit(c.Key)
	case schedule.CloseTemplate:
		g.Template = ident.Template(c.Key)
	case schedule.CloseStation:
		g.Station = ident.Station(c.Key)
	}
	return g
}

func (g Ground) where(now time.Time) (string, []any) {
	all, args := []string{`state IN ('suggested', 'awaiting_staff', 'confirmed', 'checking_in') AND ends > ?`}, []any{store.Ms(now)}
	add := func(text string, arg ...any) { all, args = append(all, text), append(args, arg...) }
	if g.Template != "" {
		add(`template = ?`, string(g.Template))
	}
	if g.After != "" {
		add(`date > ?`, g.After)
	}
	if g.Station != "" {
		add(`(station = ? OR lobby = ?)`, string(g.Station), string(g.Station))
	}
	if g.Unit != "" {
		add(`inmate IN (SELECT id FROM inmate WHERE unit = ?)`, string(g.Unit))
	}
	if !g.To.IsZero() {
		add(`starts < ? AND ends > ?`, store.Ms(g.To), store.Ms(g.From))
	}
	return strings.Join(all, " AND "), args
}

// Standing counts the visits that are planned or asked for on a ground.
func (vs *Visits) Standing(tx *store.Tx, g Ground) (n int, err error) {
	where, args := g.where(tx.Now())
	if err := tx.Row(`SELECT count(*) FROM visits WHERE `+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count visits: %w", err)
	}
	return n, nil
}

// displacedAtOnce is how many visits one transaction flags: each replicates.
const displacedAtOnce = 50

// Displace raises an issue on confirmed visits whose ground is taken away, for staff to move or cancel, and tells whether
// there are more. Requests are left: whoever answers them finds that the time is gone.
func (vs *Visits) Displace(tx *store.Tx, by ident.Actor, g Ground, issue string) (more bool, err error) {
	where, args := g.where(tx.Now())
	list, err := vs.list(tx, where+` AND state = 'confirmed' ORDER BY starts`, args...)
	if err != nil {
		return false, err
	}
	n := 0
	for _, v := range list {
		if slices.Contains(v.Review, issue) {
			continue
		}
		if n++; n > displacedAtOnce {
			return true, nil
		}
		if err := vs.Flag(tx, by, v.ID, issue); err != nil {
			return false, err
		}
	}
	return false, nil
}
