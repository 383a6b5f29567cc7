package signaling

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/sfu"
)

// conn is one client's connection. Exactly one of sit, watch and probe is set after its first message.
type conn struct {
	s    *Server
	ws   *websocket.Conn
	from sender
	out  chan any // messages under way to the client; a last one closes

	sit   *sfu.Sitting
	watch *sfu.Watching
	probe *sfu.Probing
	said  bool // the client has left on purpose

	offered time.Time
	times   []time.Time // of the last messages, for the rate

	mu    sync.Mutex // guards ended
	ended bool       // nothing more may be queued
}

// last is the message after which the connection closes.
type last struct {
	msg    any
	status websocket.StatusCode
	reason string
}

func newConn(s *Server, ws *websocket.Conn, from sender) *conn {
	return &conn{s: s, ws: ws, from: from, out: make(chan any, queueLen)}
}

// Tell implements sfu.Client.
func (c *conn) Tell(w sfu.Word) {
	if w.T == sfu.WordEnded {
		c.finish(last{msg: wire(w), status: websocket.StatusNormalClosure, reason: "ended"})
		return
	}
	c.push(wire(w))
}

// Drop implements sfu.Client.
func (c *conn) Drop(code string) {
	p, _ := problemOf(code)
	c.finish(last{msg: p, status: websocket.StatusCode(4000 + p.Status), reason: p.Code})
}

// push queues a message. A client that does not read is closed: it comes back and is told the present.
func (c *conn) push(m any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	select {
	case c.out <- m:
	default:
		c.ended = true
		c.ws.CloseNow()
	}
}

// finish queues the last message.
func (c *conn) finish(l last) {
	c.push(l)
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
}

// serve talks until either side ends.
func (c *conn) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		c.write(ctx)
	})
	c.read(ctx)
	switch {
	case c.sit != nil && !c.said:
		c.sit.Gone()
	case c.watch != nil:
		c.watch.Leave()
	case c.probe != nil:
		c.probe.Leave()
	}
	c.mu.Lock()
	ended := c.ended
	c.ended = true
	c.mu.Unlock()
	if !ended {
		cancel()
	}
	wg.Wait() // a last message is still written
	cancel()
	c.ws.CloseNow()
}

// write sends what is queued, and pings.
func (c *conn) write(ctx context.Context) {
	beat := time.NewTicker(pingEvery)
	defer beat.Stop()
	var k int64
	for {
		var m any
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			k++
			m = ping{T: "ping", K: k}
		case m = <-c.out:
		}
		l, closing := m.(last)
		if closing {
			m = l.msg
		}
		if err := c.send(ctx, m); err != nil {
			c.ws.CloseNow()
			return
		}
		if closing {
			_ = c.ws.Close(l.status, l.reason)
			return
		}
	}
}

func (c *conn) send(ctx context.Context, m any) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lostAfter)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, raw)
}

// read takes messages until the connection ends.
func (c *conn) read(ctx context.Context) {
	within := firstFrame
	for {
		frame, cancel := context.WithTimeout(ctx, within)
		typ, raw, err := c.ws.Read(frame)
		cancel()
		if err != nil {
			return
		}
		within = lostAfter
		if typ != websocket.MessageText {
			c.Drop("bad_message")
			return
		}
		m, err := read(raw)
		if err == nil && m.T == "pong" {
			continue
		}
		if err == nil {
			err = c.rate()
		}
		if err == nil {
			err = c.handle(ctx, m)
		}
		if err != nil && c.refuse(m.N, err) {
			return
		}
		if c.said {
			c.finish(last{msg: done{T: "done", Re: m.N}, status: websocket.StatusNormalClosure, reason: "left"})
			return
		}
	}
}

// rate allows 50 messages in 10 s; who goes on at three times that is closed.
func (c *conn) rate() error {
	now := time.Now()
	c.times = append(c.times, now)
	c.times = slices.DeleteFunc(c.times, func(t time.Time) bool { return now.Sub(t) > burstTime })
	if len(c.times) <= burst {
		return nil
	}
	code := "too_fast"
	if len(c.times) > 3*burst {
		code = "bad_message"
	}
	return fault.New("signaling.Read", fault.TooMany, "These are too many messages.").WithCode(code)
}

// refuse answers with a problem and tells whether the connection ends.
func (c *conn) refuse(re int64, err error) bool {
	p, fatal := problemOf(fault.CodeOf(err))
	p.Re = re
	if f, ok := fault.Of(err); ok {
		if ms, ok := f.Params["retry_ms"].(int64); ok {
			p.RetryMS = ms
		}
	} else {
		c.s.o.Log.Error("signaling", "op", "signaling.handle", "err", err)
	}
	if !fatal {
		c.push(p)
		return false
	}
	c.finish(last{msg: p, status: websocket.StatusCode(4000 + p.Status), reason: p.Code})
	return true
}

