package replica

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
)

const (
	farBehind   = 20_000 // revisions: beyond it a list is faster than a watch
	maxCommands = 10     // in one apply: each may write several records of its own
	idleFeed    = time.Minute
	ackEvery    = 10 * time.Second
)

var errRelist = errors.New("the position is not in the centre's history any more")

// puller carries the feed to the site while the handshake stands.
type puller struct {
	site   *Site
	centre *Centre
	log    *slog.Logger

	view   View
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// follow starts or stops pulling, and starts anew when it is another centre.
func (p *puller) follow(ctx context.Context, v View, on bool) {
	same := v.Cluster == p.view.Cluster && v.Generation == p.view.Generation
	switch {
	case on && p.cancel != nil && same, !on && p.cancel == nil:
		return
	case p.cancel != nil:
		p.stop()
	}
	if !on {
		return
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.view = v
	p.done.Go(func() { p.serve(ctx, v) })
}

func (p *puller) stop() {
	if p.cancel != nil {
		p.cancel()
		p.done.Wait()
		p.cancel = nil
	}
}

// serve pulls until ctx ends, backing off when either end is away.
func (p *puller) serve(ctx context.Context, v View) {
	for try := 0; ctx.Err() == nil; try++ {
		moved, err := p.pull(ctx, v)
		if ctx.Err() != nil {
			return
		}
		if moved {
			try = 0
		}
		p.log.Warn("the feed is interrupted", "op", "replica.pull", "err", err)
		t := time.NewTimer(rand.N(min(firstBack<<min(try, 8), lastBack)) + 1)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// pull follows the feed from the site's position, listing it first where the position is of no use.
func (p *puller) pull(ctx context.Context, v View) (moved bool, err error) {
	s, err := p.site.State(ctx)
	if err != nil {
		return false, err
	}
	now, err := p.centre.revision(ctx)
	if err != nil {
		return false, err
	}
	if s.Revision == 0 || s.Generation != "" && s.Generation != v.Generation || now-s.Revision > farBehind || s.Revision > now {
		return true, p.relist(ctx, v, s, now)
	}
	err = p.watch(ctx, v, p.centre.watch(ctx, s.Revision+1), s.Revision)
	if errors.Is(err, errRelist) || fault.CodeOf(err) == "sync.gap" {
		return true, p.relist(ctx, v, linkspec.SyncState{Site: s.Site}, now)
	}
	return false, err
}

func (c *Centre) revision(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	res, err := c.cli.Get(ctx, record.SyncedPath(record.FeedPrefix(c.site)))
	if err != nil {
		return 0, err
	}
	return res.Header.Revision, nil
}

func (c *Centre) watch(ctx context.Context, from int64) clientv3.WatchChan {
	return c.cli.Watch(clientv3.WithRequireLeader(ctx), record.FeedPrefix(c.site), clientv3.WithPrefix(), clientv3.WithRev(from))
}

// watch hands over what a watch brings, from the site's position on. It returns errRelist when the centre has compacted
// what is missing.
func (p *puller) watch(ctx context.Context, v View, events clientv3.WatchChan, from int64) error {
	idle := time.NewTicker(idleFeed)
	defer idle.Stop()
	var acked time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-idle.C:
			if err := p.centre.progress(ctx); err != nil {
				return err
			}
		case r, ok := <-events:
			if !ok {
				return errors.New("the watch ended")
			}
			to, err := p.hand(ctx, v, r, from)
			if err != nil {
				return err
			}
			idle.Reset(idleFeed)
			if from = to; time.Since(acked) > ackEvery {
				acked = time.Now()
				if err := p.centre.ack(ctx, v, from); err != nil {
					return err
				}
			}
		}
	}
}

// progress asks the centre how far an idle feed stands.
func (c *Centre) progress(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	return c.cli.RequestProgress(clientv3.WithRequireLeader(ctx))
}

// hand turns one response into applies that each end at a revision.
func (p *puller) hand(ctx context.Context, v View, r clientv3.WatchResponse, from int64) (int64, error) {
	if r.CompactRevision != 0 || errors.Is(r.Err(), rpctypes.ErrCompacted) {
		return from, errRelist
	}
	if err := r.Err(); err != nil {
		return from, err
	}
	a := linkspec.SyncApply{Cluster: v.Cluster, Generation: v.Generation, From: from, Revision: from}
	for i, e := range r.Events {
		if rev := e.Kv.ModRevision; rev <= from {
			continue // held back from before the scan that a relist finished with
		}
		if e.Type == mvccpb.PUT {
			sort(e.Kv, &a.Records, &a.Commands)
		}
		a.Revision = e.Kv.ModRevision
		last := i+1 == len(r.Events)
		if last || len(a.Commands) >= maxCommands && r.Events[i+1].Kv.ModRevision > a.Revision {
			if _, err := p.site.Apply(ctx, a); err != nil {
				return a.From, err
			}
			a = linkspec.SyncApply{Cluster: v.Cluster, Generation: v.Generation, From: a.Revision, Revision: a.Revision}
		}
	}
	if r.IsProgressNotify() && r.Header.Revision > a.From {
		a.Revision = r.Header.Revision
		if _, err := p.site.Apply(ctx, a); err != nil {
			return a.From, err
		}
		return a.Revision, nil
	}
	return a.From, nil
}

// sort tells records and keys from commands; markers are neither.
func sort(kv *mvccpb.KeyValue, records, commands *[]linkspec.SyncRecord) {
	_, _, k, err := record.ParsePath(string(kv.Key))
	if err != nil {
		if !strings.Contains(string(kv.Key), "/_") {
			// Not a marker: bookingd parks it, so that nobody overlooks it.
			*records = append(*records, linkspec.SyncRecord{Key: string(kv.Key), Sealed: kv.Value, Mod: kv.ModRevision})
		}
		return
	}
	one := linkspec.SyncRecord{Key: string(kv.Key), Ver: version(kv.Value), Sealed: kv.Value, Mod: kv.ModRevision}
	if k.Type == record.TypeCommand {
		*commands = append(*commands, one)
		return
	}
	*records = append(*records, one)
}

// version is for parked rows only; bookingd reads the envelope itself.
func version(raw []byte) uint64 {
	e := &record.Envelope{}
	if record.Decode(raw, e) != nil {
		return 0
	}
	return e.GetVer()
}

// ack writes back how far the feed is applied, under the fence: it holds back the collection of tombstones.
func (c *Centre) ack(ctx context.Context, v View, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	raw, err := record.Marshal(&record.Position{Cluster: v.Cluster, Generation: v.Generation, Revision: revision})
	if err != nil {
		return err
	}
	_, err = c.cli.Txn(ctx).If(clientv3.Compare(clientv3.Value(record.FencePath(c.site)), "=", string(v.Fence.Bytes()))).
		Then(clientv3.OpPut(record.AckPath(c.site), string(raw))).Commit()
	return err
}
