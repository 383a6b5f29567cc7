// Command bench measures booking against yardsticks and prints the ratios.
//
// Rounds are interleaved, so that a busy moment of the machine hits all of them, and each round has a fresh file; the
// median counts, with the smallest and largest beside it. Only ratios inside one run are judged, never absolute figures.
// It ends with 1 when a bar is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/store"
)

func main() {
	rounds := flag.Int("rounds", 5, "interleaved rounds")
	dir := flag.String("dir", filepath.Join("build", "bench"), "folder on the disk that is measured; not a memory disk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	missed, err := run(ctx, *dir, *rounds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if missed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d of the bars missed\n", missed)
		os.Exit(1)
	}
}

// load is what one round does.
type load struct {
	shape
	callers int
	each    int // bookings of each caller
	storm   int // starts that everybody wants; 0: everybody books free ones
}

// outcome is what a round saw.
type outcome struct {
	won, lost, wrong int
	took             time.Duration
	over             int // slots with more than their capacity, or whose number does not fit the visits
}

func (o outcome) perSecond() float64 { return float64(o.won+o.lost) / o.took.Seconds() }

// way is one way of booking.
type way struct {
	name string
	run  func(ctx context.Context, dir string, l load) (outcome, error)
}

func ways() []way {
	return []way{
		{"sallyport", rideStore},
		{"bare", func(ctx context.Context, dir string, l load) (outcome, error) { return ridePlain(ctx, dir, l, false) }},
		{"naive", func(ctx context.Context, dir string, l load) (outcome, error) { return ridePlain(ctx, dir, l, true) }},
	}
}

func run(ctx context.Context, dir string, rounds int) (missed int, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	judge := func(name string, ok bool) {
		word := "ok"
		if !ok {
			word, missed = "MISSED", missed+1
		}
		fmt.Printf("  %-58s %s\n", name, word)
	}
	wide := shape{pairs: 64, kiosks: 4, capacity: 4}
	fmt.Println("Booking free times, 64 callers (the yardsticks run the same statements and decide nothing)")
	many, err := measure(ctx, dir, rounds, load{shape: wide, callers: 64, each: 24})
	if err != nil {
		return missed, err
	}
	judge(fmt.Sprintf("sallyport / bare >= 5: %s", many.ratio("sallyport", "bare")), many.median("sallyport", "bare") >= 5)
	fmt.Printf("  %-58s\n", "sallyport / naive: "+many.ratio("sallyport", "naive"))
	fmt.Println("Booking free times, 1 caller")
	one, err := measure(ctx, dir, rounds, load{shape: wide, callers: 1, each: 50})
	if err != nil {
		return missed, err
	}
	judge(fmt.Sprintf("sallyport / bare >= 0.7: %s", one.ratio("sallyport", "bare")), one.median("sallyport", "bare") >= 0.7)
	fmt.Println("Storm: 200 callers want the same 4 times of 20 places each")
	crowd := load{shape: shape{pairs: 200, kiosks: 20, capacity: 20}, callers: 200, each: 4, storm: 4}
	storm, err := measure(ctx, dir, rounds, crowd)
	if err != nil {
		return missed, err
	}
	exact, overbooked, wrong := true, 0, 0
	for _, o := range storm["sallyport"] {
		exact, overbooked, wrong = exact && o.won == crowd.storm*crowd.capacity, overbooked+o.over, wrong+o.wrong
	}
	judge(fmt.Sprintf("exactly %d win in each round", crowd.storm*crowd.capacity), exact)
	judge(fmt.Sprintf("nobody overbooked: %d", overbooked), overbooked == 0)
	judge(fmt.Sprintf("no lock or other error seen by a caller: %d", wrong), wrong == 0)
	fmt.Printf("  %-58s\n", "sallyport / bare: "+storm.ratio("sallyport", "bare"))
	fmt.Printf("  %-58s\n", "sallyport / naive: "+storm.ratio("sallyport", "naive"))
	return missed, nil
}

// results are the rounds of each way.
type results map[string][]outcome

