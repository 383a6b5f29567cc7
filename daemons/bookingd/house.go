package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/calls"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/link"
	"sallyport/appliance/meter"
	"sallyport/appliance/moderation"
	"sallyport/appliance/notices"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/recordings"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/unit"
	"sallyport/appliance/vault"
	"sallyport/appliance/visits"
	"sallyport/provisioning/roster"
)

// house is the wired appliance.
type house struct {
	cfg   config
	db    *store.DB
	clock clock.Clock
	began time.Time
	vault *vault.Credentials

	feed       *outbox.Feed
	outbox     *outbox.Outbox
	facility   *facility.Facilities
	policy     *policy.Policy
	people     *people.People
	access     *access.Access
	cases      *moderation.Cases
	schedule   *schedule.Schedule
	visits     *visits.Visits
	calls      *calls.Calls
	recordings *recordings.Recordings
	notices    *notices.Notices

	link    *link.Link
	metrics *link.Metrics
	reg     *prometheus.Registry
}

// build opens secrets and database and wires the rooms. Nothing is served yet.
func build(ctx context.Context, env *unit.Env, cfg config) (*house, error) {
	h := &house{cfg: cfg, clock: clock.Real{}, reg: meter.NewRegistry()}
	h.began = h.clock.Now()
	if err := h.openVault(env); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Options{
		Path: filepath.Join(cfg.State, "sallyport.db"), Migrations: api.Schemas(), Clock: h.clock, Log: env.Log,
	})
	if err != nil {
		return nil, err
	}
	h.db = db
	h.feed = outbox.NewFeed(db)
	if err := h.furnish(env); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	h.metrics = link.NewMetrics(h.clock, func() []byte { return meter.Text(h.reg) })
	h.link = link.New(link.Options{
		DB: db, Log: env.Log,
		Peers:  link.Peers{link.Gateway: cfg.Link.Gateway, link.Sync: cfg.Link.Sync, link.Operator: cfg.Link.Operators},
		Routes: h.routes(),
	})
	return h, nil
}

// openVault finds the secrets: systemd's folder, or the configured one of the evaluation.
func (h *house) openVault(env *unit.Env) (err error) {
	dir := h.credentials(env)
	switch {
	case dir == "":
		return unit.BadSetting("credentials", "must name the folder of secrets when systemd gives none")
	case h.cfg.MakeSecrets:
		h.vault, err = vault.CreateCredentials(dir)
	default:
		h.vault = vault.OpenCredentials(dir)
	}
	return err
}

// credentials is the folder of secrets, "" when there is none.
func (h *house) credentials(env *unit.Env) string {
	if h.cfg.Credentials != "" {
		return h.cfg.Credentials
	}
	return env.Credentials
}

// serve runs the writer, and upon it everything else, until ctx ends.
func (h *house) serve(ctx context.Context, env *unit.Env) (err error) {
	defer func() { err = errors.Join(err, h.db.Close()) }()
	var g unit.Group
	g.Add("store", h.db.Serve)
	g.Add("house", func(ctx context.Context) error { return h.live(ctx, env) })
	return g.Serve(ctx)
}

// live takes the sockets, says READY and serves the rooms and doors.
func (h *house) live(ctx context.Context, env *unit.Env) error {
	if err := h.outbox.Begin(ctx, h.db); err != nil {
		return err
	}
	if err := h.found(ctx, env.Log); err != nil {
		return err
	}
	if err := h.expectClaim(ctx, env.Log); err != nil {
		return err
	}
	contract, err := api.Load()
	if err != nil {
		return err
	}
	names := []string{"visitor", "kiosk", "staff", "setup"}
	sockets, err := h.sockets(env, names)
	if err != nil {
		return err
	}
	var g unit.Group
	g.Add("feed", h.feed.Serve)
	g.Add("schedule", func(ctx context.Context) error { return h.schedule.Serve(ctx, h.db, h.clock) })
	g.Add("visits", func(ctx context.Context) error { return h.visits.Serve(ctx, h.db, h.clock, env.Log) })
	g.Add("calls", h.calls.Serve)
	g.Add("recordings", h.recordings.Serve)
	g.Add("notices", h.notices.Serve)
	g.Add("sweep", func(ctx context.Context) error { return h.sweep(ctx, env.Log) })
	g.Add("link", func(ctx context.Context) error { return h.link.Serve(ctx, sockets["link"]) })
	rooms := h.rooms()
	for _, name := range names {
		if sockets[name] != nil {
			g.Add(name, h.door(name, sockets[name], contract, rooms, env.Log))
		}
	}
	env.Probe("database", h.alive)
	env.Ready()
	return g.Serve(ctx)
}

// rooms are what the doors may use.
func (h *house) rooms() *api.Rooms {
	return &api.Rooms{
		DB: h.db, Clock: h.clock, Facility: h.facility, Policy: h.policy, People: h.people, Access: h.access, Schedule: h.schedule,
		Cases: h.cases, Notices: h.notices, Visits: h.visits, Calls: h.calls, Recordings: h.recordings, Outbox: h.outbox, Health: h.status,
		RosterSample: roster.Sample, Versions: h.versions, Ask: h.ask,
	}
}

// alive makes one round trip through the writer.
func (h *house) alive(ctx context.Context) error {
	return h.db.Update(ctx, func(*store.Tx) error { return nil })
}
