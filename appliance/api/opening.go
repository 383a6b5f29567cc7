package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/store"
)

// OpeningSpan is a span of one weekday.
type OpeningSpan struct {
	Weekday int    `json:"weekday"`
	Opens   string `json:"opens"`
	Closes  string `json:"closes"`
}

// OpeningHours is when visits may take place at all.
type OpeningHours struct {
	Hours []OpeningSpan `json:"hours"`
}

// Opening answers the facility's opening hours.
func (r *Rooms) Opening(ctx context.Context) (out OpeningHours, err error) {
	err = r.DB.View(ctx, func(tx *store.Tx) (err error) { out.Hours, err = r.openingSpans(tx); return err })
	return out, err
}

// SetOpening replaces the facility's opening hours.
func (r *Rooms) SetOpening(ctx context.Context, n OpeningHours) (out OpeningHours, err error) {
	by := From(ctx).Actor()
	var o facility.Opening
	for _, h := range n.Hours {
		o = append(o, facility.Hours{Weekday: time.Weekday(h.Weekday), Opens: minutes(h.Opens), Closes: minutes(h.Closes)})
	}
	err = r.DB.Update(ctx, func(tx *store.Tx) error {
		if err := r.Facility.SetOpening(tx, by, o); err != nil {
			return err
		}
		out.Hours, err = r.openingSpans(tx)
		return err
	})
	return out, err
}

func (r *Rooms) openingSpans(tx *store.Tx) ([]OpeningSpan, error) {
	opening, err := r.Facility.Opening(tx)
	out := []OpeningSpan{}
	for _, h := range opening {
		out = append(out, OpeningSpan{Weekday: int(h.Weekday), Opens: Wall(h.Opens), Closes: Wall(h.Closes)})
	}
	return out, err
}

// Wall writes minutes after midnight as a clock shows them; 24:00 is the end of the day.
func Wall(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }

// minutes reads what Wall wrote; the contract has seen to its shape.
func minutes(clock string) int {
	h, m, _ := strings.Cut(clock, ":")
	return 60*two(h) + two(m)
}

func two(digits string) (n int) {
	for _, c := range digits {
		n = 10*n + int(c-'0')
	}
	return n
}
