// Package unit owns the life of a daemon: its start by systemd or by hand, its sockets, its readiness, its watchdog, its
// signals and its exit codes.
//
// It must not know what a daemon does, nor any web framework. A daemon's main is [Main] with its run function; run wires
// the parts, adds them to a [Group], says [Env.Ready] and serves until its context ends. Tests make an [Env] with
// [NewEnv] and call run themselves.
package unit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"sallyport/appliance/fault"
	"sallyport/appliance/logs"
)

// The exit codes. systemd does not restart after Misconfigured.
const (
	Stopped       = 0
	Failed        = 1
	Misconfigured = 78
	Interrupted   = 130
)

// Main runs a daemon until SIGTERM or SIGINT and ends the process with the exit code.
func Main(name string, run func(ctx context.Context, env *Env) error) {
	SpareCollector()
	log := logs.New(os.Stderr)
	slog.SetDefault(log) // for libraries that log by themselves
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	os.Exit(supervise(NewEnv(name, os.Args[1:], log), run, signals))
}

// SpareCollector lets the heap grow to five times of what is in use before garbage is collected, unless GOGC says
// otherwise. The daemons hold little and leave much behind: at Go's own setting the collector takes a tenth of the bookings
// that a machine of two cores can do. GOMEMLIMIT in a unit bounds it below MemoryMax.
func SpareCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// supervise runs a daemon and returns its exit code. The first signal ends its context, the second one ends it at once.
func supervise(env *Env, run func(context.Context, *Env) error, signals <-chan os.Signal) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		done <- run(ctx, env)
	}()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		env.watchdog(ctx)
	}()
	defer func() { cancel(); <-watched }()
	for {
		select {
		case err := <-done:
			return env.exit(err)
		case <-signals:
			if ctx.Err() != nil {
				return Interrupted
			}
			env.notify("STOPPING=1")
			cancel()
		}
	}
}

// exit logs how a daemon ended and returns its exit code.
func (e *Env) exit(err error) int {
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		e.Log.Info("stopped", "op", e.Name)
		return Stopped
	case strings.HasPrefix(fault.CodeOf(err), "config."):
		e.Status("the configuration is not usable")
		e.Log.Error("bad configuration", "op", e.Name, "err", err)
		return Misconfigured
	}
	e.Status("failed")
	e.Log.Error("failed", "op", e.Name, "err", err)
	return Failed
}
