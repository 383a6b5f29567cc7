package bundle_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"sallyport/appliance/fault"
	"sallyport/provisioning/bundle"
	"sallyport/provisioning/bundle/bundletest"
	"sallyport/provisioning/signature"
)

// world is a key, the folder of public keys and one good bundle.
type world struct {
	key     signature.Signer
	keys    signature.Keys
	release bundle.Release
	path    string
	raw     []byte
}

func newWorld(t testing.TB) world {
	t.Helper()
	folder := t.TempDir()
	w := world{key: bundletest.Keys(t, folder), release: bundletest.Release(t, "1.5.0", 13)}
	var err error
	if w.keys, err = signature.Load(folder); err != nil {
		t.Fatal(err)
	}
	w.path = bundletest.Pack(t, t.TempDir(), w.release, w.key)
	if w.raw, err = os.ReadFile(w.path); err != nil {
		t.Fatal(err)
	}
	return w
}

// verify reads a whole bundle.
func (w world) verify(t testing.TB, raw []byte) error {
	t.Helper()
	r, err := bundle.Open(bytes.NewReader(raw), w.keys)
	if err != nil {
		return err
	}
	return r.Verify(t.Context(), nil)
}

// entry is one file of the tar.
type entry struct {
	header tar.Header
	body   []byte
}

func (w world) entries(t testing.TB) []entry {
	t.Helper()
	var all []entry
	r := tar.NewReader(bytes.NewReader(w.raw))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{*h, body})
	}
}