func measure(ctx context.Context, dir string, rounds int, l load) (results, error) {
	r := results{}
	for range rounds {
		for _, w := range ways() {
			round, err := os.MkdirTemp(dir, "round")
			if err != nil {
				return nil, err
			}
			o, err := w.run(ctx, round, l)
			if err := errors.Join(err, os.RemoveAll(round), ctx.Err()); err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			r[w.name] = append(r[w.name], o)
		}
	}
	for _, w := range ways() {
		speeds := each(r[w.name], outcome.perSecond)
		fmt.Printf("  %-10s %8.0f a second  (%.0f to %.0f)\n", w.name, speeds[len(speeds)/2], speeds[0], speeds[len(speeds)-1])
	}
	return r, nil
}

func each(all []outcome, of func(outcome) float64) []float64 {
	out := make([]float64, len(all))
	for i, o := range all {
		out[i] = of(o)
	}
	slices.Sort(out)
	return out
}

// ratios compares the rounds that stood beside each other.
func (r results) ratios(a, b string) []float64 {
	out := make([]float64, len(r[a]))
	for i := range out {
		out[i] = r[a][i].perSecond() / r[b][i].perSecond()
	}
	slices.Sort(out)
	return out
}

func (r results) median(a, b string) float64 { all := r.ratios(a, b); return all[len(all)/2] }

func (r results) ratio(a, b string) string {
	all := r.ratios(a, b)
	return fmt.Sprintf("%.1f (%.1f to %.1f)", all[len(all)/2], all[0], all[len(all)-1])
}

// rideStore runs a load through the visits room.
func rideStore(ctx context.Context, dir string, l load) (outcome, error) {
	s, err := build(ctx, dir, l.shape)
	if err != nil {
		return outcome{}, err
	}
	o := l.ride(func(n int, at time.Time) (won bool, err error) {
		err = s.book(ctx, n, at)
		if fault.Is(err, fault.Full) {
			return false, nil
		}
		return err == nil, err
	})
	err = s.db.View(ctx, func(tx *store.Tx) error { return tx.Row(miscounted).Scan(&o.over) })
	return o, errors.Join(err, s.stop())
}

// ridePlain runs a load through database/sql on a file that was seeded in the same way.
func ridePlain(ctx context.Context, dir string, l load, naive bool) (o outcome, err error) {
	s, err := build(ctx, dir, l.shape)
	if err != nil {
		return o, err
	}
	if err := s.stop(); err != nil {
		return o, err
	}
	if naive && l.storm == 0 {
		l.each = max(1, l.each/6) // it would take most of the run; what counts is bookings a second
	}
	p, err := openPlain(s.path, naive)
	if err != nil {
		return o, err
	}
	o = l.ride(func(n int, at time.Time) (won bool, err error) {
		err = p.book(ctx, s, n, at)
		if errors.Is(err, errFull) {
			return false, nil
		}
		return err == nil, err
	})
	return o, errors.Join(p.db.QueryRowContext(ctx, miscounted).Scan(&o.over), p.db.Close())
}

// miscounted counts slots that are overbooked or do not fit the visits on them.
const miscounted = `SELECT count(*) FROM slots s WHERE s.taken > s.capacity
	OR s.taken <> (SELECT count(*) FROM visits v WHERE v.taken = 1 AND v.starts = s.starts AND v.template = s.template)`

// ride lets all callers book at once and waits for the last.
func (l load) ride(book func(n int, at time.Time) (bool, error)) outcome {
	var o outcome
	var mu sync.Mutex // guards o
	var all sync.WaitGroup
	begin := time.Now()
	for n := range l.callers {
		all.Go(func() {
			for k := range l.each {
				won, err := book(n, l.start(n, k))
				mu.Lock()
				switch {
				case won:
					o.won++
				case err == nil:
					o.lost++
				default:
					if o.wrong++; o.wrong == 1 {
						fmt.Fprintln(os.Stderr, "bench: first error of a caller:", err)
					}
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	o.took = time.Since(begin)
	return o
}

// start is the k-th time that a caller wants. Free times are the caller's own; in a storm all want the same ones.
func (l load) start(n, k int) time.Time {
	first := time.Date(2027, 3, 3, 0, 0, 0, 0, time.UTC)
	if l.storm > 0 {
		return first.Add(time.Duration((n+k)%l.storm) * 15 * time.Minute)
	}
	return first.Add(time.Duration(k*l.callers+n) * 15 * time.Minute)
}
