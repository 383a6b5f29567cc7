package recorder_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/reel"
	"sallyport/appliance/reel/reeltest"
	"sallyport/appliance/sfu"
)

func TestACallIsRecordedWhole(t *testing.T) {
	r := newRig(t)
	rec := r.armed()
	frames := reeltest.Sample(t, 5)
	rec.Mark(sfu.Mark{Kind: sfu.MarkLive})
	r.play(rec, frames, newSender("v1"), newSender("i1"))
	r.seal(rec, "time_up")
	if report := r.verify(); report.Verdict() != reel.Whole || report.Chunks < 4 {
		t.Fatalf("%s, %d chunks, %v %v", report.Verdict(), report.Chunks, report.Damage, report.Gaps)
	}
	rl := r.reel()
	for _, seat := range []ident.Seat{"v1", "i1"} {
		raw := movie(t, rl, seat)
		path := filepath.Join(t.TempDir(), string(seat)+".webm")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if streams := reeltest.Probe(t, path); len(streams) != 2 {
			t.Errorf("%s has %v", seat, streams)
		}
		got := reeltest.Frames(t, raw)
		if count(got, true) != count(frames, true) || count(got, false) != count(frames, false) {
			t.Errorf("%s: %d pictures and %d sounds of %d and %d", seat, count(got, true), count(got, false), count(frames, true), count(frames, false))
		}
	}
	m, _, err := reel.ReadManifest(r.folder(), r.public)
	if err != nil {
		t.Fatal(err)
	}
	if m.Code != "time_up" || m.PolicyDigest != "digest" || len(m.Tracks) != 4 || m.Counts.Audio != int64(2*count(frames, false)) || m.Counts.Lost != 0 {
		t.Errorf("manifest %+v", m)
	}
	if got := r.kinds(); !slices.Equal(got, []string{linkspec.RecordingArmed, linkspec.RecordingSealed}) {
		t.Errorf("told %v", got)
	}
	raw, err := os.ReadFile(filepath.Join(r.folder(), reel.ManifestName))
	if err != nil || r.last(linkspec.RecordingSealed).Manifest != reel.Hash(raw) {
		t.Errorf("recording.sealed names another manifest, %v", err)
	}
}

func TestNothingOfAPauseIsKept(t *testing.T) {
	r := newRig(t)
	rec := r.armed()
	frames := reeltest.Sample(t, 3) // shorter than the ring: the part without waiting must not overflow it
	v1 := newSender("v1")
	third := len(frames) / 3
	r.play(rec, frames[:third], v1)
	rec.Mark(sfu.Mark{Kind: sfu.MarkPause, Reason: "check", By: "sf_x", ByRole: "monitor"})
	r.hasty = true
	r.play(rec, frames[third:2*third], v1) // nothing sends these; if something does, they are dropped here
	rec.Mark(sfu.Mark{Kind: sfu.MarkResume})
	r.hasty = false
	r.play(rec, frames[2*third:], v1)
	r.seal(rec, "visitor_left")
	rl := r.reel()
	kept := map[string]bool{}
	for _, f := range reeltest.Frames(t, movie(t, rl, "v1")) {
		kept[string(f.Data)] = true
	}
	for i, f := range frames {
		if paused := i >= third && i < 2*third; paused && kept[string(f.Data)] {
			t.Fatalf("a frame of the pause is in the recording, at %d ms of the sample", f.MS)
		}
	}
	if !kept[string(frames[0].Data)] || !kept[string(frames[len(frames)-1].Data)] {
		t.Errorf("frames beside the pause are missing: first %v (video %v), last %v (video %v)",
			kept[string(frames[0].Data)], frames[0].Video, kept[string(frames[len(frames)-1].Data)], frames[len(frames)-1].Video)
	}
	m, _, err := reel.ReadManifest(r.folder(), r.public)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Pauses) != 1 || m.Pauses[0].Reason != "check" || m.Pauses[0].ToMS-m.Pauses[0].FromMS < 900 {
		t.Errorf("pauses %+v", m.Pauses)
	}
}

func TestLostPacketsAreFlaggedAndTheRestPlays(t *testing.T) {
	r := newRig(t)
	rec := r.armed()
	frames := reeltest.Sample(t, 5)
	s := newSender("v1")
	s.dropEvery = 17
	r.play(rec, frames, s)
	r.seal(rec, "time_up")
	m, _, err := reel.ReadManifest(r.folder(), r.public)
	if err != nil {
		t.Fatal(err)
	}
	if m.Counts.Lost == 0 || m.Counts.Video == 0 || m.Counts.Video >= int64(count(frames, true)) {
		t.Errorf("counts %+v of %d pictures", m.Counts, count(frames, true))
	}
	if report := r.verify(); report.Verdict() != reel.Whole {
		t.Errorf("%s %v", report.Verdict(), report.Damage)
	}
}