func (c *conn) handle(ctx context.Context, m In) error {
	seated := c.sit != nil || c.watch != nil || c.probe != nil
	switch {
	case m.T == "join" && !seated:
		return c.join(m)
	case m.T == "resume" && !seated:
		return c.resume(m)
	case !seated || m.T == "join" || m.T == "resume":
		return badMessage("join or resume comes first, and once")
	case m.T == "offer":
		return c.offer(ctx, m)
	case m.T == "leave":
		c.said = true
		if c.sit != nil {
			return c.sit.Leave()
		}
		return nil
	case m.T == "stats":
		if c.sit == nil {
			return c.done(m, nil)
		}
		raw, err := json.Marshal(m.Stats)
		if err != nil {
			return badMessage("numbers")
		}
		return c.done(m, c.sit.Quality(raw))
	case m.T == "act" && c.watch != nil:
		return c.done(m, c.watch.Do(m.Do, m.Seat, m.Side, m.Reason, m.Body, m.Audio, m.Video, m.On))
	case c.sit == nil:
		return badMessage("not for this place")
	case m.T == "ready":
		return c.done(m, c.sit.Ready(m.Notice))
	case m.T == "media":
		return c.done(m, c.sit.Media(m.Mic, m.Cam))
	case m.T == "signal" && knownSignal(m.Kind):
		return c.done(m, c.sit.Signal(m.Kind, m.Detail))
	}
	return badMessage("not for this place")
}

func (c *conn) done(m In, err error) error {
	if err == nil {
		c.push(done{T: "done", Re: m.N})
	}
	return err
}

func (c *conn) join(m In) error {
	claims, err := c.s.verify(m.Grant, c.from)
	if err != nil {
		return err
	}
	// The welcome goes first: what the call says at once waits behind it.
	held := &holder{to: c}
	var w sfu.Welcome
	switch claims.Kind {
	case grant.Seat:
		c.sit, w, err = c.s.o.Hall.Sit(claims, held)
	case grant.Monitor:
		c.watch, w, err = c.s.o.Hall.Watch(claims, held)
	case grant.Probe:
		c.probe, w, err = c.s.o.Hall.Probe(claims, held)
	default:
		return fault.New("signaling.Join", fault.NotFound, "There is no wall here.").WithCode("call_unknown")
	}
	if err != nil {
		return err
	}
	c.welcome(m.N, string(claims.Kind), w, false)
	held.release()
	return nil
}

func (c *conn) resume(m In) error {
	call, seat, gen, err := c.s.o.Tokens.Read(m.Token)
	if err != nil {
		return err
	}
	held := &holder{to: c}
	doors := c.from.doors(c.s.o.Keys().Origins)
	s, w, err := c.s.o.Hall.Resume(call, seat, gen, m.Last, func(d string) bool { return slices.Contains(doors, d) }, held)
	if err != nil {
		return err
	}
	c.sit = s
	c.welcome(m.N, "seat", w, true)
	held.release()
	return nil
}

func (c *conn) welcome(re int64, kind string, w sfu.Welcome, resumed bool) {
	m := welcome{
		T: "welcome", Re: re, Kind: kind, Call: w.Call, Seat: w.Seat, Down: w.Down, Offer: w.Offer,
		Caps:   welcomeCaps{Kbps: w.Video.Kbps, FPS: w.Video.FPS, Width: w.Video.Width},
		Notice: notice{Version: w.Notice, Recorded: w.Recorded, Monitored: w.Monitored, Acknowledged: w.Acknowledged},
		Starts: w.Starts.UTC().Truncate(time.Millisecond), Ends: w.Ends.UTC().Truncate(time.Millisecond), Now: w.Now.UTC().Truncate(time.Millisecond),
		GraceS: w.GraceS, Resumed: resumed,
	}
	if kind == "seat" {
		m.Token = c.s.o.Tokens.Make(w.Call, w.Seat, w.Generation)
	}
	c.push(m)
}

func (c *conn) offer(ctx context.Context, m In) error {
	if m.Restart {
		return fault.New("signaling.Offer", fault.Invalid, "Media restarts with a new connection.").WithCode("offer_refused")
	}
	if now := time.Now(); now.Sub(c.offered) < offerEvery {
		return fault.New("signaling.Offer", fault.TooMany, "One offer in two seconds.").WithCode("too_fast")
	} else {
		c.offered = now
	}
	ctx, cancel := context.WithTimeout(ctx, firstFrame)
	defer cancel()
	var sdp []byte
	var err error
	switch {
	case c.sit != nil:
		sdp, err = c.sit.Offer(ctx, c.from.near, []byte(m.SDP))
	case c.watch != nil:
		sdp, err = c.watch.Offer(ctx, c.from.near, []byte(m.SDP))
	default:
		sdp, err = c.probe.Offer(ctx, c.from.near, []byte(m.SDP))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fault.New("signaling.Offer", fault.Unavailable, "The offer was not answered in time.").WithCode("busy")
	}
	if err != nil {
		return err
	}
	c.push(answer{T: "answer", Re: m.N, SDP: string(sdp)})
	return nil
}

// holder keeps what a call says until the welcome is out, in order.
type holder struct {
	to   *conn
	mu   sync.Mutex // guards the rest
	free bool
	kept []func()
}

func (h *holder) do(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.free {
		h.kept = append(h.kept, f)
		return
	}
	f()
}

// Tell implements sfu.Client.
func (h *holder) Tell(w sfu.Word) { h.do(func() { h.to.Tell(w) }) }

// Drop implements sfu.Client.
func (h *holder) Drop(code string) { h.do(func() { h.to.Drop(code) }) }

func (h *holder) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free = true
	for _, f := range h.kept {
		f()
	}
	h.kept = nil
}
