// Command gatewayd carries every live picture and voice: signaling, forwarding, relay and recorder in one process.
//
// It decides nothing about who may visit; bookingd does. It stops media at once and alone: at the fixed end, at a pause, at
// a cut. It opens no database, holds no names, and goes on with its calls while bookingd is away.
package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/recorder"
	"sallyport/appliance/relay"
	"sallyport/appliance/sfu"
	"sallyport/appliance/signaling"
	"sallyport/appliance/unit"
)

func main() { unit.Main("gatewayd", run) }

// run reads the configuration, wires the rooms and serves until ctx ends. "gatewayd split" is the split of port 443, a
// process of its own.
func run(ctx context.Context, env *unit.Env) error {
	if len(env.Args) > 0 && env.Args[0] == "split" {
		env.Name, env.Args = "gatewayd-split", env.Args[1:]
		return runSplit(ctx, env)
	}
	cfg := defaults()
	if serve, err := env.Configure("/run/sallyport/gatewayd.toml", &cfg); err != nil || !serve {
		return err
	}
	g, err := build(env, cfg)
	if err != nil {
		return err
	}
	defer g.close()
	return g.serve(ctx, env)
}

// gateway is the wired daemon.
type gateway struct {
	cfg       config
	clock     clock.Clock
	state     *state
	spool     *spool
	link      *link
	path      *sfu.PionPath
	recorders *recorder.Recorders
	hall      *sfu.Hall
	relay     *relay.Server
	signals   *signaling.Server
	refused   chan linkspec.Event
}

func build(env *unit.Env, cfg config) (g *gateway, err error) {
	g = &gateway{cfg: cfg, clock: clock.Real{}, refused: make(chan linkspec.Event, 64)}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if g.state, err = openState(cfg.State, g.clock, env.Log); err != nil {
		return g, err
	}
	if g.spool, err = openSpool(filepath.Join(cfg.State, "spool"), g.clock); err != nil {
		return g, err
	}
	g.link = newLink(linkclient.Dial(cfg.Link), g.state, g.spool, g.clock, env.Log)
	zones, visitors, err := cfg.zones(env)
	if err != nil {
		return g, err
	}
	if g.path, err = sfu.NewPionPath(g.clock, zones...); err != nil {
		return g, err
	}
	signer, tokens, err := keysOf(env.Credentials, cfg.State)
	if err != nil {
		return g, err
	}
	g.recorders, err = recorder.New(recorder.Config{
		Root: filepath.Join(cfg.State, "recordings"), Keys: g.link.keys, Signer: signer, Clock: g.clock, Log: env.Log,
		Tell: func(kind string, call ident.Call, d linkspec.RecordingData) {
			if err := g.spool.Fact(linkspec.Event{Kind: kind, Call: call, Data: mustJSON(d)}, true); err != nil {
				env.Log.Error("fact not kept", "op", "gatewayd.recorder", "kind", kind, "call", call, "err", err)
			}
		},
	})
	if err != nil {
		return g, err
	}
	g.hall = sfu.NewHall(sfu.Outside{
		Path: g.path, Facts: g.spool, Keeper: g.state, Clock: g.clock, Log: env.Log,
		Closed: func(call ident.Call, seat ident.Seat) { g.relay.Close(call, seat) },
	}, g.recorders)
	if g.relay, err = g.openRelay(env, cfg, visitors); err != nil {
		return g, err
	}
	g.signals = signaling.New(signaling.Options{
		Hall: g.hall, Keys: g.link.keys, Tokens: signaling.NewTokens(tokens, g.clock.BootID()), Clock: g.clock, Log: env.Log,
	})
	return g, g.restore()
}

// restore opens what was running when the process went, and seals what ended meanwhile.
func (g *gateway) restore() error {
	calls, stops, err := g.state.load()
	if err != nil {
		return err
	}
	g.hall.Restore(calls, stops)
	running := map[ident.Call]bool{}
	for _, c := range calls {
		running[c.Spec.Call] = c.Phase != sfu.Ended && c.Phase != sfu.Ending
	}
	return g.recorders.Recover(func(c ident.Call) bool { return running[c] })
}

// serve runs all parts until ctx ends.
func (g *gateway) serve(ctx context.Context, env *unit.Env) error {
	sockets, err := g.signalSockets(env, g.cfg)
	if err != nil {
		return err
	}
	var group unit.Group // ends in reverse: calls tell their seats while signaling still speaks, and facts are delivered to the last
	group.Add("spool", g.spool.Serve)
	group.Add("link", func(ctx context.Context) error { return g.link.Serve(ctx, g.hall) })
	group.Add("recordings", func(ctx context.Context) error { // ends after the calls, which still write
		return g.recorders.Serve(ctx, func(c ident.Call) bool { _, goes := g.hall.Left(c); return goes })
	})
	group.Add("relay", g.relay.Serve)
	group.Add("refusals", g.reportRefusals)
	group.Add("watch", func(ctx context.Context) error { return g.watch(ctx, env) })
	group.Add("signaling", func(ctx context.Context) error { // ends after its listeners: what is under way is still said
		<-ctx.Done()
		g.signals.Close()
		return nil
	})
	for door, ln := range sockets {
		group.Add("signaling "+door, g.serveSignals(door, ln))
	}
	group.Add("calls", g.hall.Serve)
	env.Probe("calls", func(context.Context) error { g.hall.Counts(); return nil })
	env.Ready()
	return group.Serve(ctx)
}

// close gives back what the process holds. It may be called on a half-built gateway.
func (g *gateway) close() {
	if g.signals != nil {
		g.signals.Close()
	}
	if g.path != nil {
		g.path.Shut()
	}
	if g.recorders != nil {
		g.recorders.Close()
	}
	if g.link != nil {
		g.link.client.Close()
	}
	if g.spool != nil {
		g.spool.close()
	}
}

// reportRefusals spools what the relay refused, away from its packets.
func (g *gateway) reportRefusals(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-g.refused:
			_ = g.spool.Fact(e, false)
		}
	}
}

// watch looks once a second whether somebody has set the wall clock, or has stopped all calls by hand with the file "stop".
func (g *gateway) watch(ctx context.Context, env *unit.Env) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	offset := func() time.Duration { return time.Duration(g.clock.Now().UnixNano()) - g.clock.Boot() }
	before := offset()
	stop := filepath.Join(g.state.dir, "stop")
	for {
		if _, err := os.Stat(stop); err == nil {
			if err := g.hall.Stop(sfu.Stop{ID: "file", Scope: "all", Reason: "stopped", By: "operator"}); err != nil {
				env.Log.Error("stop not reported", "op", "gatewayd.watch", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := offset()
		if d := now - before; d > 2*time.Second || d < -2*time.Second {
			_ = g.spool.Fact(linkspec.Event{Kind: linkspec.ClockStepped, Data: mustJSON(map[string]int64{"by_ms": d.Milliseconds()})}, false)
		}
		before = now
	}
}
