package phases

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/clock"
	"sallyport/provisioning"
	"sallyport/provisioning/durable"
	"sallyport/provisioning/signature"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// board is what is below a machine in a test: its disk's header, its TPM, its stick.
type board struct {
	t       *testing.T
	dir     string
	tpm     bool     // opens the disk
	sealed  bool     // the disk is sealed in a TPM
	foreign bool     // that of another board, in the same state
	slots   []string // recovery keys in the header, the last one first
	stick   string   // folder that a stick shows; "": none is plugged in
	signer  signature.Signer
	clock   *clock.Fake
	calls   []string
	mounted bool
	cut     func(step, path string) error
	late    func() // what the driver of sticks does when it is loaded
}

func newBoard(t *testing.T) *board {
	t.Helper()
	b := &board{t: t, dir: memory(t), tpm: true, sealed: true, clock: clock.NewFake(start)}
	var err error
	if b.signer, err = signature.Generate(); err != nil {
		t.Fatal(err)
	}
	b.folder("usr/keys")
	if err := b.signer.Write(b.path("usr/keys/current")); err != nil {
		t.Fatal(err)
	}
	b.folder("dev/disk/by-label")
	b.folder("sys")
	b.folder("credentials")
	b.folder("var/booking")
	return b
}

// memory is a folder where flushing costs nothing, if this machine has one: power cuts are played, not made.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "phases-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func (b *board) path(name string) string { return filepath.Join(b.dir, name) }

