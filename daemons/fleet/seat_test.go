package fleet

import (
	"context"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/reel/reeltest"
	"sallyport/daemons/fleet/seattest"
)

// seat is one party of a call.
type seat struct {
	who *browser
	*seattest.Seat
}

// take joins a visit's call, up to sending media and having read the notice.
func (b *browser) take(t *testing.T, visit string, film []reeltest.Frame) *seat {
	t.Helper()
	return &seat{b, seattest.Take(t, &seattest.Seat{Who: b.Browser, Visit: visit, Film: film})}
}

// liveCall is a call as the staff's wall shows it; nil when it is not there or the wall does not answer.
func (h *house) liveCall(t *testing.T, visit string) map[string]any {
	t.Helper()
	b := h.worker(t, "monitor")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	a, err := b.Try(ctx, "GET", "live", nil)
	if err != nil || a.Status != 200 {
		return nil
	}
	for _, c := range doortest.List(a.Body, "calls") {
		if c["visit"] == visit {
			return c
		}
	}
	return nil
}

// seatState is a seat's state on the staff's wall.
func seatState(call map[string]any, seat string) string {
	for _, s := range doortest.List(call, "seats") {
		if s["seat"] == seat {
			return doortest.Str(s, "state")
		}
	}
	return ""
}
