package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/provisioning/bundle"
	"sallyport/provisioning/bundle/bundletest"
)

// What the build of an image does: a key, the description of a version, its update.
func TestReleaseIsDescribedAndPacked(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if code, _, said := ctl(t, "update", "keygen", at("current")); code != 0 {
		t.Fatalf("keygen ends with %d: %s", code, said)
	}
	if code, _, said := ctl(t, "update", "keygen", at("current")); code != exitFailed || !strings.Contains(said, "exists already") {
		t.Errorf("over another key: %d, %s", code, said)
	}
	code, described, said := ctl(t, "update", "describe", "../../images/release.json", "--version", "1.5.0", "--built", "2026-01-01", "--schema", "14", "--reads", "13")
	if code != 0 {
		t.Fatalf("describe ends with %d: %s", code, said)
	}
	if err := os.WriteFile(at("release.json"), []byte(described), 0o600); err != nil {
		t.Fatal(err)
	}
	s := bundletest.Sources(t, dir, bundle.Version{Major: 1, Minor: 5})
	args := []string{"update", "pack", at("sallyport-1.5.0.upd"), "--release", at("release.json"), "--key", at("current.key"), "--uki", s.UKI, "--loader", s.Loader, "--root", s.Root, "--verity", s.Verity}
	if code, out, said := ctl(t, args...); code != 0 || !strings.Contains(out, "version 1.5.0") {
		t.Fatalf("pack ends with %d: %s%s", code, out, said)
	}
	if err := os.Chmod(at("current.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, said := ctl(t, args...); code != exitFailed || !strings.Contains(said, "chmod 600") {
		t.Errorf("with a key that others may read: %d, %s", code, said)
	}
	if code, _, said := ctl(t, "update", "describe", "../../images/release.json", "--version", "1.5", "--built", "2026-01-01", "--schema", "14", "--reads", "13"); code != exitUsage {
		t.Errorf("a version of two numbers: %d, %s", code, said)
	}
}

// On a machine that runs no image nothing is installed, and it says why.
func TestUpdateNeedsAnImage(t *testing.T) {
	for _, verb := range []string{"status", "settle", "keep", "refuse"} {
		if code, _, said := ctl(t, "update", verb); code != exitFailed || !strings.Contains(said, "does not run an image") {
			t.Errorf("update %s: %d, %s", verb, code, said)
		}
	}
}
