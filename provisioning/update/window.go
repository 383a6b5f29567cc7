package update

import (
	"regexp"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

// Window is when the box may install and start anew by itself: one stretch of a week.
type Window struct {
	day        time.Weekday
	from, till time.Duration // since midnight; till may be on the next day
}

var windowForm = regexp.MustCompile(`^(Sun|Mon|Tue|Wed|Thu|Fri|Sat) (\d\d:\d\d)-(\d\d:\d\d)$`)

// ParseWindow reads a window such as "Sun 02:00-04:00".
func ParseWindow(text string) (w Window, err error) {
	bad := fault.Newf("update.ParseWindow", fault.Invalid, `%.40q is not a window: write a day and two times, as "Sun 02:00-04:00".`, text)
	m := windowForm.FindStringSubmatch(text)
	if m == nil {
		return w, bad
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if d.String()[:3] == m[1] {
			w.day = d
		}
	}
	for i, to := range []*time.Duration{&w.from, &w.till} {
		at, err := time.Parse("15:04", m[2+i])
		if err != nil {
			return Window{}, bad
		}
		*to = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	}
	if w.till <= w.from {
		w.till += 24 * time.Hour
	}
	return w, nil
}

// listed is the window as the setup door shows it.
func (w Window) listed() *linkspec.VersionWindow {
	wall := func(d time.Duration) string { return time.Time{}.Add(d % (24 * time.Hour)).Format("15:04") }
	return &linkspec.VersionWindow{Day: int(w.day), From: wall(w.from), Till: wall(w.till)}
}

// Holds tells whether a moment is in the window, by the clock on the wall of its place.
func (w Window) Holds(at time.Time) bool {
	wall := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	if at.Weekday() == w.day && wall >= w.from && wall < w.till {
		return true
	}
	// What began yesterday may reach into today.
	return at.Weekday() == (w.day+1)%7 && wall+24*time.Hour < w.till
}
