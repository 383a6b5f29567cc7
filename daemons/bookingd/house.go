package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/link"
	"sallyport/appliance/meter"
	"sallyport/appliance/outbox"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/unit"
	"sallyport/appliance/vault"
)

// schemas are the tables of all rooms; store applies them in the order of their numbers.
func schemas() []fs.FS {
	return []fs.FS{audit.Schema, outbox.Schema, facility.Schema, policy.Schema, schedule.Schema}
}

// house is the wired appliance.
type house struct {
	cfg   config
	db    *store.DB
	clock clock.Clock
	began time.Time

	vault   *vault.Credentials
	feed    *outbox.Feed
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
		Path: filepath.Join(cfg.State, "sallyport.db"), Migrations: schemas(), Clock: h.clock, Log: env.Log,
	})
	if err != nil {
		return nil, err
	}
	h.db = db
	h.feed = outbox.NewFeed(db)
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
	dir := h.cfg.Credentials
	if dir == "" {
		dir = env.Credentials
	}
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

// routes are everything that the link has.
func (h *house) routes() []link.Route {
	return append(link.OperatorRoutes(h.db, h.status), h.metrics.Route())
}

// serve takes the sockets, says READY and serves until ctx ends.
func (h *house) serve(ctx context.Context, env *unit.Env) (err error) {
	defer func() { err = errors.Join(err, h.db.Close()) }()
	var g unit.Group
	g.Add("store", h.db.Serve)
	g.Add("feed", h.feed.Serve)
	ln, err := env.Listener("link", h.cfg.Link.Listen)
	if err != nil {
		return err
	}
	g.Add("link", func(ctx context.Context) error { return h.link.Serve(ctx, ln) })
	env.Probe("database", h.alive)
	g.Add("ready", func(ctx context.Context) error {
		if err := h.alive(ctx); err != nil {
			return err
		}
		env.Ready()
		<-ctx.Done()
		return nil
	})
	return g.Serve(ctx)
}

// alive makes one round trip through the writer.
func (h *house) alive(ctx context.Context) error {
	return h.db.Update(ctx, func(*store.Tx) error { return nil })
}
