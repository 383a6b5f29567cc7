package seed

import (
	"context"
	"fmt"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/fault"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// codes issues an enrolment code for each station, the old ones having lapsed.
func (h *house) codes(ctx context.Context, p *People) error {
	return h.db.Update(ctx, func(tx *store.Tx) error {
		for n := range p.Stations {
			code, _, err := h.access.NewEnrolment(tx, p.actor(access.Administrator), p.Stations[n].ID)
			if err != nil {
				return fmt.Errorf("code for %s: %w", p.Stations[n].Name, err)
			}
			p.Stations[n].Code = code
		}
		return nil
	})
}

// soon sees to it that the first visitor and the first inmate have a visit that can be joined within minutes.
func (h *house) soon(ctx context.Context, p People) (string, error) {
	now := time.Now()
	words := func(at time.Time) string {
		return fmt.Sprintf("A visit of %s with %s begins at %s (%s).", p.Visitors[0].Name, p.Inmates[0].Name, at.In(h.localDay(0).Location()).Format("15:04"), h.place.zone)
	}
	var at time.Time
	err := h.db.View(ctx, func(tx *store.Tx) error {
		booked, err := h.visits.OfVisitor(tx, p.Visitors[0].ID, now, now.Add(15*time.Minute))
		for _, v := range booked {
			if v.Planned() {
				at = v.Starts
			}
		}
		return err
	})
	if err != nil || !at.IsZero() {
		return words(at), err
	}
	at, err = h.next(ctx, p, now.Add(6*time.Minute))
	if err != nil || at.IsZero() {
		return "", err
	}
	_, err = h.book(ctx, p, p.Visitors[0].ID, p.Inmates[0].ID, at, 15)
	if f, refused := fault.Of(err); refused && f.Kind != fault.Internal {
		return "", nil // whatever people did in this evaluation stands against it
	}
	if err != nil {
		return "", fmt.Errorf("book the visit that begins soon: %w", err)
	}
	return words(at), nil
}

// next is the first start after the moment that the first visitor and inmate could have today or tomorrow; zero when none.
func (h *house) next(ctx context.Context, p People, after time.Time) (time.Time, error) {
	var first time.Time
	err := h.db.View(ctx, func(tx *store.Tx) error {
		c, found, err := h.people.ContactOf(tx, p.Visitors[0].ID, p.Inmates[0].ID)
		if err != nil || !found {
			return err
		}
		today := h.localDay(0)
		places, err := h.visits.Starts(tx, p.actor(access.Clerk), visits.Request{Contact: c.ID, Class: visits.Social, Minutes: 15},
			today.Format(time.DateOnly), today.AddDate(0, 0, 1).Format(time.DateOnly))
		for _, place := range places {
			if place.Starts.After(after) && (first.IsZero() || place.Starts.Before(first)) {
				first = place.Starts
			}
		}
		return err
	})
	return first, err
}
