package doortest

import (
	"testing"
	"time"
)

// Eventually waits until cond holds. It asks again after a moment: what it waits for is in another process.
func Eventually(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	end := time.After(within)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-end:
			t.Fatalf("waited %v for %s", within, what)
		case <-tick.C:
		}
	}
}
