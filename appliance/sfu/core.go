package sfu

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// Facts takes what happened, to be told to bookingd once. durable ones are on disk when it returns.
type Facts interface {
	Fact(e linkspec.Event, durable bool) error
}

// Keeper keeps what a restart must know of a call.
type Keeper interface {
	Save(s Saved) error
	SaveStops(s []Stop) error
}

// Saved is a call as a restarted daemon finds it.
type Saved struct {
	Spec     linkspec.Spec              `json:"spec"`
	Phase    Phase                      `json:"phase"`
	Code     string                     `json:"code,omitempty"`
	Seats    map[ident.Seat]SavedSeat   `json:"seats"`
	Used     map[ident.Grant]ident.Seat `json:"used"`
	Stopped  bool                       `json:"stopped,omitempty"`
	LiveMS   int64                      `json:"live_ms"`
	MeterMS  int64                      `json:"meter_ms"`
	Pause    linkspec.PausedData        `json:"pause"`
	PauseSay string                     `json:"pause_says,omitempty"`
	Version  int64                      `json:"version"`
	At       time.Time                  `json:"at"`
}

// SavedSeat is a seat's right to come back.
type SavedSeat struct {
	Generation int         `json:"generation"`
	Grant      ident.Grant `json:"grant"`
	NBF        int64       `json:"nbf"`
	FP         string      `json:"fp"`
	State      SeatState   `json:"state"`
	Ready      bool        `json:"ready"`
	Admitted   bool        `json:"admitted"`
	NoAudio    bool        `json:"no_audio,omitempty"`
	NoVideo    bool        `json:"no_video,omitempty"`
}

// place is the runtime side of a seat: who holds it now.
type place struct {
	gen   int
	grant ident.Grant
	nbf   int64
	fp    string
	sit   *Sitting // nil while nobody holds it
	leg   Leg
	words wordLog
}

// core is what every class of call has: a machine, its seats' connections and the timers. It has no place for a recorder
// or a monitor.
type core struct {
	deps Outside

	mu      sync.Mutex // guards the rest; taken before any lock of a path, never while waiting for a leg to close
	machine *machine
	places  map[ident.Seat]*place
	used    map[ident.Grant]ident.Seat
	version int64
	saved   string // last state on disk, to write it only when it changed

	wake chan struct{} // timers may have moved
	wg   *sync.WaitGroup
}

// Outside is what every call needs of its surroundings.
type Outside struct {
	Path   Path
	Facts  Facts
	Keeper Keeper
	Clock  clock.Clock
	Log    *slog.Logger
	Closed func(call ident.Call, seat ident.Seat) // closes the relays of a seat, of the whole call for ""; may be nil
}

func newCore(d Outside, spec linkspec.Spec, wg *sync.WaitGroup) *core {
	at := func(i linkspec.Instant) time.Duration { return deadline(d.Clock, i) }
	c := &core{
		deps: d, machine: newMachine(spec, at(spec.Opens), at(spec.Starts), at(spec.Ends)), places: map[ident.Seat]*place{},
		used: map[ident.Grant]ident.Seat{}, version: spec.Version, wake: make(chan struct{}, 1), wg: wg,
	}
	for _, s := range spec.Seats {
		c.places[s.Seat] = &place{}
	}
	return c
}

// deadline turns an instant into this boot's time.
func deadline(c clock.Clock, i linkspec.Instant) time.Duration {
	if i.BootID != "" && i.BootID == c.BootID() {
		return time.Duration(i.Boot)
	}
	return c.Boot() + i.Wall.Sub(c.Now())
}

// table is the machine's hops with the legs of the moment. c.mu is held.
func (c *core) table() Table {
	var t Table
	for _, h := range c.machine.hops() {
		from, to := c.places[h.from].leg, c.places[h.to].leg
		if from != nil && to != nil {
			t.Routes = append(t.Routes, Route{From: from, Media: h.media, To: to, Slot: h.slot})
		}
	}
	return t
}

