// Command bench measures booking against yardsticks and prints the ratios.
//
// Rounds are interleaved, so that a busy moment of the machine hits all of them, and each round has a fresh file; the
// median counts, with the smallest and largest beside it. Only ratios inside one round are judged, never absolute
// figures. It ends with 1 when a bar is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"sallyport/appliance/unit"
)

func main() {
	rounds := flag.Int("rounds", 5, "interleaved rounds")
	dir := flag.String("dir", filepath.Join("build", "bench"), "folder on the disk that is measured; not a memory disk")
	flag.Parse()
	unit.SpareCollector() // as bookingd does; it helps the yardsticks too
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	missed, err := run(ctx, os.Stdout, *dir, *rounds)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if missed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d of the bars missed\n", missed)
		os.Exit(1)
	}
}

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

func run(ctx context.Context, out io.Writer, dir string, rounds int) (missed int, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "Bookings a second: median of %d interleaved rounds (smallest to largest).\n", rounds)
	fmt.Fprint(out, "bare: the same statements through database/sql, one connection, a transaction for each booking.\n")
	fmt.Fprint(out, "naive: the same with the default pool, reading before it locks, trying again when the file is locked.\n\n")
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tsallyport\tbare\tnaive")
	all := map[string]results{}
	for _, l := range loads() {
		r, err := measure(ctx, dir, rounds, l)
		if err != nil {
			return missed, fmt.Errorf("%s: %w", l.name, err)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.name, r.speed("sallyport"), r.speed("bare"), r.speed("naive"))
		all[l.name] = r
	}
	fmt.Fprintln(t, "\t\t\t\nbar\tmust be\tis\t")
	judge := func(bar, must, is string, ok bool) {
		word := "ok"
		if !ok {
			word, missed = "MISSED", missed+1
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", bar, must, is, word)
	}
	for _, l := range loads() {
		r := all[l.name]
		bare, naive := r.ratios("bare"), r.ratios("naive")
		if l.bar > 0 {
			judge(l.name+", sallyport / bare", fmt.Sprintf(">= %.1f", l.bar), show(bare, "%.1f"), median(bare) >= l.bar)
		} else {
			fmt.Fprintf(t, "%s, sallyport / bare\t\t%s\t\n", l.name, show(bare, "%.1f"))
		}
		fmt.Fprintf(t, "%s, sallyport / naive\t\t%s\t\n", l.name, show(naive, "%.1f"))
		over, wrong, winners := 0, 0, map[int]bool{}
		for _, o := range r["sallyport"] {
			over, wrong = over+o.over, wrong+o.wrong
			winners[o.won] = true
		}
		if places := l.storm * l.capacity; l.storm > 0 {
			judge(l.name+", winners in each round", fmt.Sprint(places), fmt.Sprint(keys(winners)), len(winners) == 1 && winners[places])
		}
		judge(l.name+", overbooked", "0", fmt.Sprint(over), over == 0)
		judge(l.name+", lock and other errors", "0", fmt.Sprint(wrong), wrong == 0)
	}
	return missed, t.Flush()
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
	return r, nil
}

func (r results) speed(way string) string {
	all := make([]float64, len(r[way]))
	for i, o := range r[way] {
		all[i] = o.perSecond()
	}
	return show(all, "%.0f")
}

// ratios compares the rounds that stood beside each other.
func (r results) ratios(than string) []float64 {
	all := make([]float64, len(r[than]))
	for i, o := range r["sallyport"] {
		all[i] = o.perSecond() / r[than][i].perSecond()
	}
	return all
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func show(all []float64, format string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", median(all), slices.Min(all), slices.Max(all))
}

func keys(set map[int]bool) (all []int) {
	for n := range set {
		all = append(all, n)
	}
	return all
}
