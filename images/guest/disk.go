package guest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unicode/utf16"
)

// Partition is one row of a disk's table.
type Partition struct {
	Number int
	Type   string // UUID, lower case
	ID     string
	Label  string
	Offset int64 // bytes
	Size   int64
}

const sector = 512

// Partitions reads the GPT of a disk, in the order of its rows.
func Partitions(disk string) ([]Partition, error) {
	f, err := os.Open(disk)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, sector)
	if _, err := f.ReadAt(head, sector); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(head, []byte("EFI PART")) {
		return nil, fmt.Errorf("%s has no GPT", disk)
	}
	at, n, size := binary.LittleEndian.Uint64(head[72:]), binary.LittleEndian.Uint32(head[80:]), binary.LittleEndian.Uint32(head[84:])
	if n > 256 || size < 128 || size > 4096 {
		return nil, fmt.Errorf("%s has a table of %d rows of %d bytes", disk, n, size)
	}
	table := make([]byte, n*size)
	if _, err := f.ReadAt(table, int64(at)*sector); err != nil {
		return nil, err
	}
	var all []Partition
	for i := range n {
		row := table[i*size : (i+1)*size]
		if bytes.Equal(row[:16], make([]byte, 16)) {
			continue
		}
		first, last := binary.LittleEndian.Uint64(row[32:]), binary.LittleEndian.Uint64(row[40:])
		all = append(all, Partition{
			Number: int(i) + 1, Type: uuid(row[:16]), ID: uuid(row[16:32]), Label: label(row[56:128]),
			Offset: int64(first) * sector, Size: int64(last-first+1) * sector,
		})
	}
	return all, nil
}

// uuid writes the mixed-endian form of a GPT as people do.
func uuid(b []byte) string {
	o := []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]}
	s := hex.EncodeToString(append(o, b[8:16]...))
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func label(b []byte) string {
	var u []uint16
	for i := 0; i+1 < len(b); i += 2 {
		u = append(u, binary.LittleEndian.Uint16(b[i:]))
	}
	return strings.TrimRight(string(utf16.Decode(u)), "\x00")
}

// Find returns the partition with a label.
func Find(disk, label string) (Partition, error) {
	all, err := Partitions(disk)
	if err != nil {
		return Partition{}, err
	}
	for _, p := range all {
		if p.Label == label {
			return p, nil
		}
	}
	return Partition{}, fmt.Errorf("there is no partition %q among %v", label, all)
}

// Encryption is what a LUKS2 header says.
type Encryption struct {
	Slots  int            // keys that open it
	Tokens map[string]int // who keeps a key, by kind: systemd-tpm2, systemd-recovery
	PCRs   []int          // what the TPM's key is bound to as it was
	Signed []int          // what it is bound to by a signature of the values
}

// luks are the first bytes of a LUKS2 header.
var luks = []byte("LUKS\xba\xbe\x00\x02")

// Encrypted reads the header of the encrypted data in a partition, or of what lies at an offset without being one yet.
func Encrypted(disk string, at int64) (Encryption, error) {
	f, err := os.Open(disk)
	if err != nil {
		return Encryption{}, err
	}
	defer f.Close()
	// A binary head of 4096 bytes with the length of both, then JSON and zeros.
	head := make([]byte, 4096)
	if _, err := f.ReadAt(head, at); err != nil {
		return Encryption{}, err
	}
	if !bytes.HasPrefix(head, luks) {
		return Encryption{}, fmt.Errorf("%s has no LUKS2 header at %d", disk, at)
	}
	size := int64(binary.BigEndian.Uint64(head[8:]))
	if size <= 4096 || size > 4<<20 {
		return Encryption{}, fmt.Errorf("%s has a LUKS2 header of %d bytes", disk, size)
	}
	text := make([]byte, size-4096)
	if _, err := f.ReadAt(text, at+4096); err != nil {
		return Encryption{}, err
	}
	var meta struct {
		Keyslots map[string]json.RawMessage
		Tokens   map[string]struct {
			Type   string
			PCRs   []int `json:"tpm2-pcrs"`
			Signed []int `json:"tpm2_pubkey_pcrs"`
		}
	}
	if err := json.Unmarshal(bytes.TrimRight(text, "\x00"), &meta); err != nil {
		return Encryption{}, fmt.Errorf("read the LUKS2 header at %d: %w", at, err)
	}
	e := Encryption{Slots: len(meta.Keyslots), Tokens: map[string]int{}}
	for _, t := range meta.Tokens {
		e.Tokens[t.Type]++
		e.PCRs, e.Signed = append(e.PCRs, t.PCRs...), append(e.Signed, t.Signed...)
	}
	return e, nil
}

// Flip changes one bit of a disk that no box uses.
func Flip(disk string, at int64) error {
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	one := make([]byte, 1)
	if _, err := f.ReadAt(one, at); err != nil {
		return err
	}
	one[0] ^= 0x10
	if _, err := f.WriteAt(one, at); err != nil {
		return err
	}
	return f.Sync()
}

// FlipUsed changes one bit in each of the first blocks of a partition that hold anything, from a share of its length on: a
// file system has holes, and a flipped bit in one of them is never read.
func FlipUsed(disk string, p Partition, from float64, blocks int) error {
	f, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer f.Close()
	const block = 4096
	buf := make([]byte, block)
	done := 0
	for at := p.Offset + int64(float64(p.Size)*from)/block*block; at < p.Offset+p.Size && done < blocks; at += block {
		if _, err := f.ReadAt(buf, at); err != nil {
			return err
		}
		if bytes.Count(buf, []byte{0}) > block/2 {
			continue
		}
		if err := Flip(disk, at+block/2); err != nil {
			return err
		}
		done++
	}
	if done == 0 {
		return fmt.Errorf("partition %q holds nothing after %.0f %%", p.Label, from*100)
	}
	return nil
}
