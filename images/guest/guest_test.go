package guest_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/images/guest"
)

// TestPartitions reads a table that another program has written.
func TestPartitions(t *testing.T) {
	if _, err := exec.LookPath("sfdisk"); err != nil {
		if os.Getenv("IMAGE_TESTS") == "required" {
			t.Fatal("sfdisk not found (apt-get install fdisk)")
		}
		t.Skip("skipped: sfdisk not found (apt-get install fdisk)")
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 64<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "--quiet", disk)
	cmd.Stdin = strings.NewReader("label: gpt\n" +
		"start=2048, size=16384, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=5A117907-0000-4000-8000-000000000001, name=\"esp\"\n" +
		"start=18432, size=40960, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=\"sallyport_1.0.0\"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	p, err := guest.Find(disk, "sallyport_1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	want := guest.Partition{Number: 2, Type: "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", ID: p.ID, Label: "sallyport_1.0.0", Offset: 18432 * 512, Size: 40960 * 512}
	if p != want {
		t.Errorf("found %+v, want %+v", p, want)
	}
	esp, err := guest.Find(disk, "esp")
	if err != nil || esp.ID != "5a117907-0000-4000-8000-000000000001" || esp.Number != 1 {
		t.Errorf("the first is %+v (%v)", esp, err)
	}
	if _, err := guest.Find(disk, "other"); err == nil {
		t.Error("a partition that is not there is found")
	}

	// Two used blocks behind a hole: flipped are those and nothing else.
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := []byte(strings.Repeat("visit", 4096/5+1))[:4096]
	for _, at := range []int64{10, 20} {
		if _, err := f.WriteAt(text, p.Offset+at*4096); err != nil {
			t.Fatal(err)
		}
	}
	if err := guest.FlipUsed(disk, p, 0, 5); err != nil {
		t.Fatal(err)
	}
	flipped := make([]byte, 4096)
	for _, at := range []int64{9, 10, 20, 21} {
		if _, err := f.ReadAt(flipped, p.Offset+at*4096); err != nil {
			t.Fatal(err)
		}
		n := 0
		for i, b := range flipped {
			if was := text[i]; (at == 10 || at == 20) && b != was || (at == 9 || at == 21) && b != 0 {
				n++
			}
		}
		if want := map[int64]int{10: 1, 20: 1}[at]; n != want {
			t.Errorf("block %d has %d changed bytes, want %d", at, n, want)
		}
	}
	if err := guest.FlipUsed(disk, p, 0.9, 1); err == nil {
		t.Error("an empty end is flipped")
	}
}

// TestEncrypted reads a LUKS2 header that lies somewhere on a disk, and finds none where there is none or half of one.
func TestEncrypted(t *testing.T) {
	const at, size = 3 << 20, 16 << 10
	head := make([]byte, size)
	copy(head, "LUKS\xba\xbe\x00\x02")
	binary.BigEndian.PutUint64(head[8:], size)
	disk := filepath.Join(t.TempDir(), "disk")
	write := func(text string) {
		t.Helper()
		copy(head[4096:], text)
		f, err := os.OpenFile(disk, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(head, at); err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(8 << 20); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"keyslots":{"0":{"type":"luks2"},"1":{"type":`)
	if e, err := guest.Encrypted(disk, at); err == nil {
		t.Errorf("half a header says %+v", e)
	}
	write(`{"keyslots":{"0":{"type":"luks2"},"1":{"type":"luks2"}},"tokens":{"0":{"type":"systemd-tpm2","keyslots":["0"],"tpm2-pcrs":[7],"tpm2_pubkey_pcrs":[11]}}}`)
	e, err := guest.Encrypted(disk, at)
	want := guest.Encryption{Slots: 2, Tokens: map[string]int{"systemd-tpm2": 1}, PCRs: []int{7}, Signed: []int{11}}
	if diff := cmp.Diff(want, e); err != nil || diff != "" {
		t.Errorf("the header (-want +got):\n%s(%v)", diff, err)
	}
	if e, err := guest.Encrypted(disk, at+4096); err == nil {
		t.Errorf("where no header is, one says %+v", e)
	}
}
