package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// ctl runs a command line.
func ctl(t *testing.T, args ...string) (code int, out, complaints string) {
	t.Helper()
	var o, c bytes.Buffer
	code = run(t.Context(), args, &o, &c)
	return code, o.String(), c.String()
}

func TestSiteCheckNamesFileLineAndKey(t *testing.T) {
	code, sample, _ := ctl(t, "site", "sample")
	if code != 0 {
		t.Fatalf("site sample ends with %d", code)
	}
	path := filepath.Join(t.TempDir(), "site.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(sample)
	if code, out, complaints := ctl(t, "site", "check", path); code != 0 || !strings.Contains(out, "Harbour County Jail") {
		t.Errorf("the sample: %d %s%s", code, out, complaints)
	}
	write(strings.Replace(sample, "vlan = 21", "vlann = 21", 1))
	code, out, complaints := ctl(t, "site", "check", path)
	above, _, found := strings.Cut(sample, "vlan = 21")
	if !found {
		t.Fatal("the sample has no tablet network to misspell")
	}
	line := 1 + strings.Count(above, "\n")
	if want := path + ":" + strconv.Itoa(line) + ": zone.tablet.vlann: there is no such key; write vlan\n"; code != exitFailed || !strings.Contains(out, want) {
		t.Errorf("a wrong key: %d, want %q in\n%s%s", code, want, out, complaints)
	}
}

func TestSiteRenderWritesTheFiles(t *testing.T) {
	_, sample, _ := ctl(t, "site", "sample")
	path, to := filepath.Join(t.TempDir(), "site.toml"), t.TempDir()
	if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, complaints := ctl(t, "site", "render", path, "--to", to)
	if code != 0 {
		t.Fatalf("%d %s", code, complaints)
	}
	for _, want := range []string{"/run/sallyport/bookingd.toml", "/run/systemd/network/50-kiosk0.network", "/run/sallyport/firewall/site.nft"} {
		if _, err := os.Stat(to + want); err != nil || !strings.Contains(out, to+want+"\n") {
			t.Errorf("%s: %v", want, err)
		}
	}
	// Without a site: what a box has that waits for one; nothing of the other site is left.
	if code, _, complaints := ctl(t, "site", "render", "--to", to); code != 0 {
		t.Fatalf("%d %s", code, complaints)
	}
	if _, err := os.Stat(to + "/run/sallyport/gatewayd.toml"); err == nil {
		t.Error("a box without a site has a gateway")
	}
}
