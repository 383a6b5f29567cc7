package update_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/bundle"
	"sallyport/provisioning/update"
)

// board is what the setup door reads.
func (b *box) board() linkspec.Versions {
	b.t.Helper()
	v, err := update.ReadBoard(b.Board)
	b.must(err)
	return v
}

func TestBoardTellsHowVersionsStand(t *testing.T) {
	b := newBox(t, "1.4.0")
	if v := b.board(); v.Running != "" || v.Work != nil {
		t.Errorf("before anybody published: %+v", v)
	}
	b.settle()
	b.bring("1.3.0")
	b.bring("1.4.0")
	b.bring("1.6.0")
	path := b.bring("1.5.0")
	b.must(b.Refuse(version(t, "1.6.0"), "health check doors"))
	b.must(os.WriteFile(filepath.Join(b.Folders()[0], "other.upd"), []byte("of somebody else"), 0o600))
	b.install(path)
	b.must(b.Publish(update.Rules{Source: "https", Install: "window", Window: "Sat 23:00-01:30"}))
	v := b.board()
	want := linkspec.Versions{
		At: noon, Running: "1.4.0", Built: v.Built, Source: "https", Install: "window",
		Trial:   &linkspec.VersionTrial{Version: "1.5.0", From: "1.4.0", At: noon, Ready: true},
		Refused: []linkspec.VersionRefused{{Version: "1.6.0", At: noon, Why: "health check doors"}},
		Window:  &linkspec.VersionWindow{Day: 6, From: "23:00", Till: "01:30"},
	}
	found := v.Found
	v.Found = nil
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("board mismatch (-want +got):\n%s", diff)
	}
	codes := map[string]string{}
	for _, f := range found {
		codes[f.Version] = f.Code
		if f.Code == "update.refused" && (f.Params["version"] != "1.6.0" || f.Params["running"] != "1.4.0") {
			t.Errorf("the refused one has %v", f.Params)
		}
	}
	if diff := cmp.Diff(map[string]string{"1.6.0": "update.refused", "1.5.0": "", "1.3.0": "update.older", "": "update.truncated"}, codes); diff != "" {
		t.Errorf("found mismatch (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(filepath.Join(b.Board, linkspec.VersionsFile)); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("bookingd may not read it: %v %v", info.Mode(), err)
	}
}

func TestWorkIsWatched(t *testing.T) {
	b := newBox(t, "1.4.0")
	path := b.bring("1.5.0")
	var steps []string
	b.Tell = func(string, int) {
		if w := b.board().Work; len(steps) == 0 || steps[len(steps)-1] != w.Step {
			steps = append(steps, w.Step)
		}
	}
	w := b.Begin(version(t, "1.5.0"))
	b.install(path)
	b.must(w.End(nil))
	// Tell is called before the board is told, so that each step is seen when the next one begins.
	if diff := cmp.Diff([]string{linkspec.WorkAsked, linkspec.WorkUnpack, linkspec.WorkInstall}, steps); diff != "" {
		t.Errorf("steps mismatch (-want +got):\n%s", diff)
	}
	if got := b.board().Work; got.Step != linkspec.WorkInstall || got.Percent != 100 || got.Version != "1.5.0" {
		t.Errorf("at the end: %+v", got)
	}
}

