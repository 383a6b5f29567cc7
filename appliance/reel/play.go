package reel

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// Reel is a recording opened with its data keys. It is safe for concurrent use; [Reel.Close] cuts every [Movie] of it.
type Reel struct {
	header   Header
	segments map[uint32]*openSegment
	chunks   []Chunk // of all segments, in order, without their plaintext
	tracks   []*track
	marks    []Mark
	length   time.Duration
	start    time.Time
	movies   map[ident.Seat]*layout
	last     Link

	mu     sync.RWMutex // guards closed; held for reading while a chunk is read
	closed bool
}

type openSegment struct {
	file   *os.File
	header Header
	key    DataKey
}

// frame is where one frame lies and when it is shown.
type frame struct {
	chunk int32 // index into Reel.chunks
	off   int32 // of its payload in the plaintext
	size  int32
	flags RecordFlags
	rtp   uint32
	at    int64 // us since zero: arrival, then presentation
}

// reading is a sender report: the sender's own clock for an RTP time.
type reading struct {
	before int // number of frames of the track before it
	rtp    uint32
	ntp    int64 // us
}

// track is everything of one seat and codec, over all segments.
type track struct {
	info     TrackInfo
	frames   []frame
	readings []reading
	width    int
	height   int
}

// Open scans a recording's folder and builds its index. Missing keys are refused with Forbidden: they are erased or
// sealed away. Chunks behind a damaged place are not played; [VerifyFolder] says why.
func Open(folder string, keys Keys) (*Reel, error) {
	numbers, err := segmentsOf(folder)
	if err != nil {
		return nil, err
	}
	r := &Reel{segments: map[uint32]*openSegment{}}
	for _, n := range numbers {
		if err := r.load(filepath.Join(folder, SegmentName(n)), n, keys); err != nil {
			r.Close()
			return nil, err
		}
	}
	if len(r.segments) == 0 {
		return nil, fault.New("reel.Open", fault.NotFound, "There is no recording here.").WithCode("recording_missing")
	}
	r.movies = map[ident.Seat]*layout{}
	for _, seat := range r.seats() {
		r.align(seat)
	}
	for _, t := range r.tracks {
		if n := len(t.frames); n > 0 {
			r.length = max(r.length, time.Duration(t.frames[n-1].at)*time.Microsecond)
		}
	}
	for _, seat := range r.seats() {
		r.movies[seat] = r.layOut(seat)
	}
	return r, nil
}

func (r *Reel) load(path string, n uint32, keys Keys) error {
	h, err := headerOf(path)
	if fault.Is(err, fault.Invalid) {
		return nil
	} else if err != nil {
		return err
	}
	key, ok := keys[n]
	if !ok {
		return fault.Newf("reel.Open", fault.Forbidden, "The key of segment %d is not at hand.", n).WithCode("recording_keys")
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open segment %d: %w", n, err)
	}
	if len(r.segments) == 0 {
		r.header, r.start = h, h.Start.Wall
	}
	r.segments[n] = &openSegment{file: f, header: h, key: key}
	byNumber := map[uint8]*track{}
	s, err := Scan(f, &key, func(c Chunk) error { return r.index(c, byNumber) })
	r.last = s.Last
	return err
}

// index takes one chunk into the index.
func (r *Reel) index(c Chunk, byNumber map[uint8]*track) error {
	plain := c.Plain
	c.Plain = nil
	r.chunks = append(r.chunks, c)
	off := 0
	return Records(plain, func(rec Record) error {
		at := off + recordHeader
		off += rec.Size()
		switch rec.Kind {
		case Track:
			var info TrackInfo
			if err := json.Unmarshal(rec.Payload, &info); err == nil {
				byNumber[rec.Track] = r.track(info)
			}
		case MarkKind:
			var m Mark
			if err := json.Unmarshal(rec.Payload, &m); err == nil {
				m.AtMS = rec.At.Milliseconds()
				r.length = max(r.length, rec.At)
				r.marks = append(r.marks, m)
			}
		case Audio, Video:
			t := byNumber[rec.Track]
			if t == nil || rec.Kind == Video != (t.info.Codec == VP8) || len(rec.Payload) == 0 {
				return nil
			}
			if rec.Kind == Video && rec.Flags&Key != 0 && t.width == 0 {
				t.width, t.height, _ = PictureSize(rec.Payload)
			}
			t.frames = append(t.frames, frame{
				chunk: int32(len(r.chunks) - 1), off: int32(at), size: int32(len(rec.Payload)),
				flags: rec.Flags, rtp: rec.RTP, at: rec.At.Microseconds(),
			})
		case Clock:
			if t := byNumber[rec.Track]; t != nil && len(rec.Payload) == 8 {
				ntp := binary.BigEndian.Uint64(rec.Payload)
				us := int64(ntp>>32)*1e6 + int64((ntp&0xffffffff)*1e6>>32)
				t.readings = append(t.readings, reading{before: len(t.frames), rtp: rec.RTP, ntp: us})
			}
		}
		return nil
	})
}

// track finds or makes the track of a seat and codec: the same in all segments.
func (r *Reel) track(info TrackInfo) *track {
	if info.Rate == 0 || info.Codec != Opus && info.Codec != VP8 {
		return nil
	}
	for _, t := range r.tracks {
		if t.info.Seat == info.Seat && t.info.Codec == info.Codec {
			return t
		}
	}
	t := &track{info: info}
	r.tracks = append(r.tracks, t)
	return t
}

func (r *Reel) seats() []ident.Seat {
	var out []ident.Seat
	for _, t := range r.tracks {
		if !slices.Contains(out, t.info.Seat) {
			out = append(out, t.info.Seat)
		}
	}
	slices.Sort(out)
	return out
}

// Recording returns the recording's id.
func (r *Reel) Recording() ident.Recording { return r.header.Recording }

// Start returns the recording's zero on the wall clock.
func (r *Reel) Start() time.Time { return r.start }

// Length returns how long the recording is: the time of its last mark or frame.
func (r *Reel) Length() time.Duration { return r.length }

// Marks returns the marks in the order in which they were written.
func (r *Reel) Marks() []Mark { return slices.Clone(r.marks) }

// Seats returns the seats that sent anything, in order. Each has a [Movie].
func (r *Reel) Seats() []ident.Seat {
	var out []ident.Seat
	for _, s := range r.seats() {
		for _, t := range r.tracks {
			if t.info.Seat == s && len(t.frames) > 0 {
				out = append(out, s)
				break
			}
		}
	}
	return out
}

// Close closes the files. Every read of a movie fails from now on, also one that is being served.
func (r *Reel) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	var first error
	for _, s := range r.segments {
		s.key = DataKey{}
		if err := s.file.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// plain decrypts one chunk.
func (r *Reel) plain(chunk int, buf []byte) ([]byte, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return nil, fault.New("reel.Read", fault.Forbidden, "This recording was closed.").WithCode("recording_closed")
	}
	c := r.chunks[chunk]
	s := r.segments[c.Segment]
	return c.read(s.file, s.header, s.key.aead(), buf)
}

// PictureSize reads width and height from a VP8 key frame (RFC 6386, 9.1).
func PictureSize(frame []byte) (width, height int, ok bool) {
	if len(frame) < 10 || frame[0]&1 != 0 || frame[3] != 0x9d || frame[4] != 0x01 || frame[5] != 0x2a {
		return 0, 0, false
	}
	return int(binary.LittleEndian.Uint16(frame[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(frame[8:]) & 0x3fff), true
}
