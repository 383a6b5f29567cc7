package reel_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/appliance/reel"
)

func reader(b []byte) io.Reader { return bytes.NewReader(b) }

// segment returns the bytes of a segment of a few chunks with its key.
func segment(t testing.TB) ([]byte, reel.DataKey) {
	r := newRig(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range 5 {
		r.chunk(time.Duration(i)*time.Second, 0, noise(rng, time.Duration(i)*time.Second)...)
	}
	b, err := os.ReadFile(filepath.Join(r.folder, reel.SegmentName(1)))
	if err != nil {
		t.Fatal(err)
	}
	return b, r.keys()[1]
}

// TestEveryPrefixScansToWholeChunks is what a crash at any byte leaves.
func TestEveryPrefixScansToWholeChunks(t *testing.T) {
	b, key := segment(t)
	var ends []int64
	full, err := reel.Scan(reader(b), &key, func(c reel.Chunk) error { ends = append(ends, c.Offset); return nil })
	if err != nil || full.Chunks != 5 {
		t.Fatalf("%d chunks, %v", full.Chunks, err)
	}
	ends = append(ends[1:], full.Bytes)
	headerEnd := full.Bytes
	if _, err := reel.Scan(reader(b), nil, func(c reel.Chunk) error { headerEnd = min(headerEnd, c.Offset); return nil }); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(int(headerEnd), len(b)).Draw(rt, "n")
		s, err := reel.Scan(reader(b[:n]), &key, nil)
		if err != nil {
			rt.Fatal(err)
		}
		want, bytes := 0, headerEnd
		for _, e := range ends {
			if e <= int64(n) {
				want, bytes = want+1, e
			}
		}
		if int(s.Chunks) != want || s.Bytes != bytes || s.Rest != int64(n)-bytes {
			rt.Fatalf("%d bytes: %d chunks of %d, %d bytes and %d behind", n, s.Chunks, want, s.Bytes, s.Rest)
		}
		if s.Rest > 0 && !s.Torn {
			rt.Fatalf("a cut-off write at %d is called %q", n, s.Why)
		}
	})
}

func FuzzScan(f *testing.F) {
	b, key := segment(f)
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte("SPREEL1\n\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := reel.Scan(reader(in), &key, func(c reel.Chunk) error {
			return reel.Records(c.Plain, func(reel.Record) error { return nil })
		})
		if err == nil && s.Bytes+s.Rest != int64(len(in)) {
			t.Fatalf("%d bytes are %d whole and %d behind", len(in), s.Bytes, s.Rest)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(make([]byte, 20))
	f.Add([]byte("\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		size := 0
		err := reel.Records(in, func(r reel.Record) error { size += r.Size(); return nil })
		if size > len(in) || err == nil && size != len(in) {
			t.Fatalf("%d bytes of records in %d, %v", size, len(in), err)
		}
	})
}

func FuzzManifest(f *testing.F) {
	r := whole(f)
	b, err := os.ReadFile(filepath.Join(r.folder, reel.ManifestName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := reel.ParseManifest(in, r.public); err == nil && !bytes.Equal(in, b) {
			t.Fatalf("a manifest that was never signed passed: %s", in)
		}
	})
}
