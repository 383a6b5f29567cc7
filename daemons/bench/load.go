package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"sallyport/appliance/store"
)

// load is what one round does.
type load struct {
	name string
	shape
	callers int
	each    int           // bookings of each caller
	storm   int           // starts that everybody wants; 0: everybody books free ones
	limit   time.Duration // of a yardstick, or it would take most of the run; what counts is bookings a second
	bar     float64       // what sallyport / bare must be; 0: only printed
}

func loads() []load {
	wide := shape{pairs: 64, kiosks: 4, capacity: 4}
	return []load{
		{name: "free times, 64 callers", shape: wide, callers: 64, each: 24, bar: 5},
		{name: "free times, 1 caller", shape: wide, callers: 1, each: 256, bar: 0.7},
		{name: "storm, 200 callers, 4 times of 20 places", shape: shape{pairs: 200, kiosks: 20, capacity: 20}, callers: 200, each: 4, storm: 4},
	}
}

// start is the k-th time that a caller wants. Free times are the caller's own; in a storm all want the same ones.
func (l load) start(n, k int) time.Time {
	first := time.Date(2027, 3, 3, 0, 0, 0, 0, time.UTC)
	if l.storm > 0 {
		return first.Add(time.Duration((n+k)%l.storm) * 15 * time.Minute)
	}
	return first.Add(time.Duration(k*l.callers+n) * 15 * time.Minute)
}

// who is the pair that the k-th booking of a caller is for.
func (l load) who(n, k int) int { return (n + k*l.callers) % l.pairs }

// outcome is what a round saw.
type outcome struct {
	won, lost, wrong int
	took             time.Duration
	over             int // slots with more than their capacity, or whose number does not fit the visits
}

func (o outcome) perSecond() float64 { return float64(o.won+o.lost) / o.took.Seconds() }

// miscounted counts slots that are overbooked or do not fit the visits on them.
const miscounted = `SELECT count(*) FROM slots s WHERE s.taken > s.capacity
	OR s.taken <> (SELECT count(*) FROM visits v WHERE v.taken = 1 AND v.starts = s.starts AND v.template = s.template)`

// rideStore runs a load through the visits room.
func rideStore(ctx context.Context, dir string, l load) (outcome, error) {
	s, err := build(ctx, dir, l.shape)
	if err != nil {
		return outcome{}, err
	}
	o := l.ride(func(pair int, at time.Time) (bool, error) { return s.book(ctx, s.pairs[pair], at) })
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
	l.limit = 1200 * time.Millisecond
	p, err := openPlain(s, naive)
	if err != nil {
		return o, err
	}
	o = l.ride(func(pair int, at time.Time) (bool, error) { return p.book(ctx, s.pairs[pair], at) })
	return o, errors.Join(p.db.QueryRowContext(ctx, miscounted).Scan(&o.over), p.db.Close())
}

// ride lets all callers book at once and waits for the last. book tells whether the place was won; a place that is taken
// is no error.
func (l load) ride(book func(pair int, at time.Time) (bool, error)) outcome {
	var o outcome
	var mu sync.Mutex // guards o
	var all sync.WaitGroup
	begin := time.Now()
	for n := range l.callers {
		all.Go(func() {
			for k := range l.each {
				if l.limit > 0 && time.Since(begin) > l.limit {
					return
				}
				won, err := book(l.who(n, k), l.start(n, k))
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
