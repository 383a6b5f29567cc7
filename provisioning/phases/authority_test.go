package phases

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/authority"
)

func leafOf(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestCertificatesFollowTheSite(t *testing.T) {
	b := newBoard(t)
	b.disks()
	ran(t, b.boot(), List())
	key, err := os.ReadFile(b.path("var/secrets/authority.key"))
	if err != nil {
		t.Fatal(err)
	}
	b.write("credentials/site", sample(t))
	ran(t, b.boot(), List())
	for file, name := range map[string]string{
		"tls-visitor": "visit.harbour.example", "tls-kiosk": "kiosk.harbour.internal", "tls-turn": "turn.harbour.example", "tls-setup": "10.1.99.5",
	} {
		if err := leafOf(t, b.path("var/secrets/"+file)).VerifyHostname(name); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	m := b.boot()
	a, err := m.openAuthority()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(b.path("var/secrets/authority.key")); err != nil || string(again) != string(key) {
		t.Error("the key of the authority changed with the names")
	}
	before := leafOf(t, b.path("var/secrets/tls-kiosk"))
	b.clock.Advance(59 * 24 * time.Hour)
	ran(t, b.boot(), List())
	if !leafOf(t, b.path("var/secrets/tls-kiosk")).Equal(before) {
		t.Error("a leaf with 31 days left was made again")
	}
	b.clock.Advance(2 * 24 * time.Hour)
	ran(t, b.boot(), List())
	if leafOf(t, b.path("var/secrets/tls-kiosk")).Equal(before) {
		t.Error("a leaf with 29 days left was not made again")
	}
	if now, err := b.boot().openAuthority(); err != nil || !now.Certificate.Equal(a.Certificate) {
		t.Error("the authority was made again with its leaves")
	}
}

// A certificate that the facility brings is used for its names, and the local authority for all others; one that is not good
// is named, and the door goes on with the local one.
func TestCertificatesThatAreBrought(t *testing.T) {
	b := newBoard(t)
	b.disks()
	text := strings.Replace(sample(t), `certificate = "local"`, `certificate = "file"`, 1)
	if text == sample(t) {
		t.Fatal("the sample has no certificate to change")
	}
	key, err := authority.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	public := authority.Names{DNS: []string{"visit.harbour.example", "media.harbour.example", "turn.harbour.example"}}
	a, err := authority.New(key, "Public", public, start)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := a.Leaf(public, start)
	if err != nil {
		t.Fatal(err)
	}
	b.plug(map[string]string{"site.toml": text, "certificates/internet.pem": string(leaf)})
	if r := ran(t, b.boot(), List())[Authority]; r.State != Done {
		t.Fatalf("authority: %+v", r)
	}
	for _, name := range []string{"tls-visitor", "tls-turn", "tls-media"} {
		if err := leafOf(t, b.path("var/secrets/"+name)).CheckSignatureFrom(a.Certificate); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	media, err := os.ReadFile(b.path("var/secrets/tls-media"))
	if err != nil || strings.Count(string(media), "PRIVATE KEY") != 4 {
		t.Errorf("tls-media has not two keys: %v", err)
	}
	if err := leafOf(t, b.path("var/secrets/tls-kiosk")).CheckSignatureFrom(a.Certificate); err == nil {
		t.Error("the public authority vouches for kiosks")
	}
	b.clock.Advance(91 * 24 * time.Hour)
	r := ran(t, b.boot(), List())[Authority]
	if r.State != Waiting || !strings.Contains(r.Says, "certificates/internet.pem on the seed stick: it ended on 2026-05-31") {
		t.Errorf("after its end: %+v", r)
	}
	if err := leafOf(t, b.path("var/secrets/tls-visitor")).CheckSignatureFrom(a.Certificate); err == nil {
		t.Error("a certificate that has ended is shown on")
	}
}

func TestRenewedCertificatesAreShown(t *testing.T) {
	b := newBoard(t)
	b.disks()
	b.clock.Step(time.Now())
	ran(t, b.boot(), List())
	m := b.boot()
	tool := m.Tool
	since := map[string]time.Time{"bookingd.service": time.Now().Add(time.Minute), "gatewayd.service": time.Now().Add(time.Minute)}
	var restarted []string
	m.Tool = func(ctx context.Context, in []byte, name string, args ...string) ([]byte, error) {
		unit := args[len(args)-1]
		switch args[0] {
		case "show":
			if since[unit].IsZero() {
				return []byte("\n"), nil
			}
			return []byte(fmt.Sprintf("@%d\n", since[unit].Unix())), nil
		case "try-restart":
			restarted = append(restarted, unit)
			return nil, nil
		}
		return tool(ctx, in, name, args...)
	}
	seats := "1"
	m.Link = gauges(t, func() string { return linkspec.MetricSeats + " " + seats + "\n" })
	for _, tt := range []struct {
		name  string
		since time.Duration // before now, of both daemons
		away  bool
		seats string
		want  []string
	}{
		{"started after they were made", -time.Minute, false, "0", nil},
		{"a call runs", 24 * time.Hour, false, "1", []string{"bookingd.service"}},
		{"nobody is in a call", 24 * time.Hour, false, "0", []string{"bookingd.service", "gatewayd.service"}},
		{"a call runs, and the end is near", 28 * 24 * time.Hour, false, "1", []string{"bookingd.service", "gatewayd.service"}},
		{"nothing runs", 0, true, "0", nil},
	} {
		restarted, seats = nil, tt.seats
		for unit := range since {
			since[unit] = time.Now().Add(-tt.since)
			if tt.away {
				since[unit] = time.Time{}
			}
		}
		if err := Renew(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, restarted); diff != "" {
			t.Errorf("%s: restarted mismatch (-want +got):\n%s", tt.name, diff)
		}
	}
}

// gauges is a link that tells metrics and nothing else.
func gauges(t *testing.T, text func() string) *linkclient.Client {
	t.Helper()
	path := filepath.Join(memory(t), "link.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text()) })}
	done := make(chan struct{})
	go func() { _ = srv.Serve(ln); close(done) }()
	link := linkclient.Dial(path)
	t.Cleanup(func() { link.Close(); _ = srv.Close(); <-done })
	return link
}
