package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"sallyport/appliance/fault"
	"sallyport/provisioning/signature"
)

// maxWindow bounds the memory of a decoder; our encoder uses 8 MiB.
const maxWindow = 32 << 20

// Reader is a bundle whose manifest was verified and whose parts were not read yet.
type Reader struct {
	src      io.Reader
	tar      *tar.Reader
	manifest Manifest
	raw      []byte
	signer   string
}

// Open reads and verifies the manifest at the front of a bundle. It returns Forbidden when no key has signed it, and
// Invalid when the file is not a bundle, ends too early or describes something that cannot be.
func Open(src io.Reader, keys signature.Keys) (*Reader, error) {
	r := &Reader{src: src, tar: tar.NewReader(src)}
	raw, err := r.small("manifest.json", maxManifest)
	if err != nil {
		return nil, err
	}
	sig, err := r.small("manifest.sig", signature.Size)
	if err != nil {
		return nil, err
	}
	// Nothing of the manifest is looked at before its signature.
	if r.signer, err = keys.Verify(signature.Update, raw, sig); err != nil {
		return nil, err
	}
	r.raw = raw
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&r.manifest); err != nil {
		return nil, fault.New("bundle.Open", fault.Invalid, "The description of this update cannot be read.").WithCode("update.manifest").Because(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.New("bundle.Open", fault.Invalid, "The description of this update goes on after its end.").WithCode("update.manifest")
	}
	return r, r.manifest.Validate()
}

// Manifest returns what was signed.
func (r *Reader) Manifest() Manifest { return r.manifest }

// Raw returns the manifest's bytes, as they were signed.
func (r *Reader) Raw() []byte { return r.raw }

// Signer returns the name of the key that has signed: current or next.
func (r *Reader) Signer() string { return r.signer }

// Progress is told how many bytes of the bundle were read, and of how many.
type Progress func(done, total int64)

// Verify reads all parts, checks every size and hash and keeps nothing. It returns Invalid when a byte differs, is missing
// or is too many.
func (r *Reader) Verify(ctx context.Context, tell Progress) error {
	return r.each(ctx, tell, func(Artifact) (io.WriteCloser, error) { return discard{}, nil })
}

// Unpack writes the unpacked parts under their own names into a folder, checks them as [Reader.Verify] does, and returns
// when they are on the disk. After an error the folder may hold parts that are not whole.
func (r *Reader) Unpack(ctx context.Context, folder string, tell Progress) error {
	return r.each(ctx, tell, func(a Artifact) (io.WriteCloser, error) { return createSparse(filepath.Join(folder, a.As)) })
}

func (r *Reader) each(ctx context.Context, tell Progress, open func(Artifact) (io.WriteCloser, error)) error {
	if tell == nil {
		tell = func(int64, int64) {}
	}
	var done int64
	total := r.manifest.Size()
	for i, a := range r.manifest.Artifacts {
		if err := r.next(a.File, a.Size); err != nil {
			return err
		}
		out, err := open(a)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", a.File, err)
		}
		err = r.part(ctx, a, parts()[i], out, func(n int64) { tell(done+n, total) })
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
		done += a.Size
	}
	if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
		return tooMuch()
	}
	if n, err := io.ReadFull(r.src, make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return tooMuch()
	}
	return nil
}

// part copies one part through both hashes.
func (r *Reader) part(ctx context.Context, a Artifact, p part, out io.Writer, tell func(int64)) error {
	packed := &meter{ctx: ctx, src: r.tar, sum: sha256.New(), tell: tell}
	var raw io.Reader = packed
	if p.packed() {
		dec, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return fmt.Errorf("unpack %s: %w", a.File, err)
		}
		defer dec.Close()
		raw = dec
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(sum, out), io.LimitReader(raw, a.RawSize))
	if err == nil {
		// More than was announced is not written, but it is looked for: a part must end where its manifest says.
		var more int
		if more, err = io.ReadFull(raw, make([]byte, 1)); more != 0 || errors.Is(err, io.EOF) {
			n, err = n+int64(more), nil
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.ErrUnexpectedEOF) && packed.cut:
		return tooShort(err)
	case isWrite(err):
		return fmt.Errorf("unpack %s: %w", a.File, err)
	case err != nil:
		return damaged(a.File, err)
	}
	if _, err := io.Copy(io.Discard, packed); err != nil {
		return tooShort(err)
	}
	if n != a.RawSize || !matches(sum, a.RawSHA256) || !matches(packed.sum, a.SHA256) {
		return damaged(a.File, nil)
	}
	return nil
}

// next goes to the part called name, which must be a plain file of this size and nothing else.
func (r *Reader) next(name string, size int64) error {
	h, err := r.tar.Next()
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return tooShort(err)
	case err != nil:
		return fault.New("bundle.Open", fault.Invalid, "This is not an update file.").WithCode("update.form").Because(err)
	case h.Typeflag != tar.TypeReg || h.Name != name || len(h.PAXRecords) > 0:
		return fault.Newf("bundle.Open", fault.Invalid, "This is not an update file: %s is not where it must be.", name).WithCode("update.form")
	case size >= 0 && h.Size != size:
		return damaged(name, nil)
	}
	return nil
}

// small reads a whole file of at most limit bytes.
func (r *Reader) small(name string, limit int64) ([]byte, error) {
	if err := r.next(name, -1); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r.tar, limit+1))
	switch {
	case err != nil:
		return nil, tooShort(err)
	case int64(len(b)) > limit:
		return nil, fault.Newf("bundle.Open", fault.Invalid, "This is not an update file: its %s is too long.", name).WithCode("update.form")
	}
	return b, nil
}

func tooShort(err error) error {
	return fault.New("bundle", fault.Invalid, "The update file ends too early. Copy it once more.").WithCode("update.truncated").Because(err)
}

func tooMuch() error {
	return fault.New("bundle", fault.Invalid, "The update file goes on after its end.").WithCode("update.trailing")
}

func damaged(name string, err error) error {
	return fault.Newf("bundle", fault.Invalid, "The update file is damaged (%s). Copy it once more.", name).WithCode("update.damaged").Because(err)
}

func matches(h hash.Hash, want string) bool { return hex.EncodeToString(h.Sum(nil)) == want }

// meter reads one part: it counts, hashes, notices when it is cut and when nobody wants it any more.
type meter struct {
	ctx  context.Context
	src  io.Reader
	sum  hash.Hash
	n    int64
	tell func(int64)
	cut  bool
}

// Read reads from the part.
func (m *meter) Read(p []byte) (int, error) {
	if m.ctx.Err() != nil {
		return 0, context.Cause(m.ctx)
	}
	n, err := m.src.Read(p)
	_, _ = m.sum.Write(p[:n])
	m.n += int64(n)
	m.cut = errors.Is(err, io.ErrUnexpectedEOF)
	m.tell(m.n)
	return n, err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// isWrite tells whether it was the disk that refused, and not the bundle.
func isWrite(err error) bool {
	var path *os.PathError
	return errors.As(err, &path)
}
