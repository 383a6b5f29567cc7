package recorder_test

import (
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"go.uber.org/goleak"

	"sallyport/appliance/clock"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/recorder"
	"sallyport/appliance/reel"
	"sallyport/appliance/reel/reeltest"
	"sallyport/appliance/sfu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// event is what was spooled.
type event struct {
	kind string
	call ident.Call
	data linkspec.RecordingData
}

// rig is a root of recordings with everything that reads them back.
type rig struct {
	t      *testing.T
	root   string
	clock  *clock.Fake
	who    *age.X25519Identity
	public ed25519.PublicKey
	cfg    recorder.Config
	all    *recorder.Recorders
	spec   linkspec.Spec

	hasty bool // play without waiting for the disk
	size  int64

	mu     sync.Mutex // guards events
	events []event
}

func newRig(t *testing.T) *rig {
	t.Helper()
	who, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC)
	r := &rig{t: t, root: filepath.Join(t.TempDir(), "recordings"), clock: clock.NewFake(now), who: who, public: public}
	keys := linkspec.Keys{Facility: ident.New[ident.Facility](), Recipients: []string{who.Recipient().String()}}
	r.cfg = recorder.Config{
		Root: r.root, Keys: func() linkspec.Keys { return keys }, Signer: reel.Signer{KID: "rec1", Key: private}, Clock: r.clock,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Tell: func(kind string, call ident.Call, d linkspec.RecordingData) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, event{kind, call, d})
		},
	}
	r.spec = linkspec.Spec{
		Call: ident.New[ident.Call](), Class: linkspec.Social, Record: true, RecordFail: "block", PolicyDigest: "digest",
		Ends: linkspec.Instant{Wall: now.Add(time.Minute)},
	}
	r.restart()
	return r
}

// restart is another run of the daemon over the same folder.
func (r *rig) restart() {
	r.t.Helper()
	all, err := recorder.New(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.all = all
}

func (r *rig) open() sfu.Recorder {
	r.t.Helper()
	rec, err := r.all.Open(r.spec)
	if err != nil {
		r.t.Fatal(err)
	}
	return rec
}

func (r *rig) armed() sfu.Recorder {
	r.t.Helper()
	rec := r.open()
	if err := rec.Arm(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(r.all.Close)
	return rec
}

func (r *rig) kinds() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.events {
		out = append(out, e.kind)
	}
	return out
}

func (r *rig) last(kind string) linkspec.RecordingData {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range slices.Backward(r.events) {
		if e.kind == kind {
			return e.data
		}
	}
	r.t.Fatalf("no %s among %v", kind, r.events)
	return linkspec.RecordingData{}
}

func (r *rig) seal(rec sfu.Recorder, code string) {
	r.t.Helper()
	if err := rec.Seal(context.Background(), code); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) folder() string {
	r.t.Helper()
	return filepath.Join(r.root, r.last(linkspec.RecordingArmed).Folder)
}

func (r *rig) verify() reel.Report {
	r.t.Helper()
	keys, err := reel.OpenKeys(r.folder(), r.who)
	if err != nil {
		r.t.Fatal(err)
	}
	report, err := reel.VerifyFolder(r.folder(), reel.VerifyKeys{Signer: r.public, Data: keys})
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

func (r *rig) reel() *reel.Reel {
	r.t.Helper()
	keys, err := reel.OpenKeys(r.folder(), r.who)
	if err != nil {
		r.t.Fatal(err)
	}
	rl, err := reel.Open(r.folder(), keys)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { rl.Close() })
	return rl
}

// sender is a seat's camera and microphone.
type sender struct {
	seat      ident.Seat
	video     rtp.Packetizer
	audioSeq  uint16
	audioSSRC uint32
	dropEvery int
	sent      int
}

func newSender(seat ident.Seat) *sender {
	return &sender{
		seat: seat, audioSSRC: 0xA0 + uint32(seat[1]), audioSeq: 65530, // wraps at once
		video: rtp.NewPacketizer(1000, 96, 0x70+uint32(seat[1]), &codecs.VP8Payloader{EnablePictureID: true}, rtp.NewRandomSequencer(), 90000),
	}
}

// play sends frames while the clock moves with them. Neighbours of a picture are swapped, as networks do.
func (r *rig) play(rec sfu.Recorder, frames []reeltest.Frame, from ...*sender) {
	r.t.Helper()
	at := frames[0].MS
	waited := at
	for i, f := range frames {
		if f.MS-waited > 1100 && !r.hasty {
			r.written()
			waited = f.MS
		}
		if f.MS > at {
			r.clock.Advance(time.Duration(f.MS-at) * time.Millisecond)
			at = f.MS
		}
		for _, s := range from {
			if !f.Video {
				rec.Packet(s.seat, sfu.Audio, &rtp.Packet{
					Header:  rtp.Header{Version: 2, SequenceNumber: s.audioSeq, Timestamp: uint32(f.MS * 48), SSRC: s.audioSSRC},
					Payload: f.Data,
				})
				s.audioSeq++
				continue
			}
			packets := s.video.Packetize(f.Data, 9000)
			for k := 0; k+1 < len(packets) && i > 0; k += 2 {
				packets[k], packets[k+1] = packets[k+1], packets[k]
			}
			for _, p := range packets {
				p.Timestamp = uint32(f.MS * 90)
				s.sent++
				if s.dropEvery > 0 && s.sent%s.dropEvery == 0 {
					continue
				}
				rec.Packet(s.seat, sfu.Video, p)
			}
		}
	}
}

// written waits until another chunk is on disk, so that a call played in no time does not overflow the ring.
func (r *rig) written() {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		names, err := filepath.Glob(filepath.Join(r.folder(), "*.reel"))
		if err != nil {
			r.t.Fatal(err)
		}
		size := int64(0)
		for _, name := range names {
			if info, err := os.Stat(name); err == nil {
				size += info.Size()
			}
		}
		if size > r.size {
			r.size = size
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatal("no chunk is written")
		}
		runtime.Gosched()
	}
}

func count(frames []reeltest.Frame, video bool) int {
	n := 0
	for _, f := range frames {
		if f.Video == video {
			n++
		}
	}
	return n
}

func movie(t *testing.T, rl *reel.Reel, seat ident.Seat) []byte {
	t.Helper()
	m, err := rl.Movie(seat)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
