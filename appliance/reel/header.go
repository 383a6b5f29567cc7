package reel

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// Sizes and names of the format.
const (
	magic       = "SPREEL1\n"
	chunkMagic  = "SPCH"
	chunkHeader = 32
	tagSize     = 16
	linkSize    = sha256.Size
	maxHeader   = 64 << 10
	// MaxChunk is the most plaintext that a chunk may hold: a reader allocates no more on a file's word. A writer closes a
	// chunk far earlier, at a second or 256 KiB; only one huge frame comes near it.
	MaxChunk = 4 << 20

	suite   = "AES-256-GCM/SHA-256/age-X25519"
	version = 1
)

// Link is a value of the hash chain.
type Link [linkSize]byte

// Header is a segment's clear header. Start is the recording's zero, the same in all its segments.
type Header struct {
	Version      int              `json:"version"`
	Suite        string           `json:"suite"`
	Facility     ident.Facility   `json:"facility"`
	Recording    ident.Recording  `json:"recording"`
	Call         ident.Call       `json:"call"`
	Segment      uint32           `json:"segment"` // 1, 2, ...
	Start        linkspec.Instant `json:"start"`
	Opened       linkspec.Instant `json:"opened"`
	Prev         []byte           `json:"prev,omitempty"` // last whole link of the former segment
	PolicyDigest string           `json:"policy_digest,omitempty"`
}

// Since returns how long after the recording's zero an instant is: by boot time within one boot, by wall clock across
// boots, never negative.
func (h Header) Since(at linkspec.Instant) time.Duration {
	d := at.Wall.Sub(h.Start.Wall)
	if at.BootID == h.Start.BootID {
		d = time.Duration(at.Boot - h.Start.Boot)
	}
	return max(d, 0)
}

func (h Header) check() error {
	_, errR := ident.Parse[ident.Recording](string(h.Recording))
	_, errC := ident.Parse[ident.Call](string(h.Call))
	switch {
	case h.Version != version || h.Suite != suite:
		return fmt.Errorf("version %d, suite %q", h.Version, h.Suite)
	case errR != nil || errC != nil:
		return fmt.Errorf("ids of another shape")
	case h.Segment == 0:
		return fmt.Errorf("segment 0")
	case h.Segment > 1 && len(h.Prev) != linkSize:
		return fmt.Errorf("segment %d without a former link", h.Segment)
	}
	return nil
}

// encode returns the header's bytes on disk.
func (h Header) encode() ([]byte, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	out := append([]byte(magic), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(out[len(magic):], uint32(len(body)))
	return append(out, body...), nil
}

// readHeader reads a segment's header and returns it with its link L0 and its size on disk.
func readHeader(r io.Reader) (Header, Link, int64, error) {
	bad := func(err error) (Header, Link, int64, error) {
		return Header{}, Link{}, 0, fault.New("reel.readHeader", fault.Invalid, "This is not a segment of a recording.").WithCode("reel_header").Because(err)
	}
	head := make([]byte, len(magic)+4)
	if _, err := io.ReadFull(r, head); err != nil {
		return bad(err)
	}
	n := binary.BigEndian.Uint32(head[len(magic):])
	if string(head[:len(magic)]) != magic || n == 0 || n > maxHeader {
		return bad(fmt.Errorf("no magic, or %d bytes of header", n))
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return bad(err)
	}
	var h Header
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return bad(err)
	}
	if err := h.check(); err != nil {
		return bad(err)
	}
	all := slices.Concat(head, body)
	return h, sha256.Sum256(all), int64(len(all)), nil
}

// Flags of a chunk.
type Flags uint32

// The flags.
const (
	Final Flags = 1 << iota // nothing follows in this recording
	Gap                     // something is missing before this chunk
)

// chunkHead is the clear header of a chunk.
type chunkHead struct {
	index uint32
	flags Flags
	size  uint32 // of ciphertext and tag
	wall  int64  // ms, of the first record
	boot  int64  // ns
}

func (c chunkHead) encode() [chunkHeader]byte {
	var b [chunkHeader]byte
	copy(b[:4], chunkMagic)
	binary.BigEndian.PutUint32(b[4:], c.index)
	binary.BigEndian.PutUint32(b[8:], uint32(c.flags))
	binary.BigEndian.PutUint32(b[12:], c.size)
	binary.BigEndian.PutUint64(b[16:], uint64(c.wall))
	binary.BigEndian.PutUint64(b[24:], uint64(c.boot))
	return b
}

func decodeChunkHead(b []byte) (chunkHead, bool) {
	if string(b[:4]) != chunkMagic {
		return chunkHead{}, false
	}
	c := chunkHead{
		index: binary.BigEndian.Uint32(b[4:]),
		flags: Flags(binary.BigEndian.Uint32(b[8:])),
		size:  binary.BigEndian.Uint32(b[12:]),
		wall:  int64(binary.BigEndian.Uint64(b[16:])),
		boot:  int64(binary.BigEndian.Uint64(b[24:])),
	}
	return c, c.size >= tagSize && c.size <= MaxChunk+tagSize && c.flags&^(Final|Gap) == 0
}

// nonce of a chunk: it never repeats under one data key, because a key serves one segment.
func nonce(segment, index uint32) []byte {
	var n [12]byte
	binary.BigEndian.PutUint32(n[:4], segment)
	binary.BigEndian.PutUint64(n[4:], uint64(index))
	return n[:]
}

// bound returns the associated data of a chunk. prev is the former chunk's tag, the start of L0 for the first, so that
// a chunk fits one place of one recording of one facility only.
func bound(h Header, head [chunkHeader]byte, prev []byte) []byte {
	ad := make([]byte, 0, 160)
	for _, s := range []string{string(h.Facility), string(h.Call), string(h.Recording)} {
		ad = binary.BigEndian.AppendUint16(ad, uint16(len(s)))
		ad = append(ad, s...)
	}
	ad = append(ad, head[:]...)
	return append(ad, prev...)
}

// next returns the link after a chunk.
func (l Link) next(head [chunkHeader]byte, sealed []byte) Link {
	d := sha256.New()
	d.Write(l[:])
	d.Write(head[:])
	d.Write(sealed)
	return Link(d.Sum(nil))
}

// SegmentName returns the file name of a segment, "0001.reel".
func SegmentName(segment uint32) string { return fmt.Sprintf("%04d.reel", segment) }

// KeyName returns the file name of a segment's wrapped data key, "0001.key".
func KeyName(segment uint32) string { return fmt.Sprintf("%04d.key", segment) }

// ManifestName is the file name of a recording's manifest.
const ManifestName = "manifest.json"

// Folder returns a recording's folder below the recordings' root: "<yyyy-mm-dd>/<recording>", the day in UTC.
func Folder(start time.Time, id ident.Recording) string {
	return filepath.Join(start.UTC().Format(time.DateOnly), string(id))
}
