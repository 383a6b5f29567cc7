package daemons_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exposed is the worst score that a unit may have, in tenths (O4): a bare unit has 96, ours see nothing but their folders.
const exposed = "20"

// analyze runs systemd-analyze over copies of all units, which start nothing: the daemons are not on this machine.
func analyze(t *testing.T, change func(text string) string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is missing: apt-get install systemd, or run .ci/install")
	}
	dir := t.TempDir()
	for _, path := range unitFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := execStart.ReplaceAllString(change(string(text)), "ExecStart=/bin/true")
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(copied), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+args[len(args)-1]))
	if err != nil || len(files) == 0 {
		t.Fatalf("no units: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", append(slices.Clone(args[:len(args)-1]), files...)...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":", "SYSTEMD_COLORS=0", "SYSTEMD_EMOJI=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var execStart = regexp.MustCompile(`(?m)^ExecStart=/usr/bin/\w+`)

func unitFiles(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, kind := range []string{"*/*.service", "*/*.socket"} {
		found, err := filepath.Glob(kind)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

func asIs(text string) string { return text }

func score(t *testing.T, change func(string) string) (string, error) {
	t.Helper()
	return analyze(t, change, "security", "--offline=true", "--no-pager", "--threshold="+exposed, ".service")
}

func verify(t *testing.T, change func(string) string) string {
	t.Helper()
	out, err := analyze(t, change, "verify", "--man=no", "--recursive-errors=no", "")
	if err != nil && out == "" {
		t.Fatal(err)
	}
	return out
}

func TestUnitsAreShut(t *testing.T) {
	if out, err := score(t, asIs); err != nil {
		t.Errorf("a unit scores worse than %s tenths: %v\n%s", exposed, err, out)
	}
	open := func(text string) string { return strings.ReplaceAll(text, "SystemCallFilter=", "#") }
	if _, err := score(t, open); err == nil {
		t.Error("units without a filter of system calls pass: the score is not looked at")
	}
}

func TestUnitsAreUnderstood(t *testing.T) {
	if out := verify(t, asIs); out != "" {
		t.Errorf("systemd says:\n%s", out)
	}
	misspelt := func(text string) string { return strings.ReplaceAll(text, "ProtectHome=", "ProtectHomes=") }
	if out := verify(t, misspelt); !strings.Contains(out, "ProtectHomes") {
		t.Error("a setting that systemd does not know passes")
	}
}

// Each daemon has its unit, which starts that daemon as a user of its own and takes 78 for an answer.
func TestEachDaemonHasItsUnit(t *testing.T) {
	users := map[string]string{}
	for _, daemon := range []string{"bookingd", "gatewayd", "syncd", "centrald"} {
		raw, err := os.ReadFile(filepath.Join(daemon, daemon+".service"))
		if err != nil {
			t.Error(err)
			continue
		}
		user := ""
		for line := range strings.Lines(string(raw)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "User="); ok {
				user = v
			}
		}
		if user == "" || user == "root" || users[user] != "" {
			t.Errorf("%s runs as %q, as does %q", daemon, user, users[user])
		}
		users[user] = daemon
		for _, want := range []string{"ExecStart=/usr/bin/" + daemon + " ", "RestartPreventExitStatus=78\n", "NoNewPrivileges=yes\n"} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("%s.service lacks %q", daemon, want)
			}
		}
	}
}
