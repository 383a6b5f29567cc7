package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/sfu"
)

// keepEnded is how long an ended call is remembered, so that no old grant opens it again.
const keepEnded = 7 * 24 * time.Hour

// state is the folder of working copies that lets calls outlive this process and bookingd. It implements sfu.Keeper.
type state struct {
	dir   string
	clock clock.Clock
	log   *slog.Logger
	mu    sync.Mutex // one writer
}

func openState(dir string, c clock.Clock, log *slog.Logger) (*state, error) {
	for _, d := range []string{dir, filepath.Join(dir, "calls"), filepath.Join(dir, "spool")} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return nil, fault.Newf("gatewayd.state", fault.Unavailable, "The folder %s cannot be made. Check [state].", d).Because(err)
		}
	}
	return &state{dir: dir, clock: c, log: log}, nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *state) write(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return replaceFile(filepath.Join(s.dir, name), raw, 0o640)
}

// Save implements sfu.Keeper.
func (s *state) Save(c sfu.Saved) error {
	return s.write(filepath.Join("calls", filepath.Base(string(c.Spec.Call))+".json"), c)
}

// SaveStops implements sfu.Keeper.
func (s *state) SaveStops(stops []sfu.Stop) error { return s.write("stops.json", stops) }

// load reads the calls and stops that are kept, and forgets calls that ended long ago. A file that cannot be read is
// reported and left: one damaged call must not keep the others from going on.
func (s *state) load() (calls []sfu.Saved, stops []sfu.Stop, err error) {
	names, err := filepath.Glob(filepath.Join(s.dir, "calls", "*.json"))
	if err != nil {
		return nil, nil, err
	}
	for _, n := range names {
		var c sfu.Saved
		if err := readJSON(n, &c); err != nil {
			s.log.Error("call state is damaged", "op", "gatewayd.load", "call", strings.TrimSuffix(filepath.Base(n), ".json"), "err", err)
			continue
		}
		if c.Phase == sfu.Ended && s.clock.Now().Sub(c.At) > keepEnded {
			_ = os.Remove(n)
			continue
		}
		calls = append(calls, c)
	}
	if err := readJSON(filepath.Join(s.dir, "stops.json"), &stops); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.New("gatewayd.load", fault.Invalid, "The list of stopped calls (stops.json) is damaged. Remove it once you know what it stopped.").Because(err)
	}
	return calls, stops, nil
}

func readJSON(path string, v any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// applied is the last command that was carried out; 0 when none was.
func (s *state) applied() int64 {
	raw, err := os.ReadFile(filepath.Join(s.dir, "applied"))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	return n
}

func (s *state) setApplied(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return replaceFile(filepath.Join(s.dir, "applied"), []byte(strconv.FormatInt(n, 10)+"\n"), 0o640)
}

// keys are those that bookingd gave last, so that a start without bookingd still lets people in.
func (s *state) keys() (linkspec.Keys, bool) {
	var k linkspec.Keys
	err := readJSON(filepath.Join(s.dir, "keys.json"), &k)
	return k, err == nil
}

func (s *state) setKeys(k linkspec.Keys) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return replaceFile(filepath.Join(s.dir, "keys.json"), raw, 0o600) // holds the relay's secrets
}

func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("gatewayd: a fact that has no JSON: " + err.Error()) // its types are ours
	}
	return raw
}

// writes tries whether a recording could be written and flushed now: full and dying disks are noticed by the health of the
// box, not by the first call that cannot be recorded.
func (s *state) writes() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return replaceFile(filepath.Join(s.dir, "writes"), []byte(s.clock.Now().UTC().Format(time.RFC3339)+"\n"), 0o640)
}
