package bundle

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"sallyport/appliance/fault"
	"sallyport/provisioning/signature"
)

// Sources are the files that the build of an image has left, under the names that it gave them.
type Sources struct {
	UKI    string // sallyport_1.5.0.efi
	Loader string // sallyport_1.5.0.loader: what starts boot images, signed as they are
	Root   string // sallyport_1.5.0.root-x86-64.<uuid>.raw
	Verity string // sallyport_1.5.0.root-x86-64-verity.<uuid>.raw
}

// Pack writes the bundle of a release to path. The same sources, release and key make the same file. It returns Invalid
// when a name does not fit the version.
func Pack(ctx context.Context, path string, rel Release, s Sources, key signature.Signer) (err error) {
	if err := rel.Validate(); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(path), ".bundle-*")
	if err != nil {
		return fmt.Errorf("pack an update: %w", err)
	}
	defer os.RemoveAll(work)
	m := Manifest{Release: rel}
	for i, from := range []string{s.UKI, s.Root, s.Verity, s.Loader} {
		p := parts()[i]
		if !p.named(rel.Version, filepath.Base(from)) {
			return fault.Newf("bundle.Pack", fault.Invalid, "%s is not the %s of version %v.", filepath.Base(from), p.file, rel.Version)
		}
		a, err := press(ctx, p, from, filepath.Join(work, p.file))
		if err != nil {
			return fmt.Errorf("pack %s: %w", p.file, err)
		}
		m.Artifacts = append(m.Artifacts, a)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	if len(raw) > maxManifest {
		return fault.New("bundle.Pack", fault.Invalid, "The notes of this version are too long.")
	}
	whole := filepath.Join(work, "bundle")
	if err := assemble(whole, m, raw, key.Sign(signature.Update, raw), work); err != nil {
		return fmt.Errorf("pack an update: %w", err)
	}
	return os.Rename(whole, path)
}

// press compresses one source where its part is compressed, and measures both forms.
func press(ctx context.Context, p part, from, to string) (a Artifact, err error) {
	in, err := os.Open(from)
	if err != nil {
		return a, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	packed, raw, room := sha256.New(), sha256.New(), &used{}
	var sink io.WriteCloser = unpacked{io.MultiWriter(out, packed)}
	if p.packed() {
		// One worker, because several cut the stream where they happen to be.
		if sink, err = zstd.NewWriter(io.MultiWriter(out, packed), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20)); err != nil {
			return a, err
		}
	}
	src := &meter{ctx: ctx, src: in, sum: raw, tell: func(int64) {}}
	n, err := io.Copy(io.MultiWriter(sink, room), src)
	if err := errors.Join(err, sink.Close()); err != nil {
		return a, err
	}
	size, err := out.Seek(0, io.SeekCurrent)
	return Artifact{
		File: p.file, Size: size, SHA256: hex.EncodeToString(packed.Sum(nil)), RawSize: n, RawSHA256: hex.EncodeToString(raw.Sum(nil)),
		RawUsed: room.n, As: filepath.Base(from),
	}, err
}

func assemble(path string, m Manifest, raw, sig []byte, work string) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	built, err := time.Parse(time.DateOnly, m.Built)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	put := func(name string, size int64) error {
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: built, Format: tar.FormatUSTAR})
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{"manifest.json", raw}, {"manifest.sig", sig}} {
		if err := put(f.name, int64(len(f.text))); err != nil {
			return err
		}
		if _, err := w.Write(f.text); err != nil {
			return err
		}
	}
	for _, a := range m.Artifacts {
		if err := put(a.File, a.Size); err != nil {
			return err
		}
		in, err := os.Open(filepath.Join(work, a.File))
		if err != nil {
			return err
		}
		_, err = io.Copy(w, in)
		if err := errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), out.Sync())
}

// unpacked writes a part as it is.
type unpacked struct{ io.Writer }

func (unpacked) Close() error { return nil }
