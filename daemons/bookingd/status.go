package main

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/appliance/calls"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
	"sallyport/appliance/unit"
)

// status gathers what sallyportctl status and the health page show.
func (h *house) status(ctx context.Context) (linkspec.Status, error) {
	s := linkspec.Status{Version: version(), Since: h.began}
	now := h.clock.Now()
	database := linkspec.Part{Name: "database", State: "down", Code: "database.silent", Detail: "the writer does not answer", At: now}
	err := h.alive(ctx)
	if err == nil {
		took := h.clock.Now().Sub(now).Milliseconds()
		database.State, database.Code, database.Params = "ok", "database.ok", map[string]any{"ms": took}
		database.Detail = fmt.Sprintf("a round trip takes %d ms", took)
	}
	s.Parts = append(s.Parts, database)
	if err != nil {
		return s, nil
	}
	if err := h.db.View(ctx, func(tx *store.Tx) error {
		f, err := facility.New().Get(tx)
		if fault.Is(err, fault.NotFound) {
			s.Parts = append(s.Parts, linkspec.Part{Name: "setup", State: "warn", Code: "setup.missing", Detail: "the facility is not set up yet", At: now})
			return nil
		}
		s.Facility = f.Name
		s.Parts = append(s.Parts, linkspec.Part{Name: "setup", State: "ok", Code: "setup.done", Params: map[string]any{"name": f.Name}, Detail: f.Name, At: now})
		return err
	}); err != nil {
		return s, err
	}
	administrator, err := h.administrator(ctx, now)
	if err != nil {
		return s, err
	}
	s.Parts = append(s.Parts, administrator, h.gateway(now))
	sync, err := h.sync(ctx, now)
	if err != nil {
		return s, err
	}
	s.Parts = append(s.Parts, sync)
	s.Parts = append(s.Parts, h.disk(now))
	s.Parts = append(s.Parts, h.firstBoot(now)...)
	return s, nil
}

// gateway tells when gatewayd last spoke: by its metrics or its facts.
func (h *house) gateway(now time.Time) linkspec.Part {
	p := linkspec.Part{Name: "gatewayd", State: "down", At: now}
	seen := h.calls.GatewaySeen()
	switch ago := now.Sub(seen); {
	case seen.IsZero():
		p.Code, p.Detail = "gateway.never", "has not spoken since bookingd started"
	case ago < calls.GatewayQuiet:
		p.State, p.Code, p.Params = "ok", "gateway.spoke", map[string]any{"n": int(ago.Seconds())}
		p.Detail = "spoke " + ago.Truncate(time.Second).String() + " ago"
	default:
		p.Code, p.Params = "gateway.quiet", map[string]any{"since": seen.UTC().Format(time.RFC3339)}
		p.Detail = "has not spoken since " + seen.Format(time.RFC3339)
	}
	return p
}

// sync tells how replication stands. Being offline is no fault: everything else goes on.
func (h *house) sync(ctx context.Context, now time.Time) (linkspec.Part, error) {
	p := linkspec.Part{Name: "syncd", State: "ok", At: now}
	if !h.outbox.Joined() {
		p.Code, p.Detail = "sync.alone", "this site is on its own"
		return p, nil
	}
	var s outbox.Status
	if err := h.db.View(ctx, func(tx *store.Tx) (err error) { s, err = h.outbox.Status(tx); return err }); err != nil {
		return p, err
	}
	p.Code, p.Params = "sync."+s.State, map[string]any{"n": s.Waiting}
	p.Detail = fmt.Sprintf("%s, %d changes wait", s.State, s.Waiting)
	if s.Cause != "" {
		p.Detail += " (" + s.Cause + ")"
	}
	switch s.State {
	case "live":
	case "away", "withdrawn", "incompatible":
		p.State = "down"
	default:
		p.State = "warn"
	}
	return p, nil
}

// disk tells how much room is left where the database lies.
func (h *house) disk(now time.Time) linkspec.Part {
	p := linkspec.Part{Name: "disk", State: "ok", At: now}
	var st unix.Statfs_t
	if err := unix.Statfs(h.cfg.State, &st); err != nil || st.Blocks == 0 {
		p.State, p.Code, p.Detail = "warn", "disk.unmeasured", "cannot be measured"
		return p
	}
	free := float64(st.Bavail) / float64(st.Blocks) * 100
	p.Code, p.Params = "disk.free", map[string]any{"percent": math.Round(free)}
	p.Detail = fmt.Sprintf("%.0f %% free", free)
	switch {
	case free < 2:
		p.State = "down"
	case free < 10:
		p.State = "warn"
	}
	return p
}

// version is the appliance's; where bookingd runs outside of an image, the commit that it was built from.
func version() string {
	if v := unit.ImageVersion(unit.OSRelease); v != "" {
		return v
	}
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
