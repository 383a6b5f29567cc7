package doortest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/access"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// An administrator sees how versions stand and has one installed; the box is asked for exactly that, and who asked is known.
func TestVersionIsInstalledByAnAdministratorsWord(t *testing.T) {
	h := Open(t)
	admin := h.EnterStaff("setup", access.StageFull, access.Administrator)
	body := admin.Must(t, 200, "GET", "/api/setup/versions", nil).Body
	for _, tt := range []struct {
		want any
		path []any
	}{
		{"1.4.0", []any{"running", "version"}},
		{"1.5.0", []any{"found", 0, "version"}},
		{"Quieter calls.", []any{"found", 0, "notes"}},
		{"health check doors", []any{"refused", 0, "why"}},
		{"02:00", []any{"rules", "window", "from"}},
	} {
		if got := dig(t, body, tt.path...); got != tt.want {
			t.Errorf("%v = %v, want %v", tt.path, got, tt.want)
		}
	}
	admin.Must(t, 200, "POST", "/api/setup/versions/1.5.0/install", nil)
	admin.Must(t, 200, "POST", "/api/setup/versions/1.4.5/clear", nil)
	admin.Must(t, 200, "POST", "/api/setup/versions/look", nil)
	want := []linkspec.VersionRequest{{Do: "install", Version: "1.5.0"}, {Do: "clear", Version: "1.4.5"}, {Do: "look"}}
	if diff := cmp.Diff(want, h.asked); diff != "" {
		t.Errorf("asked of the box (-want +got):\n%s", diff)
	}
	var verbs []string
	h.Update(func(tx *store.Tx) (err error) {
		verbs, err = store.All(tx, func(row *store.Rows) (verb string, err error) { return verb, row.Scan(&verb) },
			"SELECT verb || ' ' || subject FROM audit_row WHERE verb LIKE 'version.%' ORDER BY seq")
		return err
	})
	if diff := cmp.Diff([]string{"version.install 1.5.0", "version.clear 1.4.5", "version.look 1.4.0"}, verbs); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

// What may not be installed is refused with its own reason, and the box is not even asked.
func TestVersionsThatAreNotInstalled(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(v *linkspec.Versions)
		version string
		status  int
		code    string
	}{
		{"not there", nil, "1.9.0", 404, "update.gone"},
		{"no version", nil, "latest", 404, "not_found"},
		{"older", found("1.3.0", "update.older"), "1.3.0", 409, "update.older"},
		{"refused", found("1.5.0", "update.refused"), "1.5.0", 409, "update.refused"},
		{"of somebody else", found("", "signature.wrong"), "1.5.0", 404, "update.gone"},
		{"another one is being installed", work(linkspec.WorkUnpack), "1.5.0", 409, "update.busy"},
		{"the box starts anew", work(linkspec.WorkRestart), "1.5.0", 409, "update.busy"},
		{"it failed last time", work(linkspec.WorkFailed), "1.5.0", 200, ""},
		{"it waits for its start", func(v *linkspec.Versions) {
			v.Found, v.Trial = nil, &linkspec.VersionTrial{Version: "1.5.0", From: "1.4.0", Ready: true}
			v.Work = &linkspec.VersionWork{Version: "1.5.0", Step: linkspec.WorkStopped}
		}, "1.5.0", 200, ""},
		{"it was written in half", func(v *linkspec.Versions) {
			v.Found, v.Trial = nil, &linkspec.VersionTrial{Version: "1.5.0", From: "1.4.0"}
		}, "1.5.0", 404, "update.gone"},
		{"it runs, on trial", func(v *linkspec.Versions) {
			v.Running, v.Found, v.Trial = "1.5.0", nil, &linkspec.VersionTrial{Version: "1.5.0", From: "1.4.0", Ready: true}
		}, "1.5.0", 404, "update.gone"},
		{"no image", func(v *linkspec.Versions) { *v = linkspec.Versions{} }, "1.5.0", 503, "update.noImage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Open(t)
			if tt.change != nil {
				tt.change(&h.board)
			}
			admin := h.EnterStaff("setup", access.StageFull, access.Administrator)
			admin.Must(t, 200, "GET", "/api/setup/versions", nil)
			a := admin.Must(t, tt.status, "POST", "/api/setup/versions/"+tt.version+"/install", nil)
			if tt.code != "" && (a.Code() != tt.code || len(h.asked) > 0) || tt.code == "" && len(h.asked) != 1 {
				t.Errorf("%s, and the box was asked for %v", a.Raw, h.asked)
			}
		})
	}
}

// found is a box on which only this update lies, which it cannot take.
func found(version, code string) func(v *linkspec.Versions) {
	return func(v *linkspec.Versions) {
		v.Found = []linkspec.VersionFound{{Version: version, Code: code, Says: "No.", Params: map[string]any{"minimum": "1.4.0"}}}
	}
}

func work(step string) func(v *linkspec.Versions) {
	return func(v *linkspec.Versions) {
		v.Work = &linkspec.VersionWork{Version: "1.5.0", Step: step, At: v.At, Until: v.At.Add(time.Hour), Code: map[string]string{linkspec.WorkFailed: "update.space"}[step]}
	}
}

// A version is not changed by whoever finds the page open.
func TestVersionNeedsAFreshFactor(t *testing.T) {
	h := Open(t)
	admin := h.EnterStaff("setup", access.StageFull, access.Administrator)
	h.Site.Clock.Advance(5*time.Minute + time.Second)
	for _, path := range []string{"/api/setup/versions/1.5.0/install", "/api/setup/versions/1.4.5/clear"} {
		if a := admin.Must(t, 401, "POST", path, nil); a.Code() != "staff.stepUp" || len(h.asked) > 0 {
			t.Errorf("%s: %s", path, a.Raw)
		}
	}
}
