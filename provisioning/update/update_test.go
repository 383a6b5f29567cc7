package update_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/bundle"
	"sallyport/provisioning/bundle/bundletest"
	"sallyport/provisioning/durable"
	"sallyport/provisioning/update"
)

func TestJudge(t *testing.T) {
	running := bundletest.Release(t, "1.4.0", 13)
	refused := update.State{Refused: []update.Refusal{{Version: version(t, "1.6.0"), At: noon, Why: "bookingd does not answer"}}}
	for _, tt := range []struct {
		name, version string
		change        func(r *bundle.Release)
		code, says    string
	}{
		{"next", "1.5.0", nil, "", ""},
		{"same", "1.4.0", nil, "update.same", "1.4.0"},
		{"older", "1.3.9", nil, "update.older", "1.4.0"},
		{"refused", "1.6.0", nil, "update.refused", "bookingd does not answer"},
		{"too far", "2.0.0", func(r *bundle.Release) { r.Minimum = version(t, "1.9.0") }, "update.minimum", "Install 1.9.0 first"},
		{"below the floor", "1.5.0", func(r *bundle.Release) { r.Floor = 0 }, "update.floor", "floor 0"},
		{"higher floor", "1.5.0", func(r *bundle.Release) { r.Floor = 2 }, "", ""},
		{"next schema", "1.5.0", func(r *bundle.Release) { r.Schema, r.Reads = 14, [2]int{13, 14} }, "", ""},
		{"schema without a way back", "1.5.0", func(r *bundle.Release) { r.Schema, r.Reads = 15, [2]int{14, 15} }, "update.schema", "no way back"},
		{"schema of the past", "1.5.0", func(r *bundle.Release) { r.Schema, r.Reads = 12, [2]int{12, 12} }, "update.schema", "level 13"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next := bundletest.Release(t, tt.version, 13)
			if tt.change != nil {
				tt.change(&next)
			}
			err := update.Judge(next, running, refused)
			if tt.code == "" {
				if err != nil {
					t.Errorf("Judge = %v", err)
				}
				return
			}
			if fault.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Judge = %v, want %s with %q", err, tt.code, tt.says)
			}
		})
	}
}

func TestGoodUpdate(t *testing.T) {
	b := newBox(t, "1.4.0")
	b.settle()
	path := b.bring("1.5.0")
	b.bring("1.4.0")
	all, err := b.Find(b.Folders()...)
	if err != nil || len(all) != 2 || all[0].Err != nil || fault.CodeOf(all[1].Err) != "update.same" {
		t.Fatalf("Find = %+v, %v", all, err)
	}
	newest, err := update.Newest(all)
	if err != nil || newest.Path != path {
		t.Fatalf("Newest = %+v, %v", newest, err)
	}
	b.install(newest.Path)
	if s := b.state(); s.Trial == nil || !s.Trial.Installed || s.Trial.From.String() != "1.4.0" || s.Current.String() != "1.4.0" {
		t.Errorf("after the install: %+v", s)
	}
	says(t, b.settle(), "starts next") // the same version, once more before the restart
	b.runs("1.5.0")
	b.tries("1.5.0", "+1-1")
	says(t, b.settle(), "on trial")
	b.tries("1.5.0", "")
	said, err := b.Keep()
	if err != nil {
		t.Fatal(err)
	}
	says(t, said, "1.5.0 is kept")
	s := b.state()
	if s.Trial != nil || s.Current.String() != "1.5.0" || s.Previous.String() != "1.4.0" || len(s.Refused) != 0 {
		t.Errorf("at the end: %+v", s)
	}
	says(t, strings.Join(s.Lines(), "\n"), "version before, 1.4.0, is in the other slot")
	for _, gone := range []string{path, filepath.Join(b.State, "ready")} {
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("%s is left", gone)
		}
	}
	says(t, b.settle(), "")
}

func TestBadUpdateIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		live func(b *box) // the life of 1.5.0 until 1.4.0 is back
		why  string
	}{
		{"its health fails twice", func(b *box) {
			for _, counter := range []string{"+1-1", "+0-2"} {
				b.tries("1.5.0", counter)
				b.settle()
				if _, err := b.Fail("bookingd does not answer"); err != nil {
					t.Fatal(err)
				}
			}
		}, "bookingd does not answer"},
		{"its health fails once and it hangs then", func(b *box) {
			b.tries("1.5.0", "+1-1")
			b.settle()
			if _, err := b.Fail(""); err != nil {
				t.Fatal(err)
			}
			b.tries("1.5.0", "+0-2")
		}, "health check failed"},
		{"it dies before it says anything", func(b *box) { b.tries("1.5.0", "+0-2") }, "did not start"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t, "1.4.0")
			b.settle()
			path := b.bring("1.5.0")
			b.install(path)
			b.runs("1.5.0")
			tt.live(b)
			b.runs("1.4.0")
			b.settle()
			if why := b.refused("1.5.0"); !strings.Contains(why, tt.why) {
				t.Fatalf("refused for %q, want %q", why, tt.why)
			}
			if s := b.state(); s.Trial != nil || s.Current.String() != "1.4.0" {
				t.Errorf("state %+v", s)
			}
			says(t, strings.Join(b.state().Lines(), "\n"), "Version 1.5.0 was refused on 2026-11-22: ")
			if _, err := b.Install(t.Context(), path); fault.CodeOf(err) != "update.refused" {
				t.Errorf("it is installed again: %v", err)
			}
			if len(b.wrote) != 1 {
				t.Errorf("written %v", b.wrote)
			}
			// The file stays, so that an administrator can clear the refusal; and then it has its tries again.
			if err := b.Clear(version(t, "1.5.0")); err != nil {
				t.Fatal(err)
			}
			b.install(path)
			if got := b.entry("1.5.0"); got != "sallyport_1.5.0+2.efi" {
				t.Errorf("the loader has %s", got)
			}
		})
	}
}

// A first try may fail for a reason that is gone at the second one.
func TestSecondTryIsGood(t *testing.T) {
	b := newBox(t, "1.4.0")
	b.install(b.bring("1.5.0"))
	b.runs("1.5.0")
	b.tries("1.5.0", "+1-1")
	b.settle()
	said, err := b.Fail("the disk is slow")
	if err != nil || strings.Contains(said, "refused") {
		t.Fatalf("Fail = %q, %v", said, err)
	}
	b.tries("1.5.0", "+0-2")
	b.settle()
	if _, err := b.Keep(); err != nil {
		t.Fatal(err)
	}
	if s := b.state(); s.Current.String() != "1.5.0" || s.Trial != nil || len(s.Refused) > 0 {
		t.Errorf("state %+v", s)
	}
}

// Loss of power says nothing about a version, once.
func TestInterruptedTrial(t *testing.T) {
	b := newBox(t, "1.4.0")
	path := b.bring("1.5.0")
	for round, want := range []string{"", "twice without a verdict"} {
		b.install(path)
		b.runs("1.5.0")
		b.tries("1.5.0", "+1-1")
		b.settle()
		b.tries("1.5.0", "+0-2")
		b.runs("1.4.0")
		b.settle()
		if why := b.refused("1.5.0"); want == "" && why != "" || !strings.Contains(why, want) {
			t.Errorf("round %d: refused for %q, want %q", round, why, want)
		}
	}
}

// A version with a good verdict is not given up for a fault of a later day.
func TestOnlyATrialFails(t *testing.T) {
	b := newBox(t, "1.4.0")
	b.settle()
	if _, err := b.Fail("the disk is full"); !fault.Is(err, fault.NotFound) {
		t.Errorf("Fail = %v", err)
	}
	if why := b.refused("1.4.0"); why != "" {
		t.Errorf("refused for %q", why)
	}
	if err := b.Refuse(version(t, "1.4.0"), "I do not like it"); err != nil && !fault.Is(err, fault.Conflict) {
		t.Errorf("Refuse = %v", err)
	}
	if got := b.entry("1.4.0"); got != "sallyport_1.4.0.efi" {
		t.Errorf("the loader has %s", got)
	}
}

// An administrator may refuse what is installed and has not started yet.
func TestRefuseBeforeTheStart(t *testing.T) {
	b := newBox(t, "1.4.0")
	b.install(b.bring("1.5.0"))
	if err := b.Refuse(version(t, "1.5.0"), "not today"); err != nil {
		t.Fatal(err)
	}
	if got := b.entry("1.5.0"); got != "sallyport_1.5.0+0-1.efi" {
		t.Errorf("the loader has %s", got)
	}
	if err := b.Clear(version(t, "1.6.0")); !fault.Is(err, fault.NotFound) {
		t.Errorf("Clear of what is not refused = %v", err)
	}
}

