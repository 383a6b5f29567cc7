package outbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Audience is whose screens are told.
type Audience string

// ToVisitor is all screens of one visitor.
func ToVisitor(id ident.Visitor) Audience { return Audience("visitor:" + string(id)) }

// ToInmate is the kiosk or tablet where this inmate is signed in.
func ToInmate(id ident.Inmate) Audience { return Audience("inmate:" + string(id)) }

// ToStaff is every staff console.
func ToStaff() Audience { return "staff" }

// ToAll is everybody who subscribes to it.
func ToAll() Audience { return "all" }

// Reset is the kind of an event that says: more happened than can be told again, load everything anew.
const Reset = "reset"

const (
	feedKept   = 20_000 // events kept for screens that come back
	feedBuffer = 256    // events that a screen may lag behind before it is cut off
)

// Event tells that the thing with this id changed. A screen asks its door what it is now.
type Event struct {
	Seq  int64
	To   Audience
	Kind string // "visit", "contact": the noun
	ID   string
	At   time.Time
}

// Tell adds an event for the screens of an audience; they hear of it after the commit.
func Tell[S ~string](tx *store.Tx, to Audience, kind string, id S) error {
	return TellEach(tx, kind, id, to)
}

// TellEach is [Tell] of the same event to several audiences.
func TellEach[S ~string](tx *store.Tx, kind string, id S, to ...Audience) error {
	if len(to) == 0 {
		return nil
	}
	args := make([]any, 0, 4*len(to))
	for _, one := range to {
		args = append(args, string(one), kind, string(id), tx.Now())
	}
	seq, err := tx.Insert("INSERT INTO outbox_feed (audience, kind, id, at) VALUES "+values(len(to), "(?, ?, ?, ?)"), args...)
	if err == nil && seq/256 != (seq-int64(len(to)))/256 {
		err = tx.Exec("DELETE FROM outbox_feed WHERE seq <= ?", seq-feedKept)
	}
	if err != nil {
		return fmt.Errorf("tell %s: %w", kind, err)
	}
	return nil
}

// values are the rows of an INSERT: one statement for all of them costs the writer less than one for each.
func values(rows int, row string) string {
	if rows == 1 {
		return row
	}
	return strings.Repeat(row+", ", rows-1) + row
}

// Feed carries events to open screens: one reader of the table for all of them.
type Feed struct {
	db *store.DB

	mu   sync.Mutex // guards the rest; nothing is called out to while it is held
	subs map[*subscriber]struct{}
	over bool
	wake chan struct{} // has one element when a subscriber is new
}

type subscriber struct {
	to    []Audience
	after int64 // told up to here
	fresh bool  // not yet caught up with the feed
	out   chan Event
}

// NewFeed returns a feed that carries nothing until Serve runs.
func NewFeed(db *store.DB) *Feed {
	return &Feed{db: db, subs: map[*subscriber]struct{}{}, wake: make(chan struct{}, 1)}
}

// Subscribe returns the events for these audiences that come after the sequence number after, the last one that the
// screen has seen; 0 means from now on. The channel is closed when ctx ends, when the feed ends, and when the screen is
// too slow: it comes back with its last number then. When events in between are no longer kept, the first event is a
// [Reset].
func (f *Feed) Subscribe(ctx context.Context, after int64, to ...Audience) <-chan Event {
	s := &subscriber{to: to, after: after, fresh: true, out: make(chan Event, feedBuffer)}
	head, _, err := f.bounds(ctx)
	if err != nil {
		close(s.out)
		return s.out
	}
	switch {
	case after <= 0:
		s.after = head
	case after > head: // an older database was restored under the screen
		s.after = head
		s.out <- Event{Seq: head, Kind: Reset}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || ctx.Err() != nil {
		close(s.out)
		return s.out
	}
	f.subs[s] = struct{}{}
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.drop(s)
	})
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return s.out
}

// drop ends a subscription; f.mu is held.
func (f *Feed) drop(s *subscriber) {
	if _, ok := f.subs[s]; ok {
		delete(f.subs, s)
		close(s.out)
	}
}