func pack(t testing.TB, all []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range all {
		if e.header.Typeflag == tar.TypeReg {
			e.header.Size = int64(len(e.body))
		}
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// resign replaces the manifest by another one that is signed well.
func (w world) resign(t testing.TB, change func(m *bundle.Manifest)) []byte {
	t.Helper()
	all := w.entries(t)
	var m bundle.Manifest
	if err := json.Unmarshal(all[0].body, &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	all[0].body, all[1].body = raw, w.key.Sign(signature.Update, raw)
	return pack(t, all)
}

func TestPackedComesBack(t *testing.T) {
	w := newWorld(t)
	again := bundletest.Pack(t, t.TempDir(), w.release, w.key)
	if b, err := os.ReadFile(again); err != nil || !bytes.Equal(b, w.raw) {
		t.Errorf("the same sources make another bundle (%v)", err)
	}
	r, err := bundle.Open(bytes.NewReader(w.raw), w.keys)
	if err != nil {
		t.Fatal(err)
	}
	if r.Signer() != "current" || r.Manifest().Version.String() != "1.5.0" {
		t.Errorf("manifest %+v by %q", r.Manifest(), r.Signer())
	}
	out, last := t.TempDir(), int64(0)
	err = r.Unpack(t.Context(), out, func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress goes from %d to %d of %d", last, done, total)
		}
		last = done
	})
	if err != nil || last != r.Manifest().Size() {
		t.Fatalf("Unpack = %v after %d of %d bytes", err, last, r.Manifest().Size())
	}
	from := bundletest.Sources(t, t.TempDir(), w.release.Version)
	for i, path := range []string{from.UKI, from.Root, from.Verity, from.Loader} {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(out, r.Manifest().Artifacts[i].As))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s came back as %d bytes, want %d (%v)", filepath.Base(path), len(got), len(want), err)
		}
	}
	// 70 kB at the front and the last byte: three blocks of sixteen.
	if got := r.Manifest().Artifacts[1].RawUsed; got != 3<<16 {
		t.Errorf("the root takes %d bytes, want %d", got, 3<<16)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	with := func(change func(all []entry) []entry) []byte { return pack(t, change(w.entries(t))) }
	bomb := func() []byte {
		var out bytes.Buffer
		enc, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := enc.Write(make([]byte, 64<<20)); err != nil {
			t.Fatal(err)
		}
		if err := enc.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for _, tt := range []struct {
		name string
		raw  []byte
		code string
	}{
		{"empty", nil, "update.truncated"},
		{"rubbish", bytes.Repeat([]byte("rubbish "), 4096), "update.form"},
		{"stranger's signature", with(func(all []entry) []entry {
			other, _ := signature.Generate()
			all[1].body = other.Sign(signature.Update, all[0].body)
			return all
		}), "signature.wrong"},
		{"no signature", with(func(all []entry) []entry { return append(all[:1], all[2:]...) }), "update.form"},
		{"long signature", with(func(all []entry) []entry { all[1].body = append(all[1].body, 0); return all }), "update.form"},
		{"altered manifest", with(func(all []entry) []entry {
			all[0].body = bytes.Replace(all[0].body, []byte("1.5.0"), []byte("1.6.0"), 1)
			return all
		}), "signature.wrong"},
		{"huge manifest", with(func(all []entry) []entry { all[0].body = make([]byte, 1<<20); return all }), "update.form"},
		{"signature first", with(func(all []entry) []entry { all[0], all[1] = all[1], all[0]; return all }), "update.form"},
		{"parts in another order", with(func(all []entry) []entry { all[2], all[3] = all[3], all[2]; return all }), "update.form"},
		{"a part is missing", with(func(all []entry) []entry { return all[:4] }), "update.truncated"},
		{"one part too many", with(func(all []entry) []entry { return append(all, all[2]) }), "update.trailing"},
		{"a path out of the folder", with(func(all []entry) []entry { all[2].header.Name = "../uki.efi"; return all }), "update.form"},
		{"a link", with(func(all []entry) []entry {
			all[3].header.Typeflag, all[3].header.Linkname, all[3].header.Size, all[3].body = tar.TypeSymlink, "/dev/vda", 0, nil
			return all
		}), "update.form"},
		{"a sparse map", with(func(all []entry) []entry {
			all[2].header.Format, all[2].header.PAXRecords = tar.FormatPAX, map[string]string{"SALLYPORT.x": "1"}
			return all
		}), "update.form"},
		{"one byte of the boot image", with(func(all []entry) []entry { all[2].body[2500] ^= 1; return all }), "update.damaged"},
		{"one byte of the root", with(func(all []entry) []entry { all[3].body[50_000] ^= 1; return all }), "update.damaged"},
		{"a shorter part", with(func(all []entry) []entry { all[3].body = all[3].body[:1000]; return all }), "update.damaged"},
		{"bytes after the end", append(bytes.Clone(w.raw), 'x'), "update.trailing"},
		{"zeros after the end", append(bytes.Clone(w.raw), make([]byte, 512)...), "update.trailing"},
		{"another product", w.resign(t, func(m *bundle.Manifest) { m.Product = "doorbell" }), "update.product"},
		{"an unpacked name with a path", w.resign(t, func(m *bundle.Manifest) { m.Artifacts[1].As = "../../etc/passwd" }), "update.manifest"},
		{"an unpacked name of another version", w.resign(t, func(m *bundle.Manifest) {
			m.Artifacts[1].As = strings.Replace(m.Artifacts[1].As, "1.5.0", "1.5.1", 1)
		}), "update.manifest"},
		{"two parts", w.resign(t, func(m *bundle.Manifest) { m.Artifacts = m.Artifacts[:2] }), "update.manifest"},
		{"huge part", w.resign(t, func(m *bundle.Manifest) { m.Artifacts[1].RawSize = 1 << 60 }), "update.manifest"},
		{"negative size", w.resign(t, func(m *bundle.Manifest) { m.Artifacts[1].Size = -1 }), "update.manifest"},
		{"reads nothing", w.resign(t, func(m *bundle.Manifest) { m.Reads = [2]int{} }), "update.manifest"},
		{"wrong hash of the unpacked root", w.resign(t, func(m *bundle.Manifest) { m.Artifacts[1].RawSHA256 = strings.Repeat("0", 64) }), "update.damaged"},
		{"wrong hash of the packed root", w.resign(t, func(m *bundle.Manifest) { m.Artifacts[1].SHA256 = strings.Repeat("0", 64) }), "update.damaged"},
		{"unpacks to less than announced", w.resign(t, func(m *bundle.Manifest) { m.Artifacts[1].RawSize++ }), "update.damaged"},
		{"unpacks to more than announced", w.resign(t, func(m *bundle.Manifest) { m.Artifacts[1].RawSize -= 1 << 16 }), "update.damaged"},
		{"a bomb", func() []byte {
			small := bomb()
			w := w
			w.raw = w.resign(t, func(m *bundle.Manifest) { m.Artifacts[1].Size = int64(len(small)) })
			all := w.entries(t)
			all[3].body = small
			return pack(t, all)
		}(), "update.damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := w.verify(t, tt.raw)
			if err == nil || fault.CodeOf(err) != tt.code {
				t.Errorf("Verify = %v, want %s", err, tt.code)
			}
			if f, ok := fault.Of(err); !ok || f.Msg == "" {
				t.Errorf("%v says nothing to a person", err)
			}
		})
	}
	if err := w.verify(t, w.raw); err != nil {
		t.Errorf("untouched: %v", err)
	}
}

