package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root     = "../.."
	maxLines = 500
)

// source is one Go file of the tree.
type source struct {
	path      string // from the root
	pkg       string // folder
	name      string // package clause
	imports   []string
	test      bool
	generated bool
	lines     int
	inits     bool
}

// eachFile calls fn for the files of the tree that people write.
func eachFile(t *testing.T, fn func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", "node_modules", "build", "dist", "testdata":
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		fn(filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	eachFile(t, func(path string) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, b, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		s := source{
			path: path, pkg: filepath.ToSlash(filepath.Dir(path)), name: f.Name.Name, test: strings.HasSuffix(path, "_test.go"),
			generated: ast.IsGenerated(f), lines: strings.Count(string(b), "\n"),
		}
		for _, i := range f.Imports {
			s.imports = append(s.imports, strings.Trim(i.Path.Value, `"`))
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				s.inits = true
			}
		}
		all = append(all, s)
	})
	if len(all) < 10 {
		t.Fatalf("only %d Go files found; the walk is broken", len(all))
	}
	return all
}

func TestImportsOnlyGoDown(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue // a test may stand beside whatever it needs
		}
		for _, path := range s.imports {
			if why := refuse(s.pkg, path); why != "" {
				t.Errorf("%s imports %s: %s", s.path, path, why)
			}
		}
	}
}

func TestEveryRoomIsOnAFloor(t *testing.T) {
	for _, s := range sources(t) {
		room, ok := roomOf(s.pkg)
		if _, known := floors[room]; ok && !known {
			t.Errorf("%s: there is no room called %q in the house; name its floor in appliance/house or use another room", s.path, room)
		}
	}
}

func TestNamesSayWhatIsInside(t *testing.T) {
	forbidden := strings.Fields("util utils common helper helpers type types model models service services manager core base pkg misc shared lib")
	for _, s := range sources(t) {
		for _, part := range strings.Split(s.pkg, "/") {
			if slices.Contains(forbidden, part) {
				t.Errorf("%s: a package called %q says nothing; name it after what it owns", s.path, part)
			}
		}
		if slices.Contains(forbidden, s.name) {
			t.Errorf("%s: package %q says nothing; name it after what it owns", s.path, s.name)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if !s.generated && s.lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: split it by noun", s.path, s.lines, maxLines)
		}
	}
}

func TestNothingRunsByItself(t *testing.T) {
	for _, s := range sources(t) {
		if s.inits && !s.generated && strings.HasPrefix(s.path, "appliance/") {
			t.Errorf("%s has an init function: two appliances in one process would share what it does", s.path)
		}
	}
}

func TestEveryRoomHasItsPackageComment(t *testing.T) {
	has := map[string]bool{}
	for _, s := range sources(t) {
		if !strings.HasPrefix(s.pkg, "appliance/") || s.test || s.generated {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, s.path), nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		has[s.pkg] = has[s.pkg] || f.Doc != nil && strings.HasPrefix(f.Doc.Text(), "Package "+s.name+" ")
	}
	for pkg, ok := range has {
		if !ok {
			t.Errorf("%s has no comment that begins with \"Package ...\" and says what it owns and must not know", pkg)
		}
	}
}

var (
	mdLink   = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)
	mdFence  = regexp.MustCompile("(?s)```.*?```")
	mdHead   = regexp.MustCompile(`(?m)^#+\s+(.+?)\s*$`)
	notSlug  = regexp.MustCompile(`[^\p{L}\p{N}\- ]`)
	docRoom  = regexp.MustCompile(`\(room (\w+)\)`)
	docFloor = regexp.MustCompile(`(?m)^//\tfloor (\d)  \w+(?: works)?\s+(.+)$`)
)

func TestDocsLinksResolve(t *testing.T) {
	eachFile(t, func(path string) {
		if !strings.HasSuffix(path, ".md") {
			return
		}
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mdLink.FindAllStringSubmatch(mdFence.ReplaceAllString(string(b), ""), -1) {
			if why := brokenLink(path, string(b), m[1]); why != "" {
				t.Errorf("%s: link %s: %s", path, m[1], why)
			}
		}
	})
}

func brokenLink(from, text, link string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(link, "#")
	if file != "" {
		at := filepath.Join(root, filepath.Dir(from), file)
		b, err := os.ReadFile(at)
		if err != nil {
			if info, serr := os.Stat(at); serr == nil && info.IsDir() {
				return ""
			}
			return "there is no such file"
		}
		text = string(b)
	}
	if anchor == "" || file != "" && !strings.HasSuffix(file, ".md") {
		return ""
	}
	for _, m := range mdHead.FindAllStringSubmatch(text, -1) {
		slug := strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		if slug == anchor {
			return ""
		}
	}
	return "there is no such heading"
}

