package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

const (
	batchLen  = 256
	fileBytes = 1 << 20
	maxSpool  = 64 << 20
	syncEvery = 200 * time.Millisecond
)

// spool keeps facts on disk until bookingd has them. It implements sfu.Facts.
//
// A fact is a line of a file; files are numbered by their first sequence and go when all of theirs are acknowledged. A
// fact may be delivered twice (bookingd knows it by its id) and is never forgotten.
type spool struct {
	dir   string
	clock clock.Clock
	more  chan struct{} // there is something to deliver

	mu      sync.Mutex // guards the rest
	file    *os.File
	size    int64
	dirty   bool
	seq     int64
	pending []linkspec.Event
	bytes   int64 // of all files
}

func openSpool(dir string, c clock.Clock) (*spool, error) {
	s := &spool{dir: dir, clock: c, more: make(chan struct{}, 1)}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the spool: %w", err)
	}
	var acked int64
	if raw, err := os.ReadFile(filepath.Join(dir, "acked")); err == nil {
		acked, _ = strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	}
	s.seq = acked
	names, err := s.files()
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		raw, err := os.ReadFile(n)
		if err != nil {
			return nil, fmt.Errorf("read the spool: %w", err)
		}
		s.bytes += int64(len(raw))
		for line := range lines(raw) {
			var e linkspec.Event
			if json.Unmarshal(line, &e) != nil {
				continue // the torn end of a crash: it was not told to anybody
			}
			s.seq = max(s.seq, e.Seq)
			if e.Seq > acked {
				s.pending = append(s.pending, e)
			}
		}
	}
	if err := s.rotate(); err != nil {
		return nil, err
	}
	s.wake()
	return s, nil
}

func lines(raw []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		sc := bufio.NewScanner(bytes.NewReader(raw))
		sc.Buffer(make([]byte, 0, 64<<10), 1<<20)
		for sc.Scan() {
			if !yield(sc.Bytes()) {
				return
			}
		}
	}
}

// files returns the spool's files, the oldest first.
func (s *spool) files() ([]string, error) {
	names, err := filepath.Glob(filepath.Join(s.dir, "events-*.jsonl"))
	slices.Sort(names)
	return names, err
}

// rotate begins a new file. s.mu is held, or nobody else knows s.
func (s *spool) rotate() error {
	f, err := os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("events-%016d.jsonl", s.seq+1)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open the spool: %w", err)
	}
	if s.file != nil {
		if err := errors.Join(s.file.Sync(), s.file.Close()); err != nil {
			return err
		}
	}
	s.file, s.size, s.dirty = f, 0, false
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Fact implements sfu.Facts.
func (s *spool) Fact(e linkspec.Event, durable bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return fault.New("gatewayd.Fact", fault.Unavailable, "The spool is closed.")
	}
	if s.bytes > maxSpool && !durable {
		return fault.New("gatewayd.Fact", fault.Full, "The spool of facts is full.")
	}
	s.seq++
	e.ID, e.Seq, e.At, e.Boot, e.Mono = ident.New[ident.Event](), s.seq, s.clock.Now(), s.clock.BootID(), int64(s.clock.Boot())
	line := append(mustJSON(e), '\n')
	if _, err := s.file.Write(line); err != nil {
		return fmt.Errorf("write a fact: %w", err)
	}
	s.size += int64(len(line))
	s.bytes += int64(len(line))
	s.dirty = true
	if durable {
		if err := s.sync(); err != nil {
			return err
		}
	}
	s.pending = append(s.pending, e)
	s.wake()
	return nil
}

func (s *spool) sync() error {
	if !s.dirty || s.file == nil {
		return nil
	}
	s.dirty = false
	return s.file.Sync()
}

func (s *spool) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// Serve puts facts on disk that nobody waits for.
func (s *spool) Serve(ctx context.Context) error {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s.mu.Lock()
		err := s.sync()
		s.mu.Unlock()
		if err != nil {
			return fmt.Errorf("sync the spool: %w", err)
		}
	}
}

// batch returns the oldest facts that are not acknowledged.
func (s *spool) batch() []linkspec.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.pending[:min(len(s.pending), batchLen)])
}

// ack forgets what bookingd has stored.
func (s *spool) ack(seq int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = slices.DeleteFunc(s.pending, func(e linkspec.Event) bool { return e.Seq <= seq })
	// Losing this number only delivers again what bookingd knows.
	if err := os.WriteFile(filepath.Join(s.dir, "acked"), []byte(strconv.FormatInt(seq, 10)+"\n"), 0o640); err != nil {
		return fmt.Errorf("note what is delivered: %w", err)
	}
	if s.size > fileBytes {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	names, err := s.files()
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(names); i++ { // a file is done when the next one begins at or below what is acknowledged
		first, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(names[i+1]), "events-"), ".jsonl"), 10, 64)
		if first-1 > seq {
			break
		}
		if info, err := os.Stat(names[i]); err == nil {
			s.bytes -= info.Size()
		}
		if err := os.Remove(names[i]); err != nil {
			return err
		}
	}
	return nil
}

// waiting is how many facts are not delivered, and how old the oldest is.
func (s *spool) waiting() (int, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return 0, 0
	}
	return len(s.pending), s.clock.Now().Sub(s.pending[0].At)
}

func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		_ = s.file.Sync()
		_ = s.file.Close()
		s.file = nil
	}
}
