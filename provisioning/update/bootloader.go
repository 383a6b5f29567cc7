package update

import (
	"bytes"
	"debug/pe"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"sallyport/provisioning/bundle"
)

// The places of the loader on its partition: the one that a firmware's entry names, and the one that is started without any.
func loaderPlaces() []string {
	return []string{"EFI/systemd/systemd-bootx64.efi", "EFI/BOOT/BOOTX64.EFI"}
}

// renewLoader brings the loader itself up to date from what the version that runs was installed from, and tells in words
// what it did. Only a version with a good verdict does it, because there is no second loader to come back to.
//
// A firmware that enforces signatures starts what it knows the signer of. It has started the boot image that runs, so that
// a loader of the same signers is started too, and one of others is left alone. Each place is changed by a rename, which is
// one sector of a FAT, after the file is on the disk; and the places are changed one after the other.
func (b *Box) renewLoader(v bundle.Version) (said string, err error) {
	fresh, err := os.ReadFile(filepath.Join(b.ready(), bundle.Product+"_"+v.String()+".loader"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // it was written with the whole image
	}
	if err != nil {
		return "", err
	}
	e, there, err := b.entry(v)
	if err != nil || !there {
		return "", err
	}
	image, err := os.ReadFile(e.path)
	if err != nil {
		return "", err
	}
	by, err := signers(fresh)
	if err != nil {
		return "", fmt.Errorf("the loader of version %v: %w", v, err)
	}
	known, err := signers(image)
	if err != nil {
		return "", fmt.Errorf("the boot image of version %v: %w", v, err)
	}
	if !bytes.Equal(by, known) {
		return "", errors.New("the new loader is not signed as the boot image that runs")
	}
	next := loaderVersion(fresh)
	esp := filepath.Dir(filepath.Dir(filepath.Dir(e.path)))
	for _, place := range loaderPlaces() {
		path := filepath.Join(esp, place)
		old, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return said, err
		}
		// What has no version is of somebody else.
		if now := loaderVersion(old); now == "" || !olderLoader(now, next) {
			continue
		}
		if err := b.Disk.Write(path, fresh, 0o700); err != nil {
			return said, err
		}
		said = fmt.Sprintf("The loader is %s now.", next)
	}
	return said, nil
}

var loaderInfo = regexp.MustCompile(`#### LoaderInfo: systemd-boot ([0-9][^ #]*) ####`)

// loaderVersion is what a loader says of itself, "" when it is none.
func loaderVersion(file []byte) string {
	if m := loaderInfo.FindSubmatch(file); m != nil {
		return string(m[1])
	}
	return ""
}

var numbers = regexp.MustCompile(`[0-9]+`)

// olderLoader compares two versions of Debian's systemd-boot, such as 257.13-1~deb13u1, number by number.
func olderLoader(a, b string) bool {
	x, y := numbers.FindAllString(a, -1), numbers.FindAllString(b, -1)
	for i := range min(len(x), len(y)) {
		m, merr := strconv.ParseUint(x[i], 10, 64)
		n, nerr := strconv.ParseUint(y[i], 10, 64)
		if merr != nil || nerr != nil {
			return false
		}
		if m != n {
			return m < n
		}
	}
	return len(x) < len(y)
}

// signers are the certificates that the signature of a program for the firmware carries, in DER; none when it has none.
func signers(file []byte) ([]byte, error) {
	f, err := pe.NewFile(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("it is no program for the firmware: %w", err)
	}
	h, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok || len(h.DataDirectory) <= pe.IMAGE_DIRECTORY_ENTRY_SECURITY {
		return nil, errors.New("it is no program for this firmware")
	}
	at := h.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_SECURITY]
	if at.Size == 0 {
		return nil, nil
	}
	const head = 8 // length, revision, kind
	from, till := uint64(at.VirtualAddress), uint64(at.VirtualAddress)+uint64(at.Size)
	if till > uint64(len(file)) || at.Size < head {
		return nil, errors.New("its signature is cut off")
	}
	size := uint64(binary.LittleEndian.Uint32(file[from:]))
	if size < head || from+size > till {
		return nil, errors.New("its signature is cut off")
	}
	var outer struct {
		Kind    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	if _, err := asn1.Unmarshal(file[from+head:from+size], &outer); err != nil {
		return nil, fmt.Errorf("its signature cannot be read: %w", err)
	}
	var signed struct {
		Version      int
		Digests      asn1.RawValue
		Content      asn1.RawValue
		Certificates asn1.RawValue `asn1:"tag:0"`
		Signers      asn1.RawValue
	}
	if _, err := asn1.Unmarshal(outer.Content.Bytes, &signed); err != nil {
		return nil, fmt.Errorf("its signature cannot be read: %w", err)
	}
	return signed.Certificates.Bytes, nil
}
