package ui

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"sallyport/appliance/fault"
)

func built() fstest.MapFS {
	return fstest.MapFS{
		"dist/.keep":               {},
		"dist/visitor/index.html":  {Data: []byte("<!doctype html>")},
		"dist/visitor/files.json":  {Data: []byte(`["assets/visitor-1.js"]`)},
		"dist/visitor/routes.json": {Data: []byte(`["/", "/visits/:id"]`)},
		"dist/assets/visitor-1.js": {Data: []byte("1")},
		"dist/assets/staff-1.js":   {Data: []byte("2")},
	}
}

func TestFilesServesOnlyTheDoorsOwnClosure(t *testing.T) {
	own, routes, err := files(built(), "visitor")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.html", "assets/visitor-1.js"} {
		if _, err := fs.ReadFile(own, name); err != nil {
			t.Errorf("read %s: %v", name, err)
		}
	}
	for _, name := range []string{"assets/staff-1.js", "files.json", "visitor/index.html", ".keep", "."} {
		if _, err := fs.ReadFile(own, name); err == nil {
			t.Errorf("read %s: served, want not found", name)
		}
	}
	if len(routes) != 2 || routes[1] != "/visits/:id" {
		t.Errorf("routes = %v", routes)
	}
}

func TestFilesWithoutABuildSaysHowToBuild(t *testing.T) {
	_, _, err := files(fstest.MapFS{"dist/.keep": {}}, "kiosk")
	if fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("err = %v, want Unavailable", err)
	}
	if _, _, err := files(built(), "cellar"); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("unknown door: err = %v, want NotFound", err)
	}
}

func TestFilesRefusesNamesOutsideTheBuild(t *testing.T) {
	b := built()
	b["dist/visitor/files.json"] = &fstest.MapFile{Data: []byte(`["../secret"]`)}
	if _, _, err := files(b, "visitor"); fault.KindOf(err) != fault.Internal {
		t.Fatalf("err = %v, want Internal", err)
	}
}
