package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/meter"
	"sallyport/appliance/sfu"
)

const (
	keysEvery    = 10 * time.Minute
	metricsEvery = 10 * time.Second
	again        = time.Second // after bookingd was away
)

// link is the client side of the link: keys and commands in, facts and metrics out. Nothing here keeps a call waiting.
type link struct {
	client *linkclient.Client
	state  *state
	spool  *spool
	clock  clock.Clock
	log    *slog.Logger
	known  atomic.Pointer[linkspec.Keys]
}

func newLink(c *linkclient.Client, s *state, sp *spool, ck clock.Clock, log *slog.Logger) *link {
	l := &link{client: c, state: s, spool: sp, clock: ck, log: log}
	if k, ok := s.keys(); ok {
		l.known.Store(&k)
	}
	return l
}

// keys are those that bookingd gave last; without any nobody is let in.
func (l *link) keys() linkspec.Keys {
	if k := l.known.Load(); k != nil {
		return *k
	}
	return linkspec.Keys{}
}

// Serve speaks with bookingd until ctx ends.
func (l *link) Serve(ctx context.Context, h *sfu.Hall) error {
	var wg sync.WaitGroup
	wg.Go(func() { l.repeat(ctx, keysEvery, l.fetchKeys) })
	wg.Go(func() { l.commands(ctx, h) })
	wg.Go(func() { l.deliver(ctx) })
	wg.Go(func() {
		l.repeat(ctx, metricsEvery, func(ctx context.Context) error {
			return l.client.Put(ctx, linkspec.RouteMetrics, l.metrics(h), nil)
		})
	})
	wg.Wait()
	return nil
}

// repeat does f every so often, and soon again when it did not work.
func (l *link) repeat(ctx context.Context, every time.Duration, f func(context.Context) error) {
	for {
		wait := every
		if err := f(ctx); err != nil {
			wait = again
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (l *link) fetchKeys(ctx context.Context) error {
	var k linkspec.Keys
	if err := l.client.Get(ctx, linkspec.RouteKeys, &k); err != nil {
		return err
	}
	l.known.Store(&k)
	return l.state.setKeys(k)
}

// commands takes the snapshot of calls, then follows the stream.
func (l *link) commands(ctx context.Context, h *sfu.Hall) {
	for {
		err := l.snapshot(ctx, h)
		if err == nil {
			err = l.client.Stream(ctx, linkspec.RouteCommands, l.state.applied(), func(event, id string, data []byte) error {
				return l.take(h, event, id, data)
			})
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && !fault.Is(err, fault.Unavailable) {
			l.log.Error("commands broke off", "op", "gatewayd.commands", "err", err)
		}
		if !sleep(ctx, again) {
			return
		}
	}
}

func (l *link) snapshot(ctx context.Context, h *sfu.Hall) error {
	var calls linkspec.Calls
	if err := l.client.Get(ctx, linkspec.RouteCalls, &calls); err != nil {
		return err
	}
	for _, c := range calls.Calls {
		l.report(h.Adopt(c), "adopt", c.Spec.Call)
	}
	// The snapshot is what all commands up to head have made. A head below ours is another database than last time.
	if applied := l.state.applied(); applied == 0 || calls.Head < applied {
		return l.state.setApplied(calls.Head)
	}
	return nil
}

func (l *link) take(h *sfu.Hall, event, id string, data []byte) error {
	if event != "command" {
		return nil
	}
	var c linkspec.Command
	if err := json.Unmarshal(data, &c); err != nil {
		l.log.Error("command cannot be read", "op", "gatewayd.take", "seq", id, "err", err)
		return nil
	}
	if c.Seq == 0 {
		c.Seq, _ = strconv.ParseInt(id, 10, 64)
	}
	if c.Seq <= l.state.applied() {
		return nil
	}
	l.report(h.Apply(c), c.Cmd, c.Call)
	return l.state.setApplied(c.Seq)
}

// report logs a refused command: refusing is the answer, repeating it would change nothing.
func (l *link) report(err error, cmd string, call any) {
	if err != nil {
		l.log.Warn("command refused", "op", "gatewayd.apply", "cmd", cmd, "call", call, "err", err)
	}
}

// deliver posts facts until they are acknowledged, also those of former runs.
func (l *link) deliver(ctx context.Context) {
	for {
		batch := l.spool.batch()
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-l.spool.more:
			}
			continue
		}
		var ack linkspec.Ack
		if err := l.client.Post(ctx, linkspec.RouteEvents, linkspec.Events{Events: batch}, &ack); err != nil {
			if !fault.Is(err, fault.Unavailable) && ctx.Err() == nil {
				l.log.Error("facts refused", "op", "gatewayd.deliver", "err", err)
			}
			if !sleep(ctx, again) {
				return
			}
			continue
		}
		if ack.Ack < batch[0].Seq { // nothing was taken
			if !sleep(ctx, again) {
				return
			}
			continue
		}
		if err := l.spool.ack(ack.Ack); err != nil {
			l.log.Error("delivery not noted", "op", "gatewayd.deliver", "err", err)
		}
	}
}

// metrics is the daemon in numbers. No label holds an id.
func (l *link) metrics(h *sfu.Hall) []byte {
	reg := meter.NewRegistry()
	calls := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sallyport_gateway_calls", Help: "Calls by phase and class."}, []string{"phase", "class"})
	seats := prometheus.NewGauge(prometheus.GaugeOpts{Name: linkspec.MetricSeats, Help: "Connected seats."})
	spooled := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sallyport_gateway_events_spooled", Help: "Facts that bookingd does not have yet."})
	age := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sallyport_gateway_event_age_seconds", Help: "Age of the oldest of them."})
	writes := prometheus.NewGauge(prometheus.GaugeOpts{Name: linkspec.MetricRecorderWrites, Help: "1 when a recording could be written and flushed just now."})
	reg.MustRegister(calls, seats, spooled, age, writes)
	by, connected := h.Counts()
	for class, phases := range by {
		for phase, n := range phases {
			calls.WithLabelValues(string(phase), string(class)).Set(float64(n))
		}
	}
	seats.Set(float64(connected))
	n, old := l.spool.waiting()
	spooled.Set(float64(n))
	age.Set(old.Seconds())
	if err := l.state.writes(); err != nil {
		l.log.Error("recordings cannot be written", "op", "gatewayd.metrics", "err", err)
	} else {
		writes.Set(1)
	}
	return meter.Text(reg)
}
