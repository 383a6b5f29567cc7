package images_test

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/provisioning"
	"sallyport/provisioning/phases"
)

// TestFirstVisitHere takes a fresh appliance to its first confirmed visit, with its own units, first boot, rendered files
// and certificates, as processes of this machine; then it restarts everything and finds all of it again.
func TestFirstVisitHere(t *testing.T) {
	b := newBench(t)
	mails, relay := mailServer(t)
	b.provision(t, seedFor(t, relay))
	b.up(t)
	ca := x509.NewCertPool()
	if !ca.AppendCertsFromPEM([]byte(read(t, b.path("/var/lib/sallyport/secrets/authority.crt")))) {
		t.Fatal("first boot made no authority")
	}
	s := &site{mails: mails, claim: strings.TrimSpace(read(t, b.path("/var/lib/sallyport/booking/claim-code"))), doors: doorsOf(t, ca, b.reach)}
	s.firstVisit(t)
	t.Run("media answers in two zones", func(t *testing.T) {
		for _, zone := range []string{"wan0", "kiosk0"} {
			asksSTUN(t, zone, b.at[zone]+":50000")
		}
	})
	t.Run("restart keeps all", func(t *testing.T) {
		b.stop(t)
		b.up(t)
		s.still(t)
	})
}

// provision runs the phases of first boot and renders the site, in the folder that stands for the box.
func (b *bench) provision(t *testing.T, seed []byte) {
	t.Helper()
	write(t, b.path("/run/seed/site"), string(seed))
	m := phases.Here(slog.New(slog.DiscardHandler))
	m.State, m.Run, m.Credentials, m.Contained = b.path("/var/lib/sallyport"), b.path("/run/sallyport"), b.path("/run/seed"), true
	results, err := phases.Run(t.Context(), m, phases.List(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Logf("phase %-10s %-8s %s", r.Phase, r.State, r.Says)
		if r.State != phases.Done {
			t.Errorf("phase %s is %s: %s", r.Phase, r.State, r.Says)
		}
	}
	site, err := m.Ruling()
	if err != nil || site == nil {
		t.Fatalf("after first boot the site is %v (%v)", site, err)
	}
	b.addresses()
	for _, f := range provisioning.Render(site, provisioning.Facts{Host: "sallyport-test"}) {
		switch {
		case strings.HasPrefix(f.Path, "/run/sallyport/") && strings.HasSuffix(f.Path, ".toml"):
			write(t, b.path(f.Path), b.here(f.Text))
		case strings.HasSuffix(f.Path, ".socket"):
			b.linked = append(b.linked, filepath.Base(f.Path))
		}
	}
}

// addresses chooses a loopback address for each interface, of this run alone: the media port is the same number everywhere.
func (b *bench) addresses() {
	n := os.Getpid()
	for i, z := range []struct{ name, address string }{
		{"wan0", "10.0.2.15"}, {"kiosk0", "10.20.0.1"}, {"tablet0", "10.21.0.1"}, {"staff0", "10.1.30.5"}, {"mgmt0", "10.1.99.5"},
	} {
		here := fmt.Sprintf("127.%d.%d.%d", 64+n>>8&63, n&255, 10+i)
		b.at[z.name], b.at[z.address] = here, here
	}
	b.at["10.0.2.2"] = "127.0.0.1"
}

// up starts the daemons in the order of their units.
func (b *bench) up(t *testing.T) {
	t.Helper()
	for _, name := range []string{"bookingd.service", "gatewayd.service", "gatewayd-split.service"} {
		b.start(t, name, func(socket string) bool { return slices.Contains(b.linked, socket) })
	}
}

// reach dials a door where it listens now.
func (b *bench) reach(name string) dialer {
	return at(func() string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.open[map[string]string{
			"visitor": "https-visitor.socket", "kiosk": "https-kiosk.socket", "staff": "https-staff.socket", "setup": "bookingd-setup.socket",
		}[name]]
	})
}

// TestTwoBoxesShareNothing takes two machines through first boot with the same seed: whatever is secret, or names the box,
// differs in every file.
func TestTwoBoxesShareNothing(t *testing.T) {
	files := func() map[string]string {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "seed/site"), read(t, "testdata/site.toml"))
		m := phases.Here(slog.New(slog.DiscardHandler))
		m.State, m.Run, m.Credentials, m.Contained = filepath.Join(dir, "state"), filepath.Join(dir, "run"), filepath.Join(dir, "seed"), true
		if err := os.MkdirAll(m.Run, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := phases.Run(t.Context(), m, phases.List(), nil); err != nil {
			t.Fatal(err)
		}
		all := map[string]string{"site/hostname": read(t, filepath.Join(m.State, "site/hostname"))}
		for _, path := range found(t, filepath.Join(m.State, "secrets/*")) {
			all["secrets/"+filepath.Base(path)] = read(t, path)
		}
		return all
	}
	one, other := files(), files()
	if len(one) < 15 || len(one) != len(other) {
		t.Fatalf("first boot made %d and %d files", len(one), len(other))
	}
	for name, text := range one {
		if other[name] == text {
			t.Errorf("%s is the same in two boxes", name)
		}
	}
}
