package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/unit"
	"sallyport/provisioning/phases"
	"sallyport/provisioning/roster"
)

const harbour = `
[facility]
id = "harbour"
name = "Harbour County Jail"
kind = "prison"
zone = "America/Chicago"
languages = ["es", "en"]
currency = "USD"
preset = "county-jail"
`

// partsOf asks for the parts by name.
func partsOf(t *testing.T, b running) map[string]linkspec.Part {
	t.Helper()
	var s linkspec.Status
	if err := b.link.Get(t.Context(), linkspec.RouteStatus, &s); err != nil {
		t.Fatal(err)
	}
	all := map[string]linkspec.Part{}
	for _, p := range s.Parts {
		all[p.Name] = p
	}
	return all
}

func TestTheSiteFileFoundsTheFacilityOnce(t *testing.T) {
	state := t.TempDir()
	b := start(t, state, harbour)
	if p := partsOf(t, b)["setup"]; p.State != "ok" || p.Detail != "Harbour County Jail" {
		t.Errorf("setup: %+v", p)
	}
	s := open(t, b.base["setup"]).must(200, "GET", "/api/setup/state", nil)
	f := s["facility"].(map[string]any)
	if f["name"] != "Harbour County Jail" || f["kind"] != "prison" || f["country"] != "US" || f["zone"] != "America/Chicago" || s["preset"] != "county-jail" {
		t.Errorf("facility: %v, preset %v", f, s["preset"])
	}
	if err := b.end(); err != nil {
		t.Fatal(err)
	}
	// Somebody at the box names it otherwise in the file: the database is what counts by then.
	b = start(t, state, strings.ReplaceAll(harbour, "Harbour County Jail", "Other Jail"))
	if p := partsOf(t, b)["setup"]; p.Detail != "Harbour County Jail" {
		t.Errorf("setup after another file: %+v", p)
	}
}

func TestTheSeedsRosterBringsItsUnits(t *testing.T) {
	b := start(t, t.TempDir(), harbour)
	var r linkspec.RosterReport
	for _, want := range []struct{ added, same int }{{120, 0}, {0, 120}} {
		if err := b.link.Post(t.Context(), linkspec.RouteRoster+"?source=seed", roster.Sample, &r); err != nil {
			t.Fatal(err)
		}
		if r.New != want.added || r.Same != want.same || len(r.Quarantined) != 0 {
			t.Errorf("roster: %+v, want %+v", r, want)
		}
	}
	if err := b.link.Post(t.Context(), linkspec.RouteRoster, []byte(strings.ReplaceAll(string(roster.Sample), "A Wing", "C Wing")), &r); err != nil || len(r.Quarantined) == 0 {
		t.Errorf("an operator's roster makes units: %+v, %v", r, err)
	}
}

func TestFirstBootIsPartOfHealth(t *testing.T) {
	state, run := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(run, phases.ResultsFile), []byte(`[
		{"phase":"disk","state":"failed","says":"The disk is full."},{"phase":"identity","state":"done","says":"11"},
		{"phase":"clock","state":"waiting","says":"not checked","code":"clock.unchecked"},
		{"phase":"secrets","state":"failed","says":"damaged","code":"secrets.damaged","params":{"name":"blob-key"}},{"phase":"database","state":"failed","says":"old news"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, state, "[facility]\nphases = \""+run+"\"")
	all := partsOf(t, b)
	for name, want := range map[string]string{"first boot": "ok", "first boot: disk": "down", "first boot: clock": "warn", "first boot: database": "", "first boot: identity": "", "administrator": "warn"} {
		if got := all[name].State; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"database": "database.ok", "setup": "setup.missing", "administrator": "administrator.none", "gatewayd": "gateway.never", "syncd": "sync.alone", "disk": "disk.free",
		"first boot": "boot.done", "first boot: disk": "", "first boot: clock": "clock.unchecked", "first boot: secrets": "secrets.damaged",
	} {
		if got := all[name].Code; got != want {
			t.Errorf("%s says %q, want %q", name, got, want)
		}
	}
	if got := all["first boot: secrets"].Params["name"]; got != "blob-key" {
		t.Errorf("the damaged secret is called %v", got)
	}
	if p := all["first boot"].Params; p["n"] != 1.0 || p["of"] != 5.0 {
		t.Errorf("the first boot counts %v", p)
	}
}

func TestBadFoundationNamesTheKey(t *testing.T) {
	for key, change := range map[string][2]string{
		"facility.zone":         {"America/Chicago", "Mars/Olympus"},
		"facility.kind":         {`kind = "prison"`, `kind = "castle"`},
		"facility.preset":       {"county-jail", "none"},
		"facility.languages":    {`"es"`, `"fr"`},
		"facility.claim_sha256": {"[facility]", "[facility]\nclaim_sha256 = \"12\""},
	} {
		cfg := defaults()
		path := filepath.Join(t.TempDir(), "bookingd.toml")
		if err := os.WriteFile(path, []byte(strings.Replace(harbour, change[0], change[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unit.Config(path, &cfg); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
