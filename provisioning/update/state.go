// Package update owns how a box takes a new version and how it comes back from a bad one: what is found, checked, unpacked
// and written into the spare slot, which version is on trial, and which ones were refused and why.
//
// It must not know what makes a version good, only what was said about it: the health of the box is asked elsewhere. It
// never starts anything and never restarts the box by itself; units and their order do that.
//
// An update is found, verified, unpacked and checked, the database is copied, the version is noted as tried, and
// systemd-sysupdate writes it into the spare slot with two tries. Each step sees by itself whether it was done, so that
// an install that was cut is simply started again. The loader counts the tries down; the version that comes up says at
// its start who it is ([Box.Settle]), a failed health check is noted before the box starts anew ([Box.Fail]), and a good
// one ends the trial ([Box.Keep]). A version that did not make it is refused until an administrator clears it by name:
// an updater that only knows what is newest would install it again every night.
package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning/bundle"
)

// State is what a box remembers about its versions, on the disk that both slots share.
type State struct {
	Current  bundle.Version `json:"current,omitzero"`  // the last one with a good verdict
	Previous bundle.Version `json:"previous,omitzero"` // the one before it
	Trial    *Trial         `json:"trial,omitempty"`
	Refused  []Refusal      `json:"refused,omitempty"` // the newest last
	// Interrupted is a version whose trial ended without a verdict, by loss of power as far as anybody can tell. It may
	// be tried once more.
	Interrupted bundle.Version `json:"interrupted,omitzero"`
}

// Trial is a version that was installed and has no verdict yet.
type Trial struct {
	Version   bundle.Version `json:"version"`
	From      bundle.Version `json:"from"`
	At        time.Time      `json:"at"`
	Installed bool           `json:"installed"`        // written whole into the spare slot
	Starts    int            `json:"starts"`           // how often it came up far enough to say so
	Failed    string         `json:"failed,omitempty"` // the health check that failed last
}

// Refusal is a version that is not tried again.
type Refusal struct {
	Version bundle.Version `json:"version"`
	At      time.Time      `json:"at"`
	Why     string         `json:"why"` // in words, for the page and the console
}

// Refusal returns why a version is refused.
func (s State) Refusal(v bundle.Version) (Refusal, bool) {
	for _, r := range s.Refused {
		if r.Version == v {
			return r, true
		}
	}
	return Refusal{}, false
}

// Lines say what somebody in front of the box has to know of its versions: which one is on trial, which were given up
// since the one that runs was found good, and otherwise what is in the other slot.
func (s State) Lines() (lines []string) {
	if t := s.Trial; t != nil && t.Installed {
		lines = append(lines, fmt.Sprintf("Version %v is on trial; %v is kept beside it.", t.Version, t.From))
	}
	if !s.Interrupted.Zero() {
		lines = append(lines, fmt.Sprintf("The trial of version %v was interrupted; it may be installed once more.", s.Interrupted))
	}
	for _, r := range s.Refused {
		if s.Current.Older(r.Version) {
			lines = append(lines, fmt.Sprintf("Version %v was refused on %s: %s.", r.Version, r.At.Format(time.DateOnly), r.Why))
		}
	}
	if len(lines) == 0 && !s.Previous.Zero() {
		lines = append(lines, fmt.Sprintf("The version before, %v, is in the other slot.", s.Previous))
	}
	return lines
}

// refuse notes a refusal and ends the version's trial.
func (s *State) refuse(v bundle.Version, why string, at time.Time) {
	s.Refused = slices.DeleteFunc(s.Refused, func(r Refusal) bool { return r.Version == v })
	s.Refused = append(s.Refused, Refusal{Version: v, At: at, Why: why})
	if s.Trial != nil && s.Trial.Version == v {
		s.Trial = nil
	}
	if s.Interrupted == v {
		s.Interrupted = bundle.Version{}
	}
}

const stateFile = "state.json"

// Load reads what a box remembers; a box that was never updated remembers nothing.
func (b *Box) Load() (s State, err error) {
	raw, err := os.ReadFile(filepath.Join(b.State, stateFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return s, fmt.Errorf("read the state of updates: %w", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		// Only a damaged disk does this. To go on as if nothing had been refused would be worse than to stop updating.
		return s, fault.Newf("update.Load", fault.Unavailable,
			"%s is damaged, so nobody knows which versions were refused. Delete it to begin anew.", filepath.Join(b.State, stateFile)).Because(err)
	}
	return s, nil
}

// change reads the state, changes it, and writes it where it differs.
func (b *Box) change(fn func(*State) error) error {
	s, err := b.Load()
	if err != nil {
		return err
	}
	before, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := fn(&s); err != nil {
		return err
	}
	after, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if now, err := json.Marshal(s); err != nil || string(now) == string(before) {
		return err
	}
	if err := b.Disk.Folder(b.State, stateMode); err != nil {
		return err
	}
	return b.Disk.Write(filepath.Join(b.State, stateFile), append(after, '\n'), 0o600)
}

// stateMode lets the users through who bring updates; they read nothing of ours.
const stateMode = 0o711