// Serve carries events until ctx ends; then all subscriptions are closed. It returns an error when the table cannot be
// read.
func (f *Feed) Serve(ctx context.Context) error {
	defer f.end()
	last, _, err := f.bounds(ctx)
	if err != nil {
		return ifRunning(ctx, err)
	}
	for {
		changed := f.db.Changed()
		if err := f.catchUp(ctx, last); err != nil {
			return ifRunning(ctx, err)
		}
		for more := true; more; {
			if last, more, err = f.carry(ctx, last); err != nil {
				return ifRunning(ctx, err)
			}
		}
		select {
		case <-changed:
		case <-f.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

func ifRunning(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("carry the feed: %w", err)
}

func (f *Feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for s := range f.subs {
		f.drop(s)
	}
}

// bounds returns the number of the newest event and of the oldest kept one.
func (f *Feed) bounds(ctx context.Context) (head, oldest int64, err error) {
	err = f.db.View(ctx, func(tx *store.Tx) error {
		return tx.Row("SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'outbox_feed'), 0), COALESCE((SELECT min(seq) FROM outbox_feed), 1)").Scan(&head, &oldest)
	})
	return head, oldest, err
}

// catchUp tells new subscribers what they missed up to last, the feed's own place.
func (f *Feed) catchUp(ctx context.Context, last int64) error {
	f.mu.Lock()
	var fresh []*subscriber
	for s := range f.subs {
		if s.fresh {
			fresh = append(fresh, s)
		}
	}
	f.mu.Unlock()
	for _, s := range fresh {
		var missed []Event
		if s.after < last {
			_, oldest, err := f.bounds(ctx)
			if err != nil {
				return err
			}
			if missed, err = f.events(ctx, s.after, last, s.to, feedBuffer); err != nil {
				return err
			}
			if s.after < oldest-1 || len(missed) == feedBuffer {
				missed = []Event{{Seq: last, Kind: Reset}}
			}
		}
		f.mu.Lock()
		s.fresh = false
		f.send(s, missed)
		s.after = max(s.after, last)
		f.mu.Unlock()
	}
	return nil
}

// carry tells everybody what is new after last, and whether there may be more.
func (f *Feed) carry(ctx context.Context, last int64) (int64, bool, error) {
	events, err := f.events(ctx, last, 1<<62, nil, feedBuffer)
	if err != nil || len(events) == 0 {
		return last, false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs {
		if !s.fresh {
			f.send(s, events)
		}
	}
	return events[len(events)-1].Seq, len(events) == feedBuffer, nil
}

// send gives a subscriber those events that are for it and new to it; f.mu is held. Who lags too far is cut off: one
// slow screen must not hold up the others.
func (f *Feed) send(s *subscriber, events []Event) {
	if _, ok := f.subs[s]; !ok {
		return
	}
	for _, e := range events {
		if e.Seq <= s.after || e.Kind != Reset && !slices.Contains(s.to, e.To) {
			continue
		}
		select {
		case s.out <- e:
			s.after = e.Seq
		default:
			f.drop(s)
			return
		}
	}
}

// events reads those in (after, until], of these audiences or of all when there are none.
func (f *Feed) events(ctx context.Context, after, until int64, to []Audience, limit int) (all []Event, err error) {
	query, args := "SELECT seq, audience, kind, id, at FROM outbox_feed WHERE seq > ? AND seq <= ?", []any{after, until}
	if len(to) > 0 {
		query += " AND audience IN (?" + strings.Repeat(", ?", len(to)-1) + ")"
		for _, a := range to {
			args = append(args, a)
		}
	}
	err = f.db.View(ctx, func(tx *store.Tx) (err error) {
		all, err = store.All(tx, func(r *store.Rows) (e Event, err error) {
			return e, r.Scan(&e.Seq, &e.To, &e.Kind, &e.ID, &e.At)
		}, query+" ORDER BY seq LIMIT ?", append(args, limit)...)
		return err
	})
	return all, err
}
