package facility

import (
	"fmt"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Hours is a span of one weekday in facility time, in minutes after midnight.
type Hours struct {
	Weekday       time.Weekday
	Opens, Closes int
}

// Opening says when visits may take place. Without any hours the facility is always open.
type Opening []Hours

// Covers tells whether the whole span lies inside one of the weekday's hours.
func (o Opening) Covers(day time.Weekday, from, to int) bool {
	for _, h := range o {
		if h.Weekday == day && h.Opens <= from && to <= h.Closes {
			return true
		}
	}
	return len(o) == 0
}

// Opening returns the facility's hours, from Sunday.
func (*Facilities) Opening(tx *store.Tx) (Opening, error) {
	return store.All(tx, func(r *store.Rows) (h Hours, err error) {
		err = r.Scan(&h.Weekday, &h.Opens, &h.Closes)
		return h, err
	}, `SELECT weekday, opens, closes FROM opening ORDER BY weekday, opens`)
}

// SetOpening replaces the facility's hours. Invalid when a span is empty or overlaps another of its day.
func (fs *Facilities) SetOpening(tx *store.Tx, by ident.Actor, o Opening) error {
	for i, h := range o {
		bad := h.Weekday < time.Sunday || h.Weekday > time.Saturday || h.Opens < 0 || h.Closes > 24*60 || h.Opens >= h.Closes
		for _, other := range o[:i] {
			bad = bad || other.Weekday == h.Weekday && other.Opens < h.Closes && h.Opens < other.Closes
		}
		if bad {
			return fault.New("facility.SetOpening", fault.Invalid, "Opening hours must be whole spans of one day that do not overlap.").
				WithField(fmt.Sprintf("opening[%d]", i), "hours")
		}
	}
	before, err := fs.Opening(tx)
	if err != nil {
		return err
	}
	if err := tx.Exec(`DELETE FROM opening`); err != nil {
		return fmt.Errorf("clear opening hours: %w", err)
	}
	for _, h := range o {
		if err := tx.Exec(`INSERT INTO opening (weekday, opens, closes) VALUES (?, ?, ?)`, int(h.Weekday), h.Opens, h.Closes); err != nil {
			return fmt.Errorf("write opening hours: %w", err)
		}
	}
	return audit.Record(tx, by, "facility.opening", "facility", audit.Before(before), audit.After(o))
}
