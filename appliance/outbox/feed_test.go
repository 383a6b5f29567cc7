package outbox_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serveFeed(t *testing.T, db *store.DB) (*outbox.Feed, func()) {
	t.Helper()
	f := outbox.NewFeed(db)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx) }()
	var ended bool
	end := func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
	}
	t.Cleanup(end)
	return f, end
}

func tell(t *testing.T, db *store.DB, to outbox.Audience, ids ...string) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for _, id := range ids {
			if err := outbox.Tell(tx, to, "visit", id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, events <-chan outbox.Event) outbox.Event {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the feed is closed")
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event came")
	}
	panic("unreachable")
}

func TestFeedTellsOnlyItsAudience(t *testing.T) {
	db := storetest.Open(t, outbox.Schema)
	f, _ := serveFeed(t, db)
	ann, bob := outbox.ToVisitor(ident.New[ident.Visitor]()), outbox.ToVisitor(ident.New[ident.Visitor]())
	tell(t, db, ann, "before")
	events := f.Subscribe(t.Context(), 0, ann, outbox.ToAll())
	tell(t, db, bob, "v_bob")
	tell(t, db, outbox.ToStaff(), "v_staff")
	tell(t, db, ann, "v_ann")
	tell(t, db, outbox.ToAll(), "v_all")
	if e := next(t, events); e.ID != "v_ann" || e.Kind != "visit" || e.To != ann || e.At.IsZero() {
		t.Errorf("first event is %+v", e)
	}
	if e := next(t, events); e.ID != "v_all" {
		t.Errorf("second event is %+v", e)
	}
}

func TestFeedGoesOnWhereAScreenWas(t *testing.T) {
	db := storetest.Open(t, outbox.Schema)
	staff := outbox.ToStaff()
	tell(t, db, staff, "one", "two", "three")
	f, _ := serveFeed(t, db)
	events := f.Subscribe(t.Context(), 1, staff)
	got := []string{next(t, events).ID, next(t, events).ID}
	tell(t, db, staff, "four")
	got = append(got, next(t, events).ID)
	if diff := cmp.Diff([]string{"two", "three", "four"}, got); diff != "" {
		t.Errorf("events mismatch (-want +got):\n%s", diff)
	}
}

func TestFeedBeforeServe(t *testing.T) {
	db := storetest.Open(t, outbox.Schema)
	f := outbox.NewFeed(db)
	events := f.Subscribe(t.Context(), 0, outbox.ToStaff())
	tell(t, db, outbox.ToStaff(), "early")
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx) }()
	if e := next(t, events); e.ID != "early" {
		t.Errorf("event is %+v", e)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestFeedResetsWhoWasAwayTooLong(t *testing.T) {
	db := storetest.Open(t, outbox.Schema)
	staff := outbox.ToStaff()
	ids := make([]string, 300)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	tell(t, db, staff, ids...)
	f, _ := serveFeed(t, db)
	for _, after := range []int64{1, 9000} { // too much to tell again; a number from a database that is gone
		events := f.Subscribe(t.Context(), after, staff)
		if e := next(t, events); e.Kind != outbox.Reset || e.Seq != 300 {
			t.Errorf("after %d comes %+v, want a reset", after, e)
		}
	}
}

func TestFeedCutsOffASlowScreen(t *testing.T) {
	db := storetest.Open(t, outbox.Schema)
	f, _ := serveFeed(t, db)
	staff := outbox.ToStaff()
	slow := f.Subscribe(t.Context(), 0, staff)
	quick := f.Subscribe(t.Context(), 0, staff)
	for i := range 400 {
		tell(t, db, staff, fmt.Sprint(i))
		if e := next(t, quick); e.ID != fmt.Sprint(i) {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
	n := 0
	for range slow { // ends, because the channel was closed
		n++
	}
	if n == 0 || n >= 400 {
		t.Errorf("the slow screen got %d events", n)
	}
}

func TestFeedEndsWithItsContext(t *testing.T) {
	db := storetest.Open(t, outbox.Schema)
	f, end := serveFeed(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	one, all := f.Subscribe(ctx, 0, outbox.ToStaff()), f.Subscribe(t.Context(), 0, outbox.ToStaff())
	cancel()
	for range one {
		t.Error("an event came after the end")
	}
	end()
	for range all {
		t.Error("an event came after the end of the feed")
	}
	for range f.Subscribe(t.Context(), 0, outbox.ToStaff()) {
		t.Error("an ended feed took a subscriber")
	}
}