func TestWorkEnds(t *testing.T) {
	b := newBox(t, "1.4.0")
	b.must(b.Begin(version(t, "1.3.0")).End(fault.New("t", fault.Conflict, "Older.").WithCode("update.older").WithParam("running", "1.4.0")))
	if w := b.board().Work; !w.Over() || w.Code != "update.older" || w.Says != "Older." || w.Params["running"] != "1.4.0" {
		t.Errorf("a refusal: %+v", w)
	}
	b.must(b.Begin(version(t, "1.5.0")).End(errors.New("open /dev/sda: secret")))
	if w := b.board().Work; w.Code != "update.fault" || w.Says != "" {
		t.Errorf("an error without words: %+v", w)
	}
	b.must(b.Begin(version(t, "1.5.0")).End(context.Canceled))
	if w := b.board().Work; w.Code != "update.stopped" {
		t.Errorf("cut off: %+v", w)
	}
	look := b.Begin(bundle.Version{})
	b.Tell("verify", 40)
	if w := b.board().Work; w.Step != linkspec.WorkLook || w.Percent != 40 || w.Over() {
		t.Errorf("a look: %+v", w)
	}
	b.must(look.End(nil))
	if w := b.board().Work; w != nil {
		t.Errorf("a look leaves %+v", w)
	}
}

func TestDroppedWorkIsOver(t *testing.T) {
	b := newBox(t, "1.4.0")
	b.must(b.Dropped())
	t.Setenv("INVOCATION_ID", "one")
	w := b.Begin(version(t, "1.5.0"))
	t.Setenv("INVOCATION_ID", "another unit's")
	b.must(b.Dropped())
	if w := b.board().Work; w.Over() {
		t.Errorf("the work of another unit is over: %+v", w)
	}
	t.Setenv("INVOCATION_ID", "one")
	b.must(b.Dropped())
	if w := b.board().Work; !w.Over() || w.Code != "update.stopped" || w.Version != "1.5.0" {
		t.Errorf("work that nobody does: %+v", w)
	}
	calm, err := w.Quiet(t.Context(), time.Hour, func(context.Context) (int, error) { return 0, nil })
	b.must(err)
	b.must(b.Dropped())
	if got := b.board().Work; !calm || got.Step != linkspec.WorkRestart {
		t.Errorf("a box that starts anew: %+v", got)
	}
}

// A restart waits until nobody is on a visit; what cannot be asked is not quiet, and there is an end to it.
func TestQuiet(t *testing.T) {
	for _, tt := range []struct {
		name   string
		counts []int // of each question; -1 is no answer
		calm   bool
		step   string
		waited time.Duration
	}{
		{"at once", []int{0}, true, linkspec.WorkRestart, 0},
		{"after two visits", []int{2, 1, 0}, true, linkspec.WorkRestart, time.Minute},
		{"bookingd starts anew meanwhile", []int{1, -1, 0}, true, linkspec.WorkRestart, time.Minute},
		{"never", []int{3}, false, linkspec.WorkStopped, 10 * time.Minute},
		{"nobody answers", []int{-1}, false, linkspec.WorkStopped, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t, "1.4.0")
			c := b.Clock.(*clock.Fake)
			began := c.Boot()
			w := b.Begin(version(t, "1.5.0"))
			asked := 0
			done := make(chan error, 1)
			go func() {
				calm, err := w.Quiet(t.Context(), 10*time.Minute, func(context.Context) (int, error) {
					n := tt.counts[min(asked, len(tt.counts)-1)]
					asked++
					if n < 0 {
						return 0, errors.New("no answer")
					}
					return n, nil
				})
				if err == nil && calm != tt.calm {
					err = fmtCalm(calm)
				}
				done <- err
			}()
			for {
				select {
				case err := <-done:
					b.must(err)
					if got := c.Boot() - began; got != tt.waited {
						t.Errorf("it waited %v, want %v", got, tt.waited)
					}
					if got := b.board().Work; got.Step != tt.step {
						t.Errorf("the board says %+v", got)
					}
					return
				case <-ticks(t):
				}
				if c.Waiting() > 0 {
					if got := b.board().Work; got.Step != linkspec.WorkWait || !got.Until.Equal(noon.Add(10*time.Minute)) || tt.counts[0] > 0 && got.Visits == 0 {
						t.Errorf("while it waits: %+v", got)
					}
					c.Advance(30 * time.Second)
				}
			}
		})
	}
}

type fmtCalm bool

func (c fmtCalm) Error() string {
	if c {
		return "it was quiet"
	}
	return "it was not quiet"
}

