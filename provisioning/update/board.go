package update

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/bundle"
)

// Rules are what the site file says about updates; none before there is one.
type Rules struct{ Source, Install, Window string }

// Publish leaves on the board how versions stand: what runs, what is on trial, what was refused, and which updates lie on
// the box with what may be done with them. The setup door reads it there, because it can look nowhere else.
func (b *Box) Publish(r Rules) error {
	running, err := b.Running()
	if err != nil {
		return err
	}
	s, err := b.Load()
	if err != nil {
		return err
	}
	found, err := b.Find(b.Folders()...)
	if err != nil {
		return err
	}
	v := linkspec.Versions{
		At: b.Clock.Now().UTC(), Running: running.Version.String(), Built: running.Built, Source: r.Source, Install: r.Install,
	}
	if !s.Previous.Zero() && s.Previous != running.Version {
		v.Previous = s.Previous.String()
	}
	if t := s.Trial; t != nil {
		v.Trial = &linkspec.VersionTrial{Version: t.Version.String(), From: t.From.String(), At: t.At, Ready: t.Installed, Failed: t.Failed}
	}
	for _, one := range s.Refused {
		v.Refused = append(v.Refused, linkspec.VersionRefused{Version: one.Version.String(), At: one.At, Why: one.Why})
	}
	for _, f := range found {
		if fault.CodeOf(f.Err) != "update.same" { // it is there because it was installed
			v.Found = append(v.Found, listed(f))
		}
	}
	if r.Install == "window" {
		w, err := ParseWindow(r.Window)
		if err != nil {
			return err
		}
		v.Window = w.listed()
	}
	return b.post(linkspec.VersionsFile, v)
}

// listed is a file as the door shows it. What is not signed says nothing about itself.
func listed(f Found) (v linkspec.VersionFound) {
	if !f.Release.Version.Zero() {
		v.Version, v.Built, v.Notes = f.Release.Version.String(), f.Release.Built, f.Release.Notes
	}
	v.Code, v.Says, v.Params = because(f.Err)
	return v
}

// because is an error for somebody who may not see more of it than its words.
func because(err error) (code, says string, params map[string]any) {
	if err == nil {
		return "", "", nil
	}
	f, ok := fault.Of(err)
	if !ok || f.Code == "" {
		return "update.fault", "", nil
	}
	return f.Code, f.Msg, f.Params
}

// post writes one file of the board, for all on this box to read.
func (b *Box) post(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Disk.Write(filepath.Join(b.Board, name), raw, 0o644)
}

// ReadBoard returns what was left on a board, for the setup door; nothing runs where nobody left anything.
func ReadBoard(folder string) (v linkspec.Versions, err error) {
	if err := readPosted(filepath.Join(folder, linkspec.VersionsFile), &v); err != nil {
		return v, err
	}
	var w linkspec.VersionWork
	if err := readPosted(filepath.Join(folder, linkspec.WorkFile), &w); err != nil {
		return v, err
	}
	if w.Step != "" {
		v.Work = &w
	}
	return v, nil
}

func readPosted(path string, v any) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		return fmt.Errorf("read how versions stand: %w", err)
	}
	return nil
}

// Work is something done about versions that the setup door can watch.
type Work struct {
	box  *Box
	told linkspec.VersionWork
}

// Begin puts work on the board: an update to a version, or a look at what is there when it is zero. From here on each step
// of the box is told there as well.
func (b *Box) Begin(v bundle.Version) *Work {
	w := &Work{box: b, told: linkspec.VersionWork{By: os.Getenv("INVOCATION_ID")}}
	step := linkspec.WorkLook
	if !v.Zero() {
		w.told.Version, step = v.String(), linkspec.WorkAsked
	}
	tell := b.Tell
	b.Tell = func(step string, percent int) {
		tell(step, percent)
		if w.told.Version == "" {
			step = linkspec.WorkLook // whatever is read and copied on the way
		}
		w.step(step, percent)
	}
	w.step(step, 0)
	return w
}

// step tells a step. That nobody can read it does not stop it.
func (w *Work) step(step string, percent int) {
	if w.told.Step != step {
		w.told.Step, w.told.At = step, w.box.Clock.Now().UTC()
	}
	w.told.Percent = percent
	_ = w.box.post(linkspec.WorkFile, w.told)
}

// End tells how it ended: a failure stays on the board until something else is done, a look without one leaves nothing.
func (w *Work) End(err error) error {
	if err == nil && w.told.Step != linkspec.WorkLook {
		return nil // what was told last is how it stands
	}
	if err == nil {
		return w.box.Disk.Remove(filepath.Join(w.box.Board, linkspec.WorkFile))
	}
	w.told.Code, w.told.Says, w.told.Params = because(err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		w.told.Code, w.told.Says = "update.stopped", ""
	}
	w.step(linkspec.WorkFailed, 0)
	return nil
}

// Rest leaves work that is done but for the start of what it has installed.
func (w *Work) Rest() { w.step(linkspec.WorkStopped, 100) }

// Dropped ends work on the board that nobody does any more: the process is gone without a word, and a later one of the same
// run of its unit says so.
func (b *Box) Dropped() error {
	var told linkspec.VersionWork
	if err := readPosted(filepath.Join(b.Board, linkspec.WorkFile), &told); err != nil {
		return err
	}
	if told.By != os.Getenv("INVOCATION_ID") || told.Step == "" || told.Step == linkspec.WorkRestart || told.Over() {
		return nil
	}
	w := &Work{box: b, told: told}
	return w.End(fault.New("update.Dropped", fault.Unavailable, "The update was cut off.").WithCode("update.stopped"))
}

// lookAgain is how often a box that waits for quiet looks.
const lookAgain = 30 * time.Second

// Quiet waits until a restart would cut nobody off, but not longer than limit, and tells whether that moment came. visits
// counts those that are under way or about to begin; a box that cannot say is not quiet.
func (w *Work) Quiet(ctx context.Context, limit time.Duration, visits func(context.Context) (int, error)) (bool, error) {
	c := w.box.Clock
	end := c.Boot() + limit // a clock that is set anew makes nobody wait longer
	w.told.Until = c.Now().Add(limit).UTC()
	for {
		n, err := visits(ctx)
		if err == nil && n == 0 {
			w.step(linkspec.WorkRestart, 0)
			return true, nil
		}
		if err == nil {
			w.told.Visits = n
		}
		left := end - c.Boot()
		if left <= 0 {
			w.step(linkspec.WorkStopped, 0)
			return false, nil
		}
		w.step(linkspec.WorkWait, 0)
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-c.After(min(left, lookAgain)):
		}
	}
}

// Installed tells whether a version is written into the spare slot already, and starts with the next start of the box.
func (b *Box) Installed(v bundle.Version) (bool, error) {
	s, err := b.Load()
	if err != nil || s.Trial == nil || s.Trial.Version != v || !s.Trial.Installed {
		return false, err
	}
	e, there, err := b.entry(v)
	return there && (!e.Counted || e.Left > 0), err
}

// Exactly returns the update of one version among those found; it returns what keeps it from this box, and NotFound when
// it is not there.
func Exactly(all []Found, v bundle.Version) (Found, error) {
	at := slices.IndexFunc(all, func(f Found) bool { return f.Release.Version == v && f.Err == nil })
	if at < 0 {
		at = slices.IndexFunc(all, func(f Found) bool { return f.Release.Version == v })
	}
	if at < 0 {
		return Found{}, fault.Newf("update.Find", fault.NotFound, "Version %v is not there any more.", v).WithCode("update.gone").WithParam("version", v.String())
	}
	return all[at], all[at].Err
}
