package sfu

import (
	"context"
	"maps"
	"sync"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// Hall is all calls of this gateway.
type Hall struct {
	deps      Outside
	recorders Recorders // of social calls only
	wg        sync.WaitGroup

	mu    sync.Mutex // guards the rest; taken before any call's lock
	rooms map[ident.Call]room
	over  map[ident.Call]string // why it ended; such a call never opens again
	stops map[string]Stop
	serve context.Context // nil before Serve and after it
}

// Stop is a kill switch that is on.
type Stop struct {
	ID     string `json:"id"`
	Scope  string `json:"scope"` // all, unit:<id>, device:<id>
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
}

func (s Stop) fits(spec linkspec.Spec) bool {
	if s.Scope == "all" {
		return true
	}
	for _, u := range spec.Labels.Units {
		if s.Scope == "unit:"+string(u) {
			return true
		}
	}
	for _, d := range spec.Labels.Devices {
		if s.Scope == "device:"+string(d) {
			return true
		}
	}
	for _, x := range spec.Seats {
		if x.Unit != "" && s.Scope == "unit:"+string(x.Unit) || x.Device != "" && s.Scope == "device:"+string(x.Device) {
			return true
		}
	}
	return false
}

// NewHall returns an empty hall; without recorders it refuses calls that must be recorded. Its timers run while Serve does.
func NewHall(d Outside, recorders Recorders) *Hall {
	return &Hall{deps: d, recorders: recorders, rooms: map[ident.Call]room{}, over: map[ident.Call]string{}, stops: map[string]Stop{}}
}

// Serve runs the timers of all calls until ctx ends. Then it tells everybody that the gateway restarts, cuts the media and
// waits for it.
func (h *Hall) Serve(ctx context.Context) error {
	h.mu.Lock()
	h.serve = ctx
	for _, r := range h.rooms {
		h.start(r)
	}
	h.mu.Unlock()
	<-ctx.Done()
	h.mu.Lock()
	h.serve = nil
	rooms := maps.Clone(h.rooms)
	h.mu.Unlock()
	for _, r := range rooms {
		r.base().suspend(r)
	}
	h.wg.Wait()
	return nil
}

// start runs a call's timers. h.mu is held.
func (h *Hall) start(r room) {
	ctx := h.serve
	if ctx == nil {
		return
	}
	h.wg.Go(func() {
		var both sync.WaitGroup
		both.Go(func() { r.serve(ctx) })
		timers(ctx, r)
		both.Wait()
		b := r.base()
		b.mu.Lock()
		over, call, code := b.machine.over(), b.machine.spec.Call, b.machine.code
		b.mu.Unlock()
		if over {
			h.mu.Lock()
			delete(h.rooms, call)
			h.over[call] = code
			h.mu.Unlock()
		}
	})
}

// suspend tells the seats of a call that the gateway goes away for a moment and cuts their media.
func (c *core) suspend(r room) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deps.Path.Routes(c.machine.spec.Call, Table{})
	for _, p := range c.places {
		if p.sit != nil {
			p.sit.client.Drop("restarting")
			p.sit = nil
		}
		c.closeLeg(p)
	}
	if s, ok := r.(*Social); ok {
		for w := range s.watching {
			w.client.Drop("restarting")
			s.leaveWatch(w)
		}
	}
}

// Restore opens what was running when the daemon went. It is called before Serve.
func (h *Hall) Restore(calls []Saved, stops []Stop) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range stops {
		h.stops[s.ID] = s
	}
	for _, s := range calls {
		if s.Phase == Ended || s.Phase == Ending {
			h.over[s.Spec.Call] = s.Code
			continue
		}
		r, err := h.build(s.Spec)
		if err != nil {
			h.deps.Log.Error("call not restored", "op", "sfu.Restore", "call", s.Spec.Call, "err", err)
			continue
		}
		r.base().restore(s)
		h.rooms[s.Spec.Call] = r
	}
}

// build makes a call of the spec's class. A class that nobody knows opens nothing.
func (h *Hall) build(spec linkspec.Spec) (room, error) {
	if spec.Ends.Boot == 0 && spec.Ends.Wall.IsZero() {
		return nil, fault.New("sfu.Open", fault.Invalid, "A call without an end is not opened.").WithCode("no_end")
	}
	if len(spec.Seats) == 0 || len(spec.Seats) > 7 {
		return nil, fault.New("sfu.Open", fault.Invalid, "A call has one to seven seats.").WithCode("seats")
	}
	switch spec.Class {
	case linkspec.Social, linkspec.OnSite, linkspec.Official:
		return OpenSocial(h.deps, h.recorders, spec, &h.wg)
	case linkspec.Privileged:
		return OpenPrivileged(h.deps, spec, &h.wg)
	}
	return nil, fault.New("sfu.Open", fault.Invalid, "The class of this call is unknown.").WithCode("class_fixed")
}