// listeners are what a social call adds to the effects of a change.
type listeners struct {
	mark func(Mark)
	word func(Word)
}

// run carries effects out: media first, then disk, then words, then the connections. c.mu is held.
func (c *core) run(t Table, es []effect, also listeners) {
	m := c.machine
	c.deps.Path.Routes(m.spec.Call, t)
	for _, e := range es {
		if e.fact != nil {
			c.fact(*e.fact, e.data)
		}
	}
	c.save()
	for _, e := range es {
		if e.mark != nil && also.mark != nil {
			e.mark.At, e.mark.Boot = c.deps.Clock.Now(), c.deps.Clock.Boot()
			also.mark(*e.mark)
		}
	}
	for _, e := range es {
		if e.word == nil {
			continue
		}
		w := c.dress(*e.word)
		for _, s := range m.seats {
			if e.to == nil || e.to(s) {
				c.tell(s.spec.Seat, w)
			}
		}
		if also.word != nil && (e.to == nil || e.to(nil)) {
			also.word(w)
		}
	}
	for _, e := range es {
		if e.drop != "" {
			c.dropSeat(e.drop, e.code)
		}
	}
	if m.phase == Ended {
		c.dropAll()
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// dress fills what only the clock knows.
func (c *core) dress(w Word) Word {
	if w.T == WordState && w.Phase == Paused {
		w.Since = c.deps.Clock.Now().Add(c.machine.since - c.deps.Clock.Boot())
	}
	return w
}

// tell gives a seat a word, in its own view. c.mu is held.
func (c *core) tell(id ident.Seat, w Word) {
	p := c.places[id]
	if w.T == WordRoster {
		w.Seats = c.machine.roster(id)
	}
	if p.sit == nil && w.T != WordSay {
		return // whoever comes back is told the present anew
	}
	w = p.words.add(w)
	if p.sit != nil {
		p.sit.client.Tell(w)
	}
}

func (c *core) fact(e linkspec.Event, data any) {
	e.Call = c.machine.spec.Call
	if data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			panic("sfu: a fact that has no JSON: " + err.Error()) // its types are ours
		}
		e.Data = raw
	}
	if err := c.deps.Facts.Fact(e, durable(e.Kind)); err != nil {
		c.deps.Log.Error("fact not kept", "op", "sfu.fact", "kind", e.Kind, "call", e.Call, "err", err)
	}
}

// durable tells which facts are on disk before anybody hears of them.
func durable(kind string) bool {
	switch kind {
	case linkspec.CallLive, linkspec.CallPaused, linkspec.CallResumed, linkspec.CallWarned, linkspec.CallEnding, linkspec.CallEnded,
		linkspec.MonitorOpened, linkspec.Meter:
		return true
	}
	return false
}

// dropSeat closes a seat's connection and media. c.mu is held.
func (c *core) dropSeat(id ident.Seat, code string) {
	p := c.places[id]
	if p.sit != nil {
		p.sit.client.Drop(code)
		p.sit = nil
	}
	c.closeLeg(p)
	if c.deps.Closed != nil {
		c.deps.Closed(c.machine.spec.Call, id)
	}
}

// closeLeg ends a place's media without waiting: a closing leg waits for callbacks that want c.mu.
func (c *core) closeLeg(p *place) {
	if p.leg == nil {
		return
	}
	l := p.leg
	p.leg = nil
	c.wg.Go(func() { c.deps.Path.Close(l) })
}

func (c *core) dropAll() {
	for _, p := range c.places {
		c.closeLeg(p)
		p.sit = nil // the word "ended" closes the connection
	}
	if c.deps.Closed != nil {
		c.deps.Closed(c.machine.spec.Call, "")
	}
}