func TestTheMapShowsTheHouse(t *testing.T) {
	b, err := os.ReadFile("../doc.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]int{}
	for _, m := range docFloor.FindAllStringSubmatch(string(b), -1) {
		for _, room := range strings.Split(regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(m[2], ""), ",") {
			shown[strings.TrimSpace(room)] = int(m[1][0] - '0')
		}
	}
	for room, floor := range floors {
		if got, ok := shown[room]; !ok || got != floor {
			t.Errorf("doc.go shows %q on floor %d (%v), it is on floor %d", room, got, ok, floor)
		}
	}
	if len(shown) != len(floors) {
		t.Errorf("doc.go shows %d rooms, the house has %d", len(shown), len(floors))
	}
	words := docRoom.FindAllStringSubmatch(string(b), -1)
	if len(words) < 20 {
		t.Errorf("the glossary has %d words only", len(words))
	}
	for _, m := range words {
		if _, ok := floors[m[1]]; !ok {
			t.Errorf("the glossary names the room %q, which does not exist", m[1])
		}
	}
}

// The rule itself must refuse: a table that allows everything would pass all tests above.
func TestRefuse(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		ok       bool
	}{
		{"appliance/visits", "sallyport/appliance/people", true},
		{"appliance/people", "sallyport/appliance/visits", false},
		{"appliance/visits", "sallyport/appliance/notices", false},
		{"appliance/calls", "sallyport/appliance/visits", true},
		{"appliance/people", "sallyport/appliance/policy", true},
		{"appliance/policy", "sallyport/appliance/people", false},
		{"appliance/moderation", "sallyport/appliance/policy", false},
		{"appliance/audit", "sallyport/appliance/store", true},
		{"appliance/store", "sallyport/appliance/audit", false},
		{"appliance/ident", "sallyport/appliance/fault", true},
		{"appliance/fault", "sallyport/appliance/ident", false},
		{"appliance/sfu", "sallyport/appliance/store", false},
		{"appliance/sfu", "sallyport/appliance/grant", true},
		{"appliance/sfu/sfutest", "sallyport/appliance/sfu", true},
		{"appliance/recorder", "sallyport/appliance/sfu", true},
		{"appliance/replica", "sallyport/appliance/sfu", false},
		{"appliance/api/visitor", "sallyport/appliance/api", true},
		{"appliance/api/visitor", "sallyport/appliance/visits", true},
		{"appliance/api/visitor", "sallyport/appliance/api/staff", false},
		{"appliance/api/visitor", "sallyport/appliance/sfu", false},
		{"appliance/link", "sallyport/appliance/calls", true},
		{"appliance/visits", "sallyport/appliance/store/storetest", false},
		{"appliance/api/doortest", "sallyport/appliance/api", true},
		{"appliance/api/staff", "sallyport/appliance/api/doortest", false},
		{"daemons/demo", "sallyport/appliance/api/doortest", false},
		{"images/guest", "sallyport/appliance/api/doortest", false},
		{"appliance/visits", "sallyport/daemons/bookingd", false},
		{"daemons/bookingd", "sallyport/appliance/visits", true},
		{"daemons/bookingd", "sallyport/daemons/gatewayd", false},
		{"provisioning/bundle", "sallyport/provisioning/signature", true},
		{"provisioning", "sallyport/appliance/vault", true},
		{"provisioning", "sallyport/appliance/store", false},
		{"images/guest", "sallyport/appliance/unit/ports", true},
		{"provisioning", "sallyport/appliance/store/storetest", false},
		{"provisioning", "sallyport/appliance/people", false},
		{"provisioning", "sallyport/daemons/bookingd", false},
		{"appliance/people", "sallyport/provisioning/bundle", false},
		{"ui", "sallyport/appliance/visits", false},
		{"provisioning/phases", "sallyport/appliance/vault", true},
		{"provisioning/phases", "sallyport/provisioning/durable", true},
		{"provisioning", "sallyport/appliance/visits", false},
		{"provisioning/phases", "sallyport/appliance/store", false},
		{"provisioning", "sallyport/daemons/bookingd", false},
		{"appliance/fault", "github.com/gofiber/fiber/v3", false},
		{"appliance/visits", "github.com/mattn/go-sqlite3", false},
		{"appliance/visits", "database/sql", false},
		{"appliance/visits", "net/http", true},
	} {
		if why := refuse(tt.from, tt.to); (why == "") != tt.ok {
			t.Errorf("refuse(%s, %s) = %q, want allowed %v", tt.from, tt.to, why, tt.ok)
		}
	}
	if why := refuse("appliance/policy", "sallyport/appliance/people"); !strings.Contains(why, "policy and people are on one floor") {
		t.Errorf("a refusal without its reason: %q", why)
	}
}
