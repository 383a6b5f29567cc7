package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"go.uber.org/goleak"

	"sallyport/appliance/clock"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/sfu/sfutest"
	"sallyport/appliance/signaling"
	"sallyport/appliance/signaling/signaltest"
	"sallyport/appliance/unit"
	"sallyport/appliance/unit/ports"
)

// TestMain is also gatewayd itself, for tests that need it as a process.
func TestMain(m *testing.M) {
	if os.Getenv(asProcess) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

const asProcess = "GATEWAYD_TEST_PROCESS"

const origin = "http://localhost:8080"

// booking is the other end of the link: what gatewayd sees of bookingd, over a real socket.
type booking struct {
	t      *testing.T
	socket string
	signer *grant.Signer
	keys   linkspec.Keys
	server *http.Server

	mu       sync.Mutex
	events   map[ident.Event]linkspec.Event
	order    []linkspec.Event
	commands []linkspec.Command
	wake     chan struct{}
}

func openBooking(t *testing.T) *booking {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(nil)
	intake, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "gw") // a socket's path may be 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &booking{
		t: t, socket: filepath.Join(dir, linkspec.Socket), signer: grant.NewSigner("g1", key), events: map[ident.Event]linkspec.Event{},
		wake: make(chan struct{}),
	}
	all := []string{origin}
	b.keys = linkspec.Keys{
		Facility: ident.New[ident.Facility](), GrantKeys: []linkspec.PublicKey{b.signer.Public()},
		TURN: []linkspec.TURNSecret{{KID: "t1", Secret: make([]byte, 32)}}, Recipients: []string{intake.Recipient().String()},
		Origins: linkspec.Origins{Visitor: all, Kiosk: all, Staff: all},
	}
	b.up()
	t.Cleanup(b.down)
	return b
}

// up begins to answer; down is bookingd away.
func (b *booking) up() {
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	mux.HandleFunc("GET "+linkspec.RouteKeys, func(w http.ResponseWriter, _ *http.Request) { reply(w, b.keys) })
	mux.HandleFunc("GET "+linkspec.RouteCalls, func(w http.ResponseWriter, _ *http.Request) { reply(w, linkspec.Calls{}) })
	mux.HandleFunc("PUT "+linkspec.RouteMetrics, func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST "+linkspec.RouteEvents, func(w http.ResponseWriter, r *http.Request) {
		var in linkspec.Events
		if json.NewDecoder(r.Body).Decode(&in) != nil {
			w.WriteHeader(400)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		var last int64
		for _, e := range in.Events {
			if _, known := b.events[e.ID]; !known {
				b.events[e.ID] = e
				b.order = append(b.order, e)
			}
			last = e.Seq
		}
		reply(w, linkspec.Ack{Ack: last})
	})
	mux.HandleFunc("GET "+linkspec.RouteCommands, func(w http.ResponseWriter, r *http.Request) {
		var after int64
		_, _ = fmt.Sscan(r.URL.Query().Get("after"), &after)
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			b.mu.Lock()
			wake := b.wake
			for _, c := range b.commands {
				if c.Seq > after {
					after = c.Seq
					raw, _ := json.Marshal(c)
					_, _ = fmt.Fprintf(w, "id: %d\nevent: command\ndata: %s\n\n", c.Seq, raw)
				}
			}
			b.mu.Unlock()
			w.(http.Flusher).Flush()
			select {
			case <-wake:
			case <-r.Context().Done():
				return
			}
		}
	})
	_ = os.Remove(b.socket)
	ln, err := net.Listen("unix", b.socket)
	if err != nil {
		b.t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	b.mu.Lock()
	b.server = server
	b.mu.Unlock()
	go func() { _ = server.Serve(ln) }()
}

func (b *booking) down() { _ = b.server.Close() }

func (b *booking) command(c linkspec.Command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Seq = int64(len(b.commands)) + 1
	c.ID, c.At = ident.New[ident.Command](), time.Now()
	b.commands = append(b.commands, c)
	close(b.wake)
	b.wake = make(chan struct{})
}

