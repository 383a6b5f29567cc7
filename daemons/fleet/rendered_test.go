package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Each daemon reads what a site file is rendered to, and finds nothing wrong with it.
func TestRenderedConfigurationsAreRight(t *testing.T) {
	t.Parallel()
	sites, err := filepath.Glob("../../provisioning/testdata/*.txtar")
	if err != nil || len(sites) < 4 {
		t.Fatalf("the rendered sites are %v, %v", sites, err)
	}
	command := map[string][]string{
		"bookingd.toml": {"bookingd"}, "gatewayd.toml": {"gatewayd"}, "split.toml": {"gatewayd", "split"},
	}
	for _, site := range sites {
		t.Run(strings.TrimSuffix(filepath.Base(site), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(site)
			if err != nil {
				t.Fatal(err)
			}
			checked := 0
			for _, f := range a.Files {
				args := command[filepath.Base(f.Name)]
				if args == nil {
					continue
				}
				path := filepath.Join(t.TempDir(), filepath.Base(f.Name))
				if err := os.WriteFile(path, f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
				checked++
				if code, said := runs(t, args[0], append(args[1:], "--check", "--config", path)...); code != 0 {
					t.Errorf("%v ends with %d: %s", args, code, said)
				}
			}
			if checked != len(command) && !strings.Contains(site, "waiting") || checked == 0 {
				t.Errorf("%d files were checked", checked)
			}
		})
	}
}
