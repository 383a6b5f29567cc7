package main

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sallyport/appliance/central"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/record"
	"sallyport/appliance/replica"
	"sallyport/daemons/demo/centre"
)

// halfOpen is a way to the centre whose answers can be held back: requests arrive, nobody hears of it.
type halfOpen struct {
	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex // guards the rest
	deaf  bool
	conns []net.Conn
}

func newHalfOpen(t *testing.T, to string) *halfOpen {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &halfOpen{ln: ln}
	p.wg.Go(func() {
		for {
			down, err := ln.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				down.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, down, up)
			p.mu.Unlock()
			p.wg.Go(func() { _, _ = io.Copy(up, down); up.Close() })
			p.wg.Go(func() { _, _ = io.Copy(&gate{p, down}, up); down.Close() })
		}
	})
	t.Cleanup(func() { ln.Close(); p.cut(); p.wg.Wait() })
	return p
}

// gate throws answers away while the way is deaf.
type gate struct {
	p    *halfOpen
	down net.Conn
}

func (g *gate) Write(b []byte) (int, error) {
	g.p.mu.Lock()
	deaf := g.p.deaf
	g.p.mu.Unlock()
	if deaf {
		return len(b), nil
	}
	return g.down.Write(b)
}

func (p *halfOpen) set(deaf bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = deaf
}

// cut ends all connections; those that lost an answer can never be used again.
func (p *halfOpen) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func TestUnknownOutcomeLandsOnce(t *testing.T) {
	w := newWorld(t)
	w.enrol()
	way := newHalfOpen(t, w.centre.Endpoints()[0][len("https://"):])
	conf, err := w.centre.TLS(centre.SiteName(w.site()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := replica.Dial(w.site(), []string{"https://" + way.ln.Addr().String()}, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Read(w.within(5 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	key := record.KeyOf(record.TypeVisit, ident.New[ident.Visit]()).Path(record.SitePrefix(w.site()))
	txn := replica.Txn{
		Fence: *v.Fence, Mod: v.Mod, Records: []linkspec.SyncRecord{{Key: key, Sealed: []byte("x")}},
		Cursor: &record.Cursor{Epoch: 1, Seq: 1, Chain: make([]byte, 32)}, Canary: replica.PutCanary,
	}
	// The push reaches the centre; its answer is lost.
	landed := w.router.Watch(w.within(10*time.Second), key)
	way.set(true)
	lost, cancel := context.WithCancel(t.Context())
	go func() { <-landed; cancel() }()
	if e := c.Push(lost, v.Generation, txn); e.Outcome != replica.Unknown {
		t.Fatalf("outcome %q without an answer, want unknown", e.Outcome)
	}
	way.set(false)
	way.cut()
	var e replica.Event
	for e = c.Push(t.Context(), v.Generation, txn); e.Outcome == replica.Unknown; e = c.Push(t.Context(), v.Generation, txn) {
	}
	if e.Outcome != replica.Landed {
		t.Fatalf("the same transaction again: %q %s", e.Outcome, e.Why)
	}
	res, err := w.router.Get(w.within(5*time.Second), key)
	if err != nil || len(res.Kvs) != 1 || res.Kvs[0].Version != 1 {
		t.Errorf("the record was written %v times, %v", res.Kvs, err)
	}
	if cur, err := w.router.Get(w.within(5*time.Second), record.CursorPath(w.site())); err != nil || cur.Kvs[0].ModRevision != e.Mod {
		t.Errorf("the cursor is not where the push says: %v", err)
	}
	// The next push is guarded by that revision; the old transaction can never land again.
	if e := c.Push(t.Context(), v.Generation, replica.Txn{Fence: *v.Fence, Mod: v.Mod, Cursor: &record.Cursor{Epoch: 1, Seq: 2}}); e.Outcome != replica.Foreign {
		t.Errorf("a push behind the cursor: %q, want foreign", e.Outcome)
	}
	stale := replica.Txn{Fence: record.Fence{Epoch: 9}, Mod: e.Mod, Cursor: &record.Cursor{Epoch: 9, Seq: 2}}
	if e := c.Push(t.Context(), v.Generation, stale); e.Outcome != replica.Fenced {
		t.Errorf("a push with another fence: %q, want fenced", e.Outcome)
	}
}

func TestFeedIsListedAfterCompaction(t *testing.T) {
	w := newWorld(t)
	id := ident.New[ident.Visit]()
	runs := w.cancelOf(id)
	w.put(visit(id, "confirmed"))
	w.enrol()
	end := w.syncd()
	w.untilSynced()
	w.until("the feed is listed", func(_ outbox.Status, s linkspec.SyncState) bool { return s.Revision > 0 })
	end()
	// While the site is away: a command, much else, and a compaction over both.
	cmd, err := w.central.Send(t.Context(), central.Order{Site: w.out.Site(), Kind: record.CmdVisitCancel, Subject: string(id), Body: &record.VisitCancel{}})
	if err != nil {
		t.Fatal(err)
	}
	root, err := w.centre.Client(centre.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	res, err := root.Put(w.within(5*time.Second), record.PathSchema, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Compact(w.within(5*time.Second), res.Header.Revision); err != nil {
		t.Fatal(err)
	}
	w.syncd()
	w.until("the command ran", func(outbox.Status, linkspec.SyncState) bool { return runs() == 1 })
	w.untilSynced()
	if body, found, err := w.central.Result(w.within(5*time.Second), w.out.Site(), cmd); err != nil || !found || body.GetOutcome() != record.Cancelled {
		t.Errorf("result %v, %v, %v", body, found, err)
	}
}

func TestRestoredCentreIsFilledAgain(t *testing.T) {
	w := newWorld(t)
	for range 300 {
		w.put(visit(ident.New[ident.Visit](), "confirmed"))
	}
	w.enrol()
	end := w.syncd()
	w.untilSynced()
	end()
	// What an operator does after a restore: older content, and a new generation.
	ctx := w.within(10 * time.Second)
	root, err := w.centre.Client(centre.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := root.Delete(ctx, record.SitePrefix(w.site()), clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Delete(ctx, record.PathGeneration); err != nil {
		t.Fatal(err)
	}
	w.put(visit(ident.New[ident.Visit](), "confirmed"))
	before := view(w, w.out.State).Generation
	if err := w.central.Born(ctx); err != nil {
		t.Fatal(err)
	}
	w.syncd()
	w.until("the site knows the new generation", func(_ outbox.Status, s linkspec.SyncState) bool {
		return s.Generation != before && s.Acked == s.Head
	})
	w.same()
	if res, err := w.router.Get(ctx, record.SyncedPath(record.SitePrefix(w.site()))); err != nil || len(res.Kvs) != 1 {
		t.Errorf("the canary is not back: %v", err)
	}
}

func TestLostCentreStopsAndCalls(t *testing.T) {
	w := newWorld(t)
	w.put(visit(ident.New[ident.Visit](), "confirmed"))
	w.enrol()
	end := w.syncd()
	w.untilSynced()
	end()
	root, err := w.centre.Client(centre.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := root.Delete(w.within(5*time.Second), record.CursorPath(w.site())); err != nil {
		t.Fatal(err)
	}
	w.syncd()
	w.until("staff are told", func(s outbox.Status, _ linkspec.SyncState) bool {
		return s.Cause == "centre_lost" && s.State == "paused"
	})
}
