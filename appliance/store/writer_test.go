package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

const childEnv = "STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		child(path)
		return
	}
	if path := os.Getenv(brokenEnv); path != "" {
		brokenChild(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// child books as fast as it can from many callers and prints each number that the store has acknowledged.
func child(path string) {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{Path: path, Migrations: oneRoom(things)})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	go func() { _ = db.Serve(ctx) }()
	var n atomic.Int64
	var out sync.Mutex
	for range 32 {
		go func() {
			for {
				id := n.Add(1)
				if err := db.Update(ctx, put(strconv.FormatInt(id, 10), 1)); err == nil {
					out.Lock()
					fmt.Println(id)
					out.Unlock()
				}
			}
		}()
	}
	select {}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	for round := range 3 {
		path := filepath.Join(t.TempDir(), "killed.db")
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var acknowledged []string
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			acknowledged = append(acknowledged, lines.Text())
			if len(acknowledged) == 500+137*round {
				if err := cmd.Process.Kill(); err != nil { // SIGKILL; what is in the pipe is read to its end
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
		if len(acknowledged) < 500 {
			t.Fatalf("the child said %v", acknowledged)
		}
		db, err := store.Open(t.Context(), store.Options{Path: path, Migrations: oneRoom(things)})
		if err != nil {
			t.Fatal(err)
		}
		storetest.Serve(t, db)
		there := map[string]bool{}
		err = db.View(t.Context(), func(tx *store.Tx) error {
			return tx.Each(func(r *store.Rows) error {
				var id string
				err := r.Scan(&id)
				there[id] = true
				return err
			}, "SELECT id FROM thing")
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range acknowledged {
			if !there[id] {
				t.Errorf("round %d: %s was acknowledged and is lost", round, id)
			}
		}
	}
}

// Each caller in a group keeps its own outcome: whatever its neighbours do, the database holds exactly what the
// successful ones have written.
func TestSavepointsKeepCallersApart(t *testing.T) {
	type op struct {
		Key  string
		Fate int // 0 commits, 1 fails, 2 panics, 3 breaks a constraint and goes on
	}
	rapid.Check(t, func(rt *rapid.T) {
		ops := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) op {
			return op{rapid.StringMatching(`[a-d]`).Draw(rt, "key"), rapid.IntRange(0, 3).Draw(rt, "fate")}
		}), 1, 80).Draw(rt, "ops")
		db, err := store.Open(context.Background(), store.Options{Path: filepath.Join(t.TempDir(), "p.db"), Migrations: oneRoom(things), MaxGroup: 7})
		if err != nil {
			rt.Fatal(err)
		}
		outcomes := make([]error, len(ops))
		var wg sync.WaitGroup
		for i, o := range ops {
			wg.Go(func() {
				outcomes[i] = db.Update(context.Background(), func(tx *store.Tx) error {
					if err := tx.Exec("INSERT INTO thing (id, size) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET size = size + 1", o.Key); err != nil {
						return err
					}
					switch o.Fate {
					case 1:
						return errors.New("no")
					case 2:
						panic("oh")
					case 3:
						if err := tx.Exec("INSERT INTO thing (id, size) VALUES (?, 1)", o.Key); !fault.Is(err, fault.Conflict) {
							return fmt.Errorf("want Conflict, got %w", err)
						}
					}
					return nil
				})
			})
		}
		ctx, end := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- db.Serve(ctx) }() // after the callers queue, so that groups form
		wg.Wait()
		want, got := map[string]int{}, map[string]int{}
		for i, o := range ops {
			failed := o.Fate == 1 || o.Fate == 2
			if failed != (outcomes[i] != nil) {
				rt.Fatalf("caller %d with fate %d got %v", i, o.Fate, outcomes[i])
			}
			if !failed {
				want[o.Key]++
			}
		}
		err = db.View(context.Background(), func(tx *store.Tx) error {
			return tx.Each(func(r *store.Rows) error {
				var id string
				var n int
				err := r.Scan(&id, &n)
				got[id] = n
				return err
			}, "SELECT id, size FROM thing")
		})
		end()
		if err := errors.Join(err, <-served, db.Close()); err != nil {
			rt.Fatal(err)
		}
		if !maps.Equal(want, got) {
			rt.Fatalf("database mismatch (-want +got):\n%s", cmp.Diff(want, got))
		}
	})
}

func TestManyWritersAndReaders(t *testing.T) {
	db := storetest.Open(t, schema(things))
	ctx := t.Context()
	if err := db.Update(ctx, put("sum", 0)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 25 {
				err := db.Update(ctx, func(tx *store.Tx) error {
					if err := tx.Exec("INSERT INTO thing (id, size) VALUES (?, 1)", fmt.Sprintf("%d-%d", w, i)); err != nil {
						return err
					}
					return tx.Exec("UPDATE thing SET size = size + 1 WHERE id = 'sum'")
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 25 {
				err := db.View(ctx, func(tx *store.Tx) error {
					var sum, n int
					if err := errors.Join(tx.Row("SELECT size FROM thing WHERE id = 'sum'").Scan(&sum), tx.Row("SELECT count(*) - 1 FROM thing").Scan(&n)); err != nil {
						return err
					}
					if sum != n {
						return fmt.Errorf("a reader sees %d of %d", sum, n)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, db, "SELECT size FROM thing WHERE id = 'sum'"); n != 400 {
		t.Errorf("sum = %d, want 400", n)
	}
}

func TestCancelledCallerNeverRuns(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "c.db"), Migrations: oneRoom(things)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() { answered <- db.Update(ctx, put("cancelled", 1)) }()
	cancel()
	if err := <-answered; !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v, want Unavailable because of its context", err)
	}
	storetest.Serve(t, db)
	if err := db.Update(t.Context(), put("next", 1)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "SELECT count(*) FROM thing"); n != 1 {
		t.Errorf("%d things, want the next one only", n)
	}
}

func TestRunningCallerIsWaitedFor(t *testing.T) {
	db := storetest.Open(t, schema(things))
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(ctx, func(tx *store.Tx) error {
		cancel() // too late: it runs
		return put("a", 1)(tx)
	})
	if err != nil {
		t.Errorf("Update = %v", err)
	}
	if n := count(t, db, "SELECT count(*) FROM thing"); n != 1 {
		t.Error("its outcome is not there")
	}
}

func TestServeAnswersWhoWaitsAndThenRefuses(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "s.db"), Migrations: oneRoom(things)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	began, goOn, served := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() { served <- db.Serve(ctx) }()
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		first <- db.Update(t.Context(), func(tx *store.Tx) error { close(began); <-goOn; return put("a", 1)(tx) })
	}()
	<-began
	go func() { second <- db.Update(t.Context(), put("b", 1)) }()
	end()
	close(goOn)
	if err := <-first; err != nil {
		t.Errorf("who ran was refused: %v", err)
	}
	if err := <-second; err != nil && !fault.Is(err, fault.Unavailable) {
		t.Errorf("who waited got %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if err := db.Update(t.Context(), put("c", 1)); fault.CodeOf(err) != "store.stopped" {
		t.Errorf("after the end Update = %v", err)
	}
	if err := errors.Join(db.Close(), db.Close()); err != nil {
		t.Error(err)
	}
	if err := db.View(t.Context(), func(*store.Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after Close View = %v", err)
	}
}

func TestGroupThatEndsItsGoroutineIsAnswered(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "g.db"), Migrations: oneRoom(things)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = db.Serve(t.Context()) }()
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		if err := put("a", 1)(tx); err != nil {
			return err
		}
		(&testing.T{}).SkipNow() // runtime.Goexit, as t.Fatal does
		return nil
	})
	if err == nil {
		t.Error("it was acknowledged")
	}
	<-ended
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if db, err = store.Open(t.Context(), store.Options{Path: db.Path(), Migrations: oneRoom(things)}); err != nil {
		t.Fatal(err)
	}
	storetest.Serve(t, db)
	if n := count(t, db, "SELECT count(*) FROM thing"); n != 0 {
		t.Error("its half was kept")
	}
}

func TestChangedTellsOfChangesOnly(t *testing.T) {
	db := storetest.Open(t, schema(things))
	ctx := t.Context()
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	changed := db.Changed()
	for name, fn := range map[string]func(*store.Tx) error{
		"read":   func(tx *store.Tx) error { return tx.Row("SELECT 1").Scan(new(int)) },
		"none":   func(tx *store.Tx) error { return tx.Exec("UPDATE thing SET size = 1 WHERE id = 'nobody'") },
		"undone": func(tx *store.Tx) error { return errors.Join(put("a", 1)(tx), errors.New("no")) },
	} {
		_ = db.Update(ctx, fn)
		if closed(changed) {
			t.Fatalf("%s told of a change", name)
		}
	}
	if err := db.Update(ctx, put("a", 1)); err != nil {
		t.Fatal(err)
	}
	if !closed(changed) {
		t.Error("a change was not told")
	}
	if closed(db.Changed()) {
		t.Error("the next change is told before it is there")
	}
}

func TestNowIsOneValue(t *testing.T) {
	c := clock.NewFake(time.Date(2027, 3, 4, 14, 0, 0, 123456789, time.FixedZone("x", 3600)))
	db := storetest.OpenAt(t, c, schema(things))
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		a := tx.Now()
		c.Advance(time.Hour)
		if b := tx.Now(); a != b || a.Location() != time.UTC || a.Nanosecond() != 123e6 {
			t.Errorf("Now was %v, then %v", a, b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTxIsOverAfterItsFunction(t *testing.T) {
	db := storetest.Open(t, schema(things))
	var kept *store.Tx
	if err := db.Update(t.Context(), func(tx *store.Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := kept.Exec("DELETE FROM thing"); err == nil || !strings.Contains(err.Error(), "after its end") {
		t.Errorf("Exec = %v", err)
	}
}

// A statement may be used again while its own rows are read.
func TestStatementInsideItself(t *testing.T) {
	db := storetest.Open(t, schema(things))
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for i := range 3 {
			if err := put(fmt.Sprint(i), i)(tx); err != nil {
				return err
			}
		}
		const q = "SELECT size FROM thing WHERE size >= ? ORDER BY size"
		var seen []int
		err := tx.Each(func(r *store.Rows) error {
			var a, b int
			if err := errors.Join(r.Scan(&a), tx.Row(q, a).Scan(&b)); err != nil {
				return err
			}
			seen = append(seen, a*10+b)
			return nil
		}, q, 0)
		if diff := cmp.Diff([]int{0, 11, 22}, seen); diff != "" {
			t.Errorf("rows mismatch (-want +got):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
