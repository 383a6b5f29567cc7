package recorder

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/reel"
	"sallyport/appliance/sfu"
)

// Take is the recording of one call by one run of the daemon. It implements sfu.Recorder.
type Take struct {
	r      *Recorders
	spec   linkspec.Spec
	ring   *ring
	paused atomic.Bool
	failed chan error
	done   chan struct{} // closed when the writing goroutine has ended
	dead   atomic.Bool   // it has failed: the call may have another
	former *Take         // the failed one before it, which may still be at the disk

	mu     sync.Mutex // guards the rest
	armed  bool
	broken error // why it cannot go on
	sealed error // outcome of the seal, once done

	script *script // of the writing goroutine alone once armed
}

func newTake(r *Recorders, spec linkspec.Spec) *Take {
	return &Take{r: r, spec: spec, ring: newRing(), failed: make(chan error, 1), done: make(chan struct{})}
}

func (t *Take) planned(now time.Time) uint64 { return planned(t.spec, now) }

// Arm begins the recording, or its next segment, and returns when the first chunk is durable and recording.armed is
// spooled. It returns Unavailable when there is no key or the disk does not take it; the take is over then.
func (t *Take) Arm(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.New("recorder.Arm", fault.Unavailable, "The recording was not begun in time.").Because(err)
	}
	if t.former != nil {
		select {
		case <-t.former.done:
		case <-ctx.Done():
			return slow()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.armed || t.broken != nil {
		return fault.New("recorder.Arm", fault.Conflict, "This recording was begun already.").WithCode("recorder_twice")
	}
	s, err := t.r.begin(t.spec)
	if err != nil {
		t.broken = err
		t.dead.Store(true)
		close(t.done)
		return err
	}
	t.script, t.armed = s, true
	go t.run()
	return nil
}

// Packet takes a copy of p's payload. It never blocks; nothing is taken while the call is paused.
func (t *Take) Packet(seat ident.Seat, media sfu.Media, p *rtp.Packet) {
	if t.paused.Load() {
		return
	}
	now := t.r.cfg.Clock.Boot()
	dropping := t.ring.push(item{
		what: isPacket, at: now, seat: seat, media: media,
		seq: p.SequenceNumber, ssrc: p.SSRC, rtp: p.Timestamp, marker: p.Marker, payload: append([]byte(nil), p.Payload...),
	})
	if dropping >= lossMost {
		t.breakDown(slow())
	}
}

// Report takes a sender report.
func (t *Take) Report(seat ident.Seat, media sfu.Media, ntp uint64, rtpTime uint32) {
	if !t.paused.Load() {
		t.ring.push(item{what: isReport, at: t.r.cfg.Clock.Boot(), seat: seat, media: media, ntp: ntp, rtp: rtpTime})
	}
}

// Mark takes a fact of the call. It never blocks. From a pause to the resume after it no packet is taken.
func (t *Take) Mark(m sfu.Mark) {
	switch m.Kind {
	case sfu.MarkPause:
		t.paused.Store(true)
	case sfu.MarkResume:
		t.paused.Store(false)
	}
	at := m.Boot
	if at == 0 {
		at = t.r.cfg.Clock.Boot()
	}
	t.ring.push(item{what: isMark, at: at, mark: m})
}

// Failed gives one value when the recorder cannot go on. Another may be opened for the call then.
func (t *Take) Failed() <-chan error { return t.failed }

// Seal writes the final chunk and the signed manifest, and returns when recording.sealed is spooled. After a failure it
// seals what became durable. It returns Unavailable when the disk does not take it: the next start tries again.
func (t *Take) Seal(ctx context.Context, code string) error {
	t.mu.Lock()
	armed := t.armed
	if !armed && t.broken == nil {
		t.broken = fault.New("recorder.Seal", fault.Conflict, "This recording was sealed before it began.")
		close(t.done)
	}
	t.mu.Unlock()
	if !armed {
		t.r.forget(t)
		return nil // nothing was recorded, so there is nothing to seal
	}
	t.ring.push(item{what: isSeal, at: t.r.cfg.Clock.Boot(), code: code})
	select {
	case <-t.done:
	case <-ctx.Done():
		return fault.New("recorder.Seal", fault.Unavailable, "The disk did not take the end of the recording in time.").WithCode("recorder_slow").Because(ctx.Err())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken == nil {
		return t.sealed
	}
	if t.sealed == nil { // once: the writing goroutine is gone
		t.sealed = t.r.seal(t.script.folder, t.script.manifest(code))
	}
	return t.sealed
}

// suspend writes what waits and ends without a manifest: the daemon stops, its next run goes on with the recording.
func (t *Take) suspend() {
	t.mu.Lock()
	armed := t.armed
	t.mu.Unlock()
	if armed {
		t.ring.push(item{what: isSeal, at: t.r.cfg.Clock.Boot(), code: ""})
		<-t.done
	}
	t.r.forget(t)
}

// Close writes what every take holds, because the daemon stops. Their recordings stay open for its next run.
func (r *Recorders) Close() {
	r.mu.Lock()
	all := make([]*Take, 0, len(r.takes))
	for _, t := range r.takes {
		all = append(all, t)
	}
	r.mu.Unlock()
	for _, t := range all {
		t.suspend()
	}
}

// breakDown makes the take fail: the packet path may call it.
func (t *Take) breakDown(err error) {
	t.mu.Lock()
	first := t.broken == nil
	if first {
		t.broken = err
	}
	t.mu.Unlock()
	if first {
		t.dead.Store(true)
		t.failed <- err // holds one value, and this happens once
		t.ring.close()
		select {
		case t.ring.wake <- struct{}{}:
		default:
		}
	}
}

func (t *Take) isBroken() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken
}

// run is the writing goroutine.
func (t *Take) run() {
	defer close(t.done)
	defer t.r.forget(t)
	defer t.script.w.Close()
	var batch []item
	for {
		select {
		case <-t.ring.wake:
		case <-t.r.cfg.Clock.After(t.script.due(t.r.cfg.Clock.Boot())):
		}
		batch = t.ring.take(batch)
		ended, err := t.script.apply(batch)
		if err == nil {
			err = t.isBroken()
		}
		if err != nil {
			t.breakDown(err)
			t.tellFailure(err)
			return
		}
		if ended {
			t.mu.Lock()
			t.sealed = t.script.outcome
			t.mu.Unlock()
			t.ring.close()
			return
		}
	}
}

func (t *Take) tellFailure(err error) {
	s := t.script
	t.r.cfg.Log.Error("recording failed", "op", "recorder.run", "call", string(t.spec.Call), "err", err)
	t.r.cfg.Tell(linkspec.RecordingFailed, t.spec.Call, linkspec.RecordingData{
		Recording: s.head.Recording, Folder: s.folder, Cause: fault.CodeOf(err),
	})
}

// begin opens the first segment of a call's recording, or the next one, with its first chunk.
func (r *Recorders) begin(spec linkspec.Spec) (*script, error) {
	keys := r.cfg.Keys()
	to, err := reel.Recipients(keys.Recipients)
	if err != nil {
		return nil, err
	}
	before, found, err := r.find(spec.Call)
	if err != nil {
		return nil, err
	}
	now := linkspec.Instant{BootID: r.cfg.Clock.BootID(), Boot: int64(r.cfg.Clock.Boot()), Wall: r.cfg.Clock.Now()}
	s := newScript(r, to)
	if !found {
		s.head = reel.Header{
			Facility: keys.Facility, Recording: ident.New[ident.Recording](), Call: spec.Call, Segment: 1,
			Start: now, Opened: now, PolicyDigest: spec.PolicyDigest,
		}
		s.folder = reel.Folder(now.Wall, s.head.Recording)
	} else if err := s.follow(before, now); err != nil {
		return nil, err
	}
	s.from = s.head.Segment
	path := filepath.Join(r.cfg.Root, s.folder)
	if s.w, err = reel.Create(path, s.head, to); err != nil {
		return nil, unwritable(err)
	}
	flags, mark := reel.Flags(0), reel.Mark{Kind: reel.MarkNote, Reason: "armed"}
	if found {
		flags, mark = reel.Gap, reel.Mark{Kind: reel.MarkGap, Reason: "restart"}
	}
	if err := s.w.Append(now, flags, []reel.Record{mark.Record(s.head.Since(now))}); err != nil {
		_ = s.w.Close()
		return nil, err
	}
	s.counts.Marks++
	about := linkspec.RecordingData{Recording: s.head.Recording, Folder: s.folder}
	r.cfg.Tell(linkspec.RecordingArmed, spec.Call, about)
	if found {
		about.Cause = "restart"
		r.cfg.Tell(linkspec.RecordingGap, spec.Call, about)
	}
	return s, nil
}

func slow() error {
	return fault.New("recorder.slow", fault.Unavailable, "The disk is too slow for the recording.").WithCode("recorder_slow")
}

func unwritable(err error) error {
	if fault.CodeOf(err) != "" {
		return err
	}
	return fault.New("recorder.begin", fault.Unavailable, "The recording cannot be written.").WithCode("recorder_disk").Because(err)
}
