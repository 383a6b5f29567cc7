package recorder_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtp"
	"golang.org/x/sys/unix"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/reel"
	"sallyport/appliance/reel/reeltest"
	"sallyport/appliance/sfu"
)

// TestADiskThatRefuses uses the process's file size limit: the kernel refuses the write, as a full disk does.
func TestADiskThatRefuses(t *testing.T) {
	if !alone(t) {
		return
	}
	r := newRig(t)
	rec := r.armed()
	frames := reeltest.Sample(t, 8)
	limit(t, 40<<10)
	r.hasty = true
	var failed error
	for i := 0; i < len(frames) && failed == nil; i += 10 {
		r.play(rec, frames[i:min(i+10, len(frames))], newSender("v1"), newSender("i1"))
		select {
		case failed = <-rec.Failed():
		case <-time.After(20 * time.Millisecond): // the writer waits for the disk
		}
	}
	if failed == nil {
		select {
		case failed = <-rec.Failed():
		case <-time.After(5 * time.Second):
			t.Fatalf("nobody said that the disk refuses: %v", r.kinds())
		}
	}
	if !fault.Is(failed, fault.Unavailable) {
		t.Errorf("failed with %v", failed)
	}
	limit(t, unix.RLIM_INFINITY)
	// The call may have another recorder at once, which goes on with the same recording.
	again := r.armed()
	r.written()
	r.hasty = false
	r.play(again, frames[:60], newSender("v1"))
	r.seal(again, "time_up")
	kinds := r.kinds()
	for _, want := range []string{linkspec.RecordingGap, linkspec.RecordingFailed, linkspec.RecordingSealed} {
		if !slices.Contains(kinds, want) {
			t.Errorf("no %s among %v", want, kinds)
		}
	}
	report := r.verify()
	if report.Verdict() != reel.Gaps || report.Segments != 3 || !report.Final {
		t.Errorf("%s, %d segments, damage %v", report.Verdict(), report.Segments, report.Damage)
	}
}

// alone runs the test in a process of its own, because a limit is the whole process's: go test writes files as well.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("SALLYPORT_TEST_ALONE") != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), "SALLYPORT_TEST_ALONE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// limit sets the largest file that this process may write.
func limit(t *testing.T, n uint64) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: min(n, old.Max), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: old.Max, Max: old.Max}) })
}

func TestArmFailsWithoutKeyOrDisk(t *testing.T) {
	if !alone(t) {
		return
	}
	r := newRig(t)
	r.cfg.Keys = func() linkspec.Keys { return linkspec.Keys{} }
	r.restart()
	if err := r.open().Arm(context.Background()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without an intake key: %v", err)
	}
	if len(r.kinds()) != 0 {
		t.Errorf("told %v", r.kinds())
	}
	s := newRig(t)
	limit(t, 100)
	if err := s.open().Arm(context.Background()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without a disk: %v", err)
	}
	limit(t, unix.RLIM_INFINITY)
	// The call may try again, and then begins a recording.
	rec := s.armed()
	s.seal(rec, "time_up")
	if report := s.verify(); report.Verdict() != reel.Whole {
		t.Errorf("%+v", report)
	}
}

// stuck is a clock that holds the writing goroutine up, as a disk that stands still does: only it asks for the wall clock.
type stuck struct {
	*clock.Fake
	gate  sync.RWMutex
	stuck atomic.Bool
}

func (s *stuck) Now() time.Time {
	if !s.gate.TryRLock() {
		s.stuck.Store(true)
	} else {
		s.gate.RUnlock()
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.Fake.Now()
}

// still waits until the writing goroutine is held up; the gate is opened when that never happens, so that the test ends.
func (s *stuck) still(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !s.stuck.Load(); runtime.Gosched() {
		if time.Now().After(deadline) {
			s.gate.Unlock()
			t.Fatal("the writer never stood still")
		}
	}
}

func TestADiskThatStandsStill(t *testing.T) {
	for _, tt := range []struct {
		name   string
		still  time.Duration
		failed bool
	}{
		{"for less than the ring", 3 * time.Second, false},
		{"for more than the ring", 5500 * time.Millisecond, false},
		{"for too long", 9 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			c := &stuck{Fake: r.clock}
			r.cfg.Clock = c
			r.restart()
			rec := r.armed()
			r.written() // the first chunk
			c.gate.Lock()
			seq := uint16(0)
			talk := func(long time.Duration) {
				for range long / (20 * time.Millisecond) {
					rec.Packet("v1", sfu.Audio, &rtp.Packet{Header: rtp.Header{SequenceNumber: seq, Timestamp: uint32(seq) * 960, SSRC: 1}, Payload: []byte{0xF8, byte(seq), byte(seq >> 8)}})
					seq++
					c.Advance(20 * time.Millisecond)
				}
			}
			// The writer takes what lies in the ring and then stands still with it: only afterwards the ring fills.
			const first = 1200 * time.Millisecond
			talk(first)
			c.still(t)
			talk(tt.still - first)
			c.gate.Unlock()
			if tt.failed {
				if err := <-rec.Failed(); fault.CodeOf(err) != "recorder_slow" {
					t.Errorf("failed with %v", err)
				}
				r.seal(rec, "recording_failed")
				if !slices.Contains(r.kinds(), linkspec.RecordingFailed) {
					t.Errorf("told %v", r.kinds())
				}
				return
			}
			r.written()
			talk(100 * time.Millisecond)
			r.seal(rec, "time_up")
			m, _, err := reel.ReadManifest(r.folder(), r.public)
			if err != nil {
				t.Fatal(err)
			}
			if lost := tt.still > 4*time.Second; lost != (len(m.Gaps) == 1) || lost != (r.verify().Verdict() == reel.Gaps) {
				t.Errorf("gaps %+v, verdict %s", m.Gaps, r.verify().Verdict())
			}
		})
	}
}

