package reel

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/appliance/fault"
)

// Chunk is one whole chunk as a scan meets it.
type Chunk struct {
	Segment uint32
	Index   uint32
	Flags   Flags
	Wall    time.Time
	Offset  int64  // of its header in the segment
	Plain   []byte // nil without a key; shared, copy what is kept

	head   [chunkHeader]byte
	prev   [tagSize]byte // of the former chunk
	sealed int           // size of ciphertext and tag
}

// Segment is what a scan found in one file: everything up to Bytes is whole.
type Segment struct {
	Header Header
	First  Link // L0
	Last   Link // after the last whole chunk
	Before Link // before it
	Chunks uint32
	Bytes  int64  // header and whole chunks
	Rest   int64  // bytes behind them
	Why    string // why the scan stopped before the end, "" when it did not
	Final  bool
	Gaps   []uint32 // chunks flagged Gap
	Torn   bool     // the rest looks like a write that was cut off, not like a change
	EndMS  int64    // wall time of the last whole chunk
}

// Scan reads a segment from r and visits each whole chunk: its link fits and, with a key, its tag. It stops at the first
// byte that does not fit and says so in the result. The error is for r and visit, and Invalid for a bad header.
func Scan(r io.Reader, key *DataKey, visit func(Chunk) error) (Segment, error) {
	in := &counter{r: r}
	h, first, size, err := readHeader(in)
	if err != nil {
		return Segment{Rest: in.n}, err
	}
	s := Segment{Header: h, First: first, Last: first, Bytes: size}
	var gcm cipher.AEAD
	if key != nil {
		gcm = key.aead()
	}
	var tag [tagSize]byte
	copy(tag[:], first[:])
	var buf, plain []byte
	for {
		if cap(buf) < chunkHeader {
			buf = make([]byte, 64<<10)
		}
		n, err := io.ReadFull(in, buf[:chunkHeader])
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		head, ok := chunkHead{}, false
		if err == nil {
			head, ok = decodeChunkHead(buf[:chunkHeader])
		}
		if err != nil || !ok || head.index != s.Chunks+1 || s.Final {
			return s, s.stop("chunk header", buf[:n], in, err)
		}
		total := chunkHeader + int(head.size) + linkSize
		if cap(buf) < total {
			buf = append(make([]byte, 0, total), buf[:chunkHeader]...)
		}
		buf = buf[:total]
		n, err = io.ReadFull(in, buf[chunkHeader:])
		if err != nil {
			return s, s.stop("cut off", buf[:chunkHeader+n], in, err)
		}
		hb := [chunkHeader]byte(buf[:chunkHeader])
		sealed := buf[chunkHeader : chunkHeader+int(head.size)]
		link := s.Last.next(hb, sealed)
		if !bytes.Equal(link[:], buf[total-linkSize:]) {
			return s, s.stop("link", buf, in, nil)
		}
		c := Chunk{
			Segment: h.Segment, Index: head.index, Flags: head.flags, Wall: time.UnixMilli(head.wall).UTC(),
			Offset: s.Bytes, head: hb, prev: tag, sealed: int(head.size),
		}
		if gcm != nil {
			plain, err = gcm.Open(plain[:0], nonce(h.Segment, head.index), sealed, bound(h, hb, tag[:]))
			if err != nil {
				return s, s.stop("seal", buf, in, nil)
			}
			c.Plain = plain
		}
		copy(tag[:], sealed[len(sealed)-tagSize:])
		s.Before, s.Last, s.Chunks, s.Bytes = s.Last, link, head.index, s.Bytes+int64(total)
		s.Final, s.EndMS = head.flags&Final != 0, head.wall
		if head.flags&Gap != 0 {
			s.Gaps = append(s.Gaps, head.index)
		}
		if visit != nil {
			if err := visit(c); err != nil {
				return s, err
			}
		}
		buf = buf[:chunkHeader]
	}
}

// stop notes where a scan ended. A cut-off write leaves less than a chunk and no chunk after it; when a later chunk
// stands behind the bad place, somebody changed bytes.
func (s *Segment) stop(why string, have []byte, in *counter, err error) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read segment: %w", err)
	}
	s.Why = why
	window := append([]byte(nil), have...)
	later := laterChunk(window, 1)
	chunk := make([]byte, 256<<10)
	for {
		n, err := in.Read(chunk)
		if !later {
			keep := max(len(window)-chunkHeader, 0)
			skip := 0
			if keep == 0 {
				skip = 1
			}
			window = append(append([]byte(nil), window[keep:]...), chunk[:n]...)
			later = laterChunk(window, skip)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read segment: %w", err)
		}
	}
	s.Rest = in.n - s.Bytes
	s.Torn = !later && s.Rest <= MaxChunk+chunkHeader+tagSize+linkSize
	return nil
}

