package visits_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/visits"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("SALLYPORT_STORM"); path != "" {
		stormChild(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// exact checks that nobody is booked twice and that every number fits the visits that there are.
func (s *site) exact(t testing.TB) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		var over, taken, planned, spans, doubles int
		err := tx.Row(`SELECT (SELECT count(*) FROM slots WHERE taken > capacity), (SELECT coalesce(sum(taken), 0) FROM slots),
			(SELECT coalesce(sum(slots), 0) FROM visits WHERE taken = 1), (SELECT count(*) FROM visit_spans),
			(SELECT count(*) FROM visit_spans a JOIN visit_spans b ON a.subject = b.subject AND a.starts < b.starts AND a.ends > b.starts)`).
			Scan(&over, &taken, &planned, &spans, &doubles)
		if err != nil {
			return err
		}
		if over != 0 || doubles != 0 || taken != planned || spans%3 != 0 {
			t.Errorf("%d slots overbooked, %d people in two places, %d places taken for %d booked, %d spans", over, doubles, taken, planned, spans)
		}
		report, err := audit.Verify(tx)
		if err == nil && !report.Whole {
			t.Errorf("the audit chain is broken: %s", report.Why)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// 200 callers want one start at once: exactly its capacity wins and everybody else is told that it is full.
func TestStormOnOneSlot(t *testing.T) {
	for _, capacity := range []int{1, 7} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			const callers = 200
			s := open(t, policy.Prison, 10, capacity, callers)
			s.set(t, string(policy.BookingNeedsStaffApproval), "never")
			var all sync.WaitGroup
			answers := make(chan error, callers)
			for n := range callers {
				all.Go(func() {
					answers <- s.Update(t.Context(), func(tx *store.Tx) error {
						r := s.ask(n, on(4, 14, 0))
						r.Mode, r.Ticked = visits.Confirm, true
						_, err := s.Book(tx, s.by(n), r, "")
						return err
					})
				})
			}
			all.Wait()
			close(answers)
			won := 0
			for err := range answers {
				switch {
				case err == nil:
					won++
				case !fault.Is(err, fault.Full):
					t.Errorf("a loser was told %v", err)
				}
			}
			if won != capacity {
				t.Errorf("%d won, want %d", won, capacity)
			}
			s.exact(t)
		})
	}
}

