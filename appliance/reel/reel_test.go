package reel_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/reel"
)

var zero = time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC)

// rig is a recording being written, with everything that opens it.
type rig struct {
	t      testing.TB
	folder string
	head   reel.Header
	w      *reel.Writer
	who    *age.X25519Identity
	signer reel.Signer
	public ed25519.PublicKey
}

func instant(at time.Duration) linkspec.Instant {
	return linkspec.Instant{BootID: "boot", Boot: int64(time.Hour + at), Wall: zero.Add(at)}
}

func newRig(t testing.TB) *rig {
	t.Helper()
	who, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, who: who, signer: reel.Signer{KID: "rec1", Key: private}, public: public}
	r.head = reel.Header{
		Facility: ident.New[ident.Facility](), Recording: ident.New[ident.Recording](), Call: ident.New[ident.Call](),
		Segment: 1, Start: instant(0), Opened: instant(0),
	}
	r.folder = filepath.Join(t.TempDir(), reel.Folder(zero, r.head.Recording))
	r.open()
	return r
}

func (r *rig) open() {
	r.t.Helper()
	w, err := reel.Create(r.folder, r.head, []age.Recipient{r.who.Recipient()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { w.Close() })
	r.w = w
}

// again opens the next segment, as a process that starts again does.
func (r *rig) again(at time.Duration) {
	last := r.w.Last()
	r.w.Close()
	r.head.Segment++
	r.head.Opened, r.head.Prev = instant(at), last[:]
	r.open()
}

func (r *rig) chunk(at time.Duration, flags reel.Flags, records ...reel.Record) {
	r.t.Helper()
	if err := r.w.Append(instant(at), flags, records); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) seal() string {
	r.t.Helper()
	hash, err := reel.Seal(r.folder, reel.Manifest{
		Facility: r.head.Facility, Recording: r.head.Recording, Call: r.head.Call, Start: zero, End: zero.Add(time.Minute), Code: "time_up",
	}, r.signer)
	if err != nil {
		r.t.Fatal(err)
	}
	return hash
}

func (r *rig) keys() reel.Keys {
	r.t.Helper()
	keys, err := reel.OpenKeys(r.folder, r.who)
	if err != nil {
		r.t.Fatal(err)
	}
	return keys
}

func (r *rig) verify(keys reel.VerifyKeys) reel.Report {
	r.t.Helper()
	report, err := reel.VerifyFolder(r.folder, keys)
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

// noise makes a chunk's worth of records that nothing decodes.
func noise(rng *rand.Rand, at time.Duration) []reel.Record {
	var out []reel.Record
	for i := range 1 + rng.IntN(20) {
		body := make([]byte, rng.IntN(400))
		for k := range body {
			body[k] = byte(rng.Uint32())
		}
		out = append(out, reel.Record{Kind: reel.Text, At: at + time.Duration(i)*time.Millisecond, RTP: rng.Uint32(), Payload: body})
	}
	return out
}

// whole makes a sealed recording of two segments with a declared gap.
func whole(t testing.TB) *rig {
	r := newRig(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 8 {
		r.chunk(time.Duration(i)*time.Second, 0, noise(rng, time.Duration(i)*time.Second)...)
	}
	r.again(10 * time.Second)
	for i := range 6 {
		flags := reel.Flags(0)
		if i == 0 {
			flags = reel.Gap
		}
		if i == 5 {
			flags = reel.Final
		}
		r.chunk(time.Duration(10+i)*time.Second, flags, noise(rng, time.Duration(10+i)*time.Second)...)
	}
	r.seal()
	return r
}

func TestWholeRecordingVerifies(t *testing.T) {
	r := whole(t)
	report := r.verify(reel.VerifyKeys{Signer: r.public, Data: r.keys()})
	if report.Verdict() != reel.Gaps || len(report.Gaps) != 1 || report.Gaps[0].Segment != 2 || report.Gaps[0].Chunk != 1 {
		t.Errorf("verdict %s, gaps %v, damage %v; want the one declared gap", report.Verdict(), report.Gaps, report.Damage)
	}
	if !report.Signed || !report.Opened || !report.Final || report.Chunks != 14 || report.Segments != 2 {
		t.Errorf("report %+v", report)
	}
	if without := r.verify(reel.VerifyKeys{}); without.Opened || without.Signed || without.Verdict() != reel.Gaps {
		t.Errorf("without keys: %+v", without)
	}
}

func TestUnsealedRecordingIsOpen(t *testing.T) {
	r := newRig(t)
	r.chunk(0, 0, reel.Mark{Kind: reel.MarkLive}.Record(0))
	if got := r.verify(reel.VerifyKeys{Data: r.keys()}).Verdict(); got != reel.Unsealed {
		t.Errorf("verdict %s, want open", got)
	}
}

// TestEveryFlipIsFound changes one random bit at a time, anywhere in the recording: R1.
func TestEveryFlipIsFound(t *testing.T) {
	r := whole(t)
	keys := r.keys()
	names := []string{reel.SegmentName(1), reel.SegmentName(2), reel.ManifestName}
	clean := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(r.folder, name))
		if err != nil {
			t.Fatal(err)
		}
		clean[name] = b
	}
	places := chunkPlaces(t, clean)
	rng := rand.New(rand.NewPCG(3, 4))
	total := 0
	for _, name := range names {
		total += len(clean[name])
	}
	for range 1000 {
		at := rng.IntN(total)
		name := ""
		for _, name = range names {
			if at < len(clean[name]) {
				break
			}
			at -= len(clean[name])
		}
		bad := append([]byte(nil), clean[name]...)
		bad[at] ^= 1 << rng.IntN(8)
		write(t, filepath.Join(r.folder, name), bad)
		for _, how := range []reel.VerifyKeys{{Signer: r.public, Data: keys}, {Signer: r.public}} {
			report := r.verify(how)
			if report.Verdict() != reel.Altered {
				t.Fatalf("a flip at %d of %s went unnoticed: %+v", at, name, report)
			}
			if name == reel.ManifestName {
				if report.Damage[0].Segment != 0 {
					t.Fatalf("a flip in the manifest is called %v", report.Damage)
				}
				continue
			}
			if want := places[name](at); report.Damage[0] != (reel.Place{Segment: want.Segment, Chunk: want.Chunk, Why: report.Damage[0].Why}) {
				t.Fatalf("a flip at %d of %s is in %v, the verifier says %v", at, name, want, report.Damage)
			}
		}
		write(t, filepath.Join(r.folder, name), clean[name])
	}
}

// chunkPlaces tells which chunk each byte of a segment belongs to.
func chunkPlaces(t *testing.T, files map[string][]byte) map[string]func(int) reel.Place {
	out := map[string]func(int) reel.Place{}
	for i, name := range []string{reel.SegmentName(1), reel.SegmentName(2)} {
		var starts []int64
		if _, err := reel.Scan(reader(files[name]), nil, func(c reel.Chunk) error { starts = append(starts, c.Offset); return nil }); err != nil {
			t.Fatal(err)
		}
		out[name] = func(at int) reel.Place {
			p := reel.Place{Segment: uint32(i + 1)}
			for k, s := range starts {
				if int64(at) >= s {
					p.Chunk = uint32(k + 1)
				}
			}
			return p
		}
	}
	return out
}

func TestTampering(t *testing.T) {
	other := whole(t)
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, r *rig)
	}{
		{"chunk dropped", func(t *testing.T, r *rig) { splice(t, r, 1, 3, 4, nil) }},
		{"chunk doubled", func(t *testing.T, r *rig) { splice(t, r, 1, 3, 3, cut(t, r, 1, 3)) }},
		{"chunks swapped", func(t *testing.T, r *rig) {
			splice(t, r, 1, 3, 5, append(cut(t, r, 1, 4), cut(t, r, 1, 3)...))
		}},
		{"last chunk cut off", func(t *testing.T, r *rig) { splice(t, r, 2, 6, 7, nil) }},
		{"half of the last chunk cut off", func(t *testing.T, r *rig) {
			path := filepath.Join(r.folder, reel.SegmentName(2))
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, info.Size()-40); err != nil {
				t.Fatal(err)
			}
		}},
		{"chunk of another call", func(t *testing.T, r *rig) { splice(t, r, 1, 3, 4, cut(t, other, 1, 3)) }},
		{"segment of another call", func(t *testing.T, r *rig) {
			b, err := os.ReadFile(filepath.Join(other.folder, reel.SegmentName(2)))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(r.folder, reel.SegmentName(2)), b)
		}},
		{"segment removed", func(t *testing.T, r *rig) { os.Remove(filepath.Join(r.folder, reel.SegmentName(2))) }},
		{"segment added", func(t *testing.T, r *rig) {
			b, err := os.ReadFile(filepath.Join(other.folder, reel.SegmentName(2)))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(r.folder, reel.SegmentName(3)), b)
		}},
		{"manifest of another call", func(t *testing.T, r *rig) {
			b, err := os.ReadFile(filepath.Join(other.folder, reel.ManifestName))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(r.folder, reel.ManifestName), b)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := whole(t)
			keys := r.keys()
			tt.change(t, r)
			report := r.verify(reel.VerifyKeys{Signer: r.public, Data: keys})
			if report.Verdict() != reel.Altered {
				t.Errorf("unnoticed: %+v", report)
			}
		})
	}
}

