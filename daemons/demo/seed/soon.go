package seed

import (
	"context"
	"fmt"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/store"
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
	at = now.Add(6 * time.Minute).Truncate(5 * time.Minute).Add(5 * time.Minute)
	if h.anchor > 0 {
		at = now.Add(h.anchor).Truncate(time.Minute).Add(6 * time.Minute)
	}
	if _, err := h.book(ctx, p, p.Visitors[0].ID, p.Inmates[0].ID, at, 15); err != nil {
		return "", fmt.Errorf("book the visit that begins soon: %w", err)
	}
	return words(at), nil
}
