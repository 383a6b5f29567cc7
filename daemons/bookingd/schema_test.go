package main

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/appliance/api"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

// released lists the migrations of the last release by name and hash. It is written anew when a release is made, and only then.
const releasedFile = "testdata/released.txt"

var release = flag.Bool("release", false, "write the list of released migrations: only when a release is made")

// migrations are the files of all rooms by name.
func migrations(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, room := range api.Schemas() {
		err := fs.WalkDir(room, ".", func(at string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			all[path.Base(at)], err = fs.ReadFile(room, at)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func sums(all map[string][]byte) []byte {
	var lines []string
	for name, sql := range all {
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(sql), name))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return []byte(strings.Join(lines, ""))
}

// A migration that was released is never edited, because boxes have run it; and what came after the release leaves the
// database so that the released program reads and writes it, because a box goes back to it by itself.
func TestSchemaOfTheReleaseBefore(t *testing.T) {
	all := migrations(t)
	if *release {
		if err := os.WriteFile(releasedFile, sums(all), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list, err := os.ReadFile(releasedFile)
	if err != nil {
		t.Fatal(err)
	}
	before := fstest.MapFS{}
	for line := range strings.Lines(string(list)) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sql, ok := all[name]
		if !ok {
			t.Errorf("%s was released and is gone", name)
			continue
		}
		before[name] = &fstest.MapFile{Data: sql}
		if !bytes.Contains(sums(map[string][]byte{name: sql}), []byte(line)) {
			t.Errorf("%s was released and then edited: leave it as it was, and write another migration", name)
		}
	}
	if len(before) < 10 {
		t.Fatalf("only %d migrations were released; the list is broken", len(before))
	}
	for _, why := range storetest.Breaks(t, []fs.FS{before}, api.Schemas()) {
		t.Errorf("the program before could not go on: %s; add now, and take away in the release after the next one", why)
	}
	was, err := store.LevelOf([]fs.FS{before})
	if err != nil {
		t.Fatal(err)
	}
	now, err := store.LevelOf(api.Schemas())
	if err != nil {
		t.Fatal(err)
	}
	if now.Reads > was.Schema {
		t.Errorf("a contract wants programs of level %d, and the one before has %d: it could not come back", now.Reads, was.Schema)
	}
}