// open opens a call unless it is open. h.mu is held.
func (h *Hall) open(spec linkspec.Spec) (room, error) {
	if r, ok := h.rooms[spec.Call]; ok {
		return r, nil
	}
	if _, done := h.over[spec.Call]; done {
		return nil, callOver("Open")
	}
	for _, s := range h.stops {
		if s.fits(spec) {
			return nil, stopped()
		}
	}
	r, err := h.build(spec)
	if err != nil {
		return nil, err
	}
	if b := r.base(); b.deps.Clock.Boot() >= b.machine.ends {
		return nil, callOver("Open")
	}
	h.rooms[spec.Call] = r
	b := r.base()
	b.mu.Lock()
	b.save()
	b.mu.Unlock()
	h.start(r)
	return r, nil
}

func stopped() error {
	return fault.New("sfu.Join", fault.Forbidden, "Calls are stopped by staff.").WithCode("stopped")
}

// find returns an open call. h.mu is held.
func (h *Hall) find(id ident.Call, op string) (room, error) {
	if r, ok := h.rooms[id]; ok {
		return r, nil
	}
	if _, done := h.over[id]; done {
		return nil, callOver(op)
	}
	return nil, unknownCall(op)
}

// Sit takes a seat with a verified grant. It returns Forbidden (stopped, seat_removed), NotFound (call_unknown), Conflict
// (call_over, grant_used, elsewhere) or TooSoon (too_early).
func (h *Hall) Sit(c grant.Claims, cl Client) (*Sitting, Welcome, error) {
	h.mu.Lock()
	r, err := h.find(c.Call, "Join")
	if fault.Is(err, fault.NotFound) && c.Spec != nil && c.Spec.Call == c.Call && c.Spec.Class == c.Class {
		r, err = h.open(*c.Spec) // bookingd is away, or its command is under way
	}
	if err == nil && h.stoppedFor(r) {
		err = stopped()
	}
	h.mu.Unlock()
	if err != nil {
		return nil, Welcome{}, err
	}
	return sit(r, c, cl)
}

func (h *Hall) stoppedFor(r room) bool {
	b := r.base()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range h.stops {
		if s.fits(b.machine.spec) {
			return true
		}
	}
	return false
}

// Resume takes a seat back. door tells whether the connection came by the seat's own door.
func (h *Hall) Resume(call ident.Call, seat ident.Seat, gen int, last int64, door func(string) bool, cl Client) (*Sitting, Welcome, error) {
	h.mu.Lock()
	r, err := h.find(call, "Resume")
	h.mu.Unlock()
	if err != nil {
		return nil, Welcome{}, err
	}
	return resume(r, seat, func(x linkspec.SeatSpec) bool { return door(x.Door) }, gen, last, cl)
}

// Watch opens a monitor. On a call that may not be watched it says the same as on one that does not exist.
func (h *Hall) Watch(c grant.Claims, cl Client) (*Watching, Welcome, error) {
	h.mu.Lock()
	r, err := h.find(c.Call, "Watch")
	h.mu.Unlock()
	if err != nil {
		return nil, Welcome{}, err
	}
	s, ok := r.(*Social)
	if !ok {
		h.deps.Log.Warn("monitor refused", "op", "sfu.Watch", "call", c.Call)
		_ = h.deps.Facts.Fact(linkspec.Event{Kind: linkspec.GrantRefused, Call: c.Call, Data: mustJSON(linkspec.SeatData{Why: "monitor"})}, false)
		return nil, Welcome{}, unknownCall("Watch")
	}
	return watch(s, c, cl)
}

// Probe begins a device check.
func (h *Hall) Probe(c grant.Claims, cl Client) (*Probing, Welcome, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.serve == nil {
		return nil, Welcome{}, fault.New("sfu.Probe", fault.Unavailable, "The gateway is stopping.").WithCode("restarting")
	}
	p, w := probe(h.deps, c, cl, &h.wg)
	return p, w, nil
}

// Seated tells whether a seat is in now, or within its grace: a relay serves nobody else.
func (h *Hall) Seated(call ident.Call, id ident.Seat) bool {
	h.mu.Lock()
	r, ok := h.rooms[call]
	h.mu.Unlock()
	if !ok {
		return false
	}
	b := r.base()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.machine.seat(id)
	return s != nil && !b.machine.over() && (s.state == Waiting || s.state == Connected || s.state == Lost)
}

// Counts returns how many calls are in each phase, and their seats that are connected.
func (h *Hall) Counts() (calls map[linkspec.Class]map[Phase]int, seats int) {
	h.mu.Lock()
	rooms := maps.Clone(h.rooms)
	h.mu.Unlock()
	calls = map[linkspec.Class]map[Phase]int{}
	for _, r := range rooms {
		b := r.base()
		b.mu.Lock()
		m := b.machine
		if calls[m.spec.Class] == nil {
			calls[m.spec.Class] = map[Phase]int{}
		}
		calls[m.spec.Class][m.phase]++
		for _, s := range m.seats {
			if s.state == Connected {
				seats++
			}
		}
		b.mu.Unlock()
	}
	return calls, seats
}

// Left returns how long a call still goes.
func (h *Hall) Left(call ident.Call) (time.Duration, bool) {
	h.mu.Lock()
	r, ok := h.rooms[call]
	h.mu.Unlock()
	if !ok {
		return 0, false
	}
	b := r.base()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine.ends - b.deps.Clock.Boot(), true
}