func (b *board) folder(name string) {
	b.t.Helper()
	if err := os.MkdirAll(b.path(name), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *board) write(name, text string) {
	b.t.Helper()
	b.folder(filepath.Dir(name))
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// boot is the machine after its power came on: what is in memory is gone.
func (b *board) boot() *Machine {
	b.t.Helper()
	if err := os.RemoveAll(b.path("run")); err != nil {
		b.t.Fatal(err)
	}
	b.folder("run")
	b.mounted = false
	return &Machine{
		State: b.path("var"), Run: b.path("run"), Image: b.path("usr"), Sys: b.path("sys"), Dev: b.path("dev"), Root: b.dir, Reserve: 1 << 20,
		Credentials: b.path("credentials"), Disk: durable.Observed(b.step), Clock: b.clock, Log: slog.New(slog.DiscardHandler), Tool: b.tool,
		Synchronised: func() bool { return true },
	}
}

func (b *board) step(step, path string) error {
	if b.cut == nil {
		return nil
	}
	return b.cut(step, path)
}

// tool stands for the programs of the image; what they change outlives a cut of the power.
func (b *board) tool(_ context.Context, input []byte, name string, args ...string) ([]byte, error) {
	line := strings.Join(append([]string{name}, args...), " ")
	b.calls = append(b.calls, line)
	switch {
	case strings.HasPrefix(line, "cryptsetup luksUUID"):
		return []byte("5a117907-0000-4000-8000-00000000aaaa\n"), nil
	case strings.HasPrefix(line, "cryptsetup open --test-passphrase"):
		// The TPM is a token: it is asked first, and opens the disk whatever comes in.
		if b.sealed && b.tpm && !slices.Contains(args, "--disable-external-tokens") {
			return nil, nil
		}
		if !slices.Contains(b.slots, string(input)) {
			return nil, errors.New("no key available with this passphrase")
		}
		return nil, nil
	case strings.HasPrefix(line, "cryptsetup luksDump"):
		var tokens []string
		if b.sealed {
			tokens = append(tokens, `"0":{"type":"systemd-tpm2","keyslots":["1"]}`)
		}
		for i := range b.slots {
			tokens = append(tokens, fmt.Sprintf(`"%d":{"type":"systemd-recovery","keyslots":["%d"]}`, i+1, 2+len(b.slots)%2))
		}
		return []byte(`{"tokens":{` + strings.Join(tokens, ",") + `}}`), nil
	case name == "systemd-cryptenroll" && slices.Contains(args, "--recovery-key"):
		if err := b.step("enrol", "header"); err != nil {
			return nil, err
		}
		if !b.tpm {
			return nil, errors.New("the TPM does not answer")
		}
		key := fmt.Sprintf("cdefghij-cdefghij-cdefghij-cdefghij-cdefghij-cdefghij-cdefghij-%08d", len(b.calls))
		b.slots = []string{key}
		if err := b.step("enrolled", "header"); err != nil {
			return nil, err
		}
		return []byte(key + "\n"), nil
	case name == "systemd-cryptenroll" && slices.Contains(args, "--wipe-slot=tpm2"):
		b.sealed, b.foreign = false, false
		return nil, nil
	case name == "systemd-cryptenroll" && slices.Contains(args, "--tpm2-device=auto"):
		if !b.tpm {
			return nil, errors.New("the TPM does not answer")
		}
		// With a key for the same PCRs already there it does nothing, whosever it is.
		b.sealed = true
		return nil, nil
	case line == "systemctl start "+stickMount:
		b.mounted = true
		return nil, os.Symlink(b.stick, b.path("run/stick"))
	case line == "systemctl stop "+stickMount:
		b.mounted = false
		return nil, os.Remove(b.path("run/stick"))
	case line == "systemctl start "+stickModule:
		if b.late != nil {
			b.late()
		}
		return nil, nil
	}
	return nil, fmt.Errorf("no such program: %s", line)
}

// plug makes a stick with these files and shows its label.
func (b *board) plug(files map[string]string) {
	b.t.Helper()
	b.stick = b.path("stick-files")
	if err := os.RemoveAll(b.stick); err != nil {
		b.t.Fatal(err)
	}
	for name, text := range files {
		b.write("stick-files/"+name, text)
	}
	b.write("dev/disk/by-label/SALLYPORT", "")
}

// unnamed makes the stick one on USB: it has its name a moment after the driver is loaded, as udev does it.
func (b *board) unnamed() {
	b.t.Helper()
	label := b.path("dev/disk/by-label/SALLYPORT")
	if err := os.Remove(label); err != nil {
		b.t.Fatal(err)
	}
	b.write("sys/bus/usb/devices/1-1:1.0/bInterfaceClass", "08\n")
	named := make(chan error, 1)
	b.late = func() { time.AfterFunc(300*time.Millisecond, func() { named <- os.WriteFile(label, nil, 0o600) }) }
	b.t.Cleanup(func() {
		select {
		case err := <-named:
			if err != nil {
				b.t.Error(err)
			}
		case <-time.After(time.Minute):
			b.t.Error("the driver of sticks was not loaded")
		}
	})
}

// disks is the kernel's view of one disk with the data below encryption and the system below verity, as a box has it.
func (b *board) disks() {
	b.t.Helper()
	m := b.boot()
	for _, path := range []string{m.State, m.Root} {
		major, minor := deviceOf(b.t, path)
		disk := b.path("sys/devices/vda")
		for _, part := range []struct{ name, label string }{{"vda3", "sallyport_1.0.0"}, {"vda6", varName}} {
			b.write("sys/devices/vda/"+part.name+"/partition", "1")
			b.write("sys/devices/vda/"+part.name+"/uevent", "DEVTYPE=partition\nPARTNAME="+part.label+"\n")
			link(b.t, filepath.Join(disk, part.name), b.path("sys/class/block/"+part.name))
		}
		link(b.t, filepath.Join(disk, "vda6"), b.path("sys/devices/dm-0/slaves/vda6"))
		link(b.t, b.path("sys/devices/dm-0"), b.path(fmt.Sprintf("sys/dev/block/%d:%d", major, minor)))
	}
}

func sample(t *testing.T) string {
	t.Helper()
	if _, problems := provisioning.Read(provisioning.Sample); problems != nil {
		t.Fatal(problems)
	}
	return string(provisioning.Sample)
}

// ran runs the list and returns the state of each phase; with more it prints what they say.
func ran(t *testing.T, m *Machine, list []Phase) map[string]Result {
	t.Helper()
	results, err := Run(t.Context(), m, list, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Result{}
	for _, r := range results {
		all[r.Phase] = r
	}
	return all
}

func states(all map[string]Result) map[string]string {
	out := map[string]string{}
	for name, r := range all {
		out[name] = r.State
	}
	return out
}