// ticks lets the code under test run on.
func ticks(t *testing.T) <-chan time.Time {
	t.Helper()
	return time.After(time.Millisecond)
}

func TestQuietEndsWithItsUnit(t *testing.T) {
	b := newBox(t, "1.4.0")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := b.Begin(version(t, "1.5.0")).Quiet(ctx, time.Hour, func(context.Context) (int, error) { cancel(); return 1, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Quiet = %v", err)
	}
}

func TestInstalledIsNotWrittenAgain(t *testing.T) {
	b := newBox(t, "1.4.0")
	ready := func() bool {
		t.Helper()
		ok, err := b.Installed(version(t, "1.5.0"))
		b.must(err)
		return ok
	}
	path := b.bring("1.5.0")
	if ready() {
		t.Error("installed before it was")
	}
	b.install(path)
	if !ready() {
		t.Error("installed, and nobody knows")
	}
	b.tries("1.5.0", "+0-2")
	if ready() {
		t.Error("a version without tries starts next")
	}
}

func TestExactlyTheVersionThatWasAskedFor(t *testing.T) {
	b := newBox(t, "1.4.0")
	b.bring("1.3.0")
	b.bring("1.6.0")
	path := b.bring("1.5.0")
	all, err := b.Find(b.Folders()...)
	b.must(err)
	if f, err := update.Exactly(all, version(t, "1.5.0")); err != nil || f.Path != path {
		t.Errorf("Exactly = %+v, %v", f, err)
	}
	if _, err := update.Exactly(all, version(t, "1.3.0")); fault.CodeOf(err) != "update.older" {
		t.Errorf("an older one: %v", err)
	}
	if _, err := update.Exactly(all, version(t, "1.7.0")); fault.CodeOf(err) != "update.gone" {
		t.Errorf("one that is not there: %v", err)
	}
}

func TestRequestIsTakenOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		put  func(path string) error
		code string
		do   string
	}{
		{"nothing", func(string) error { return nil }, "update.nothing", ""},
		{"a look", text(`{"do":"look"}`), "", linkspec.DoLook},
		{"an install", text(`{"do":"install","version":"1.5.0"}`), "", linkspec.DoInstall},
		{"an install of nothing", text(`{"do":"install"}`), "update.request", ""},
		{"an install of a path", text(`{"do":"install","version":"../1.5.0"}`), "update.request", ""},
		{"a clearance", text(`{"do":"clear","version":"1.5.0"}`), "", linkspec.DoClear},
		{"another verb", text(`{"do":"refuse","version":"1.5.0"}`), "update.request", ""},
		{"a further key", text(`{"do":"look","path":"/etc"}`), "update.request", ""},
		{"half of it", text(`{"do":"lo`), "update.request", ""},
		{"far too much", text(`{"do":"look"}` + string(make([]byte, 4096))), "update.request", ""},
		{"a link", func(path string) error {
			to := filepath.Join(filepath.Dir(path), "elsewhere")
			return errors.Join(os.WriteFile(to, []byte(`{"do":"look"}`), 0o600), os.Symlink(to, path))
		}, "update.request", ""},
		{"a pipe", func(path string) error { return unix.Mkfifo(path, 0o600) }, "update.request", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, dir := newBox(t, "1.4.0"), t.TempDir()
			b.must(tt.put(filepath.Join(dir, linkspec.RequestFile)))
			r, v, err := b.TakeRequest(dir)
			if fault.CodeOf(err) != tt.code || tt.code == "" && (err != nil || r.Do != tt.do) || r.Do != linkspec.DoLook && err == nil && v.String() != "1.5.0" {
				t.Errorf("TakeRequest = %+v, %v, %v", r, v, err)
			}
			if _, _, err := b.TakeRequest(dir); fault.CodeOf(err) != "update.nothing" {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

func text(s string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(s), 0o600) }
}
