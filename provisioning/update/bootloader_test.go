package update_test

import (
	"bytes"
	"debug/pe"
	"encoding/asn1"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"sallyport/provisioning/durable"
)

// program is the least that a firmware takes for a program: headers, what it says of itself, and a signature by somebody.
func program(t *testing.T, says, signer string) []byte {
	t.Helper()
	const at = 64
	text := []byte(says)
	h := pe.OptionalHeader64{Magic: 0x20b, NumberOfRvaAndSizes: 16}
	head := binary.Size(pe.FileHeader{}) + binary.Size(h)
	if signer != "" {
		raw := func(tag int, compound bool, b []byte) asn1.RawValue {
			return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: compound, Bytes: b}
		}
		set := asn1.RawValue{Tag: asn1.TagSet, IsCompound: true}
		inner, err := asn1.Marshal(struct {
			Version                              int
			Digests, Content, Certificates, Sigs asn1.RawValue
		}{1, set, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true}, raw(0, true, []byte("\x04"+string(rune(len(signer)))+signer)), set})
		if err != nil {
			t.Fatal(err)
		}
		outer, err := asn1.Marshal(struct {
			Kind    asn1.ObjectIdentifier
			Content asn1.RawValue
		}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}, raw(0, true, inner)})
		if err != nil {
			t.Fatal(err)
		}
		from := at + 4 + head + len(text)
		h.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_SECURITY] = pe.DataDirectory{VirtualAddress: uint32(from), Size: uint32(8 + len(outer))}
		text = binary.LittleEndian.AppendUint32(text, uint32(8+len(outer)))
		text = append(append(text, 0, 2, 2, 0), outer...)
	}
	var b bytes.Buffer
	b.WriteString("MZ")
	b.Write(make([]byte, 58))
	for _, v := range []any{uint32(at), []byte("PE\x00\x00"), pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_AMD64, SizeOfOptionalHeader: uint16(binary.Size(h))}, h, text} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func loader(t *testing.T, version, signer string) []byte {
	t.Helper()
	return program(t, "#### LoaderInfo: systemd-boot "+version+" ####", signer)
}

// trial is a box on which 1.5.0 came up, with these loaders on its partition and this one from the update.
func trial(t *testing.T, image, fresh []byte, places map[string][]byte) *box {
	t.Helper()
	b := newBox(t, "1.4.0")
	b.runs("1.5.0")
	b.must(os.MkdirAll(filepath.Join(b.State, "ready"), 0o755))
	for path, file := range map[string][]byte{
		filepath.Join(b.State, "state.json"):                   []byte(`{"trial":{"version":"1.5.0","from":"1.4.0","at":"2026-11-22T12:00:00Z","installed":true,"starts":1}}`),
		filepath.Join(b.State, "ready/sallyport_1.5.0.loader"): fresh,
		filepath.Join(b.esp, "sallyport_1.5.0.efi"):            image,
	} {
		b.must(os.WriteFile(path, file, 0o600))
	}
	for place, file := range places {
		path := b.onESP(place)
		b.must(os.MkdirAll(filepath.Dir(path), 0o755))
		b.must(os.WriteFile(path, file, 0o600))
	}
	return b
}

func (b *box) onESP(place string) string { return filepath.Join(b.esp, "../..", place) }

const (
	named    = "EFI/systemd/systemd-bootx64.efi"
	fallback = "EFI/BOOT/BOOTX64.EFI"
)

// Only a newer loader of the same signers takes the place of one of ours, whatever is in the way the version is kept.
func TestLoaderIsRenewed(t *testing.T) {
	old, fresh := loader(t, "257.9-1~deb13u1", "db"), loader(t, "257.13-1~deb13u1", "db")
	image := program(t, "the boot image", "db")
	for _, tt := range []struct {
		name         string
		image, fresh []byte
		has          map[string][]byte
		renewed      []string
		says         string
	}{
		{"newer", image, fresh, map[string][]byte{named: old, fallback: old}, []string{named, fallback}, "257.13-1~deb13u1 now"},
		{"one of them was cut", image, fresh, map[string][]byte{named: fresh, fallback: old}, []string{fallback}, "now"},
		{"the same", image, fresh, map[string][]byte{named: fresh, fallback: fresh}, nil, "1.5.0 is kept."},
		{"older", image, old, map[string][]byte{named: fresh, fallback: fresh}, nil, "1.5.0 is kept."},
		{"somebody else's", image, fresh, map[string][]byte{fallback: program(t, "another loader", "db")}, nil, "1.5.0 is kept."},
		{"other signers", image, loader(t, "258", "db of next year"), map[string][]byte{named: old, fallback: old}, nil, "not signed as the boot image"},
		{"not signed", image, loader(t, "258", ""), map[string][]byte{named: old}, nil, "not signed as the boot image"},
		{"nothing is signed", program(t, "the boot image", ""), loader(t, "258", ""), map[string][]byte{named: loader(t, "257", "")}, []string{named}, "258 now"},
		{"no program", image, []byte("#### LoaderInfo: systemd-boot 258 ####"), map[string][]byte{named: old}, nil, "left as it is"},
		{"cut off", image, fresh[:len(fresh)-9], map[string][]byte{named: old}, nil, "left as it is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := trial(t, tt.image, tt.fresh, tt.has)
			said, err := b.Keep()
			if err != nil || b.state().Current.String() != "1.5.0" {
				t.Fatalf("Keep = %q, %v", said, err)
			}
			says(t, said, tt.says)
			for place, before := range tt.has {
				want := before
				for _, r := range tt.renewed {
					if r == place {
						want = tt.fresh
					}
				}
				if got, err := os.ReadFile(b.onESP(place)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s has %d bytes, want %d (%v)", place, len(got), len(want), err)
				}
			}
		})
	}
}

// Wherever the power goes, each place has a whole loader, and the next start brings both up to date.
func TestLoaderSurvivesPowerCuts(t *testing.T) {
	old, fresh := loader(t, "257.9-1", "db"), loader(t, "257.13-1", "db")
	image := program(t, "the boot image", "db")
	for n := 1; ; n++ {
		b := trial(t, image, fresh, map[string][]byte{named: old, fallback: old})
		disk, steps := cutAt(n)
		b.Disk = disk
		_, cut := b.Keep()
		for _, place := range []string{named, fallback} {
			if got, err := os.ReadFile(b.onESP(place)); err != nil || !bytes.Equal(got, old) && !bytes.Equal(got, fresh) {
				t.Errorf("cut at step %d: %s has %d bytes (%v)", n, place, len(got), err)
			}
		}
		if *steps < n {
			if cut != nil {
				t.Fatal(cut)
			}
			return
		}
		b.Disk = &durable.Disk{}
		_, err := b.Keep()
		b.must(err)
		for _, place := range []string{named, fallback} {
			if got, err := os.ReadFile(b.onESP(place)); err != nil || !bytes.Equal(got, fresh) {
				t.Errorf("cut at step %d and started again: %s is not the new one (%v)", n, place, err)
			}
		}
	}
}
