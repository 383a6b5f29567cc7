// Package recorder owns the recording of running calls: it turns the packets that a call lets through into the chunk log
// of package reel.
//
// It must not know why a call is recorded, who is in it or who may watch it later, and it holds no key that could read
// back what it wrote. Packets are copied into a ring of four seconds and never block the call; one goroutine per call
// builds frames, closes a chunk each second and waits for the disk.
//
// The life of a [Take]: [Recorders.Open], Arm (the first chunk is durable before anybody is admitted), packets and marks,
// Seal (final chunk, signed manifest). A take that cannot write moves its chunk to a new segment once; a second failure
// within a minute ends it, and Failed says so. A daemon that starts again opens the next segment of the same recording.
package recorder

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/reel"
	"sallyport/appliance/sfu"
)

// Config is what the recorder is told. Everything is required.
type Config struct {
	Root   string               // folder "recordings"
	Keys   func() linkspec.Keys // the facility and the intake recipients as bookingd last told them
	Signer reel.Signer          // signs manifests
	Clock  clock.Clock
	Log    *slog.Logger
	// Tell spools recording.armed, .gap, .failed and .sealed. It returns when the event is durable, and is called from
	// the call's writing goroutine, never from the packet path.
	Tell func(kind string, call ident.Call, d linkspec.RecordingData)
}

// Reserves of the disk, in hundredths (media.md, 8.4), and the planning figure for a running call.
const (
	reserveNew   = 5 // below it, after what running calls will write, no call begins to be recorded
	reserveLive  = 2 // below it a running recording fails
	bytesAMinute = 15_500_000
	syncs        = 4 // chunks that wait for the disk at once
	lookBack     = 3 // days in which a recording may still be open
)

// Recorders opens the recorders of calls. It implements sfu.Recorders.
type Recorders struct {
	cfg  Config
	sync chan struct{}

	mu    sync.Mutex // guards takes
	takes map[ident.Call]*Take
}

// New returns the recorders of one root folder. It returns Invalid when something is missing.
func New(cfg Config) (*Recorders, error) {
	if cfg.Root == "" || cfg.Keys == nil || len(cfg.Signer.Key) == 0 || cfg.Clock == nil || cfg.Log == nil || cfg.Tell == nil {
		return nil, fault.New("recorder.New", fault.Invalid, "The recorder needs a folder, keys, a clock and a spool.").WithCode("recorder_config")
	}
	if err := os.MkdirAll(cfg.Root, 0o770); err != nil {
		return nil, fault.New("recorder.New", fault.Unavailable, "The folder of recordings cannot be made.").WithCode("recorder_disk").Because(err)
	}
	return &Recorders{cfg: cfg, sync: make(chan struct{}, syncs), takes: map[ident.Call]*Take{}}, nil
}

// Open returns the recorder of a call: of a new recording, or of the next segment of one that this call began. It refuses
// a privileged call (Forbidden), a second recorder of a call (Conflict) and a disk without room for it (Full).
func (r *Recorders) Open(spec linkspec.Spec) (sfu.Recorder, error) {
	if spec.Class != linkspec.Social && spec.Class != linkspec.OnSite && spec.Class != linkspec.Official || !spec.Record {
		return nil, fault.New("recorder.Open", fault.Forbidden, "This call is not recorded.").WithCode("not_recorded")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	former := r.takes[spec.Call]
	if former != nil && !former.dead.Load() {
		return nil, fault.New("recorder.Open", fault.Conflict, "This call has a recorder.").WithCode("recorder_twice")
	}
	planned := planned(spec, r.cfg.Clock.Now())
	for _, t := range r.takes {
		if t == former {
			continue // it will write no more
		}
		planned += t.planned(r.cfg.Clock.Now())
	}
	if err := r.room(reserveNew, planned); err != nil {
		return nil, err
	}
	t := newTake(r, spec)
	t.former = former
	r.takes[spec.Call] = t
	return t, nil
}

// planned returns how much a call will write until its end.
func planned(spec linkspec.Spec, now time.Time) uint64 {
	left := min(spec.Ends.Wall.Sub(now), 24*time.Hour)
	return uint64(max(left, 0).Minutes() * bytesAMinute)
}

// room refuses with Full when less than the reserve stays free after the planned bytes.
func (r *Recorders) room(hundredths, planned uint64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(r.cfg.Root, &s); err != nil {
		return fault.New("recorder.room", fault.Unavailable, "The disk of recordings cannot be read.").WithCode("recorder_disk").Because(err)
	}
	size := uint64(s.Bsize)
	if s.Bavail*size < s.Blocks*size/100*hundredths+planned {
		return fault.New("recorder.room", fault.Full, "The disk has no room for another recording.").WithCode("recorder_full")
	}
	return nil
}

// forget drops a take, so that its call may open another.
func (r *Recorders) forget(t *Take) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.takes[t.spec.Call] == t {
		delete(r.takes, t.spec.Call)
	}
}