func TestARestartGoesOnWithTheSameRecording(t *testing.T) {
	r := newRig(t)
	frames := reeltest.Sample(t, 6)
	half := len(frames) / 2
	v1 := newSender("v1")
	first := r.armed()
	r.play(first, frames[:half], v1)
	before := r.last(linkspec.RecordingArmed)
	r.all.Close() // as a daemon that is told to stop
	r.restart()
	if err := r.all.Recover(func(call ident.Call) bool { return call == r.spec.Call }); err != nil {
		t.Fatal(err)
	}
	r.clock.Advance(3 * time.Second)
	second := r.armed()
	if again := r.last(linkspec.RecordingArmed); again != before {
		t.Fatalf("another recording: %+v after %+v", again, before)
	}
	if gap := r.last(linkspec.RecordingGap); gap.Cause != "restart" {
		t.Errorf("gap %+v", gap)
	}
	r.play(second, frames[half:], newSender("v1"))
	r.seal(second, "time_up")
	report := r.verify()
	if report.Verdict() != reel.Gaps || report.Segments != 2 || len(report.Gaps) != 1 {
		t.Fatalf("%s, %d segments, gaps %v, damage %v", report.Verdict(), report.Segments, report.Gaps, report.Damage)
	}
	got := reeltest.Frames(t, movie(t, r.reel(), "v1"))
	if n := count(got, false); n != count(frames, false) {
		t.Errorf("%d sounds of %d", n, count(frames, false))
	}
}

func TestWhatEndedWhileNobodyWroteIsSealed(t *testing.T) {
	r := newRig(t)
	rec := r.armed()
	r.play(rec, reeltest.Sample(t, 3), newSender("v1"))
	r.all.Close()
	// A power cut in the middle of a write.
	f, err := os.OpenFile(filepath.Join(r.folder(), reel.SegmentName(1)), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("SPCH half of a chunk")); err != nil {
		t.Fatal(err)
	}
	f.Close()
	r.restart()
	if err := r.all.Recover(func(ident.Call) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if sealed := r.last(linkspec.RecordingSealed); !sealed.Recovered || sealed.Manifest == "" {
		t.Errorf("told %+v", sealed)
	}
	if report := r.verify(); report.Verdict() != reel.Gaps || report.Final || len(report.Damage) > 0 {
		t.Errorf("%s %+v", report.Verdict(), report)
	}
	if len(reeltest.Frames(t, movie(t, r.reel(), "v1"))) == 0 {
		t.Error("nothing of it plays")
	}
	told := len(r.kinds())
	if err := r.all.Recover(func(ident.Call) bool { return false }); err != nil || len(r.kinds()) != told {
		t.Errorf("recovered twice: %v, %v", r.kinds(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name   string
		change func(*linkspec.Spec)
		want   fault.Kind
	}{
		{"a privileged call", func(s *linkspec.Spec) { s.Class = linkspec.Privileged }, fault.Forbidden},
		{"an unknown class", func(s *linkspec.Spec) { s.Class = "other" }, fault.Forbidden},
		{"a call that is not recorded", func(s *linkspec.Spec) { s.Record = false }, fault.Forbidden},
		{"no room for a day of it", func(s *linkspec.Spec) { s.Ends.Wall = s.Ends.Wall.AddDate(1, 0, 0) }, fault.Full},
	} {
		spec := r.spec
		tt.change(&spec)
		var room unix.Statfs_t
		if err := unix.Statfs(r.root, &room); err != nil {
			t.Fatal(err)
		}
		if tt.want == fault.Full && room.Bavail*uint64(room.Bsize) > 24*60*15_500_000 {
			continue // this disk takes even that
		}
		if _, err := r.all.Open(spec); !fault.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	r.open()
	if _, err := r.all.Open(r.spec); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second recorder: %v", err)
	}
}

func TestSealBeforeArmRecordsNothing(t *testing.T) {
	r := newRig(t)
	rec := r.open()
	r.seal(rec, "no_show")
	if len(r.kinds()) != 0 {
		t.Errorf("told %v", r.kinds())
	}
	r.seal(r.armed(), "time_up")
}
