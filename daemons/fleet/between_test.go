package fleet

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sallyport/appliance/api"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
)

// edit changes the database of a house that is stopped.
func (h *house) edit(t *testing.T, fn func(ctx context.Context, db *store.DB) error) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(h.state, "booking", "sallyport.db"), Migrations: api.Schemas()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var g errgroup.Group
	g.Go(func() error { return db.Serve(ctx) })
	err = fn(ctx, db)
	cancel()
	if serr := g.Wait(); err == nil {
		err = serr
	}
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		t.Fatal(err)
	}
}

// startIn adds sessions to a stopped house so that a visit can begin about a time from now, and returns the start. The
// evaluation's own sessions begin every five minutes, which is long to wait for.
func (h *house) startIn(t *testing.T, lead time.Duration) (start time.Time) {
	t.Helper()
	h.edit(t, func(ctx context.Context, db *store.DB) error {
		sites := facility.New()
		rooms := schedule.New(schedule.Deps{Facility: sites, Policy: policy.New()})
		err := db.Update(ctx, func(tx *store.Tx) error {
			site, err := sites.Get(tx)
			if err != nil {
				return err
			}
			zone, err := site.Location()
			if err != nil {
				return err
			}
			start = tx.Now().Add(lead + time.Minute).Truncate(time.Minute)
			first := start.In(zone).Minute() % 5
			if first == 0 {
				return nil // the evaluation has sessions then
			}
			_, err = rooms.PutTemplate(tx, ident.System(), schedule.Template{
				Name: "Fleet", Class: "social", EveryWeeks: 1, Starts: first, Ends: 24 * 60, Pitch: 5, Lengths: []int{5}, Capacity: 5,
				Weekdays: []time.Weekday{0, 1, 2, 3, 4, 5, 6}, From: tx.Now().AddDate(0, 0, -1).Format(time.DateOnly),
				Initiators: []string{"visitor", "inmate", "staff"},
			})
			return err
		})
		if err != nil {
			return err
		}
		return rooms.UnfoldAll(ctx, db)
	})
	return start
}

// upcoming is the start or, on a machine too busy to be ready for it, the next one.
func upcoming(start time.Time) time.Time {
	for time.Until(start) < 2*time.Second {
		start = start.Add(5 * time.Minute)
	}
	return start
}

// moved is a browser after its house was started again: the same cookies, other ports.
func (h *house) moved(b *browser) *browser {
	return &browser{b.Moved(h.door(b.Name))}
}
