package sfu_test

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"sallyport/appliance/clock"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/sfu"
	"sallyport/appliance/sfu/sfutest"
)

// ledger keeps what a hall reports, in memory.
type ledger struct {
	mu    sync.Mutex
	facts []linkspec.Event
	calls map[ident.Call]sfu.Saved
	stops []sfu.Stop
	fail  error
}

func (l *ledger) Fact(e linkspec.Event, durable bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.facts = append(l.facts, e)
	return nil
}

func (l *ledger) Save(s sfu.Saved) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[s.Spec.Call] = s
	return nil
}

func (l *ledger) SaveStops(s []sfu.Stop) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stops = s
	return nil
}

func (l *ledger) kinds() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, e := range l.facts {
		out = append(out, e.Kind)
	}
	return out
}

func (l *ledger) count(kind string) int {
	n := 0
	for _, k := range l.kinds() {
		if k == kind {
			n++
		}
	}
	return n
}

// tape is a recorder that counts.
type tape struct {
	mu      sync.Mutex
	arm     error
	armed   int
	packets map[ident.Seat]int
	marks   []sfu.Mark
	sealed  string
	failed  chan error
}

func newTape() *tape { return &tape{packets: map[ident.Seat]int{}, failed: make(chan error, 1)} }

func (t *tape) Open(linkspec.Spec) (sfu.Recorder, error) { return t, nil }

func (t *tape) Arm(context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.arm != nil {
		return t.arm
	}
	t.armed++
	return nil
}

func (t *tape) Packet(seat ident.Seat, _ sfu.Media, _ *rtp.Packet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.packets[seat]++
}

func (t *tape) Report(ident.Seat, sfu.Media, uint64, uint32) {}

func (t *tape) Mark(m sfu.Mark) { t.mu.Lock(); defer t.mu.Unlock(); t.marks = append(t.marks, m) }

func (t *tape) Seal(_ context.Context, code string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sealed = code
	return nil
}

func (t *tape) Failed() <-chan error { return t.failed }

func (t *tape) heard(seat ident.Seat) int { t.mu.Lock(); defer t.mu.Unlock(); return t.packets[seat] }

func (t *tape) kinds() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, m := range t.marks {
		out = append(out, m.Kind)
	}
	return out
}

// ear is a client that remembers what it was told.
type ear struct {
	mu      sync.Mutex
	words   []sfu.Word
	dropped string
}

func (e *ear) Tell(w sfu.Word) { e.mu.Lock(); defer e.mu.Unlock(); e.words = append(e.words, w) }
func (e *ear) Drop(c string)   { e.mu.Lock(); defer e.mu.Unlock(); e.dropped = c }

func (e *ear) last(t string) (sfu.Word, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range slices.Backward(e.words) {
		if w.T == t {
			return w, true
		}
	}
	return sfu.Word{}, false
}

func (e *ear) phase() sfu.Phase { w, _ := e.last(sfu.WordState); return w.Phase }

func (e *ear) code() string { e.mu.Lock(); defer e.mu.Unlock(); return e.dropped }

// house is a hall with its surroundings.
type house struct {
	t     *testing.T
	hall  *sfu.Hall
	path  *sfu.PionPath
	led   *ledger
	tape  *tape
	clock clock.Clock
	stop  context.CancelFunc
}

func openHouse(t *testing.T, c clock.Clock) *house {
	t.Helper()
	h := &house{t: t, led: &ledger{calls: map[ident.Call]sfu.Saved{}}, tape: newTape(), clock: c, path: openPath(t, c)}
	h.serve(nil, nil)
	return h
}

// serve starts a hall, restoring what a former one left.
func (h *house) serve(calls []sfu.Saved, stops []sfu.Stop) {
	h.hall = sfu.NewHall(sfu.Outside{
		Path: h.path, Facts: h.led, Keeper: h.led, Clock: h.clock, Log: slog.New(slog.DiscardHandler),
	}, h.tape)
	h.hall.Restore(calls, stops)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.hall.Serve(ctx) }()
	var once sync.Once
	h.stop = func() { once.Do(func() { cancel(); <-done }) }
	h.t.Cleanup(h.stop)
}

func (h *house) instant(d time.Duration) linkspec.Instant {
	return linkspec.Instant{BootID: h.clock.BootID(), Boot: int64(h.clock.Boot() + d), Wall: h.clock.Now().Add(d)}
}

// spec is a social call of one visitor that is recorded, begins now and lasts half an hour.
func (h *house) spec() linkspec.Spec {
	return linkspec.Spec{
		Call: ident.New[ident.Call](), Visit: ident.New[ident.Visit](), Class: linkspec.Social, Opens: h.instant(-10 * time.Minute),
		Starts: h.instant(0), Ends: h.instant(30 * time.Minute), Admit: "auto", Record: true, RecordFail: "block",
		Seats: []linkspec.SeatSpec{
			{Seat: "v1", Role: "visitor", Who: "vr_1", Door: "visitor"},
			{Seat: "i1", Role: "inmate", Who: "i_1", Door: "kiosk", Unit: "u_1"},
		},
		WarnMinutes: []int{10, 5, 1}, GraceS: 120, Video: linkspec.Video{Kbps: 1000, Width: 640, FPS: 25}, Notice: "en-1", Version: 1,
	}
}

func (h *house) open(spec linkspec.Spec) {
	h.t.Helper()
	if err := h.hall.Apply(linkspec.Command{Seq: 1, Cmd: linkspec.CmdOpen, Call: spec.Call, Spec: &spec}); err != nil {
		h.t.Fatal(err)
	}
}

// guest is a person in a seat.
type guest struct {
	*sfutest.Peer
	ear    *ear
	sit    *sfu.Sitting
	w      sfu.Welcome
	claims grant.Claims
}

func claims(spec linkspec.Spec, seat int, fp string, nbf int64) grant.Claims {
	s := spec.Seats[seat]
	return grant.Claims{
		ID: ident.New[ident.Grant](), Kind: grant.Seat, Door: s.Door, Call: spec.Call, Seat: s.Seat, Role: s.Role, Who: s.Who, Class: spec.Class,
		FP: fp, NBF: nbf, EXP: nbf + 900,
	}
}

// enter joins, makes media and acknowledges the notice.
func (h *house) enter(spec linkspec.Spec, seat int, tag byte) *guest {
	h.t.Helper()
	cert, fp := sfutest.Certificate(h.t)
	g := &guest{ear: &ear{}, claims: claims(spec, seat, fp, h.clock.Now().Unix())}
	var err error
	if g.sit, g.w, err = h.hall.Sit(g.claims, g.ear); err != nil {
		h.t.Fatal(err)
	}
	g.Peer = sfutest.NewPeer(h.t, cert, true, g.w.Down, tag)
	g.media(h.t)
	if err := g.sit.Ready(g.w.Notice); err != nil {
		h.t.Fatal(err)
	}
	return g
}

func (g *guest) media(t *testing.T) {
	t.Helper()
	answer, err := g.sit.Offer(t.Context(), netip.Addr{}, []byte(g.Peer.Offer()))
	if err != nil {
		t.Fatal(err)
	}
	g.Take(string(answer))
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
