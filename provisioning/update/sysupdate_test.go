//go:build image

package update_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/provisioning/bundle"
	"sallyport/provisioning/bundle/bundletest"
)

// tools is the tree of trixie's own programs that `make image` leaves; in it is the systemd-sysupdate of the image.
const tools = "../../build/image/out/tools"

// workbench is a folder that exists in the tree of tools under another name.
type workbench struct{ outside, inside string }

func newWorkbench(t *testing.T) workbench {
	t.Helper()
	if _, err := os.Stat(filepath.Join(tools, "usr/lib/systemd/systemd-sysupdate")); err != nil || os.Getuid() != 0 {
		if os.Getenv("IMAGE_TESTS") == "required" {
			t.Fatal("needs root and the tools of an image (make image)")
		}
		t.Skip("skipped: needs root and the tools of an image (make image)")
	}
	dir, err := os.MkdirTemp(filepath.Join(tools, "var/tmp"), "update-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return workbench{dir, filepath.Join("/var/tmp", filepath.Base(dir))}
}

// run runs a program of the tree, in a mount namespace of its own.
func (w workbench) run(ctx context.Context, args ...string) (string, error) {
	script := `mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"`
	at, err := filepath.Abs(tools)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "bash", "-c", script, at}, args...)...)
	cmd.Env = append(os.Environ(), "SYSTEMD_COLORS=0", "SYSTEMD_EMOJI=0", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// disk makes a disk with the box's slots, of which the first has a version.
func (w workbench) disk(t *testing.T, version string) {
	t.Helper()
	folder := filepath.Join(w.outside, "repart.d")
	for i, p := range []struct{ kind, label, size string }{
		{"root-verity", "sallyport_" + version + "_verity", "4M"},
		{"root", "sallyport_" + version, "16M"},
		{"root-verity", "_empty", "4M"},
		{"root", "_empty", "16M"},
	} {
		text := fmt.Sprintf("[Partition]\nType=%s\nLabel=%s\nSizeMinBytes=%s\nSizeMaxBytes=%s\n", p.kind, p.label, p.size, p.size)
		put(t, filepath.Join(folder, fmt.Sprintf("%d0.conf", i+1)), text)
	}
	out, err := w.run(t.Context(), "systemd-repart", "--empty=create", "--size=64M", "--dry-run=no", "--offline=yes", "--definitions="+w.inside+"/repart.d", w.inside+"/disk")
	if err != nil {
		t.Fatalf("systemd-repart: %v\n%s", err, out)
	}
}

// transfers copies those of the image, for a machine whose disk, loader and updates are here and which runs a version.
func (w workbench) transfers(t *testing.T, running string) {
	t.Helper()
	all, err := filepath.Glob("../../images/appliance/root/usr/lib/sysupdate.d/*.transfer")
	if err != nil || len(all) != 3 {
		t.Fatalf("transfers %v, %v", all, err)
	}
	here := strings.NewReplacer("Path=auto", "Path="+w.inside+"/disk", "/var/lib/sallyport/update/ready", w.inside+"/update/ready",
		"Path=/EFI/Linux", "Path="+w.inside+"/efi/EFI/Linux", "PathRelativeTo=boot\n", "", "%M", bundle.Product, "%A", running)
	for _, path := range all {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(w.outside, "sysupdate.d", filepath.Base(path)), here.Replace(string(raw)))
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// slots are the labels of the disk's partitions.
func (w workbench) slots(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.outside, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	const table, entry = 2 * 512, 128
	for i := range 4 {
		name := raw[table+i*entry+56 : table+i*entry+entry]
		label := ""
		for j := 0; j < len(name) && name[j] != 0; j += 2 {
			label += string(rune(name[j]))
		}
		all = append(all, label)
	}
	return strings.Join(all, " ")
}

// box is a machine that runs a version from the first slot of the disk, and is updated by the real systemd-sysupdate.
func (w workbench) box(t *testing.T, running string) *box {
	t.Helper()
	w.disk(t, running)
	b := newBox(t, running)
	b.State, b.esp = filepath.Join(w.outside, "update"), filepath.Join(w.outside, "efi/EFI/Linux")
	b.Loaders = []string{filepath.Join(w.outside, "efi")}
	put(t, filepath.Join(b.esp, "sallyport_"+running+".efi"), "")
	b.Sysupdate = func(ctx context.Context, v bundle.Version) error {
		out, err := w.run(ctx, "/usr/lib/systemd/systemd-sysupdate", "--definitions="+w.inside+"/sysupdate.d", "--verify=no", "update", v.String())
		if err != nil {
			return fmt.Errorf("systemd-sysupdate: %w\n%s", err, out)
		}
		return nil
	}
	w.transfers(t, running)
	return b
}

// TestTheRealSysupdate installs updates with the image's own systemd-sysupdate and its own transfers, on a disk that is a
// file: into the spare slot, never into the one that runs, and over a version that was refused.
func TestTheRealSysupdate(t *testing.T) {
	w := newWorkbench(t)
	b := w.box(t, "1.0.0")
	bring := func(version string) string {
		t.Helper()
		return bundletest.Pack(t, t.TempDir(), bundletest.Release(t, version, 13), b.key)
	}
	for _, tt := range []struct{ version, slots, entry string }{
		{"1.1.0", "sallyport_1.0.0_verity sallyport_1.0.0 sallyport_1.1.0_verity sallyport_1.1.0", "sallyport_1.1.0+2-0.efi"},
		// 1.1.0 was not good: its slot is the spare one.
		{"1.2.0", "sallyport_1.0.0_verity sallyport_1.0.0 sallyport_1.2.0_verity sallyport_1.2.0", "sallyport_1.2.0+2-0.efi"},
	} {
		path := bring(tt.version)
		b.install(path)
		if got := w.slots(t); got != tt.slots {
			t.Fatalf("after %s the slots are %s, want %s", tt.version, got, tt.slots)
		}
		if got := b.entry(tt.version); got != tt.entry {
			t.Errorf("the loader has %s, want %s", got, tt.entry)
		}
		b.tries(tt.version, "+0-2")
		b.settle()
		if why := b.refused(tt.version); why == "" {
			t.Errorf("%s is not refused", tt.version)
		}
		// Cleared, it has its tries again, although nothing has to be written.
		b.must(b.Clear(version(t, tt.version)))
		b.install(path)
		b.tries(tt.version, "+0-2")
	}
	if b.entry("1.0.0") != "sallyport_1.0.0.efi" || b.entry("1.1.0") != "" {
		t.Errorf("the loader has %s and %s", b.entry("1.0.0"), b.entry("1.1.0"))
	}

	// The next version runs: now the first slot is the spare one.
	b.runs("1.2.0")
	b.tries("1.2.0", "")
	if _, err := b.Keep(); err != nil {
		t.Fatal(err)
	}
	w.transfers(t, "1.2.0")
	b.install(bring("1.3.0"))
	if got, want := w.slots(t), "sallyport_1.3.0_verity sallyport_1.3.0 sallyport_1.2.0_verity sallyport_1.2.0"; got != want {
		t.Errorf("the slots are %s, want %s", got, want)
	}
	// What is in the slot is what was packed.
	root, err := os.ReadFile(bundletest.Sources(t, t.TempDir(), version(t, "1.3.0")).Root)
	b.must(err)
	disk, err := os.ReadFile(filepath.Join(w.outside, "disk"))
	b.must(err)
	if !strings.Contains(string(disk), string(root)) {
		t.Error("the root on the disk is not the one of the update")
	}
}

// TestSysupdateCutAnywhere kills systemd-sysupdate later and later until it comes to its end. Wherever that was, the slot
// that runs is untouched, the loader knows of the new version only when both of its partitions are there, and the next
// install goes on.
func TestSysupdateCutAnywhere(t *testing.T) {
	w := newWorkbench(t)
	b := w.box(t, "1.0.0")
	path := bundletest.Pack(t, t.TempDir(), bundletest.Release(t, "1.1.0", 13), b.key)
	const before = "sallyport_1.0.0_verity sallyport_1.0.0 "
	for cuts := 0; ; cuts++ {
		real := b.Sysupdate
		b.Sysupdate = func(ctx context.Context, v bundle.Version) error {
			ctx, cancel := context.WithTimeout(ctx, time.Duration(5+10*cuts)*time.Millisecond)
			defer cancel()
			return real(ctx, v)
		}
		_, err := b.Install(t.Context(), path)
		b.Sysupdate = real
		slots := w.slots(t)
		if !strings.HasPrefix(slots, before) {
			t.Fatalf("cut %d: the slots are %s", cuts, slots)
		}
		if entry := b.entry("1.1.0"); entry != "" && slots != before+"sallyport_1.1.0_verity sallyport_1.1.0" {
			t.Fatalf("cut %d: the loader has %s and the slots are %s", cuts, entry, slots)
		}
		b.settle()
		if why := b.refused("1.1.0"); why != "" {
			t.Fatalf("cut %d: refused (%s)", cuts, why)
		}
		if err == nil {
			t.Logf("whole after %d cuts", cuts)
			if cuts < 3 {
				t.Error("hardly anything was cut: the test proves nothing")
			}
			break
		}
	}
	if got := b.entry("1.1.0"); got != "sallyport_1.1.0+2-0.efi" {
		t.Errorf("the loader has %s", got)
	}
}
