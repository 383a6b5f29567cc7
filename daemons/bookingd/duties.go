package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/link"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

// routes are everything that the link has.
func (h *house) routes() []link.Route {
	replication := link.NewReplication(h.db, h.outbox)
	replication.OnCommand(record.CmdVisitCancel, link.CancelVisit(h.visits))
	var all []link.Route
	for _, some := range [][]link.Route{
		link.OperatorRoutes(h.db, h.status), link.MediaRoutes(h.calls), link.RosterRoutes(h.importRoster), link.BusyRoutes(h.busy),
		link.GatewayRoutes(h.calls, h.metrics), replication.Routes(h.metrics),
		{h.metrics.Route()},
	} {
		all = append(all, some...)
	}
	return all
}

// busy counts whom a restart of the box would cut off.
func (h *house) busy(ctx context.Context, within time.Duration) (n int, err error) {
	err = h.db.View(ctx, func(tx *store.Tx) (err error) { n, err = h.visits.Busy(tx, within); return err })
	return n, err
}

// importRoster takes a roster file from an operator on the machine, or the one that the seed of first boot brought.
func (h *house) importRoster(ctx context.Context, by ident.Actor, source string, full bool, file io.Reader) (linkspec.RosterReport, error) {
	if source == "seed" {
		raw, err := io.ReadAll(file)
		if err != nil {
			return linkspec.RosterReport{}, err
		}
		if err := h.unitsOf(ctx, by, raw); err != nil {
			return linkspec.RosterReport{}, err
		}
		file = bytes.NewReader(raw)
	} else {
		source = "operator"
	}
	m, err := h.people.ImportRoster(ctx, by, source, full, file)
	if err != nil {
		return linkspec.RosterReport{}, err
	}
	r := linkspec.RosterReport{
		State: m.State, Reason: m.Reason, Rows: m.Rows, New: m.Added, Changed: m.Changed, Same: m.Unchanged, Gone: m.Released,
	}
	for _, bad := range m.Bad {
		r.Quarantined = append(r.Quarantined, linkspec.RosterRow{Line: bad.Line, Why: bad.Cause})
	}
	return r, nil
}

const (
	sweepEvery = time.Minute
	sweepRows  = 200 // rows of one kind in one transaction
)

// sweep ends what runs out by itself and belongs to no room's own loop. What fails is tried again a minute later.
func (h *house) sweep(ctx context.Context, log *slog.Logger) error {
	for {
		err := errors.Join(
			h.db.Update(ctx, func(tx *store.Tx) error { _, err := h.people.ExpireIdentities(tx, sweepRows); return err }),
			h.db.Update(ctx, func(tx *store.Tx) error { _, err := h.people.ExpireContacts(tx, sweepRows); return err }),
			h.db.Update(ctx, func(tx *store.Tx) error { return h.access.Sweep(tx, sweepRows) }),
		)
		if err != nil && ctx.Err() == nil {
			log.Error("the sweep is behind", "op", "bookingd.sweep", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.clock.After(sweepEvery):
		}
	}
}
