package replica

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

const (
	reportEvery = 10 * time.Second
	reportPause = time.Second // at most one report in it
)

// Syncer carries a site's records to the centre and the centre's feed to the site.
type Syncer struct {
	site   *Site
	centre *Centre
	clock  clock.Clock
	log    *slog.Logger

	news chan struct{} // capacity 1: the site has more to push
	said chan struct{} // capacity 1: there is something to report

	mu      sync.Mutex // guards the rest
	head    int64
	report  linkspec.SyncReport
	pushed  int64
	turned  time.Duration // boot time of the last turn of the loop
	resting bool          // in a wait that is meant to be long
}

// New returns a syncer; [Syncer.Serve] does the work.
func New(site *Site, centre *Centre, c clock.Clock, log *slog.Logger) *Syncer {
	return &Syncer{
		site: site, centre: centre, clock: c, log: log,
		news: make(chan struct{}, 1), said: make(chan struct{}, 1),
	}
}

// Serve replicates until ctx ends. Being offline is healthy: it only returns when it is told to. The transaction in
// flight is finished first.
func (s *Syncer) Serve(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.listen(ctx) })
	wg.Go(func() { s.reports(ctx) })
	p := &puller{site: s.site, centre: s.centre, log: s.log}
	defer wg.Wait()
	defer p.stop()
	m := &Machine{}
	act := m.Step(Event{Kind: Started})
	for ctx.Err() == nil {
		s.tell(m)
		view, on := m.Attached()
		p.follow(ctx, view, on)
		act = m.Step(s.do(ctx, act, view))
	}
	return nil
}

// State returns the last state and cause, for the service manager.
func (s *Syncer) State() linkspec.SyncReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.report
}

// do carries out one action. The push in flight outlives ctx: whether it landed is worth the last seconds.
func (s *Syncer) do(ctx context.Context, a Action, v View) Event {
	switch a.Kind {
	case AskState:
		st, err := s.site.State(ctx)
		return s.linked(Event{Kind: StateRead, State: st}, err)
	case AskChain:
		c, err := s.site.Chain(ctx, a.Seq)
		return s.linked(Event{Kind: ChainRead, Chain: c}, err)
	case AskRecords:
		page, err := s.site.Records(ctx, a.After, a.Seq)
		return s.linked(Event{Kind: RecordsRead, Records: page}, err)
	case AskBatch:
		b, some, err := s.site.Batch(ctx, a.Seq)
		switch {
		case fault.Is(err, fault.Conflict):
			return Event{Kind: BatchGap}
		case err == nil && !some:
			return Event{Kind: BatchNone}
		}
		return s.linked(Event{Kind: BatchRead, Batch: b}, err)
	case AskCentre:
		view, err := s.centre.Read(ctx)
		if err != nil {
			_, cause := judge(err)
			return Event{Kind: CentreLost, Why: cause}
		}
		return Event{Kind: CentreRead, View: view}
	case Push:
		e := s.centre.Push(context.WithoutCancel(ctx), v.Generation, a.Txn)
		if e.Outcome == Landed {
			s.mu.Lock()
			s.pushed += int64(len(a.Txn.Records))
			s.mu.Unlock()
		}
		return e
	case TellAcked:
		err := s.site.Acked(context.WithoutCancel(ctx), linkspec.SyncAcked{
			Epoch: v.Fence.Epoch, Seq: a.Seq, Cluster: v.Cluster, Generation: v.Generation,
		})
		return s.linked(Event{Kind: Told}, err)
	case TellPark:
		return s.linked(Event{Kind: Told}, s.site.Park(ctx, a.Park))
	case TellRecovery:
		r := linkspec.SyncRecovery{Cause: a.Cause}
		if v.Fence != nil {
			r.Fence = v.Fence.Bytes()
		}
		return s.linked(Event{Kind: Told}, s.site.Recover(ctx, r))
	case Back:
		return s.wait(ctx, rand.N(a.For)+1, false)
	}
	s.rest(true)
	defer s.rest(false)
	return s.wait(ctx, a.For, a.Wake)
}

func (s *Syncer) rest(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resting = on
}

func (s *Syncer) linked(e Event, err error) Event {
	if err != nil {
		return Event{Kind: LinkFailed, Why: fault.KindOf(err).String()}
	}
	return e
}

func (s *Syncer) wait(ctx context.Context, d time.Duration, wake bool) Event {
	news := s.news
	if !wake {
		news = nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-news:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return Event{Kind: Elapsed, State: linkspec.SyncState{Head: s.head}}
}

// listen hears of new rows. Its own errors are shown by the calls that meet the same trouble.
func (s *Syncer) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.site.Heads(ctx, func(h linkspec.SyncHead) {
			s.mu.Lock()
			s.head = max(s.head, h.Seq)
			s.mu.Unlock()
			signal(s.news)
		})
		if err != nil {
			s.wait(ctx, firstBack+rand.N(time.Second), false)
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tell notes the machine's state for the next report.
func (s *Syncer) tell(m *Machine) {
	state, cause := m.State()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turned = s.clock.Boot()
	changed := s.report.State != string(state) || s.report.Cause != cause
	if changed {
		s.report.State, s.report.Cause, s.report.Since = string(state), cause, s.clock.Now()
		s.log.Info("replication", "op", "replica.Serve", "state", string(state), "cause", cause)
	}
	s.report.Backlog = m.Backlog()
	if changed {
		signal(s.said)
	}
}

// reports tells bookingd what syncd does: on every change, at most once a second, and every 10 seconds in any case.
func (s *Syncer) reports(ctx context.Context) {
	var before int64
	for at := s.clock.Now(); ctx.Err() == nil; {
		t := time.NewTimer(reportEvery)
		select {
		case <-ctx.Done():
		case <-s.said:
		case <-t.C:
		}
		t.Stop()
		now := s.clock.Now()
		s.mu.Lock()
		r := s.report
		if took := now.Sub(at); took > 0 {
			r.Rate = float64(s.pushed-before) / took.Seconds()
		}
		before, at = s.pushed, now
		s.mu.Unlock()
		if ctx.Err() == nil {
			_ = s.site.Report(ctx, r) // bookingd is away: it shows the age of the last report
			s.wait(ctx, reportPause, false)
		}
	}
}
