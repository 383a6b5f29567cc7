package update_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/clock"
	"sallyport/provisioning/bundle"
	"sallyport/provisioning/bundle/bundletest"
	"sallyport/provisioning/durable"
	"sallyport/provisioning/signature"
	"sallyport/provisioning/update"
)

// noon is when everything happens.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// box is a machine with two slots of which systemd-sysupdate is played: it looks where the real one looks, and names the
// loader's files as the real one does.
type box struct {
	*update.Box
	t     *testing.T
	key   signature.Signer
	esp   string
	wrote []string // versions that were written into a slot
}

// newBox returns a machine on which a version runs, installed by the maker.
func newBox(t *testing.T, running string) *box {
	t.Helper()
	root := t.TempDir()
	b := &box{t: t, esp: filepath.Join(root, "efi/EFI/Linux")}
	b.Box = &update.Box{
		State: filepath.Join(root, "update"), Image: filepath.Join(root, "image"), Secrets: filepath.Join(root, "secrets"), Board: filepath.Join(root, "board"),
		Loaders: []string{filepath.Join(root, "nothing"), filepath.Join(root, "efi")},
		Disk:    &durable.Disk{}, Clock: clock.NewFake(noon), Tell: func(string, int) {}, Sysupdate: b.sysupdate,
	}
	b.must(os.MkdirAll(b.esp, 0o755))
	b.must(os.MkdirAll(b.Board, 0o755))
	b.key = bundletest.Keys(t, filepath.Join(b.Image, "keys"))
	b.runs(running)
	b.must(os.WriteFile(filepath.Join(b.esp, "sallyport_"+running+".efi"), nil, 0o600))
	return b
}

func (b *box) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// runs starts a version.
func (b *box) runs(version string) {
	b.t.Helper()
	raw, err := json.Marshal(bundletest.Release(b.t, version, 13))
	b.must(err)
	b.must(os.WriteFile(filepath.Join(b.Image, "release.json"), raw, 0o600))
}

// bring packs an update into the folder of what was brought.
func (b *box) bring(version string) string {
	b.t.Helper()
	b.must(os.MkdirAll(b.Folders()[0], 0o755))
	return bundletest.Pack(b.t, b.Folders()[0], bundletest.Release(b.t, version, 13), b.key)
}

func (b *box) sysupdate(_ context.Context, v bundle.Version) error {
	b.t.Helper()
	base := filepath.Join(b.State, "ready", "sallyport_"+v.String())
	for _, pattern := range []string{base + ".efi", base + ".root-x86-64.*.raw", base + ".root-x86-64-verity.*.raw"} {
		if found, err := filepath.Glob(pattern); err != nil || len(found) != 1 {
			return fmt.Errorf("%s: %d files, %w", pattern, len(found), err)
		}
	}
	b.wrote = append(b.wrote, v.String())
	if e := b.entry(v.String()); e == "" {
		return os.WriteFile(filepath.Join(b.esp, "sallyport_"+v.String()+"+2-0.efi"), nil, 0o600)
	}
	return nil
}

// entry is the loader's file of a version.
func (b *box) entry(version string) string {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(b.esp, "sallyport_"+version+"*.efi"))
	b.must(err)
	if len(found) == 0 {
		return ""
	}
	return filepath.Base(found[0])
}

// tries sets the loader's counter of a version; "" blesses it.
func (b *box) tries(version, counter string) {
	b.t.Helper()
	b.must(os.Rename(filepath.Join(b.esp, b.entry(version)), filepath.Join(b.esp, "sallyport_"+version+counter+".efi")))
}

func (b *box) install(path string) {
	b.t.Helper()
	_, err := b.Install(b.t.Context(), path)
	b.must(err)
}

func (b *box) settle() string {
	b.t.Helper()
	said, err := b.Settle()
	b.must(err)
	return said
}

func (b *box) state() update.State {
	b.t.Helper()
	s, err := b.Load()
	b.must(err)
	return s
}

// refused returns why a version is refused, "" when it is not.
func (b *box) refused(version string) string {
	b.t.Helper()
	v, err := bundle.ParseVersion(version)
	b.must(err)
	r, _ := b.state().Refusal(v)
	return r.Why
}

func version(t *testing.T, text string) bundle.Version {
	t.Helper()
	v, err := bundle.ParseVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func says(t *testing.T, said, want string) {
	t.Helper()
	if !strings.Contains(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// cutAt fails the n-th step of the disk and everything after it.
func cutAt(n int) (*durable.Disk, *int) {
	steps := 0
	return durable.Observed(func(string, string) error {
		steps++
		if n > 0 && steps >= n {
			return errCut
		}
		return nil
	}), &steps
}

var errCut = errors.New("the power is gone")
