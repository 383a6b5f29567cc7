package unit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"sallyport/appliance/fault"
)

// stopWithin is how long the parts of a group may take to end, all together. systemd kills after 90 s.
const stopWithin = 25 * time.Second

// Group runs the parts of a daemon. The zero value is empty and usable.
type Group struct{ parts []part }

type part struct {
	name  string
	serve func(context.Context) error
}

// Add adds a part. What is added first is needed by what follows: parts end in reverse order.
func (g *Group) Add(name string, serve func(context.Context) error) {
	g.parts = append(g.parts, part{name, serve})
}

// Serve runs all parts until ctx ends or one of them does; then it ends the others, the last one first, waiting for each.
// It returns nil when ctx ended and every part ended well.
func (g *Group) Serve(ctx context.Context) error {
	type outcome struct {
		i   int
		err error
	}
	ended := make(chan outcome, len(g.parts))
	stops := make([]context.CancelFunc, len(g.parts))
	for i, p := range g.parts {
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		stops[i] = stop
		go func() { ended <- outcome{i, p.serve(own)} }()
	}
	done := make([]bool, len(g.parts))
	var errs []error
	take := func(o outcome, early bool) {
		done[o.i] = true
		switch {
		case o.err != nil && (early || !errors.Is(o.err, context.Canceled)):
			errs = append(errs, fmt.Errorf("%s: %w", g.parts[o.i].name, o.err))
		case o.err == nil && early:
			errs = append(errs, fault.Newf("unit.Group", fault.Internal, "%s ended by itself.", g.parts[o.i].name))
		}
	}
	select {
	case <-ctx.Done():
	case o := <-ended:
		take(o, ctx.Err() == nil)
	}
	late := time.NewTimer(stopWithin)
	defer late.Stop()
	for i := len(g.parts) - 1; i >= 0; i-- {
		stops[i]()
		for !done[i] {
			select {
			case o := <-ended:
				take(o, false)
			case <-late.C:
				for _, stop := range stops {
					stop()
				}
				return errors.Join(append(errs, fault.Newf("unit.Group", fault.Internal, "%s does not end.", g.parts[i].name))...)
			}
		}
	}
	return errors.Join(errs...)
}

// HTTP returns a part that serves a web server on ln: listen is its accept loop and shutdown its graceful end, such as
// Fiber's Listener and ShutdownWithContext or those of net/http. It waits for shutdown itself, because the accept loop
// may return before replies in flight are finished. Streams must end by themselves when the daemon's context does.
func HTTP(ln net.Listener, listen func(net.Listener) error, shutdown func(context.Context) error) func(context.Context) error {
	const grace = 10 * time.Second
	return func(ctx context.Context) error {
		listening := make(chan error, 1)
		go func() { listening <- listen(ln) }()
		select {
		case err := <-listening:
			if err == nil {
				err = fault.New("unit.HTTP", fault.Internal, "The server ended by itself.")
			}
			return err
		case <-ctx.Done():
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err := shutdown(end)
		// Also ends an accept loop that had not yet begun when shutdown was called.
		_ = ln.Close()
		<-listening //nolint:errcheck // how it ends is the shutdown's doing
		if err != nil {
			return fmt.Errorf("finish the replies in flight: %w", err)
		}
		return nil
	}
}