// TestKilledInTheMiddle is R3: a process that is killed loses no more than two seconds, and its recording goes on.
func TestKilledInTheMiddle(t *testing.T) {
	r := newRig(t)
	r.cfg.Clock = clock.Real{}
	r.spec.Ends.Wall = time.Now().Add(time.Minute)
	if root := os.Getenv("SALLYPORT_TEST_ROOT"); root != "" {
		r.cfg.Root, r.spec.Call = root, ident.Call(os.Getenv("SALLYPORT_TEST_CALL"))
		r.cfg.Keys = func() linkspec.Keys {
			return linkspec.Keys{Facility: "f", Recipients: []string{os.Getenv("SALLYPORT_TEST_TO")}}
		}
		r.restart()
		rec := r.armed()
		for seq := uint16(0); ; seq++ {
			rec.Packet("v1", sfu.Audio, &rtp.Packet{Header: rtp.Header{SequenceNumber: seq, Timestamp: uint32(seq) * 960, SSRC: 1}, Payload: make([]byte, 100)})
			<-time.After(5 * time.Millisecond) // the pace of a call, until somebody kills this process
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledInTheMiddle$")
	cmd.Env = append(os.Environ(), "SALLYPORT_TEST_ROOT="+r.root, "SALLYPORT_TEST_CALL="+string(r.spec.Call), "SALLYPORT_TEST_TO="+r.who.Recipient().String())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var folder string
	for deadline := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
		if found, err := filepath.Glob(filepath.Join(r.root, "*", "*", reel.SegmentName(1))); err == nil && len(found) == 1 {
			folder = filepath.Dir(found[0])
			if all, err := reel.Survey(folder); err == nil && all[0].Chunks >= 3 {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the other process writes nothing")
		}
	}
	killed := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // says that it was killed
	all, err := reel.Survey(folder)
	if err != nil {
		t.Fatal(err)
	}
	// EndMS is the beginning of the last chunk, which holds a second.
	if lost := killed.Sub(time.UnixMilli(all[0].EndMS).Add(time.Second)); lost > 2*time.Second {
		t.Errorf("%v lost", lost)
	}
	r.restart()
	rec := r.armed()
	if r.folder() != folder {
		t.Fatalf("goes on in %s, not in %s", r.folder(), folder)
	}
	r.seal(rec, "time_up")
	if report := r.verify(); report.Verdict() != reel.Gaps || report.Segments != 2 || !report.Final {
		t.Errorf("%s %+v", report.Verdict(), report)
	}
}

// A recorder that failed and was not followed leaves a recording that is sealed while the daemon runs.
func TestServeSealsWhatNobodySeals(t *testing.T) {
	r := newRig(t)
	c := &stuck{Fake: r.clock}
	r.cfg.Clock = c
	r.restart()
	rec := r.armed()
	c.gate.Lock()
	for seq := range uint16(500) {
		rec.Packet("v1", sfu.Audio, &rtp.Packet{Header: rtp.Header{SequenceNumber: seq, SSRC: 1}, Payload: []byte{0xF8, 1}})
		c.Advance(20 * time.Millisecond)
		if seq == 60 { // it stands still with what it took; the rest is more than the ring holds
			c.still(t)
		}
	}
	c.gate.Unlock()
	select {
	case <-rec.Failed():
	case <-time.After(20 * time.Second):
		t.Fatal("the recorder did not fail")
	}
	going := make(chan bool, 1)
	going <- true
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- r.all.Serve(ctx, func(ident.Call) bool {
			select {
			case <-going:
				return true // the call goes on at first: its recording is left alone
			default:
				return false
			}
		})
	}()
	for deadline := time.Now().Add(10 * time.Second); !slices.Contains(r.kinds(), linkspec.RecordingSealed); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("nobody sealed it: %v", r.kinds())
		}
		c.Advance(10 * time.Second)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if report := r.verify(); report.Verdict() != reel.Gaps {
		t.Errorf("%s %v", report.Verdict(), report.Damage)
	}
}
