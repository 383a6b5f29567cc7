package linkclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/appliance/fault"
)

const maxLine = 8 << 20 // of one event

// errStop carries the caller's own error out of the reading loop.
type errStop struct{ error }

// Stream reads server-sent events from a route that takes ?after=N, and calls fn for each in order. It starts after the
// sequence number after, and when the connection breaks or is silent for a minute it comes back after the last event
// that fn took, waiting 100 ms and up to 5 s between tries. It returns nil when ctx ends, the error of fn when it has
// one, and the refusal of bookingd when asking again would not help.
func (c *Client) Stream(ctx context.Context, route string, after int64, fn func(event, id string, data []byte) error) error {
	for try := 0; ctx.Err() == nil; try++ {
		before := after
		err := c.follow(ctx, route, &after, fn)
		if stop, ok := errors.AsType[errStop](err); ok {
			return stop.error
		}
		if ctx.Err() != nil {
			return nil
		}
		if !again(err) {
			return err
		}
		if after != before {
			try = 0
		}
		t := time.NewTimer(c.pause(try))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	return nil
}

// again tells whether a broken stream is worth another try: not when bookingd refuses this caller or this route.
func again(err error) bool {
	switch {
	case err == nil:
		return true
	case fault.Is(err, fault.Unavailable), fault.Is(err, fault.TooMany), fault.Is(err, fault.Internal):
		return true
	}
	return false
}

// backOff grows from 100 ms to 5 s and is uneven, so that two daemons do not knock together.
func backOff(try int) time.Duration {
	d := min(100*time.Millisecond<<min(try, 6), 5*time.Second)
	return d/2 + rand.N(d/2+1)
}

// follow reads one connection until it ends.
func (c *Client) follow(ctx context.Context, route string, after *int64, fn func(event, id string, data []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(c.idle, cancel)
	defer silent.Stop()
	join := "?"
	if strings.Contains(route, "?") {
		join = "&"
	}
	header := http.Header{"Accept": {"text/event-stream"}}
	res, err := c.send(ctx, http.MethodGet, route+join+"after="+strconv.FormatInt(*after, 10), nil, header)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return away(err)
		}
		return refusal(res.StatusCode, body)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	var e event
	for lines.Scan() {
		silent.Reset(c.idle)
		if !e.line(lines.Text()) {
			continue
		}
		if err := fn(e.name, e.id, e.data); err != nil {
			return errStop{err}
		}
		if n, err := strconv.ParseInt(e.id, 10, 64); err == nil {
			*after = n
		}
		e = event{}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fault.New("linkclient.Stream", fault.Invalid, "An event is too long.").Because(fmt.Errorf("route %s: %w", route, err))
	} else if err != nil {
		return away(err)
	}
	return nil
}

// event is one server-sent event while its lines come in.
type event struct {
	name, id string
	data     []byte
	some     bool
}

// line takes one line and tells whether the event is complete. Lines with a colon first are heartbeats.
func (e *event) line(l string) bool {
	if l == "" {
		return e.some
	}
	name, value, _ := strings.Cut(l, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "event":
		e.name = value
	case "id":
		e.id = value
	case "data":
		if e.some {
			e.data = append(e.data, '\n')
		}
		e.data, e.some = append(e.data, value...), true
	}
	return false
}
