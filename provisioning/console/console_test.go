package console

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sallyport/appliance/clock"
	"sallyport/provisioning/durable"
	"sallyport/provisioning/phases"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "bcdefghi-bcdefghi-bcdefghi-bcdefghi-bcdefghi-bcdefghi-bcdefghi-jklnrtuv"

func TestLines(t *testing.T) {
	page := Page{
		Version: "1.0.0", Slot: "a", Host: "sallyport-abcd", Addresses: []string{"mgmt0 10.1.99.5/24"}, Authority: "AA:BB", Claim: "7K2M-Q4XV-5TCB-R6NE",
		Phases: []phases.Result{
			{Phase: "disk", State: "done", Says: "half full"},
			{Phase: "seed", State: "failed", Says: "The site file is not correct:\nline 3: dns: no"},
		},
	}
	want := []string{
		"Sallyport 1.0.0, slot a",
		"Waiting: there is no site file. Only the setup door answers.",
		"Name: sallyport-abcd",
		"Address: mgmt0 10.1.99.5/24",
		"Local authority: AA:BB",
		"Phase seed failed: The site file is not correct:",
		"  line 3: dns: no",
		"Claim code: 7K2M-Q4XV-5TCB-R6NE",
		"With it the first administrator is made, on the setup door.",
	}
	if diff := cmp.Diff(want, page.Lines()); diff != "" {
		t.Errorf("Lines mismatch (-want +got):\n%s", diff)
	}
	page.Facility, page.Phases[1].State, page.Recovery, page.Door = "Harbour", "done", key, "https://sallyport.example"
	text := strings.Join(page.Lines(), "\n")
	for _, part := range []string{"Facility: Harbour", "all 2 phases are done", "Recovery key: " + key, "its first and its last group", "on the setup door: https://sallyport.example"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
	page.Blank = true
	if lines := page.Lines(); len(lines) < 5 {
		t.Errorf("a box that waits for a claim shows nothing: %q", lines)
	}
	page.Claimed, page.Recovery = true, ""
	if lines := page.Lines(); len(lines) != 1 {
		t.Errorf("a blank console shows %q", lines)
	}
}

func TestPrintable(t *testing.T) {
	if got := Printable("Jail \x1b[2Jof\u009b Gwynedd ŵ\a"); got != "Jail ?[2Jof? Gwynedd ŵ?" {
		t.Errorf("Printable = %q", got)
	}
}

// screen is what a terminal gets; each write is a part.
type screen struct {
	parts  chan string
	broken bool
}

func (s *screen) Write(b []byte) (int, error) {
	if s.broken {
		return 0, errors.New("input/output error")
	}
	s.parts <- string(b)
	return len(b), nil
}

// next is the next part that has all of want.
func (s *screen) next(t *testing.T, want ...string) string {
	t.Helper()
	late := time.After(10 * time.Second)
	seen := ""
	for {
		select {
		case part := <-s.parts:
			seen += part
			all := true
			for _, w := range want {
				all = all && strings.Contains(part, w)
			}
			if all {
				return part
			}
		case <-late:
			t.Fatalf("%q was never shown; instead:\n%s", want, seen)
		}
	}
}

// machine is a box whose first boot has left a recovery key and a claim code.
func machine(t *testing.T) *phases.Machine {
	t.Helper()
	dir := t.TempDir()
	m := &phases.Machine{
		State: filepath.Join(dir, "var"), Run: filepath.Join(dir, "run"), Root: filepath.Join(dir, "usr"), Dev: dir, Contained: true,
		Disk: &durable.Disk{}, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler),
		Tool: func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
			if args[0] == "luksUUID" {
				return []byte("one\n"), nil
			}
			return []byte(`{"tokens":{"0":{"type":"systemd-tpm2","keyslots":["1"]},"1":{"type":"systemd-recovery","keyslots":["2"]}}}`), nil
		},
	}
	for path, text := range map[string]string{
		"var/provision/.keep": "", "var/booking/claim-code": "7K2M-Q4XV-5TCB-R6NE\n", "run/console/recovery-key": key + "\n",
		"usr/lib/os-release": "NAME=x\nIMAGE_VERSION=\"1.2.3\"\n", "run/verdict": "SALLYPORT version=1.2.3 slot=- verdict=good failed=[]\n",
		"var/update/state.json": `{"current":"1.2.3","refused":[{"version":"1.2.0","at":"2026-11-01T02:00:00Z","why":"old"},{"version":"1.3.0","at":"2026-11-22T02:00:00Z","why":"health check link"}]}`,
		"run/phases.json":       `[{"phase":"recovery","state":"waiting","says":"Write it down."}]`,
	} {
		at := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestSerialLineIsToldWhatChanges(t *testing.T) {
	m := machine(t)
	in, keyboard := io.Pipe()
	out := &screen{parts: make(chan string, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	c := Console{Machine: m, In: in, Out: out, Addresses: func() []string { return nil }}
	go func() { done <- c.Serve(ctx) }()
	out.next(t, "Sallyport 1.2.3", "Recovery key: "+key, "Claim code: 7K2M-Q4XV-5TCB-R6NE", "verdict=good",
		"Version 1.3.0 was refused on 2026-11-22: health check link.")
	say := func(line string) {
		if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	say("root")
	if part := out.next(t, "not its first and its last group"); strings.Contains(part, key) {
		t.Errorf("what has not changed is told again: %q", part)
	}
	say("")
	out.next(t, "Sallyport 1.2.3", "Recovery key: "+key)
	say("bcdefghi jklnrtuv")
	if part := out.next(t, "Thank you"); strings.Contains(part, key) {
		t.Errorf("the key is shown on: %q", part)
	}
	if m.RecoveryKey() != "" || !m.Confirmed() {
		t.Error("nobody has noted that the key is written down")
	}
	// The first administrator claims the box.
	if err := os.WriteFile(filepath.Join(m.State, phases.ClaimedFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := keyboard.Close(); err != nil {
		t.Error(err)
	}
	for _, line := range c.page().Lines() {
		if strings.Contains(line, "Claim") {
			t.Errorf("a claimed box shows %q", line)
		}
	}
}

func TestNobodyAtTheOtherEnd(t *testing.T) {
	c := Console{Machine: machine(t), Screen: true, In: strings.NewReader(""), Out: &screen{broken: true}, Addresses: func() []string { return nil }}
	if err := c.Serve(t.Context()); err != nil {
		t.Errorf("Serve = %v", err)
	}
}

func TestScreenIsDrawnFromItsTop(t *testing.T) {
	out := &screen{parts: make(chan string, 10)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	c := Console{Machine: machine(t), Screen: true, In: strings.NewReader(""), Out: out, Addresses: func() []string { return nil }}
	go func() { done <- c.Serve(ctx) }()
	if part := out.next(t, "Sallyport"); !strings.HasPrefix(part, "\x1b[H") || !strings.HasSuffix(part, "\x1b[J") {
		t.Errorf("drawn as %q", part)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
