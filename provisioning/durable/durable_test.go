package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sallyport/provisioning/durable"
)

// A file whose writing is cut at any step is the old one or the new one.
func TestWriteIsWholeOrNotAtAll(t *testing.T) {
	gone := errors.New("gone")
	for n := 0; ; n++ {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("the old text"), 0o400); err != nil {
			t.Fatal(err)
		}
		left := n
		disk := durable.Observed(func(string, string) error {
			if left--; left < 0 {
				return gone
			}
			return nil
		})
		err := disk.Write(path, []byte("a new text"), 0o400)
		got, rerr := os.ReadFile(path)
		if rerr != nil || string(got) != "the old text" && string(got) != "a new text" {
			t.Fatalf("cut at step %d: %q, %v", n, got, rerr)
		}
		if err == nil {
			if n < 5 || string(got) != "a new text" {
				t.Errorf("written in %d steps: %q", n, got)
			}
			break
		}
		if !errors.Is(err, gone) {
			t.Fatalf("cut at step %d: %v", n, err)
		}
		var again durable.Disk
		if err := again.Write(path, []byte("a new text"), 0o400); err != nil {
			t.Fatalf("once more after step %d: %v", n, err)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		info, serr := os.Stat(path)
		if err != nil || serr != nil || len(entries) != 1 || info.Mode().Perm() != 0o400 {
			t.Errorf("after step %d and once more: %v, %v, %v", n, entries, info, errors.Join(err, serr))
		}
	}
}

func TestFolderRemoveAllocate(t *testing.T) {
	var disk durable.Disk
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := disk.Folder(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "reserve")
	if err := disk.Allocate(path, 1<<16, 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 1<<16 {
		t.Errorf("%v, %v", info, err)
	}
	for range 2 {
		if err := disk.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := disk.Write(filepath.Join(dir, "nowhere", "file"), nil, 0o600); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file in a folder that is not there: %v", err)
	}
}