// The same people race for many starts at once: nobody gets two visits at one time, nobody more than the month has.
func TestRaceOfFewPeople(t *testing.T) {
	s := open(t, policy.Prison, 3, 3, 4)
	s.set(t, string(policy.BookingNeedsStaffApproval), "never")
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			who := n % 4
			r := s.ask(who, on(2+n%5, 14, 15*(n%4)))
			r.Mode, r.Ticked = visits.Confirm, true
			err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := s.Book(tx, s.by(who), r, ""); return err })
			if _, refused := fault.Of(err); err != nil && !refused {
				t.Errorf("race: %v", err)
			}
		})
	}
	all.Wait()
	s.exact(t)
	err := s.View(t.Context(), func(tx *store.Tx) error {
		for _, i := range s.inmates {
			a, err := s.Allowance(tx, i, "2027-03-04")
			if err != nil {
				return err
			}
			var booked int
			if err := tx.Row(`SELECT count(*) FROM visits WHERE inmate = ? AND state = 'confirmed'`, i).Scan(&booked); err != nil {
				return err
			}
			if booked != 2 || a.Calls != 0 {
				t.Errorf("%d visits and %d calls left, want 2 and 0", booked, a.Calls)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What was confirmed to a caller is there after the process was killed, and nothing is half there.
func TestKilledInTheStorm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "storm.db")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "SALLYPORT_STORM="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var confirmed []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		confirmed = append(confirmed, lines.Text())
		if len(confirmed) == 60 {
			if err := child.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(confirmed) < 60 {
		t.Fatalf("the child ended by itself after %d bookings: %v", len(confirmed), err)
	}
	db, err := store.Open(t.Context(), store.Options{Path: path, Clock: clock.NewFake(monday), Migrations: []fs.FS{
		audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, schedule.Schema, visits.Schema,
	}})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Serve(t, db)
	s := &site{DB: db, clock: clock.NewFake(monday)}
	s.wire()
	s.exact(t)
	err = db.View(t.Context(), func(tx *store.Tx) error {
		for _, id := range confirmed {
			var state string
			if err := tx.Row(`SELECT state FROM visits WHERE id = ?`, id).Scan(&state); err != nil || state != "confirmed" {
				t.Errorf("a visit that was confirmed to its caller is %q: %v", state, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stormChild books as fast as it can and prints each id once the booking is on the disk, until it is killed.
func stormChild(path string) {
	tb := &childTB{ctx: context.Background()}
	db, err := store.Open(tb.ctx, store.Options{Path: path, Clock: clock.NewFake(monday), Migrations: []fs.FS{
		audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, schedule.Schema, visits.Schema,
	}})
	if err != nil {
		tb.Fatal(err)
	}
	go func() {
		if err := db.Serve(tb.ctx); err != nil {
			tb.Fatal(err)
		}
	}()
	s := &site{DB: db, clock: clock.NewFake(monday)}
	s.wire()
	s.seed(tb, policy.Prison, 50, 50, 400)
	s.set(tb, string(policy.BookingNeedsStaffApproval), "never")
	var all sync.WaitGroup
	var out sync.Mutex // guards the standard output
	for n := range 400 {
		all.Go(func() {
			for turn := range 2 {
				r := s.ask(n, on(2+n%5, 14+turn, 0))
				r.Start = r.Start.Add(time.Duration(n/5%4) * time.Hour / 2)
				r.Mode, r.Ticked = visits.Confirm, true
				var v visits.Visit
				err := db.Update(tb.ctx, func(tx *store.Tx) (err error) { v, err = s.Book(tx, s.by(n), r, ""); return err })
				if err == nil {
					out.Lock()
					fmt.Println(v.ID)
					out.Unlock()
				}
			}
		})
	}
	all.Wait()
	select {} // the parent kills us
}

// childTB lets the fixture run outside of a test.
type childTB struct {
	testing.TB
	ctx context.Context
}

func (c *childTB) Helper()                  {}
func (c *childTB) Context() context.Context { return c.ctx }
func (c *childTB) Fatal(args ...any) {
	fmt.Fprintln(os.Stderr, args...)
	os.Exit(2)
}

// A request that is repeated with its key gets its first answer, and takes nothing twice.
func TestSameKeySameAnswer(t *testing.T) {
	s := open(t, policy.Prison, 2, 2, 2)
	book := func(n int, at time.Time, key string) (v visits.Visit, err error) {
		r := s.ask(n, at)
		r.Mode, r.Ticked = visits.Confirm, true
		err = s.Update(t.Context(), func(tx *store.Tx) (err error) { v, err = s.Book(tx, s.by(n), r, key); return err })
		return v, err
	}
	first, err := book(0, on(4, 14, 0), "key-of-the-request-1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := book(0, on(4, 14, 0), "key-of-the-request-1")
	if err != nil || again.ID != first.ID {
		t.Errorf("repeated: %v, %v, want %v", again.ID, err, first.ID)
	}
	other, err := book(1, on(4, 14, 0), "key-of-the-request-1")
	if err != nil || other.ID == first.ID {
		t.Errorf("the key of somebody else answered with their visit: %v, %v", other.ID, err)
	}
	s.exact(t)
}

// What is not theirs does not exist for a family member.
func TestOthersVisitsDoNotExist(t *testing.T) {
	s := open(t, policy.Prison, 2, 2, 2)
	r := s.ask(0, on(4, 14, 0))
	r.Mode, r.Ticked = visits.Confirm, true
	var v visits.Visit
	s.do(t, func(tx *store.Tx) (err error) { v, err = s.Book(tx, s.by(0), r, ""); return err })
	for name, act := range map[string]func(*store.Tx) error{
		"look":          func(tx *store.Tx) error { _, err := s.Own(tx, s.by(1), v.ID); return err },
		"cancel":        func(tx *store.Tx) error { _, err := s.Cancel(tx, s.by(1), v.ID, ""); return err },
		"withdraw":      func(tx *store.Tx) error { _, err := s.Withdraw(tx, s.by(1), v.ID); return err },
		"their contact": func(tx *store.Tx) error { _, err := s.Hold(tx, s.by(1), r); return err },
		"their starts":  func(tx *store.Tx) error { _, err := s.Starts(tx, s.by(1), r, "2027-03-01", "2027-03-07"); return err },
		"their hold":    func(tx *store.Tx) error { return s.Drop(tx, s.by(1), v.ID) },
	} {
		if err := s.Update(t.Context(), act); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Serve does what is due by itself and stops when it is told to.
func TestServeEndsHolds(t *testing.T) {
	s := open(t, policy.Prison, 2, 2, 1)
	s.do(t, func(tx *store.Tx) error { _, err := s.Hold(tx, s.by(0), s.ask(0, on(4, 14, 0))); return err })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Visits.Serve(ctx, s.DB, s.clock, s.log) }()
	for held := 1; held > 0; {
		changed := s.Changed()
		if s.clock.Waiting() > 0 {
			s.clock.Advance(5 * time.Minute)
		}
		if err := s.View(t.Context(), func(tx *store.Tx) error { return tx.Row(`SELECT count(*) FROM visits`).Scan(&held) }); err != nil {
			t.Fatal(err)
		}
		if held > 0 {
			select {
			case <-changed:
			case <-time.After(time.Millisecond):
			}
		}
	}
	stop()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Serve: %v", err)
	}
}