func TestTornTailIsAGapNotAChange(t *testing.T) {
	r := newRig(t)
	rng := rand.New(rand.NewPCG(5, 6))
	r.chunk(0, 0, noise(rng, 0)...)
	r.chunk(time.Second, 0, noise(rng, time.Second)...)
	path := filepath.Join(r.folder, reel.SegmentName(1))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, append(b, []byte("SPCH\x00\x00\x00\x03\x00")...)) // a write that a power cut ended
	r.again(5 * time.Second)
	r.chunk(5*time.Second, reel.Final|reel.Gap, noise(rng, 5*time.Second)...)
	r.seal()
	report := r.verify(reel.VerifyKeys{Signer: r.public, Data: r.keys()})
	if report.Verdict() != reel.Gaps || len(report.Gaps) != 2 {
		t.Errorf("verdict %s, damage %v, gaps %v", report.Verdict(), report.Damage, report.Gaps)
	}
}

func TestKeysOpenOnlyForWhomAndWhereTheyBelong(t *testing.T) {
	r, other := whole(t), whole(t)
	if _, err := reel.OpenKeys(r.folder, other.who); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a stranger's identity: %v", err)
	}
	one, err := os.ReadFile(filepath.Join(r.folder, reel.KeyName(1)))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(r.folder, reel.KeyName(2)), one)
	if _, err := reel.OpenKeys(r.folder, r.who); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("keys swapped between segments: %v", err)
	}
}

