// Package signaltest holds the signaling side of a call client for tests: a WebSocket that speaks protocol.md and remembers
// what it heard.
//
// It must not know what a call is: what is said and what is expected is the test's.
package signaltest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sallyport/appliance/signaling"
)

// waitFor bounds every wait of a client.
const waitFor = 20 * time.Second

// Client is one connection. Its methods may be called at once.
type Client struct {
	ws   *websocket.Conn
	done chan struct{}

	mu    sync.Mutex // guards what follows; nothing is called under it
	n     int64
	heard []map[string]any
	pings int
	err   error
	wake  chan struct{} // closed when something is heard
}

// Dial opens the connection as a page of an origin does; the test's end closes it.
func Dial(t testing.TB, url, origin string) *Client {
	t.Helper()
	c, err := TryDial(t, url, origin)
	if err != nil {
		t.Fatalf("dial signaling: %v", err)
	}
	return c
}

// TryDial is [Dial] for a gateway that may be away.
func TryDial(t testing.TB, url, origin string) (*Client, error) {
	return DialBy(t, http.DefaultClient, url, origin)
}

// DialBy is [TryDial] by a client that knows how to get there.
func DialBy(t testing.TB, by *http.Client, url, origin string) (*Client, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitFor)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: by, Subprotocols: []string{signaling.Protocol}, HTTPHeader: http.Header{"Origin": {origin}},
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(1 << 20)
	c := &Client{ws: ws, done: make(chan struct{}), wake: make(chan struct{})}
	go c.read()
	t.Cleanup(c.Close)
	return c, nil
}

// Close ends the connection without a word.
func (c *Client) Close() {
	_ = c.ws.CloseNow() // it may be closed already
	<-c.done
}

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

func (c *Client) read() {
	defer close(c.done)
	for {
		_, raw, err := c.ws.Read(context.Background())
		if err != nil {
			c.note(func() { c.err = err })
			return
		}
		var m map[string]any
		if json.Unmarshal(raw, &m) != nil {
			continue
		}
		if m["t"] == "ping" {
			c.note(func() { c.pings++ })
			_ = c.ws.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, `{"t":"pong","k":%v}`, m["k"]))
			continue
		}
		c.note(func() { c.heard = append(c.heard, m) })
	}
}

func (c *Client) note(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
	close(c.wake)
	c.wake = make(chan struct{})
}

// Send says something and returns its number.
func (c *Client) Send(t testing.TB, m map[string]any) int64 {
	t.Helper()
	c.mu.Lock()
	c.n++
	n := c.n
	c.mu.Unlock()
	m["n"] = n
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitFor)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, raw); err != nil {
		t.Fatalf("say %v: %v", m["t"], err)
	}
	return n
}

// Ask says something and returns the answer to it.
func (c *Client) Ask(t testing.TB, m map[string]any) map[string]any {
	t.Helper()
	n := float64(c.Send(t, m))
	var got map[string]any
	c.Wait(t, fmt.Sprintf("the answer to %v", m["t"]), func() bool {
		got = c.find(func(h map[string]any) bool { return h["re"] == n })
		return got != nil
	})
	return got
}

// Wait waits until cond holds, looked at whenever something is heard. cond may use the client's other methods.
func (c *Client) Wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	c.WaitFor(t, waitFor, what, cond)
}

// WaitFor is [Client.Wait] with a deadline of its own.
func (c *Client) WaitFor(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	end := time.NewTimer(within)
	defer end.Stop()
	for {
		c.mu.Lock()
		wake := c.wake
		c.mu.Unlock()
		if cond() {
			return
		}
		select {
		case <-wake:
		case <-end.C:
			t.Fatalf("waited %v for %s; heard last: %v", within, what, c.Heard())
		}
	}
}

// Last returns the newest message of a type, nil when there was none.
func (c *Client) Last(kind string) map[string]any {
	return c.find(func(m map[string]any) bool { return m["t"] == kind })
}

// Phase is the call's phase as this place was told last.
func (c *Client) Phase() any { return c.Last("state")["phase"] }

// Seq is the highest number of a durable push.
func (c *Client) Seq() int64 {
	var top float64
	for _, m := range c.Heard() {
		if seq, ok := m["seq"].(float64); ok {
			top = max(top, seq)
		}
	}
	return int64(top)
}

// Pings is how many heartbeats came; they are two seconds apart.
func (c *Client) Pings() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pings
}

// Heard returns everything but heartbeats, oldest first.
func (c *Client) Heard() []map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.heard)
}

func (c *Client) find(is func(map[string]any) bool) map[string]any {
	for _, m := range slices.Backward(c.Heard()) {
		if is(m) {
			return m
		}
	}
	return nil
}
