package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sallyport/appliance/central"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
	"sallyport/daemons/demo/centre"
)

func TestRecordsReachTheCentreSealed(t *testing.T) {
	w := newWorld(t)
	planted := []string{"Wilhelmina", "Oystercatcher", "+15550142857", "1971-03-14", "wilhelmina@example.org"}
	visitor := ident.New[ident.Visitor]()
	w.put(
		record.New(record.TypeVisitor, visitor, &record.Visitor{
			First: planted[0], Last: planted[1], Phone: planted[2], Born: planted[3], Email: planted[4], State: "active",
		}).ByActor(ident.Actor{Kind: ident.ByVisitor, ID: planted[0]}),
		visit(ident.New[ident.Visit](), "confirmed"),
	)
	w.enrol()
	w.syncd()
	w.untilSynced()
	w.same()
	list, err := w.central.Records(w.within(5*time.Second), w.out.Site())
	if err != nil || len(list) != 2 {
		t.Fatalf("the centre sees %v, %v", list, err)
	}
	got, ok := list[1].Body.(*record.Visitor)
	if !ok || got.GetLast() != planted[1] || list[1].Key.ID != string(visitor) || list[1].Actor != planted[0] {
		t.Errorf("the centre reads %+v", list[1])
	}
	w.centre.Close() // so that everything is in its files
	found := 0
	err = filepath.WalkDir(filepath.Join(w.dir, "centre", "etcd"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(raw, []byte(visitor)) {
			found++
		}
		for _, p := range planted {
			if bytes.Contains(raw, []byte(p)) {
				t.Errorf("%q stands in clear in %s", p, filepath.Base(path))
			}
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("the key was found in %d files of etcd, %v; the search proves nothing", found, err)
	}
}

// cancelOf lets the site's handler cancel a visit and counts how often it ran, in the database as rooms do.
func (w *world) cancelOf(id ident.Visit) (runs func() int) {
	w.execute = func(tx *store.Tx, c record.Command) (record.Result, error) {
		if c.Subject != string(id) {
			return record.Result{Outcome: record.Gone}, nil
		}
		return record.Result{Outcome: record.Cancelled}, w.out.Put(tx, visit(id, "cancelled").For(c.ID))
	}
	key := record.KeyOf(record.TypeVisit, id).Path(record.SitePrefix(w.site()))
	return func() int {
		return view(w, func(tx *store.Tx) (n int, err error) {
			err = tx.Row(`SELECT count(*) FROM outbox WHERE key = ? AND ver > 1`, key).Scan(&n)
			return n, err
		})
	}
}

// result waits for the site's answer to a command.
func (w *world) result(cmd ident.Command) *record.ResultBody {
	w.t.Helper()
	ctx := w.within(20 * time.Second)
	path := record.KeyOf(record.TypeResult, cmd).Path(record.SitePrefix(w.site()))
	events := w.router.Watch(ctx, path, clientv3.WithRev(1))
	<-events
	body, found, err := w.central.Result(ctx, w.out.Site(), cmd)
	if err != nil || !found {
		w.t.Fatalf("no result of the command: %v, %v", found, err)
	}
	return body
}

func TestCancelCommandRunsOnce(t *testing.T) {
	w := newWorld(t)
	id := ident.New[ident.Visit]()
	runs := w.cancelOf(id)
	w.put(visit(id, "confirmed"))
	w.enrol()
	end := w.syncd()
	order := central.Order{Site: w.out.Site(), Kind: record.CmdVisitCancel, Subject: string(id), Body: &record.VisitCancel{Reason: "court"}, Issuer: "officer"}
	cmd, err := w.central.Send(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.result(cmd); got.GetOutcome() != record.Cancelled || got.GetSubject() != string(id) {
		t.Fatalf("result %v", got)
	}
	again := func() {
		t.Helper()
		before := view(w, w.out.State).Revision
		if err := w.central.SendAs(t.Context(), cmd, order); err != nil {
			t.Fatal(err)
		}
		w.until("the second delivery is taken", func(_ outbox.Status, s linkspec.SyncState) bool { return s.Revision > before })
		if n := runs(); n != 1 {
			t.Fatalf("the command ran %d times", n)
		}
	}
	again()
	end()
	w.endLink()
	w.openSite()
	w.syncd()
	again()
	w.untilSynced()
	w.same()
	if s := view(w, w.out.Status); s.ParkedIn != 0 {
		t.Errorf("%d values parked", s.ParkedIn)
	}
}

func TestMailboxEntryLeavesAfterItsResult(t *testing.T) {
	w := newWorld(t)
	id := ident.New[ident.Visit]()
	w.cancelOf(id)
	w.put(visit(id, "confirmed"))
	w.enrol()
	w.syncd()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.central.Serve(ctx) }()
	defer func() { cancel(); <-done }()
	cmd, err := w.central.Send(t.Context(), central.Order{Site: w.out.Site(), Kind: record.CmdVisitCancel, Subject: string(id), Body: &record.VisitCancel{}})
	if err != nil {
		t.Fatal(err)
	}
	for r := range w.router.Watch(w.within(20*time.Second), record.MailPath(w.site(), string(cmd)), clientv3.WithRev(1), clientv3.WithFilterPut()) {
		if len(r.Events) > 0 {
			return
		}
	}
	t.Error("the command is still in the mailbox")
}

func TestExpiredAndForgedCommandsDoNothing(t *testing.T) {
	w := newWorld(t)
	id := ident.New[ident.Visit]()
	runs := w.cancelOf(id)
	w.put(visit(id, "confirmed"))
	w.enrol()
	w.syncd()
	order := central.Order{Site: w.out.Site(), Kind: record.CmdVisitCancel, Subject: string(id), Body: &record.VisitCancel{}, Expires: time.Now().Add(-time.Minute)}
	cmd, err := w.central.Send(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.result(cmd); got.GetOutcome() != record.Expired {
		t.Errorf("outcome %q of an expired command", got.GetOutcome())
	}
	// A valid certificate of centrald is not enough: the command must be signed by the centre that the site knows.
	forger := central.New(w.router, w.newParty("forger"), testClock{}, discard())
	order.Expires = time.Time{}
	if _, err := forger.Send(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	// Neither is the data key of the feed.
	w.until("the forged key and what it seals are parked", func(s outbox.Status, _ linkspec.SyncState) bool { return s.ParkedIn == 2 })
	w.forge(order)
	w.until("the forged signature is parked", func(s outbox.Status, _ linkspec.SyncState) bool { return s.ParkedIn == 3 })
	if n := runs(); n != 0 {
		t.Errorf("the visit was cancelled %d times", n)
	}
}

// forge puts a command into the mailbox that is sealed as the centre would and signed by somebody else.
func (w *world) forge(o central.Order) {
	w.t.Helper()
	ctx := w.within(5 * time.Second)
	res, err := w.router.Get(ctx, record.FeedPrefix(w.site())+string(record.TypeKey)+"/", clientv3.WithPrefix())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, kv := range res.Kvs {
		e, k, err := record.DecodeEnvelope(string(kv.Key), kv.Value)
		if err != nil || w.party.Peer().VerifyRecord(string(kv.Key), e) != nil {
			continue
		}
		wrap := &record.KeyWrap{}
		if err := record.Decode(e.GetSealed(), wrap); err != nil {
			w.t.Fatal(err)
		}
		key, err := w.party.Unwrap(k.ID, wrap)
		if err != nil {
			w.t.Fatal(err)
		}
		id := ident.New[ident.Command]()
		path := record.MailPath(w.site(), string(id))
		body, err := record.Marshal(&record.CommandBody{Kind: o.Kind, Subject: o.Subject})
		if err != nil {
			w.t.Fatal(err)
		}
		forged := &record.Envelope{Major: record.Major, Type: string(record.TypeCommand), Id: string(id), Owner: record.Central, Epoch: 1, Ver: 1}
		if err := key.SealRecord(path, forged, &record.Plain{Body: body}); err != nil {
			w.t.Fatal(err)
		}
		w.newParty("forger").SignRecord(path, forged)
		raw, err := record.Marshal(forged)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.router.Put(ctx, path, string(raw)); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	w.t.Fatal("the centre's data key is not in the feed")
}

func TestCentreAwayAndBack(t *testing.T) {
	w := newWorld(t)
	w.put(visit(ident.New[ident.Visit](), "confirmed"))
	w.enrol()
	w.syncd()
	w.untilSynced()
	at := w.centre.Endpoints()[0][len("https://"):]
	w.centre.Close()
	for range 300 {
		w.put(visit(ident.New[ident.Visit](), "requested"), visit(ident.New[ident.Visit](), "confirmed"))
	}
	w.until("staff can see it", func(s outbox.Status, _ linkspec.SyncState) bool { return s.Cause != "" && s.Waiting == 600 })
	w.startCentre(at)
	w.untilSynced()
	w.same()
	w.until("all is well again", func(s outbox.Status, _ linkspec.SyncState) bool {
		return s.State == "live" && s.Cause == "" && s.Waiting == 0
	})
}

func TestKilledInTheMiddleOfABatch(t *testing.T) {
	w := newWorld(t)
	ids := make([]ident.Visit, 200)
	for i := range ids {
		ids[i] = ident.New[ident.Visit]()
	}
	for n := range 2000 {
		w.put(visit(ids[n%len(ids)], "requested"), visit(ids[(n*7+1)%len(ids)], "confirmed"))
	}
	w.enrol()
	seen := int64(-1)
	for range 5 {
		p := w.process()
		// A kill with every few commits: acknowledgements are commits.
		w.until("syncd has moved on", func(_ outbox.Status, s linkspec.SyncState) bool { return s.Acked > seen })
		seen = view(w, w.out.State).Acked
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait()
		w.put(visit(ids[0], "cancelled"))
	}
	w.syncd()
	w.untilSynced()
	w.same()
	res, err := w.router.Get(w.within(5*time.Second), record.CursorPath(w.site()))
	if err != nil || len(res.Kvs) != 1 {
		t.Fatal(err)
	}
	c := &record.Cursor{}
	if err := record.Decode(res.Kvs[0].Value, c); err != nil {
		t.Fatal(err)
	}
	if err := w.options.Party.Peer().VerifyCursor(w.site(), c); err != nil || c.GetSeq() != view(w, w.out.State).Head {
		t.Errorf("cursor %v is not the site's head: %v", c.GetSeq(), err)
	}
}

func TestOnlyTheOwnPrefix(t *testing.T) {
	w := newWorld(t)
	w.enrol()
	cli, err := w.centre.Client(centre.SiteName(w.site()))
	if err != nil {
		t.Fatal(err)
	}
	defer cli.Close()
	ctx := w.within(10 * time.Second)
	own, other := record.SitePrefix(w.site()), record.SitePrefix("f_0other")
	if _, err := cli.Put(ctx, own+"_presence", "x"); err != nil {
		t.Fatalf("the own prefix is refused: %v", err)
	}
	for name, try := range map[string]func() error{
		"read another site":       func() error { _, err := cli.Get(ctx, other, clientv3.WithPrefix()); return err },
		"write another site":      func() error { _, err := cli.Put(ctx, other+"rec/visit/v", "x"); return err },
		"write the own feed":      func() error { _, err := cli.Put(ctx, record.MailPath(w.site(), "cmd_x"), "x"); return err },
		"write the own fence":     func() error { _, err := cli.Put(ctx, record.FencePath(w.site()), "x"); return err },
		"read another's fence":    func() error { _, err := cli.Get(ctx, record.FencePath("f_0other")); return err },
		"list everything":         func() error { _, err := cli.Get(ctx, "/v1/", clientv3.WithPrefix()); return err },
		"a neighbour's beginning": func() error { _, err := cli.Get(ctx, own[:len(own)-1]+"0/x"); return err },
		"one foreign key in a transaction": func() error {
			_, err := cli.Txn(ctx).Then(clientv3.OpPut(own+"mine", "x"), clientv3.OpPut(other+"theirs", "x")).Commit()
			return err
		},
		"compact": func() error { _, err := cli.Compact(ctx, 1); return err },
	} {
		if try() == nil {
			t.Errorf("a site may %s", name)
		}
	}
	if res, err := cli.Get(ctx, own+"mine"); err != nil || len(res.Kvs) != 0 {
		t.Errorf("half of a refused transaction was applied: %v, %v", res, err)
	}
	watch := <-cli.Watch(ctx, other, clientv3.WithPrefix())
	if watch.Err() == nil {
		t.Error("a site may watch another site")
	}
}

func TestFencedSiteWorksOn(t *testing.T) {
	w := newWorld(t)
	w.put(visit(ident.New[ident.Visit](), "confirmed"))
	w.enrol()
	w.syncd()
	w.untilSynced()
	before := view(w, w.out.State)
	if err := w.central.Raise(t.Context(), w.out.Site(), 1, make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	w.put(visit(ident.New[ident.Visit](), "confirmed"))
	w.until("the site is in recovery", func(s outbox.Status, _ linkspec.SyncState) bool {
		return s.Mode == "recovery" && s.Cause == outbox.CauseFenced
	})
	w.put(visit(ident.New[ident.Visit](), "confirmed"))
	after := view(w, w.out.State)
	if after.Acked != before.Acked || after.Head != before.Head+2 {
		t.Errorf("acknowledged %d, head %d after fence; before %d, %d", after.Acked, after.Head, before.Acked, before.Head)
	}
	if bytes.Equal(before.Incarnation, after.Incarnation) {
		t.Error("the site shows its old incarnation")
	}
}