// save writes the call's state when it differs from what is on disk.
func (c *core) save() {
	m := c.machine
	s := Saved{
		Spec: m.spec, Phase: m.phase, Code: m.code, Seats: map[ident.Seat]SavedSeat{}, Used: c.used, LiveMS: m.liveFor.Milliseconds(),
		MeterMS: m.metered.Milliseconds(), Version: c.version,
		Pause: linkspec.PausedData{Reason: m.pause.Reason, By: m.pause.By, ByRole: m.pause.ByRole}, PauseSay: m.pause.Says,
	}
	for _, x := range m.seats {
		p := c.places[x.spec.Seat]
		s.Seats[x.spec.Seat] = SavedSeat{
			Generation: p.gen, Grant: p.grant, NBF: p.nbf, FP: p.fp, State: x.state, Ready: x.ready, Admitted: x.admitted,
			NoAudio: x.noAudio, NoVideo: x.noVideo,
		}
	}
	raw, err := json.Marshal(s)
	if err != nil {
		panic("sfu: a call that has no JSON: " + err.Error())
	}
	if string(raw) == c.saved {
		return
	}
	s.At = c.deps.Clock.Now()
	if err := c.deps.Keeper.Save(s); err != nil {
		c.deps.Log.Error("call state not kept", "op", "sfu.save", "call", m.spec.Call, "err", err)
		return
	}
	c.saved = string(raw)
}

// restore puts a saved state back. Its seats are lost until they resume.
func (c *core) restore(s Saved) {
	m := c.machine
	m.phase, m.code, c.version, c.used = s.Phase, s.Code, s.Version, s.Used
	if c.used == nil {
		c.used = map[ident.Grant]ident.Seat{}
	}
	m.liveFor, m.metered = time.Duration(s.LiveMS)*time.Millisecond, time.Duration(s.MeterMS)*time.Millisecond
	m.pause = order{Reason: s.Pause.Reason, By: s.Pause.By, ByRole: s.Pause.ByRole, Says: s.PauseSay}
	now := c.deps.Clock.Boot()
	m.liveAt, m.pulsed, m.since, m.remind = now, now, now, now+m.remindAfter()
	for _, x := range m.seats {
		v, ok := s.Seats[x.spec.Seat]
		if !ok {
			continue
		}
		p := c.places[x.spec.Seat]
		p.gen, p.grant, p.nbf, p.fp = v.Generation, v.Grant, v.NBF, v.FP
		x.state, x.ready, x.admitted, x.noAudio, x.noVideo = v.State, v.Ready, v.Admitted, v.NoAudio, v.NoVideo
		if x.state == Connected || x.state == Waiting {
			x.met = x.state == Connected
			x.state, x.lostAt = Lost, now
		}
	}
}

// both tells whether media of a visitor and of the inmate came in within the last 2 s. c.mu is held.
func (c *core) both(now time.Duration) bool {
	got := map[string]bool{}
	for _, s := range c.machine.seats {
		if l := c.places[s.spec.Seat].leg; l != nil && l.LastMedia() != 0 && now-l.LastMedia() < 2*time.Second {
			got[s.spec.Role] = true
		}
	}
	return got["visitor"] && got["inmate"]
}

// room is a call of any class.
type room interface {
	base() *core
	// change lets f move the machine and carries out what follows.
	change(f func(m *machine, now time.Duration) ([]effect, error)) error
	// serve runs what the class has beside the timers until ctx ends.
	serve(ctx context.Context)
}

// timers ticks a call until it is over or ctx ends.
func timers(ctx context.Context, r room) {
	c := r.base()
	for {
		c.mu.Lock()
		over := c.machine.over()
		now := c.deps.Clock.Boot()
		wait := c.machine.next(now) - now
		c.mu.Unlock()
		if over {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			continue
		case <-c.deps.Clock.After(wait):
		}
		_ = r.change(func(m *machine, now time.Duration) ([]effect, error) {
			es := m.pulse(c.both(now), now)
			return append(es, m.tick(now)...), nil
		})
	}
}
