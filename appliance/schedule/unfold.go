package schedule

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

// horizon is how many days ahead slots stand: the widest booking window that a policy may have.
const horizon = 60

// chunk is how many slots one transaction makes: a template's busiest day fits, and replication takes 100 records.
const chunk = 90

// Serve keeps slots unfolded 60 days ahead, until ctx ends. It looks at once and then every hour.
func (s *Schedule) Serve(ctx context.Context, db *store.DB, c clock.Clock) error {
	for {
		if err := s.UnfoldAll(ctx, db); err != nil && ctx.Err() == nil {
			return fmt.Errorf("unfold the schedule: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.After(time.Hour):
		}
	}
}

// UnfoldAll makes every slot that is missing, in small transactions.
func (s *Schedule) UnfoldAll(ctx context.Context, db *store.DB) error {
	for {
		more := false
		err := db.Update(ctx, func(tx *store.Tx) (err error) {
			more, err = s.Unfold(tx)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}

// Unfold makes up to a chunk of missing slots and tells whether there are more to make.
func (s *Schedule) Unfold(tx *store.Tx) (more bool, err error) {
	f, err := s.Facility.Get(tx)
	if fault.Is(err, fault.NotFound) {
		return false, nil // not set up yet
	}
	if err != nil {
		return false, err
	}
	loc, err := f.Location()
	if err != nil {
		return false, err
	}
	today := tx.Now().In(loc).Format(time.DateOnly)
	until := addDays(today, horizon)
	t, err := store.All(tx, func(r *store.Rows) (Template, error) { return scanTemplate(r.Scan) }, `SELECT `+templateColumns+` FROM session_templates
		WHERE valid_from <= ?1 AND (valid_to = '' OR valid_to >= ?2)
			AND unfolded < CASE WHEN valid_to <> '' AND valid_to < ?1 THEN valid_to ELSE ?1 END
		ORDER BY unfolded, id LIMIT 1`, until, today)
	if err != nil || len(t) == 0 {
		return false, err
	}
	return true, s.unfold(tx, t[0], loc, today, until)
}

// unfold makes the next days of one template, whole days only, so that a day is never half there.
func (s *Schedule) unfold(tx *store.Tx, t Template, loc *time.Location, today, until string) error {
	if t.To != "" && t.To < until {
		until = t.To
	}
	date := max(today, t.From)
	if t.Unfolded >= date {
		date = addDays(t.Unfolded, 1)
	}
	made := 0
	for ; date <= until; date = addDays(date, 1) {
		starts := t.on(date, loc)
		if made > 0 && made+len(starts) > chunk {
			break
		}
		for _, at := range starts {
			if err := s.makeSlot(tx, t, date, at); err != nil {
				return err
			}
		}
		made += len(starts)
		t.Unfolded = date
	}
	if err := tx.Exec(`UPDATE session_templates SET unfolded = ? WHERE id = ?`, t.Unfolded, string(t.ID)); err != nil {
		return fmt.Errorf("note the last unfolded day: %w", err)
	}
	return nil
}

func (s *Schedule) makeSlot(tx *store.Tx, t Template, date string, at time.Time) error {
	id, ends := ident.New[ident.Slot](), at.Add(time.Duration(t.Pitch)*time.Minute)
	err := tx.Exec(`INSERT INTO slots (template, starts, ends, date, capacity, id) VALUES (?, ?, ?, ?, ?, ?)`,
		string(t.ID), store.Ms(at), store.Ms(ends), date, t.Capacity, string(id))
	if err != nil {
		return fmt.Errorf("make slot: %w", err)
	}
	if s.Put == nil || !record.Travels(t.Class) {
		return nil
	}
	return s.Put(tx, record.New(record.TypeSlot, id, &record.Slot{
		Template: string(t.ID), StartsMs: store.Ms(at), EndsMs: store.Ms(ends), Capacity: int32(t.Capacity), State: "open",
	}).ByActor(ident.System()))
}

// on returns the instants at which the template's slots of a date start. A start that the clock change skips is not
// made, nor one that would begin inside the slot before it; of a doubled hour the first is used.
func (t Template) on(date string, loc *time.Location) []time.Time {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil || date < t.From || t.To != "" && date > t.To || !slices.Contains(t.Weekdays, day.Weekday()) || slices.Contains(t.Excluded, date) {
		return nil
	}
	from, err := time.Parse(time.DateOnly, t.From)
	if err != nil || weeksBetween(from, day)%t.EveryWeeks != 0 {
		return nil
	}
	var starts []time.Time
	pitch := time.Duration(t.Pitch) * time.Minute
	for m := t.Starts; m+t.Pitch <= t.Ends; m += t.Pitch {
		at, ok := instant(day, m, loc)
		if !ok || len(starts) > 0 && at.Before(starts[len(starts)-1].Add(pitch)) {
			continue
		}
		starts = append(starts, at)
	}
	return starts
}

// weeksBetween counts calendar weeks, which start on Monday, between the weeks of two dates.
func weeksBetween(a, b time.Time) int {
	monday := func(t time.Time) time.Time { return t.AddDate(0, 0, -(int(t.Weekday())+6)%7) }
	return int(monday(b).Sub(monday(a)).Hours()) / (24 * 7)
}

// instant is the moment at which a clock in loc shows this minute of this date: false when the clock change skips it,
// the first one when it comes twice.
func instant(day time.Time, minute int, loc *time.Location) (time.Time, bool) {
	wall := func(t time.Time) bool {
		h, m, _ := t.Clock()
		return t.Day() == day.Day() && h*60+m == minute
	}
	t := time.Date(day.Year(), day.Month(), day.Day(), minute/60, minute%60, 0, 0, loc)
	if !wall(t) {
		return time.Time{}, false
	}
	changed, _ := t.ZoneBounds()
	if changed.IsZero() {
		return t.UTC(), true
	}
	_, before := changed.Add(-time.Second).In(loc).Zone()
	_, now := t.Zone()
	if first := t.Add(time.Duration(now-before) * time.Second); first.Before(t) && wall(first) {
		return first.UTC(), true
	}
	return t.UTC(), true
}

// addDays moves a date; dates are compared as text.
func addDays(date string, n int) string {
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return d.AddDate(0, 0, n).Format(time.DateOnly)
}
