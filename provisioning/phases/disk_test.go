package phases

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"sallyport/appliance/fault"
)

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
	if all, err := Read(m.Run); err != nil || !slices.ContainsFunc(all, func(r Result) bool { return r.Phase == Recovery && r.State == Done }) {
		t.Errorf("the phase does not hear of it: %+v, %v", all, err)
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
	b.slots = nil
	if err := m.Confirm(t.Context(), key); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "no recovery key") {
		t.Errorf("a key for a disk that has none: %v", err)
	}
}

// The late phases wait for the daemons, for minutes; meanwhile somebody types the key on the console.
func TestConfirmationWhilePhasesRun(t *testing.T) {
	b := newBoard(t)
	b.disks()
	m := b.boot()
	ran(t, m, List())
	done := func(context.Context, *Machine) (string, error) { return "so", nil }
	slow := func(ctx context.Context, m *Machine) (string, error) { return "so", m.Confirm(ctx, m.RecoveryKey()) }
	late := []Phase{{Name: Clock, Done: done}, {Name: Database, Done: slow, Do: nothing}, {Name: Roster, Done: done}}
	results, err := Run(t.Context(), m, late, nil)
	if err != nil {
		t.Fatal(err)
	}
	written, err := Read(m.Run)
	if err != nil {
		t.Fatal(err)
	}
	for from, all := range map[string][]Result{"returned": results, "written down": written} {
		if n := len(all); n != len(List())+len(late) {
			t.Errorf("%s: %d results", from, n)
		}
		at := slices.IndexFunc(all, func(r Result) bool { return r.Phase == Recovery })
		if at < 0 || all[at].State != Done {
			t.Errorf("%s: the confirmation that came meanwhile is lost: %+v", from, all)
		}
	}
}

func TestFullDiskGivesItsReserve(t *testing.T) {
	b := newBoard(t)
	b.disks()
	const size = 8 << 30
	var free int64 = 4 << 30
	boot := func() map[string]Result {
		m := b.boot()
		m.Reserve = 1 << 20
		m.Room = func(string) (int64, int64, error) { return free, size, nil }
		return ran(t, m, List())
	}
	reserve := b.path("var/" + ReserveFile)
	if r := boot()[Disk]; r.State != Done {
		t.Fatalf("with room: %+v", r)
	}
	if info, err := os.Stat(reserve); err != nil || info.Size() != 1<<20 {
		t.Fatalf("reserve: %v, %v", info, err)
	}
	free = 10 << 20
	all := boot()
	if r := all[Disk]; r.State != Failed || !strings.Contains(r.Says, "its reserve has been given up") {
		t.Errorf("full: %+v", r)
	}
	if all[Secrets].State != Done || all[Authority].State != Done {
		t.Errorf("a full disk stops the others: %v", states(all))
	}
	if _, err := os.Stat(reserve); !errors.Is(err, os.ErrNotExist) {
		t.Error("the reserve is still there:", err)
	}
	if r := boot()[Disk]; r.State != Failed || !strings.Contains(r.Says, "The disk is full") {
		t.Errorf("still full: %+v", r)
	}
	free = 4 << 30
	if r := boot()[Disk]; r.State != Done {
		t.Errorf("with room again: %+v", r)
	}
	if _, err := os.Stat(reserve); err != nil {
		t.Error(err)
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

// At the first start the kernel has no name for the data partition yet.
func TestDataPartitionThatWasJustMade(t *testing.T) {
	b := newBoard(t)
	b.disks()
	b.write("sys/devices/vda/vda6/uevent", "MAJOR=254\nMINOR=6\nDEVTYPE=partition\n")
	m := b.boot()
	if r := ran(t, m, List())[Disk]; r.State != Failed || !strings.Contains(r.Says, "no partition") {
		t.Errorf("nobody knows the name: %+v", r)
	}
	m = b.boot()
	b.write("run/udev/data/b254:6", "S:disk/by-partuuid/1\nE:ID_PART_ENTRY_NAME="+varName+"\n")
	m.Udev = b.path("run/udev/data")
	if r := ran(t, m, List())[Disk]; r.State != Done {
		t.Errorf("udev knows the name: %+v", r)
	}
}

// The owner of the site file's recipient opens the sealed copy; nobody else reads the key in it, and it is the copy of the
// key that is in force.
func TestRecoveryKeyIsSealedToTheOwner(t *testing.T) {
	owner, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	b := newBoard(t)
	b.disks()
	text := strings.Replace(sample(t), "[recovery]\nrecipient = \"\"", "[recovery]\nrecipient = \""+owner.Recipient().String()+"\"", 1)
	if text == sample(t) {
		t.Fatal("the sample has no recipient to change")
	}
	b.write("credentials/site", text)
	for range 2 {
		m := b.boot()
		if all := ran(t, m, List()); all[Site].State != Done {
			t.Fatalf("seed: %+v", all[Seed])
		}
		sealed, err := os.ReadFile(b.path("var/provision/" + sealedFile))
		if err != nil || strings.Contains(string(sealed), m.RecoveryKey()) {
			t.Fatalf("sealed copy: %v", err)
		}
		r, err := age.Decrypt(armor.NewReader(bytes.NewReader(sealed)), owner)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(r); err != nil || strings.TrimSpace(string(plain)) != m.RecoveryKey() {
			t.Errorf("the sealed copy holds another key: %v", err)
		}
	}
}