// Wherever the power goes during an install, the state can be read, and the same command completes it.
func TestInstallCutAnywhere(t *testing.T) {
	observed, steps := cutAt(0)
	whole := newBox(t, "1.4.0")
	whole.Disk = observed
	path := whole.bring("1.5.0")
	whole.install(path)
	total := *steps
	if total < 10 {
		t.Fatalf("an install has %d steps only: the disk is not watched", total)
	}
	for n := 1; n <= total; n++ {
		b := newBox(t, "1.4.0")
		b.Disk, _ = cutAt(n)
		if _, err := b.Install(t.Context(), path); !errors.Is(err, errCut) {
			t.Fatalf("cut at %d of %d: %v", n, total, err)
		}
		b.Disk = &durable.Disk{}
		b.settle()
		if len(b.state().Refused) > 0 {
			t.Fatalf("cut at %d: an install that was cut is taken for a version that failed", n)
		}
		b.install(path)
		if s := b.state(); s.Trial == nil || !s.Trial.Installed || b.entry("1.5.0") != "sallyport_1.5.0+2-0.efi" {
			t.Fatalf("cut at %d: %+v, %s", n, s, b.entry("1.5.0"))
		}
	}
}

// What a cut try has unpacked is used again only when every byte of it is right.
func TestUnpackedAgainWhenItDiffers(t *testing.T) {
	b := newBox(t, "1.4.0")
	path := b.bring("1.5.0")
	b.Sysupdate = func(context.Context, bundle.Version) error { return errCut }
	steps := map[string]int{}
	b.Tell = func(step string, _ int) { steps[step]++ }
	if _, err := b.Install(t.Context(), path); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	first := steps["unpack"]
	roots, err := filepath.Glob(filepath.Join(b.State, "ready/*.root-x86-64.*.raw"))
	if err != nil || len(roots) != 1 {
		t.Fatalf("%v, %v", roots, err)
	}
	b.Sysupdate = b.sysupdate
	b.install(path)
	if steps["unpack"] != first+1 {
		t.Errorf("told %d times of unpacking, want %d: whole parts were unpacked again", steps["unpack"], first+1)
	}
	f, err := os.OpenFile(roots[0], os.O_RDWR, 0)
	b.must(err)
	_, err = f.WriteAt([]byte{0}, 1000)
	b.must(errors.Join(err, f.Close()))
	b.install(path)
	if steps["unpack"] < 2*first {
		t.Errorf("told %d times of unpacking: a damaged part was used", steps["unpack"])
	}
}

func TestBadFilesChangeNothing(t *testing.T) {
	b := newBox(t, "1.4.0")
	path := b.bring("1.5.0")
	good, err := os.ReadFile(path)
	b.must(err)
	for _, tt := range []struct {
		name string
		raw  []byte
		code string
	}{
		{"cut in the middle", good[:len(good)/2], "update.truncated"},
		{"flipped", append(append([]byte{}, good[:len(good)-20_000]...), append([]byte{good[len(good)-20_000] ^ 1}, good[len(good)-19_999:]...)...), "update.damaged"},
		{"unsigned", append(append([]byte{}, good[:600]...), append([]byte{good[600] ^ 1}, good[601:]...)...), "signature.wrong"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := filepath.Join(t.TempDir(), "bad.upd")
			b.must(os.WriteFile(bad, tt.raw, 0o600))
			if _, err := b.Install(t.Context(), bad); fault.CodeOf(err) != tt.code {
				t.Errorf("Install = %v, want %s", err, tt.code)
			}
			if len(b.wrote) > 0 || b.state().Trial != nil || b.entry("1.5.0") != "" {
				t.Error("something was installed")
			}
			for _, name := range []string{"ready", "ready.new"} {
				if _, err := os.Stat(filepath.Join(b.State, name)); err == nil {
					t.Errorf("%s is left", name)
				}
			}
		})
	}
}

func TestOneAtATime(t *testing.T) {
	b := newBox(t, "1.4.0")
	path := b.bring("1.5.0")
	b.Snapshot = func(ctx context.Context, _ bundle.Version) error {
		_, err := b.Install(ctx, path)
		return err
	}
	if _, err := b.Install(t.Context(), path); fault.CodeOf(err) != "update.busy" {
		t.Errorf("an install during an install = %v", err)
	}
}

func TestDamagedStateStopsUpdates(t *testing.T) {
	b := newBox(t, "1.4.0")
	path := b.bring("1.5.0")
	b.must(os.WriteFile(filepath.Join(b.State, "state.json"), []byte(`{"refused":`), 0o600))
	if _, err := b.Install(t.Context(), path); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Install = %v", err)
	}
}