func TestKeyring(t *testing.T) {
	r := whole(t)
	keys := r.keys()
	ring, next := make([]byte, 32), append(make([]byte, 31), 1)
	wrapped, err := keys.Wrap(ring, r.head.Recording)
	if err != nil {
		t.Fatal(err)
	}
	back, err := reel.UnwrapKeys(ring, wrapped, r.head.Recording)
	if err != nil || len(back) != 2 || back[2] != keys[2] {
		t.Fatalf("unwrapped %d keys, %v", len(back), err)
	}
	for name, try := range map[string]func() (reel.Keys, error){
		"another keyring key": func() (reel.Keys, error) { return reel.UnwrapKeys(next, wrapped, r.head.Recording) },
		"another recording": func() (reel.Keys, error) {
			return reel.UnwrapKeys(ring, wrapped, ident.New[ident.Recording]())
		},
		"cut": func() (reel.Keys, error) { return reel.UnwrapKeys(ring, wrapped[:8], r.head.Recording) },
	} {
		if _, err := try(); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := reel.DropKeyFiles(r.folder); err != nil {
		t.Fatal(err)
	}
	if _, err := reel.OpenKeys(r.folder, r.who); !fault.Is(err, fault.NotFound) {
		t.Errorf("after the keys moved: %v", err)
	}
	if report := r.verify(reel.VerifyKeys{Signer: r.public, Data: back}); report.Verdict() != reel.Gaps || !report.Opened {
		t.Errorf("with keys of the keyring: %+v", report)
	}
}

func TestASegmentIsNeverOverwritten(t *testing.T) {
	r := newRig(t)
	if _, err := reel.Create(r.folder, r.head, []age.Recipient{r.who.Recipient()}); !fault.Is(err, fault.Conflict) {
		t.Errorf("the same segment twice: %v", err)
	}
}

func TestNothingFollowsTheFinalChunk(t *testing.T) {
	r := newRig(t)
	r.chunk(0, reel.Final, reel.Mark{Kind: reel.MarkEnd}.Record(0))
	if err := r.w.Append(instant(time.Second), 0, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a chunk after the final one: %v", err)
	}
	r.seal()
	if _, err := reel.Seal(r.folder, reel.Manifest{}, r.signer); !fault.Is(err, fault.Conflict) {
		t.Errorf("sealed twice: %v", err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	for _, k := range whole(t).keys() {
		if k.String() != "[redacted]" || k.GoString() != "[redacted]" || k.LogValue().String() != "[redacted]" {
			t.Error("a data key prints itself")
		}
	}
}

// cut returns the bytes of one chunk, splice replaces the chunks [from, to).
func cut(t *testing.T, r *rig, segment, chunk uint32) []byte {
	t.Helper()
	b, at := chunks(t, r, segment)
	return append([]byte(nil), b[at[chunk-1]:at[chunk]]...)
}

func splice(t *testing.T, r *rig, segment, from, to uint32, with []byte) {
	t.Helper()
	b, at := chunks(t, r, segment)
	out := append(append(append([]byte(nil), b[:at[from-1]]...), with...), b[at[to-1]:]...)
	write(t, filepath.Join(r.folder, reel.SegmentName(segment)), out)
}

func chunks(t *testing.T, r *rig, segment uint32) ([]byte, []int64) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.folder, reel.SegmentName(segment)))
	if err != nil {
		t.Fatal(err)
	}
	var at []int64
	s, err := reel.Scan(reader(b), nil, func(c reel.Chunk) error { at = append(at, c.Offset); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return b, append(at, s.Bytes)
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func ntp(at time.Time) []byte {
	since := at.Sub(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC))
	return binary.BigEndian.AppendUint64(nil, uint64(since/time.Second)<<32|uint64(since%time.Second)<<32/uint64(time.Second))
}
