package daemons_test

import (
	"os/exec"
	"strings"
	"testing"
)

// forbidden is what each program must not link, by the beginning of the import path. A program that is not here fails
// the test: whoever adds one decides what it may never contain.
var forbidden = map[string][]string{
	// Holds the personal data; it neither carries media nor talks to the centre.
	"bookingd": {"github.com/pion/", "go.etcd.io/"},
	// Faces the internet and holds no personal data. database/sql comes with the metrics library and names no driver.
	"gatewayd": {"github.com/mattn/go-sqlite3", "modernc.org/sqlite", "go.etcd.io/", "github.com/gofiber/", "github.com/stripe/", "github.com/go-webauthn/", "github.com/wneessen/go-mail"},
	// Listens on nothing.
	"syncd": {"github.com/mattn/go-sqlite3", "database/sql", "github.com/pion/", "go.etcd.io/etcd/server/", "github.com/gofiber/"},
	// Stateless.
	"centrald": {"github.com/mattn/go-sqlite3", "database/sql", "github.com/pion/", "go.etcd.io/etcd/server/"},
	// SQLite only for files that are given to it.
	"sallyportctl": {"github.com/pion/", "go.etcd.io/etcd/server/"},
	// The evaluation is never in the image.
	"demo":        nil,
	"demo/centre": nil,
	// Measures on a workshop machine; never in the image.
	"bench": {"github.com/pion/", "go.etcd.io/"},
}

// neverShipped is for tests and the evaluation only.
var neverShipped = []string{
	"go.etcd.io/etcd/server/v3/embed", "github.com/getkin/kin-openapi", "github.com/anishathalye/porcupine", "pgregory.net/rapid",
	"github.com/rogpeppe/go-internal/testscript", "github.com/stripe/stripe-mock",
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, stderr.String())
	}
	return strings.Fields(string(out))
}

func TestNoProgramLinksWhatItMustNotHave(t *testing.T) {
	for _, path := range goList(t, "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./...") {
		name := strings.TrimPrefix(path, "sallyport/daemons/")
		t.Run(name, func(t *testing.T) {
			never, known := forbidden[name]
			if !known {
				t.Fatalf("%s is a program without a row in the table of this test", name)
			}
			if !strings.HasPrefix(name, "demo") {
				never = append(append([]string(nil), never...), neverShipped...)
			}
			deps := goList(t, "-deps", path)
			if len(deps) < 20 {
				t.Fatalf("only %d dependencies of %s", len(deps), name)
			}
			for _, dep := range deps {
				for _, bad := range never {
					if dep == bad || strings.HasPrefix(dep, strings.TrimSuffix(bad, "/")+"/") {
						t.Errorf("%s links %s", name, dep)
					}
				}
			}
		})
	}
}

func TestOnlyTheDemoStartsAnEtcd(t *testing.T) {
	for _, line := range goList(t, "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}={{.}} {{end}}`, "sallyport/...") {
		pkg, imported, _ := strings.Cut(line, "=")
		if strings.HasPrefix(imported, "go.etcd.io/etcd/server/") && pkg != "sallyport/daemons/demo/centre" {
			t.Errorf("%s imports %s; only the demo's centre may", pkg, imported)
		}
	}
}