// laterChunk tells whether a plausible chunk header begins in b at or after from.
func laterChunk(b []byte, from int) bool {
	for from < len(b) {
		i := bytes.Index(b[from:], []byte(chunkMagic))
		if i < 0 {
			return false
		}
		at := from + i
		if at+chunkHeader <= len(b) {
			if _, ok := decodeChunkHead(b[at : at+chunkHeader]); ok {
				return true
			}
		}
		from = at + 1
	}
	return false
}

// read decrypts a chunk that a scan met, from a file.
func (c Chunk) read(f io.ReaderAt, h Header, gcm cipher.AEAD, buf []byte) ([]byte, error) {
	if cap(buf) < c.sealed {
		buf = make([]byte, c.sealed)
	}
	buf = buf[:c.sealed]
	if _, err := f.ReadAt(buf, c.Offset+chunkHeader); err != nil {
		return nil, fmt.Errorf("read chunk %d of segment %d: %w", c.Index, c.Segment, err)
	}
	plain, err := gcm.Open(buf[:0], nonce(c.Segment, c.Index), buf, bound(h, c.head, c.prev[:]))
	if err != nil {
		return nil, fault.Newf("reel.read", fault.Conflict, "Chunk %d of segment %d was altered.", c.Index, c.Segment).WithCode("recording_altered").Because(err)
	}
	return plain, nil
}

// Records visits the records of a chunk's plaintext. They share its memory.
func Records(plain []byte, visit func(Record) error) error {
	for len(plain) > 0 {
		r, rest, err := decodeRecord(plain)
		if err != nil {
			return err
		}
		if err := visit(r); err != nil {
			return err
		}
		plain = rest
	}
	return nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func scanFile(path string, key *DataKey, visit func(Chunk) error) (Segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return Segment{}, fmt.Errorf("open segment: %w", err)
	}
	defer f.Close()
	return Scan(f, key, visit)
}

// headLink returns L0 of an encoded header.
func headLink(head []byte) Link {
	_, l, _, _ := readHeader(bytes.NewReader(head))
	return l
}

func headerOf(path string) (Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, fmt.Errorf("open segment: %w", err)
	}
	defer f.Close()
	h, _, _, err := readHeader(f)
	return h, err
}

// HeaderOf reads the header of a recording's first segment. It returns Invalid when it is not one.
func HeaderOf(folder string) (Header, error) { return headerOf(filepath.Join(folder, SegmentName(1))) }

// segmentsOf lists the numbers of a folder's segments in order. It returns NotFound when there is none.
func segmentsOf(folder string) ([]uint32, error) {
	entries, err := os.ReadDir(folder)
	if os.IsNotExist(err) || err == nil && len(entries) == 0 {
		return nil, fault.New("reel.segmentsOf", fault.NotFound, "There is no recording here.").WithCode("recording_missing")
	} else if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var out []uint32
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".reel")
		n, err := strconv.ParseUint(base, 10, 32)
		if ok && err == nil && SegmentName(uint32(n)) == e.Name() {
			out = append(out, uint32(n))
		}
	}
	if len(out) == 0 {
		return nil, fault.New("reel.segmentsOf", fault.NotFound, "There is no recording here.").WithCode("recording_missing")
	}
	slices.Sort(out)
	return out, nil
}

// Survey scans a recording's readable segments without their keys, in order. It returns NotFound when there is none.
func Survey(folder string) ([]Segment, error) {
	numbers, err := segmentsOf(folder)
	if err != nil {
		return nil, err
	}
	var out []Segment
	for _, n := range numbers {
		s, err := scanFile(filepath.Join(folder, SegmentName(n)), nil, nil)
		if fault.Is(err, fault.Invalid) {
			continue
		} else if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if out == nil {
		return nil, fault.New("reel.Survey", fault.NotFound, "Nothing of this recording became durable.").WithCode("recording_empty")
	}
	return out, nil
}

// NextSegment returns the number that the next segment of a folder must have: also after one whose header is torn.
func NextSegment(folder string) (uint32, error) {
	numbers, err := segmentsOf(folder)
	if err != nil {
		return 0, err
	}
	return numbers[len(numbers)-1] + 1, nil
}
