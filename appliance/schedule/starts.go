package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Starts returns every start between two facility dates, both included, that a visit could take: the session is open
// to this inmate, every slot of the run has room and nothing is closed. Who is busy then is for the caller to leave
// out. They come in order of time, each moment once.
func (s *Schedule) Starts(tx *store.Tx, from, to string, f For) ([]Place, error) {
	templates, err := store.All(tx, func(r *store.Rows) (Template, error) { return scanTemplate(r.Scan) },
		`SELECT `+templateColumns+` FROM session_templates WHERE class = ? AND valid_from <= ? AND (valid_to = '' OR valid_to >= ?)`, f.Class, to, from)
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	// A facility date lies within a day and a half of the same date in UTC, wherever the facility is.
	low, high, err := around(from, to)
	if err != nil {
		return nil, err
	}
	closed, err := s.closures(tx, low, high)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(templates, func(a, b Template) int { return b.narrowness() - a.narrowness() })
	var places []Place
	seen := map[int64]bool{}
	for _, t := range templates {
		if !t.suits(f) {
			continue
		}
		slots, err := store.All(tx, scanSlot, `SELECT template, starts, ends, date, taken < capacity + extra FROM slots
			WHERE template = ? AND starts >= ? AND starts < ? AND date BETWEEN ? AND ? ORDER BY starts`, string(t.ID), store.Ms(low), store.Ms(high), from, to)
		if err != nil {
			return nil, fmt.Errorf("read slots: %w", err)
		}
		for i, first := range slots {
			p := newPlace(t, first, f)
			if seen[first.starts] || !free(slots[i:], p.Slots, p.Pitch.Milliseconds()) || closed.on(t.ID, f.Unit, first.starts, store.Ms(p.Ends)) {
				continue
			}
			seen[first.starts] = true
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(a, b Place) int { return cmp.Compare(store.Ms(a.Starts), store.Ms(b.Starts)) })
	return places, nil
}

// free tells whether the first n slots follow each other without a gap on one date and have room.
func free(slots []slot, n int, pitch int64) bool {
	if len(slots) < n {
		return false
	}
	for i := range n {
		if !slots[i].free || slots[i].date != slots[0].date || slots[i].starts != slots[0].starts+int64(i)*pitch {
			return false
		}
	}
	return true
}

func around(from, to string) (low, high time.Time, err error) {
	if low, err = time.Parse(time.DateOnly, from); err != nil {
		return low, high, fmt.Errorf("read date: %w", err)
	}
	if high, err = time.Parse(time.DateOnly, to); err != nil {
		return low, high, fmt.Errorf("read date: %w", err)
	}
	return low.Add(-36 * time.Hour), high.Add(60 * time.Hour), nil
}

// Slot is one start of a session, as staff see it.
type Slot struct {
	ID                     ident.Slot
	Template               ident.Template
	Starts, Ends           time.Time
	Date                   string
	Capacity, Extra, Taken int
}

// Day returns the slots of a facility date by time.
func (s *Schedule) Day(tx *store.Tx, date string) ([]Slot, error) {
	low, high, err := around(date, date)
	if err != nil {
		return nil, err
	}
	return store.All(tx, func(r *store.Rows) (one Slot, err error) {
		err = r.Scan(&one.ID, &one.Template, &one.Starts, &one.Ends, &one.Date, &one.Capacity, &one.Extra, &one.Taken)
		return one, err
	}, `SELECT id, template, starts, ends, date, capacity, extra, taken FROM slots WHERE starts >= ? AND starts < ? AND date = ? ORDER BY starts, template`,
		store.Ms(low), store.Ms(high), date)
}
