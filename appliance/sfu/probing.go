package sfu

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"time"

	"sallyport/appliance/ident"

	"sallyport/appliance/grant"
	"sallyport/appliance/linkspec"
)

// ProbeTime is how long a device check hears and sees itself.
const ProbeTime = 20 * time.Second

// Probing is a device check: the client's own sound and picture come back to it. Nothing of it is kept.
type Probing struct {
	deps   Outside
	claims grant.Claims
	client Client
	call   ident.Call // a name of its own for the path; no call has it
	wg     *sync.WaitGroup
	done   chan struct{}
	mu     sync.Mutex // guards the rest
	leg    Leg
	over   bool
}

func probe(d Outside, c grant.Claims, cl Client, wg *sync.WaitGroup) (*Probing, Welcome) {
	p := &Probing{deps: d, claims: c, client: cl, call: ident.New[ident.Call](), wg: wg, done: make(chan struct{})}
	now := d.Clock.Now()
	return p, Welcome{Down: 1, Offer: true, Video: linkspec.Video{Kbps: 1000, Width: 640, FPS: 25}, Starts: now, Ends: now.Add(ProbeTime), Now: now}
}

// Offer makes the echo, on the door's media address that is near. The check's time begins here.
func (p *Probing) Offer(ctx context.Context, near netip.Addr, offer []byte) ([]byte, error) {
	l, answer, err := p.deps.Path.Answer(ctx, Place{
		Call: p.call, Name: "probe", Door: p.claims.Door, Near: near, Fingerprint: p.claims.FP, Sends: true, Down: 1, Kbps: 1000, Changed: func(Leg, bool) {},
	}, offer)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	old, over := p.leg, p.over
	if !over {
		p.leg = l
	}
	p.mu.Unlock()
	if over {
		p.deps.Path.Close(l)
		return nil, callOver("Probe")
	}
	if old != nil {
		p.deps.Path.Close(old)
	} else {
		p.wg.Go(p.run)
	}
	p.deps.Path.Routes(p.call, Table{Routes: []Route{{From: l, Media: Audio, To: l}, {From: l, Media: Video, To: l}}})
	return answer, nil
}

func (p *Probing) run() {
	select {
	case <-p.deps.Clock.After(ProbeTime):
		p.client.Tell(Word{T: WordEnded, Code: "probe_over", Says: "call.ended"})
	case <-p.done:
	}
	p.mu.Lock()
	l := p.leg
	p.leg, p.over = nil, true
	p.mu.Unlock()
	if l != nil {
		p.deps.Path.Close(l)
	}
}

// Leave ends the check. It may be called twice.
func (p *Probing) Leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.over = true
		close(p.done)
	}
}

func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("sfu: a fact that has no JSON: " + err.Error()) // its types are ours
	}
	return raw
}
