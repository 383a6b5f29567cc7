package phases

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/authority"
	"sallyport/provisioning/signature"
)

func deviceOf(t *testing.T, path string) (major, minor uint32) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return unix.Major(st.Dev), unix.Minor(st.Dev)
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, at); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
}

// allDone is how a box stands that has everything but somebody who wrote the recovery key down.
var allDone = map[string]string{
	Disk: Done, Secrets: Done, Identity: Done, Seed: Done, Site: Done, Authority: Done, Recovery: Waiting,
}

func TestFirstBootWithoutASeedWaits(t *testing.T) {
	b := newBoard(t)
	b.disks()
	all := ran(t, b.boot(), List())
	want := map[string]string{Disk: Done, Secrets: Done, Identity: Done, Seed: Done, Site: Waiting, Authority: Done, Recovery: Waiting}
	if diff := cmp.Diff(want, states(all)); diff != "" {
		t.Fatalf("phases mismatch (-want +got):\n%s\n%+v", diff, all)
	}
	if !strings.Contains(all[Site].Says, "stick with the label SALLYPORT") {
		t.Errorf("the site phase does not say what to do: %s", all[Site].Says)
	}
	host := all[Identity].Says
	leaf := leafOf(t, b.path("var/secrets/tls-setup"))
	if err := leaf.VerifyHostname(host); err != nil || !strings.HasPrefix(host, "sallyport-") {
		t.Errorf("host name %q: %v", host, err)
	}
	for _, name := range slices.Concat(SecretNames(), TLSNames(), []string{authorityKey}) {
		info, err := os.Stat(b.path("var/secrets/" + name))
		if err != nil || info.Mode().Perm() != 0o400 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	written, err := Read(b.path("run"))
	if err != nil || len(written) != len(List()) {
		t.Errorf("%d results are written down, %v", len(written), err)
	}
	for _, r := range written {
		for _, secret := range []string{b.slots[0]} {
			if strings.Contains(r.Says, secret) {
				t.Errorf("%s tells the recovery key", r.Phase)
			}
		}
	}
}

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

func TestSeedsMakeTheSite(t *testing.T) {
	text := sample(t)
	for _, tt := range []struct {
		name  string
		bring func(b *board)
		says  string // of the phase seed
		want  string // its state
		site  string
	}{
		{"firmware", func(b *board) { b.write("credentials/site", text) }, "taken from the firmware", Done, Done},
		{"stick", func(b *board) { b.plug(map[string]string{"site.toml": text}) }, "unsigned", Done, Done},
		{"stick goes first", func(b *board) {
			b.write("credentials/site", "nonsense")
			b.plug(map[string]string{"site.toml": text})
		}, "taken from the stick SALLYPORT", Done, Done},
		{"signed", func(b *board) {
			b.plug(map[string]string{"site.toml": text, "site.sig": string(b.signer.Sign(signature.Seed, []byte(text)))})
		}, "signed by the key current", Done, Done},
		{"wrong signature", func(b *board) {
			b.plug(map[string]string{"site.toml": text, "site.sig": string(b.signer.Sign(signature.Update, []byte(text)))})
		}, "refused: site.sig does not fit", Failed, Waiting},
		{"no site file on the stick", func(b *board) { b.plug(map[string]string{"readme": "x"}) }, "none", Done, Waiting},
		{"unknown key", func(b *board) { b.write("credentials/site", strings.Replace(text, "[dns]", "[dmz]", 1)) }, "dmz", Failed, Waiting},
		{"huge", func(b *board) { b.write("credentials/site", strings.Repeat("#", maxSite+1)) }, "too large", Failed, Waiting},
		{"link out of the stick", func(b *board) {
			b.plug(map[string]string{"readme": "x"})
			link(t, b.path("usr/keys/current.key"), b.path("stick-files/site.toml"))
		}, "escapes", Failed, Waiting},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard(t)
			b.disks()
			tt.bring(b)
			all := ran(t, b.boot(), List())
			if r := all[Seed]; r.State != tt.want || !strings.Contains(r.Says, tt.says) {
				t.Errorf("seed: %s, %q; want %s, %q", r.State, r.Says, tt.want, tt.says)
			}
			if r := all[Site]; r.State != tt.site {
				t.Errorf("site: %s, %q", r.State, r.Says)
			}
			if b.mounted {
				t.Error("the stick is still mounted")
			}
			if all[Authority].State != Done {
				t.Errorf("authority: %s", all[Authority].Says)
			}
		})
	}
}

