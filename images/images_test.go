// Package images_test holds the image to what it promises before anybody builds it: units, users, partitions and rules are
// read by the programs that will read them in the box. With the build tag image it boots the box as well.
//
// It must not repair what it reads; every finding names the file.
package images_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// overlay is the tree of files that the image lays over Debian's.
const overlay = "appliance/root"

// lacking ends a test that this machine cannot run. Where IMAGE_TESTS is "required", as in `make test`, that is a failure.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("IMAGE_TESTS") == "required" {
		t.Fatalf("%s; IMAGE_TESTS=required lets no test be left out", what)
	}
	t.Skip("skipped: " + what)
}

// needs ends the test when a program is missing; packages are what apt-get installs for it.
func needs(t *testing.T, program, packages string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		lacking(t, program+" not found (apt-get install "+packages+")")
	}
}

// needsRoot ends the test for anybody else.
func needsRoot(t *testing.T, why string) {
	t.Helper()
	if os.Getuid() != 0 {
		lacking(t, "needs root "+why)
	}
}

// said runs a program and returns what it printed on both streams together.
func said(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_COLORS=0", "SYSTEMD_EMOJI=0", "SYSTEMD_PAGER=", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// read returns a file of the tree.
func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// found returns the files that match any pattern, sorted; at least one must.
func found(t *testing.T, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, p := range patterns {
		names, err := filepath.Glob(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, names...)
	}
	if len(all) == 0 {
		t.Fatalf("nothing matches %v", patterns)
	}
	slices.Sort(all)
	return all
}

// write puts a file below a folder, with its folders.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rows returns the lines of a file that are neither empty nor comments, as fields.
func rows(text string) (all [][]string) {
	for line := range bytes.Lines([]byte(text)) {
		s := strings.TrimSpace(string(line))
		if s == "" || strings.HasPrefix(s, "#") || strings.HasPrefix(s, ";") {
			continue
		}
		all = append(all, strings.Fields(s))
	}
	return all
}
