// Package clock owns time: the wall clock and the machine's boot-time clock, behind one interface, with a fake for tests.
//
// It must not know zones or calendars. Two clocks are needed because a visit is an appointment on the wall clock, but a
// running call must end at its fixed end even when somebody sets that clock: CLOCK_BOOTTIME only moves forward, also
// through suspend, and is the same for every process since the machine's boot (BootID tells boots apart).
package clock

import (
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells the time. [Real] and [Fake] implement it.
type Clock interface {
	// Now is the wall clock, UTC.
	Now() time.Time
	// Boot is the time since the machine's boot, suspend included.
	Boot() time.Duration
	// BootID names this boot of the machine.
	BootID() string
	// After fires once when d of boot time has passed.
	After(d time.Duration) <-chan time.Time
}

// Real is the machine's clock.
type Real struct{}

// Now returns the wall clock in UTC.
func (Real) Now() time.Time { return time.Now().UTC() }

// Boot returns CLOCK_BOOTTIME.
func (Real) Boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("clock: CLOCK_BOOTTIME is not readable: " + err.Error()) // present since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}

// BootID returns the kernel's boot id, as 32 digits. Where it is hidden, systemd tells it as $BOOT_ID; without either it is
// "".
func (Real) BootID() string {
	id := os.Getenv("BOOT_ID")
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		id = string(b)
	}
	return strings.ReplaceAll(strings.TrimSpace(id), "-", "")
}

// After is time.After.
func (Real) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Fake is a clock that moves only when told to. The zero value is not usable; call [NewFake].
type Fake struct {
	mu     sync.Mutex // guards the rest
	now    time.Time
	boot   time.Duration
	id     string
	timers []fakeTimer
}

type fakeTimer struct {
	at time.Duration
	c  chan time.Time
}

// NewFake returns a fake clock that shows now, one hour after boot.
func NewFake(now time.Time) *Fake { return &Fake{now: now.UTC(), boot: time.Hour, id: "fake-boot-1"} }

// Now returns the fake wall clock.
func (f *Fake) Now() time.Time { f.mu.Lock(); defer f.mu.Unlock(); return f.now }

// Boot returns the fake boot-time clock.
func (f *Fake) Boot() time.Duration { f.mu.Lock(); defer f.mu.Unlock(); return f.boot }

// BootID returns the fake boot's name.
func (f *Fake) BootID() string { f.mu.Lock(); defer f.mu.Unlock(); return f.id }

// After fires when Advance has moved the boot-time clock by d.
func (f *Fake) After(d time.Duration) <-chan time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan time.Time, 1)
	if d <= 0 {
		c <- f.now
		return c
	}
	f.timers = append(f.timers, fakeTimer{at: f.boot + d, c: c})
	return c
}

// Advance moves both clocks and fires what is due.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now, f.boot = f.now.Add(d), f.boot+d
	keep := f.timers[:0]
	for _, t := range f.timers {
		if t.at <= f.boot {
			t.c <- f.now
			continue
		}
		keep = append(keep, t)
	}
	f.timers = keep
}

// Waiting returns how many timers wait, so that a test can advance only once the code under test sleeps.
func (f *Fake) Waiting() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.timers) }

// Step sets the wall clock only, as a lying time server or a person would.
func (f *Fake) Step(now time.Time) { f.mu.Lock(); defer f.mu.Unlock(); f.now = now.UTC() }

// Reboot starts a new boot: boot time begins again and waiting timers are gone.
func (f *Fake) Reboot(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.boot, f.id, f.timers = 0, id, nil
}