// begun is a recording on disk without a manifest.
type begun struct {
	folder string // below the root
	first  reel.Header
}

// unsealed lists the recordings of the last days that have no manifest.
func (r *Recorders) unsealed() ([]begun, error) {
	var out []begun
	for day := range lookBack {
		date := r.cfg.Clock.Now().UTC().AddDate(0, 0, -day).Format(time.DateOnly)
		entries, err := os.ReadDir(filepath.Join(r.cfg.Root, date))
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return nil, fault.New("recorder.unsealed", fault.Unavailable, "The recordings cannot be listed.").WithCode("recorder_disk").Because(err)
		}
		for _, e := range entries {
			folder := filepath.Join(date, e.Name())
			if _, err := os.Stat(filepath.Join(r.cfg.Root, folder, reel.ManifestName)); err == nil {
				continue
			}
			// A folder whose first header never became durable was armed for nobody.
			if h, err := reel.HeaderOf(filepath.Join(r.cfg.Root, folder)); err == nil {
				out = append(out, begun{folder, h})
			}
		}
	}
	return out, nil
}

// find returns the open recording of a call.
func (r *Recorders) find(call ident.Call) (begun, bool, error) {
	all, err := r.unsealed()
	i := slices.IndexFunc(all, func(b begun) bool { return b.first.Call == call })
	if i < 0 {
		return begun{}, false, err
	}
	return all[i], true, err
}

// Serve seals what nobody seals, at once and every minute ([Recorders.Recover]), until ctx ends. Then it writes what every
// take holds, and the next run goes on with their recordings.
func (r *Recorders) Serve(ctx context.Context, live func(ident.Call) bool) error {
	defer r.Close()
	for {
		if err := r.Recover(live); err != nil {
			r.cfg.Log.Error("recordings not recovered", "op", "recorder.Serve", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.cfg.Clock.After(time.Minute):
		}
	}
}

// Recover seals the recordings of calls that ended while nobody wrote, or whose recorder failed for good: live says which
// calls go on. bookingd learns of each by recording.sealed with Recovered.
func (r *Recorders) Recover(live func(ident.Call) bool) error {
	all, err := r.unsealed()
	if err != nil {
		return err
	}
	for _, b := range all {
		if live(b.first.Call) || r.writing(b.first.Call) {
			continue
		}
		if err := r.seal(b.folder, reel.Manifest{Code: "recovered", Recovered: true}); err != nil {
			r.cfg.Log.Error("recording not recovered", "op", "recorder.Recover", "call", string(b.first.Call), "err", err)
			r.cfg.Tell(linkspec.RecordingFailed, b.first.Call, linkspec.RecordingData{Recording: b.first.Recording, Folder: b.folder, Cause: fault.CodeOf(err), Recovered: true})
		}
	}
	return nil
}

// writing tells whether a take of the call is at the disk.
func (r *Recorders) writing(call ident.Call) bool {
	r.mu.Lock()
	t := r.takes[call]
	r.mu.Unlock()
	if t == nil {
		return false
	}
	select {
	case <-t.done:
		return false
	default:
		return true
	}
}

// seal writes a recording's manifest and tells of it. It fills in what the folder says.
func (r *Recorders) seal(folder string, m reel.Manifest) error {
	path := filepath.Join(r.cfg.Root, folder)
	found, err := reel.Survey(path)
	if err != nil {
		return err
	}
	h := found[0].Header
	m.Facility, m.Recording, m.Call, m.PolicyDigest = h.Facility, h.Recording, h.Call, h.PolicyDigest
	m.Start, m.End = h.Start.Wall, h.Start.Wall
	for i, s := range found {
		if s.Chunks > 0 {
			m.End = time.UnixMilli(s.EndMS).UTC()
		}
		if i > 0 {
			before := found[i-1]
			m.Gaps = append(m.Gaps, reel.Span{
				FromMS: max(before.EndMS-h.Start.Wall.UnixMilli(), 0), ToMS: s.Header.Since(s.Header.Opened).Milliseconds(), Reason: "segment",
			})
		}
	}
	m.LengthMS = max(m.LengthMS, m.End.Sub(m.Start).Milliseconds())
	hash, err := reel.Seal(path, m, r.cfg.Signer)
	if err != nil {
		return err
	}
	r.cfg.Tell(linkspec.RecordingSealed, h.Call, linkspec.RecordingData{
		Recording: h.Recording, Folder: folder, Cause: m.Code, Manifest: hash, Recovered: m.Recovered,
	})
	return nil
}