func (b *booking) got(kind string) []linkspec.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []linkspec.Event
	for _, e := range b.order {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func (b *booking) grant(c grant.Claims) string {
	b.t.Helper()
	c.NBF, c.EXP = time.Now().Unix(), time.Now().Add(time.Minute).Unix()
	g, err := b.signer.Sign(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func (b *booking) spec(length time.Duration) linkspec.Spec {
	var c clock.Real
	at := func(d time.Duration) linkspec.Instant {
		return linkspec.Instant{BootID: c.BootID(), Boot: int64(c.Boot() + d), Wall: c.Now().Add(d)}
	}
	return linkspec.Spec{
		Call: ident.New[ident.Call](), Visit: ident.New[ident.Visit](), Class: linkspec.Social, Opens: at(-time.Minute), Starts: at(0), Ends: at(length),
		Admit: "auto", Record: true, RecordFail: "block", WarnMinutes: []int{1}, GraceS: 60, Notice: "en-1", Version: 1, Video: linkspec.Video{Kbps: 1000, Width: 640, FPS: 25},
		Seats: []linkspec.SeatSpec{
			{Seat: "v1", Role: "visitor", Who: "vr_1", Door: "visitor"}, {Seat: "i1", Role: "inmate", Who: "i_1", Door: "kiosk"},
		},
		Labels: linkspec.Labels{Facility: b.keys.Facility},
	}
}

// daemon is gatewayd in this process, on ports that it keeps over a restart.
type daemon struct {
	t      *testing.T
	config string
	state  string
	url    string
	stop   func()
	// What systemd would give: key files and sockets. Without them the daemon makes its own.
	secrets string
	give    map[string]net.Listener
	via     func(t *testing.T, door string) *signaltest.Client // how a door's client gets there, when not by url
}

func freePort(t *testing.T) string {
	t.Helper()
	n, err := ports.Take()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", n)
}

func startDaemon(t *testing.T, b *booking) *daemon {
	t.Helper()
	d := &daemon{t: t, state: filepath.Join(t.TempDir(), "gateway"), config: filepath.Join(t.TempDir(), "gatewayd.toml")}
	at := freePort(t)
	d.url = "ws://" + at + signaling.Path
	text := fmt.Sprintf("state = %q\nlink = %q\nsignaling = %q\nturn_udp = %q\nturn_tcp = %q\n[[media]]\ndoors = [\"visitor\", \"kiosk\", \"staff\"]\nlisten = %q\n",
		d.state, b.socket, at, freePort(t), freePort(t), freePort(t))
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	return d
}

func (d *daemon) start() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	env := unit.NewEnv("gatewayd", []string{"-config", d.config}, slog.New(slog.DiscardHandler))
	env.Credentials = d.secrets
	for name, ln := range d.give {
		env.Give(name, ln)
	}
	go func() { done <- run(ctx, env) }()
	var once sync.Once
	d.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				d.t.Errorf("gatewayd ended with %v", err)
			}
		})
	}
	d.t.Cleanup(d.stop)
	eventually(d.t, "the signaling port", func() bool {
		if d.give != nil { // they wait in the sockets' queues
			return true
		}
		c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(d.url, "ws://"), signaling.Path))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	eventually(d.t, "the keys", func() bool { _, err := os.Stat(filepath.Join(d.state, "keys.json")); return err == nil })
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	end := time.Now().Add(15 * time.Second)
	for !cond() {
		if time.Now().After(end) {
			t.Fatalf("waited 15 s for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// client is a page: a socket and, after media, a peer.
type client struct {
	*signaltest.Client
	peer   *sfutest.Peer
	answer string // to its offer
}

func dial(t *testing.T, d *daemon) *client {
	t.Helper()
	return dialDoor(t, d, "visitor")
}

func dialDoor(t *testing.T, d *daemon, door string) *client {
	t.Helper()
	if d.via != nil {
		return &client{Client: d.via(t, door)}
	}
	return &client{Client: signaltest.Dial(t, d.url, origin)}
}

// enter takes a seat whole: grant, media, notice.
func enter(t *testing.T, b *booking, d *daemon, spec linkspec.Spec, seat int, tag byte) (*client, map[string]any, func(*client) *sfutest.Peer) {
	t.Helper()
	cert, fp := sfutest.Certificate(t)
	s := spec.Seats[seat]
	c := dialDoor(t, d, s.Door)
	w := c.Ask(t, map[string]any{"t": "join", "app": s.Door, "version": "1", "caps": map[string]any{"video": []string{"VP8"}, "simulcast": false, "gcm": true}, "grant": b.grant(grant.Claims{
		Kind: grant.Seat, Door: s.Door, Call: spec.Call, Seat: s.Seat, Role: s.Role, Who: s.Who, Class: spec.Class, FP: fp, Spec: &spec,
	})})
	if w["t"] != "welcome" {
		t.Fatalf("join: %v", w)
	}
	media := func(c *client) *sfutest.Peer {
		p := sfutest.NewPeer(t, cert, true, int(w["down"].(float64)), tag)
		a := c.Ask(t, map[string]any{"t": "offer", "sdp": p.Offer()})
		if a["t"] != "answer" {
			t.Fatalf("offer: %v", a)
		}
		c.answer = a["sdp"].(string)
		p.Take(c.answer)
		return p
	}
	c.peer = media(c)
	if r := c.Ask(t, map[string]any{"t": "ready", "notice": "en-1"}); r["t"] != "done" {
		t.Fatalf("ready: %v", r)
	}
	return c, w, media
}
