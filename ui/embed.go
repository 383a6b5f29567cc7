// Package ui owns the built pages of the four doors.
//
// It knows which files belong to which door, not how they are served or who
// asks: a door gets its own closure and nothing of another surface, so a
// staff chunk is not found at a kiosk. The pages are built by npm into dist;
// a tree without them still compiles, and Files says how to build them.
package ui

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"sallyport/appliance/fault"
)

//go:embed all:dist
var dist embed.FS

// Files returns the files of a door (visitor, kiosk, staff or setup) with its
// page at index.html, and the patterns of its client routes ("/visits/:id").
// It fails with Unavailable when the pages have not been built and with
// NotFound for a door that does not exist.
func Files(door string) (fs.FS, []string, error) {
	return files(dist, door)
}

func files(built fs.FS, door string) (fs.FS, []string, error) {
	const op = "ui.Files"
	switch door {
	case "visitor", "kiosk", "staff", "setup":
	default:
		return nil, nil, fault.New(op, fault.NotFound, "There is no such door.").WithCode("door")
	}
	var names, routes []string
	if err := readJSON(built, "dist/"+door+"/files.json", &names); err != nil {
		return nil, nil, err
	}
	if err := readJSON(built, "dist/"+door+"/routes.json", &routes); err != nil {
		return nil, nil, err
	}
	own := closure{built: built, paths: map[string]string{"index.html": "dist/" + door + "/index.html"}}
	for _, name := range names {
		if !fs.ValidPath(name) {
			return nil, nil, fault.New(op, fault.Internal, "The list of pages is damaged.")
		}
		own.paths[name] = "dist/" + name
	}
	return own, routes, nil
}

func readJSON(built fs.FS, name string, into any) error {
	b, err := fs.ReadFile(built, name)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New("ui.Files", fault.Unavailable, "The pages are not built. Run \"make ui\" and build again.").WithCode("ui_not_built")
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// closure is the file system of one door: a flat list of names, no folders to
// browse.
type closure struct {
	built fs.FS
	paths map[string]string
}

// Open implements fs.FS. Names outside the closure do not exist.
func (c closure) Open(name string) (fs.File, error) {
	path, ok := c.paths[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return c.built.Open(path)
}
