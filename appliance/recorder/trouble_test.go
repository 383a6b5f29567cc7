package recorder_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtp"
	"golang.org/x/sys/unix"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
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
	r.seal(rec, "recording_failed")
	kinds := r.kinds()
	for _, want := range []string{linkspec.RecordingGap, linkspec.RecordingFailed, linkspec.RecordingSealed} {
		if !slices.Contains(kinds, want) {
			t.Errorf("no %s among %v", want, kinds)
		}
	}
	report := r.verify()
	if report.Verdict() != reel.Gaps || report.Segments != 2 {
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
	gate sync.RWMutex
}

func (s *stuck) Now() time.Time {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.Fake.Now()
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
			talk(tt.still)
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
