package api

import (
	"fmt"
	"testing"
	"time"

	"sallyport/appliance/clock"
)

// B7: the memory of a budget is one array; what may go wrong is that it forgets, or that it refuses the innocent.
func TestBudgetCountsInAFlood(t *testing.T) {
	c := clock.NewFake(time.Date(2027, 3, 4, 9, 0, 0, 0, time.UTC))
	b := newBudget(c)
	for i := range 10 {
		if _, ok := b.take("greedy", 10); !ok {
			t.Fatalf("request %d of 10 was refused", i+1)
		}
	}
	wrong := 0
	for i := range 3000 { // more addresses in a minute than a facility has visitors
		for range 3 {
			if _, ok := b.take(fmt.Sprint("client ", i), 10); !ok {
				wrong++
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d requests of modest clients were refused", wrong)
	}
	for i := range 1_000_000 {
		b.take(fmt.Sprint("spoofed ", i), 10)
	}
	wait, ok := b.take("greedy", 10)
	if ok || wait <= 0 || wait > time.Minute {
		t.Errorf("the 11th request: taken %v, wait %v", ok, wait)
	}
	c.Advance(time.Minute)
	if _, ok := b.take("greedy", 10); !ok {
		t.Error("a minute later the budget is still spent")
	}
}
