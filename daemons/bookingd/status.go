package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// quiet is how long a daemon may be silent before it counts as down: it hands in its metrics every 10 seconds.
const quiet = 35 * time.Second

// status gathers what sallyportctl status and the health page show.
func (h *house) status(ctx context.Context) (linkspec.Status, error) {
	s := linkspec.Status{Version: version(), Since: h.began}
	now := h.clock.Now()
	began := now
	err := h.alive(ctx)
	s.Parts = append(s.Parts, part("database", err == nil, fmt.Sprintf("a round trip takes %d ms", h.clock.Now().Sub(began).Milliseconds()), "the writer does not answer", now))
	if err != nil {
		return s, nil
	}
	if err := h.db.View(ctx, func(tx *store.Tx) error {
		f, err := facility.New().Get(tx)
		if fault.Is(err, fault.NotFound) {
			s.Parts = append(s.Parts, linkspec.Part{Name: "setup", State: "warn", Detail: "the facility is not set up yet", At: now})
			return nil
		}
		s.Facility = f.Name
		return err
	}); err != nil {
		return s, err
	}
	for _, daemon := range []string{"gatewayd", "syncd"} {
		seen := h.metrics.Seen(daemon)
		up := !seen.IsZero() && now.Sub(seen) < quiet
		said := "has not spoken since bookingd started"
		if !seen.IsZero() {
			said = "has not spoken since " + seen.Format(time.RFC3339)
		}
		s.Parts = append(s.Parts, part(daemon, up, "spoke "+now.Sub(seen).Truncate(time.Second).String()+" ago", said, now))
	}
	s.Parts = append(s.Parts, h.disk(now))
	return s, nil
}

// disk tells how much room is left where the database lies.
func (h *house) disk(now time.Time) linkspec.Part {
	p := linkspec.Part{Name: "disk", State: "ok", At: now}
	var st unix.Statfs_t
	if err := unix.Statfs(h.cfg.State, &st); err != nil || st.Blocks == 0 {
		p.State, p.Detail = "warn", "cannot be measured"
		return p
	}
	free := float64(st.Bavail) / float64(st.Blocks) * 100
	p.Detail = fmt.Sprintf("%.0f %% free", free)
	switch {
	case free < 2:
		p.State = "down"
	case free < 10:
		p.State = "warn"
	}
	return p
}

func part(name string, ok bool, good, bad string, at time.Time) linkspec.Part {
	if ok {
		return linkspec.Part{Name: name, State: "ok", Detail: good, At: at}
	}
	return linkspec.Part{Name: name, State: "down", Detail: bad, At: at}
}

// version is the commit that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "development"
}