func TestBringFromAStick(t *testing.T) {
	b := newBox(t, "1.4.0")
	stick := t.TempDir()
	if _, err := b.Bring(t.Context(), stick); !fault.Is(err, fault.NotFound) {
		t.Errorf("an empty stick: %v", err)
	}
	good := bundletest.Pack(t, stick, bundletest.Release(t, "1.5.0", 13), b.key)
	bundletest.Pack(t, stick, bundletest.Release(t, "1.3.0", 13), b.key)
	raw, err := os.ReadFile(good)
	b.must(err)
	newer := bundletest.Pack(t, stick, bundletest.Release(t, "1.6.0", 13), b.key)
	torn, err := os.ReadFile(newer)
	b.must(err)
	b.must(os.WriteFile(newer, torn[:len(torn)-5000], 0o600))
	if _, err := b.Bring(t.Context(), stick); fault.CodeOf(err) != "update.truncated" {
		t.Errorf("a torn file: %v", err)
	}
	if left, err := os.ReadDir(b.Folders()[0]); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	b.must(os.Remove(newer))
	for range 2 {
		rel, err := b.Bring(t.Context(), stick)
		if err != nil || rel.Version.String() != "1.5.0" {
			t.Fatalf("Bring = %v, %v", rel.Version, err)
		}
		got, err := os.ReadFile(filepath.Join(b.Folders()[0], "sallyport-1.5.0.upd"))
		if err != nil || string(got) != string(raw) {
			t.Errorf("the copy has %d bytes of %d (%v)", len(got), len(raw), err)
		}
		b.must(os.WriteFile(good, raw[:8000], 0o600)) // pulled out: what was brought is there
	}
}

// link plays bookingd.
type link func(linkspec.Backup) error

// Post hands a backup over.
func (l link) Post(_ context.Context, route string, in, _ any) error {
	if route != linkspec.RouteBackup {
		return errors.New("asked for " + route)
	}
	return l(in.(linkspec.Backup))
}

func TestSnapshotBeforeTheUpdate(t *testing.T) {
	b := newBox(t, "1.4.0")
	path, folder := b.bring("1.5.0"), t.TempDir()
	old := filepath.Join(folder, "before-1.4.0.age")
	b.must(os.WriteFile(old, nil, 0o600))
	var asked linkspec.Backup
	fails := errors.New("bookingd is away")
	b.Snapshot = b.BeforeUpdate(link(func(linkspec.Backup) error { return fails }), folder, "age1owner")
	if _, err := b.Install(t.Context(), path); !errors.Is(err, fails) || len(b.wrote) > 0 {
		t.Fatalf("without a copy: %v, wrote %v", err, b.wrote)
	}
	if _, err := os.Stat(old); err != nil {
		t.Error("the last copy is gone before there is another")
	}
	b.Snapshot = b.BeforeUpdate(link(func(a linkspec.Backup) error { asked = a; return os.WriteFile(a.Path, nil, 0o600) }), folder, "age1owner")
	b.install(path)
	raw, err := os.ReadFile(filepath.Join(b.Secrets, update.SnapshotKey))
	b.must(err)
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(raw)))
	b.must(err)
	if len(asked.Recipients) != 2 || asked.Recipients[0] != "age1owner" || asked.Recipients[1] != id.Recipient().String() {
		t.Errorf("sealed for %v", asked.Recipients)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 || left[0].Name() != "before-1.5.0.age" {
		t.Errorf("left: %v, %v", left, err)
	}
	if info, err := os.Stat(filepath.Join(b.Secrets, update.SnapshotKey)); err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("mode of the key: %v, %v", info.Mode(), err)
	}
}

func TestWindow(t *testing.T) {
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) } // the 22nd is a Sunday
	for _, tt := range []struct {
		window string
		at     time.Time
		want   bool
	}{
		{"Sun 02:00-04:00", at(22, 2, 0), true},
		{"Sun 02:00-04:00", at(22, 3, 59), true},
		{"Sun 02:00-04:00", at(22, 4, 0), false},
		{"Sun 02:00-04:00", at(22, 1, 59), false},
		{"Sun 02:00-04:00", at(23, 3, 0), false},
		{"Sat 23:00-01:00", at(21, 23, 30), true},
		{"Sat 23:00-01:00", at(22, 0, 30), true},
		{"Sat 23:00-01:00", at(22, 1, 0), false},
		{"Sat 23:00-01:00", at(21, 0, 30), false},
	} {
		w, err := update.ParseWindow(tt.window)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Holds(tt.at); got != tt.want {
			t.Errorf("%s at %s: %v", tt.window, tt.at.Format("Mon 15:04"), got)
		}
	}
	for _, bad := range []string{"", "Sun", "Sunday 02:00-04:00", "Sun 2-4", "Sun 25:00-26:00", "Sun 02:00-04:60"} {
		if _, err := update.ParseWindow(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