func TestASeedIsTakenOnce(t *testing.T) {
	b := newBoard(t)
	b.disks()
	b.write("credentials/site", sample(t))
	ran(t, b.boot(), List())
	changed := strings.Replace(sample(t), "Harbour County Jail", "Harbour Jail", 1)
	b.write("var/site/site.toml", changed)
	if r := ran(t, b.boot(), List())[Site]; r.Says != "Harbour Jail" {
		t.Errorf("the firmware's old seed has undone a change: %q", r.Says)
	}
	b.write("var/"+ClaimedFile, "")
	b.write("credentials/site", strings.Replace(sample(t), "Harbour County Jail", "Mallory's Jail", 1))
	all := ran(t, b.boot(), List())
	if all[Site].Says != "Harbour Jail" || !strings.Contains(all[Seed].Says, "ignored") {
		t.Errorf("an unsigned seed after the claim: %q, site %q", all[Seed].Says, all[Site].Says)
	}
	b.plug(map[string]string{"site.toml": changed, "site.sig": string(b.signer.Sign(signature.Seed, []byte(changed)))})
	if r := ran(t, b.boot(), List())[Seed]; !strings.Contains(r.Says, "signed by the key current") {
		t.Errorf("a signed seed after the claim: %q", r.Says)
	}
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

func TestDamagedSecretIsNeverMadeAgain(t *testing.T) {
	b := newBoard(t)
	b.disks()
	ran(t, b.boot(), List())
	path := b.path("var/secrets/blob-key")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	b.write("var/secrets/blob-key", "half")
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	all := ran(t, b.boot(), List())
	if r := all[Secrets]; r.State != Failed || !strings.Contains(r.Says, "blob-key is damaged") {
		t.Errorf("secrets: %+v", r)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "half" {
		t.Errorf("the damaged secret was replaced: %q, %v", text, err)
	}
	if all[Identity].State != Blocked || all[Seed].State != Done {
		t.Errorf("others: %v", states(all))
	}
}

func TestRecoveryKeyIsShownUntilWrittenDown(t *testing.T) {
	b := newBoard(t)
	b.disks()
	m := b.boot()
	ran(t, m, List())
	first := m.RecoveryKey()
	if first == "" || first != b.slots[0] {
		t.Fatalf("the console shows %q", first)
	}
	m = b.boot()
	if r := ran(t, m, List())[Recovery]; r.State != Waiting || m.RecoveryKey() == first || len(b.slots) != 1 {
		t.Errorf("second boot: %+v, %d keys", r, len(b.slots))
	}
	key := m.RecoveryKey()
	if err := m.Confirm(t.Context(), "cdefghij cdefghij"); !fault.Is(err, fault.Invalid) {
		t.Errorf("wrong groups: %v", err)
	}
	if err := m.Confirm(t.Context(), strings.ToUpper(key[:8]+" "+key[len(key)-8:])); err != nil {
		t.Fatal(err)
	}
	if m.RecoveryKey() != "" {
		t.Error("the key is shown on")
	}
	m = b.boot()
	if r := ran(t, m, List())[Recovery]; r.State != Done || b.slots[0] != key {
		t.Errorf("after it was written down: %+v", r)
	}
	if err := filepath.WalkDir(b.path("var"), func(path string, _ os.DirEntry, err error) error {
		if text, rerr := os.ReadFile(path); rerr == nil && strings.Contains(string(text), key) {
			t.Errorf("the key is in %s", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	// Somebody claims a box and says nothing about its key: it is not shown to those who come later.
	if err := os.Remove(b.path("var/provision/" + confirmedFile)); err != nil {
		t.Fatal(err)
	}
	b.write("var/"+ClaimedFile, "")
	m = b.boot()
	if r := ran(t, m, List())[Recovery]; r.State != Waiting || m.RecoveryKey() != "" || b.slots[0] != key {
		t.Errorf("claimed, not confirmed: %+v", r)
	}
	if err := m.Confirm(t.Context(), strings.Replace(key, "-", "-x", 1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a wrong key: %v", err)
	}
	if err := m.Confirm(t.Context(), key); err != nil {
		t.Error(err)
	}
	if r := ran(t, b.boot(), List())[Recovery]; r.State != Done {
		t.Errorf("confirmed later: %+v", r)
	}
	b.sealed = false
	if r := ran(t, b.boot(), List())[Recovery]; r.State != Done || !strings.Contains(r.Says, "passphrase") {
		t.Errorf("without a TPM: %+v", r)
	}
}

func TestDataOnAnotherDisk(t *testing.T) {
	b := newBoard(t)
	b.disks()
	b.write("sys/devices/sdb/sdb1/uevent", "PARTNAME="+varName+"\n")
	link(t, b.path("sys/devices/sdb/sdb1"), b.path("sys/class/block/sdb1"))
	all := ran(t, b.boot(), List())
	if r := all[Disk]; r.State != Failed || !strings.Contains(r.Says, "Two disks") {
		t.Errorf("disk: %+v", r)
	}
	if all[Secrets].State != Blocked {
		t.Error("secrets were made on a disk that may be somebody else's")
	}
}

func TestClockThatWentBack(t *testing.T) {
	b := newBoard(t)
	m := b.boot()
	list := slices.DeleteFunc(Late(), func(p Phase) bool { return p.Name != Clock })
	if r := ran(t, m, list)[Clock]; r.State != Done {
		t.Fatalf("clock: %+v", r)
	}
	b.clock.Step(start.Add(-48 * time.Hour))
	if r := ran(t, m, list)[Clock]; r.State != Waiting || !strings.Contains(r.Says, "has already seen") {
		t.Errorf("a clock two days behind: %+v", r)
	}
	b.clock.Step(start.Add(48 * time.Hour))
	m.Synchronised = func() bool { return false }
	if r := ran(t, m, list)[Clock]; r.State != Waiting || !strings.Contains(r.Says, "not checked") {
		t.Errorf("without a time server: %+v", r)
	}
}

func TestResultsOfLaterPhasesJoinTheOthers(t *testing.T) {
	b := newBoard(t)
	b.disks()
	m := b.boot()
	ran(t, m, List())
	one := []Phase{{Name: Clock, Done: func(context.Context, *Machine) (string, error) { return "fine", nil }, Do: nothing}}
	for range 2 {
		ran(t, m, one)
	}
	raw, err := os.ReadFile(b.path("run/" + ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	var all []Result
	if err := json.Unmarshal(raw, &all); err != nil || len(all) != len(List())+1 {
		t.Errorf("%d results, %v", len(all), err)
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
