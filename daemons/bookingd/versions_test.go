package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/bundle"
	"sallyport/provisioning/durable"
	"sallyport/provisioning/update"
)

// What an administrator asks for lies where the box's unit takes it, and is shown as asked for until it has.
func TestVersionsAreAskedOfTheBox(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	board, requests := t.TempDir(), t.TempDir()
	h := &house{clock: clock.NewFake(noon), cfg: config{Versions: versionsConfig{Board: board, Requests: requests}}}
	if err := os.WriteFile(filepath.Join(board, linkspec.VersionsFile), []byte(`{"running":"1.4.0","found":[{"version":"1.5.0"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	stands := func() linkspec.Versions {
		t.Helper()
		v, err := h.versions()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := stands(); v.Running != "1.4.0" || len(v.Found) != 1 || v.Work != nil {
		t.Errorf("before anybody asks: %+v", v)
	}
	if err := h.ask(linkspec.VersionRequest{Do: linkspec.DoInstall, Version: "1.5.0"}); err != nil {
		t.Fatal(err)
	}
	want := &linkspec.VersionWork{Version: "1.5.0", Step: linkspec.WorkAsked, At: noon}
	if diff := cmp.Diff(want, stands().Work); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	box := &update.Box{Disk: &durable.Disk{}, Clock: h.clock, Board: board, Tell: func(string, int) {}}
	if _, v, err := box.TakeRequest(requests); err != nil || v != (bundle.Version{Major: 1, Minor: 5}) {
		t.Fatalf("the box takes %v, %v", v, err)
	}
	if w := stands().Work; w != nil {
		t.Errorf("taken, and the door shows %+v", w)
	}
	box.Begin(bundle.Version{Major: 1, Minor: 5})
	box.Tell(linkspec.WorkUnpack, 30)
	if w := stands().Work; w == nil || w.Step != linkspec.WorkUnpack || w.Percent != 30 {
		t.Errorf("the box is at it, and the door shows %+v", w)
	}
}

// The evaluation runs in no image.
func TestNoImageHasNoVersions(t *testing.T) {
	h := &house{clock: clock.Real{}}
	if v, err := h.versions(); err != nil || v.Running != "" {
		t.Errorf("versions = %+v, %v", v, err)
	}
	if err := h.ask(linkspec.VersionRequest{Do: linkspec.DoLook}); fault.CodeOf(err) != "update.noImage" {
		t.Errorf("ask = %v", err)
	}
}
