package clock_test

import (
	"strings"
	"testing"
	"time"

	"sallyport/appliance/clock"
)

var (
	_ clock.Clock = clock.Real{}
	_ clock.Clock = (*clock.Fake)(nil)
)

func TestFakeStepLeavesBootAlone(t *testing.T) {
	c := clock.NewFake(time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC))
	fired := c.After(30 * time.Minute)
	before := c.Boot()
	c.Step(c.Now().Add(24 * time.Hour))
	if c.Boot() != before {
		t.Error("a step of the wall clock moved the boot-time clock")
	}
	select {
	case <-fired:
		t.Fatal("a step of the wall clock fired a timer")
	default:
	}
	c.Advance(30 * time.Minute)
	select {
	case <-fired:
	default:
		t.Fatal("the timer did not fire after its boot time")
	}
	if c.Waiting() != 0 {
		t.Error("a fired timer still waits")
	}
}

func TestRealMovesForward(t *testing.T) {
	var c clock.Real
	a := c.Boot()
	b := c.Boot()
	if b < a || a <= 0 {
		t.Errorf("boot time went from %v to %v", a, b)
	}
	if c.Now().Location() != time.UTC {
		t.Error("wall clock is not UTC")
	}
}

// Some daemons read the file and others are told by systemd, which writes it without dashes: both are one name.
func TestBootIDHasOneForm(t *testing.T) {
	t.Setenv("BOOT_ID", "0123456789abcdef0123456789abcdef")
	if id := (clock.Real{}).BootID(); len(id) != 32 || strings.Contains(id, "-") {
		t.Errorf("BootID = %q, want 32 digits", id)
	}
}
