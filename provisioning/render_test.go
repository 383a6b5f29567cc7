package provisioning_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"sallyport/provisioning"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// siteNames are the facilities of the golden files: VLANs on two ports, a port for each zone, a small jail.
var siteNames = []string{"vlans", "ports", "small"}

var machine = provisioning.Facts{Host: "sallyport-7k2m", NICs: []provisioning.NIC{
	{Name: "enp24s0f1", MAC: "3c:ec:ef:00:00:02", Path: "pci-0000:18:00.1", OnBoard: 2},
	{Name: "enp24s0f0", MAC: "3c:ec:ef:00:00:01", Path: "pci-0000:18:00.0", OnBoard: 1},
	{Name: "enp3s0", MAC: "52:54:00:00:00:01", Path: "pci-0000:03:00.0"},
}}

// render renders the site of a golden file; "waiting" is none.
func render(t *testing.T, name string) []provisioning.File {
	t.Helper()
	if name == "waiting" {
		return provisioning.Render(nil, machine)
	}
	site, problems := provisioning.Read(readFile(t, filepath.Join("testdata", name+".toml")))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return provisioning.Render(site, machine)
}

func TestRenderedFilesAreGolden(t *testing.T) {
	for _, name := range append(siteNames, "waiting") {
		t.Run(name, func(t *testing.T) {
			var got txtar.Archive
			for _, f := range render(t, name) {
				text := f.Text
				if f.Link != "" {
					text = "-> " + f.Link + "\n"
				}
				got.Files = append(got.Files, txtar.File{Name: f.Path, Data: []byte(text)})
			}
			path := filepath.Join("testdata", name+".txtar")
			if *update {
				if err := os.WriteFile(path, txtar.Format(&got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(readFile(t, path)), string(txtar.Format(&got))); diff != "" {
				t.Errorf("Render(%s) mismatch (-want +got); -update rewrites it:\n%s", name, diff)
			}
		})
	}
}

// Every rendered file lies in one of the folders that are cleared of leftovers, under a name that the clearing sees.
func TestFilesLieInTheirFolders(t *testing.T) {
	for _, name := range append(siteNames, "waiting") {
		seen := map[string]bool{}
		for _, f := range render(t, name) {
			pattern, ok := provisioning.Folders()[filepath.Dir(f.Path)+"/"]
			if match, _ := filepath.Match(pattern, filepath.Base(f.Path)); !ok || !match {
				t.Errorf("%s: %s is in no folder of ours", name, f.Path)
			}
			if seen[f.Path] {
				t.Errorf("%s: %s is rendered twice", name, f.Path)
			}
			seen[f.Path] = true
		}
	}
}

func TestSetupPort(t *testing.T) {
	board := func(n int, path string) provisioning.NIC { return provisioning.NIC{OnBoard: n, Path: path} }
	for _, tt := range []struct {
		name string
		nics []provisioning.NIC
		want string
	}{
		{"the lowest on board", []provisioning.NIC{board(0, "pci-0000:01:00.0"), board(3, "c"), board(2, "b")}, "b"},
		{"the first slot", []provisioning.NIC{board(0, "pci-0000:02:00.0"), board(0, "pci-0000:01:00.0")}, "pci-0000:01:00.0"},
		{"none", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nic, ok := provisioning.SetupPort(tt.nics)
			if nic.Path != tt.want || ok != (tt.want != "") {
				t.Errorf("SetupPort = %v %v, want %s", nic, ok, tt.want)
			}
		})
	}
}

// What a facility wrote never ends a line of a file by itself.
func TestNamesAreQuoted(t *testing.T) {
	for _, f := range render(t, "ports") {
		if strings.HasSuffix(f.Path, "bookingd.toml") && !strings.Contains(f.Text, `name = "Northgate \\ \"The Gate\" Prison"`) {
			t.Errorf("the facility's name is not quoted:\n%s", f.Text)
		}
	}
}
