package api

import (
	"hash/maphash"
	"sync"
	"time"

	"sallyport/appliance/clock"
)

// budget counts requests by key in windows of a minute. Its memory is fixed, however many keys come: each key has a
// counter in every row, where it may meet others, and the smallest of them is never less than the truth. So a flood of
// addresses can make the door strict, never full.
type budget struct {
	clock clock.Clock
	seed  maphash.Seed

	mu    sync.Mutex // guards the rest
	since time.Duration
	rows  [budgetRows][budgetWidth]uint16
}

const (
	budgetWindow = time.Minute
	budgetRows   = 4
	budgetWidth  = 1 << 14 // 128 KiB in all rows
)

func newBudget(c clock.Clock) *budget {
	return &budget{clock: c, seed: maphash.MakeSeed(), since: c.Boot()}
}

// take counts one request of key and tells whether it is within max; when it is not, how long until it may come again.
func (b *budget) take(key string, limit int) (time.Duration, bool) {
	sum := maphash.String(b.seed, key)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Boot()
	if now-b.since >= budgetWindow {
		b.since = now
		b.rows = [budgetRows][budgetWidth]uint16{}
	}
	least := uint16(1<<16 - 1)
	var at [budgetRows]*uint16
	for i := range at {
		at[i] = &b.rows[i][sum>>(16*i)%budgetWidth]
		least = min(least, *at[i])
	}
	if int(least) >= limit {
		return budgetWindow - (now - b.since), false
	}
	for _, n := range at { // only the smallest go up: the others count somebody else as well
		if *n == least {
			*n++
		}
	}
	return 0, true
}
