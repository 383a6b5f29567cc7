package phases

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

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

func TestSeedsMakeTheSite(t *testing.T) {
	text := sample(t)
	for _, tt := range []struct {
		name  string
		bring func(b *board)
		says  string // of the phase seed
		code  string // the same as a code
		want  string // its state
		site  string
	}{
		{"firmware", func(b *board) { b.write("credentials/site", text) }, "taken from the firmware", "", Done, Done},
		{"stick", func(b *board) { b.plug(map[string]string{"site.toml": text}) }, "unsigned", "", Done, Done},
		{"stick on USB, named a moment after its driver is there", func(b *board) {
			b.plug(map[string]string{"site.toml": text})
			b.unnamed()
		}, "taken from the stick SALLYPORT", "", Done, Done},
		{"stick goes first", func(b *board) {
			b.write("credentials/site", "nonsense")
			b.plug(map[string]string{"site.toml": text})
		}, "taken from the stick SALLYPORT", "", Done, Done},
		{"signed", func(b *board) {
			b.plug(map[string]string{"site.toml": text, "site.sig": string(b.signer.Sign(signature.Seed, []byte(text)))})
		}, "signed by the key current", "", Done, Done},
		{"wrong signature", func(b *board) {
			b.plug(map[string]string{"site.toml": text, "site.sig": string(b.signer.Sign(signature.Update, []byte(text)))})
		}, "refused: site.sig does not fit", "seed.signature", Waiting, Waiting},
		{"no site file on the stick", func(b *board) { b.plug(map[string]string{"readme": "x"}) }, "none", "", Done, Waiting},
		{"unknown key", func(b *board) { b.write("credentials/site", strings.Replace(text, "[dns]", "[dmz]", 1)) }, "dmz", "seed.site", Waiting, Waiting},
		{"huge", func(b *board) { b.write("credentials/site", strings.Repeat("#", maxSite+1)) }, "too large", "seed.large", Waiting, Waiting},
		{"link out of the stick", func(b *board) {
			b.plug(map[string]string{"readme": "x"})
			link(t, b.path("usr/keys/current.key"), b.path("stick-files/site.toml"))
		}, "escapes", "phase.failed", Waiting, Waiting},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard(t)
			b.disks()
			tt.bring(b)
			all := ran(t, b.boot(), List())
			r := all[Seed]
			if r.State != tt.want || !strings.Contains(r.Says, tt.says) || r.Code != tt.code {
				t.Errorf("seed: %s, %q, %s; want %s, %q, %s", r.State, r.Says, r.Code, tt.want, tt.says, tt.code)
			}
			// What has no words of its own comes as it is.
			if lines, _ := r.Params["lines"].(string); (tt.code == "phase.failed" || tt.code == "seed.site") && !strings.Contains(lines, tt.says) {
				t.Errorf("seed: %v has no lines about %s", r.Params, tt.says)
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
	if r := all[Secrets]; r.State != Failed || !strings.Contains(r.Says, "blob-key is damaged") || r.Code != "secrets.damaged" || r.Params["name"] != "blob-key" {
		t.Errorf("secrets: %+v", r)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "half" {
		t.Errorf("the damaged secret was replaced: %q, %v", text, err)
	}
	if r := all[Identity]; r.State != Blocked || r.Code != "phase.blocked" || r.Params["needs"] != Secrets || all[Seed].State != Done {
		t.Errorf("others: %v", states(all))
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

// Two boxes made from one image with one seed have no secret in common. (The recovery key is made by systemd.)
func TestTwoBoxesShareNoSecret(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"one", "other"} {
		b := newBoard(t)
		b.disks()
		b.write("credentials/site", sample(t))
		if r := ran(t, b.boot(), List())[Authority]; r.State != Done {
			t.Fatal(r.Says)
		}
		files, err := os.ReadDir(b.path("var/secrets"))
		if err != nil || len(files) < len(SecretNames())+len(TLSNames())+2 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, f := range files {
			text, err := os.ReadFile(b.path("var/secrets/" + f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := seen[string(text)]; ok {
				t.Errorf("%s of the %s box is %s", f.Name(), name, other)
			}
			seen[string(text)] = f.Name() + " of the " + name + " box"
		}
	}
}