// Wherever the file is cut, it is refused, and never taken for damage that another copy would not mend.
func TestTruncatedAnywhere(t *testing.T) {
	w := newWorld(t)
	end := len(w.raw) - 1024 // two empty blocks say that nothing follows; nothing does
	for at := 0; at < end; at += 997 {
		if err := w.verify(t, w.raw[:at]); fault.CodeOf(err) != "update.truncated" {
			t.Fatalf("cut at %d of %d: %v", at, len(w.raw), err)
		}
	}
}

func TestCancelled(t *testing.T) {
	w := newWorld(t)
	r, err := bundle.Open(bytes.NewReader(w.raw), w.keys)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	err = r.Verify(ctx, func(done, _ int64) {
		if done > 1000 {
			cancel(stop)
		}
	})
	if !errors.Is(err, stop) {
		t.Errorf("Verify = %v", err)
	}
}

func TestPackRefusesForeignNames(t *testing.T) {
	w := newWorld(t)
	s := bundletest.Sources(t, t.TempDir(), bundle.Version{Major: 1, Minor: 4})
	folder := t.TempDir()
	if err := bundle.Pack(t.Context(), filepath.Join(folder, "x.upd"), w.release, s, w.key); !fault.Is(err, fault.Invalid) {
		t.Errorf("parts of 1.4.0 in a bundle of 1.5.0: %v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		a, b  string
		older bool
	}{{"1.5.0", "1.5.1", true}, {"1.5.9", "1.5.10", true}, {"1.10.0", "1.9.9", false}, {"2.0.0", "10.0.0", true}, {"1.5.0", "1.5.0", false}} {
		a, err := bundle.ParseVersion(tt.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := bundle.ParseVersion(tt.b)
		if err != nil {
			t.Fatal(err)
		}
		if a.Older(b) != tt.older {
			t.Errorf("%s older than %s: %v", tt.a, tt.b, a.Older(b))
		}
	}
	for _, bad := range []string{"", "1", "1.5", "1.5.0.1", "v1.5.0", "1.05.0", "1.5.0~rc1", "1.5.0\n", "-1.5.0", "1.5.100000", "../1.5.0"} {
		if v, err := bundle.ParseVersion(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, v)
		}
	}
}

// Whatever bytes come, either they are refused or they are the bundle that was signed.
func FuzzBundle(f *testing.F) {
	w := newWorld(f)
	f.Add(w.raw)
	f.Add(w.raw[:2000])
	f.Add(w.resign(f, func(m *bundle.Manifest) { m.Artifacts[1].RawSize-- }))
	want := w.entries(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := bundle.Open(bytes.NewReader(raw), w.keys)
		if err != nil {
			return
		}
		if r.Verify(ctx, nil) == nil && !bytes.Equal(r.Raw(), want[0].body) {
			t.Error("another manifest passes")
		}
	})
}
