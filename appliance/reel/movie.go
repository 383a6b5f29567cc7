package reel

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"sort"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// layout is one seat's WebM: everything before the clusters, and where each cluster lies.
type layout struct {
	head     []byte // EBML header, segment header, SeekHead, Info, Tracks, Cues
	clusters []cluster
	size     int64
	etag     string
}

// cluster is the part of a movie that comes from one chunk.
type cluster struct {
	pos    int64 // in the file
	size   int64
	chunk  int
	ms     int64
	blocks []block
}

type block struct {
	at     int64 // ms
	off    int32
	size   int32
	number uint8 // of the WebM track
	key    bool
}

// WebM's relative times are 16 bits; a cluster is cut long before.
const maxRelative = 30_000

// The track numbers in a movie.
const (
	videoTrack = 1
	audioTrack = 2
)

// layOut computes a seat's movie from the index: no chunk is read.
func (r *Reel) layOut(seat ident.Seat) *layout {
	var video, audio *track
	perChunk := make([][]block, len(r.chunks))
	for _, t := range r.tracks {
		if t.info.Seat != seat || t.info.Codec == VP8 && t.width == 0 {
			continue // a picture without any key frame cannot be shown
		}
		number, playing := uint8(audioTrack), true
		if t.info.Codec == VP8 {
			number, playing, video = videoTrack, false, t
		} else {
			audio = t
		}
		for _, f := range t.frames {
			if f.flags&Fresh != 0 && t.info.Codec == VP8 {
				playing = false // a new run decodes from its first key frame on
			}
			playing = playing || f.flags&Key != 0
			if playing {
				perChunk[f.chunk] = append(perChunk[f.chunk], block{
					at: f.at / 1000, off: f.off, size: f.size, number: number, key: f.flags&Key != 0 || number == audioTrack,
				})
			}
		}
	}
	l := &layout{}
	for chunk, blocks := range perChunk {
		slices.SortStableFunc(blocks, func(a, b block) int { return int(a.at - b.at) })
		l.add(chunk, blocks)
	}
	l.finish(r, seat, video, audio)
	return l
}

// add appends the clusters of one chunk.
func (l *layout) add(chunk int, blocks []block) {
	for len(blocks) > 0 {
		n := 1
		for n < len(blocks) && blocks[n].at-blocks[0].at < maxRelative {
			n++
		}
		c := cluster{chunk: chunk, ms: blocks[0].at, blocks: blocks[:n:n], size: clusterHeader}
		for _, b := range c.blocks {
			c.size += blockHeader + int64(b.size)
		}
		l.clusters = append(l.clusters, c)
		blocks = blocks[n:]
	}
}

// finish writes the head, whose size is known before its positions are, and places the clusters.
func (l *layout) finish(r *Reel, seat ident.Seat, video, audio *track) {
	ebml := ebmlHeader()
	info, tracks := r.info(l), trackEntries(seat, video, audio)
	cues := l.cuePoints(video != nil)
	cuesSize := int64(4 + 8 + len(cues)*cueSize)
	seekHead := int64(4 + 8 + 3*seekSize)
	body := seekHead + int64(len(info)) + int64(len(tracks)) + cuesSize // positions count from the segment's content
	start := int64(len(ebml)) + 4 + 8
	pos := start + body
	for i := range l.clusters {
		l.clusters[i].pos = pos
		pos += l.clusters[i].size
	}
	l.size = pos

	out := appendSize(appendID(ebml, idSegment), l.size-start)
	var seeks []byte
	at := seekHead
	for _, part := range []struct {
		id   uint32
		size int64
	}{{idInfo, int64(len(info))}, {idTracks, int64(len(tracks))}, {idCues, cuesSize}} {
		seeks = element(seeks, idSeek, number(element(nil, idSeekID, idBytes(part.id)), idSeekPosition, uint64(at)))
		at += part.size
	}
	out = element(out, idSeekHead, seeks)
	out = append(out, info...)
	out = append(out, tracks...)
	var points []byte
	for _, c := range cues {
		where := number(number(nil, idCueTrack, uint64(c.number)), idCueCluster, uint64(l.clusters[c.cluster].pos-start))
		points = element(points, idCuePoint, element(number(nil, idCueTime, uint64(c.ms)), idCuePositions, where))
	}
	l.head = element(out, idCues, points)
	sum := sha256.Sum256(append(append(r.last[:len(r.last):len(r.last)], seat...), l.head...))
	l.etag = `"` + hex.EncodeToString(sum[:16]) + `"`
}

type cue struct {
	cluster int
	ms      int64
	number  uint8
}

// cuePoints lists where a player may start: clusters with a key frame, or every cluster when there is no picture.
func (l *layout) cuePoints(video bool) []cue {
	var out []cue
	for i, c := range l.clusters {
		for _, b := range c.blocks {
			if b.key && (b.number == videoTrack) == video {
				out = append(out, cue{i, b.at, b.number})
				break
			}
		}
	}
	return out
}

func ebmlHeader() []byte {
	var b []byte
	b = number(b, 0x4286, 1)
	b = number(b, 0x42F7, 1)
	b = number(b, 0x42F2, 4)
	b = number(b, 0x42F3, 8)
	b = words(b, 0x4282, "webm")
	b = number(b, 0x4287, 4)
	b = number(b, 0x4285, 2)
	return element(nil, idEBML, b)
}

func (r *Reel) info(l *layout) []byte {
	end := r.length.Milliseconds()
	if n := len(l.clusters); n > 0 {
		blocks := l.clusters[n-1].blocks
		end = max(end, blocks[len(blocks)-1].at)
	}
	epoch := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	var b []byte
	b = number(b, idTimestampScale, 1_000_000)
	b = float(b, idDuration, float64(end))
	b = number(b, idDate, uint64(r.start.Sub(epoch).Nanoseconds()))
	b = words(b, idMuxingApp, "Sallyport")
	b = words(b, idWritingApp, "Sallyport")
	return element(nil, idInfo, b)
}

func trackEntries(seat ident.Seat, video, audio *track) []byte {
	uid := func(n uint8) uint64 {
		sum := sha256.Sum256(append([]byte(seat), n))
		return binary.BigEndian.Uint64(sum[:8]) | 1
	}
	var out []byte
	if video != nil {
		b := number(number(nil, idTrackNumber, videoTrack), idTrackUID, uid(videoTrack))
		b = number(number(b, idTrackType, 1), idFlagLacing, 0)
		b = words(b, idCodecID, "V_VP8")
		size := number(number(nil, idPixelWidth, uint64(video.width)), idPixelHeight, uint64(video.height))
		out = element(out, idTrackEntry, element(b, idVideo, size))
	}
	if audio != nil {
		b := number(number(nil, idTrackNumber, audioTrack), idTrackUID, uid(audioTrack))
		b = number(number(b, idTrackType, 2), idFlagLacing, 0)
		b = words(b, idCodecID, "A_OPUS")
		// RFC 7845: version 1, two channels, nothing to skip (the stream begins in the middle of a call), 48 kHz, no gain.
		b = element(b, idCodecPrivate, append([]byte("OpusHead"), 1, 2, 0, 0, 0x80, 0xBB, 0, 0, 0, 0, 0))
		b = number(b, idSeekPreRoll, 80_000_000)
		out = element(out, idTrackEntry, element(b, idAudio, number(float(nil, idSampling, 48000), idChannels, 2)))
	}
	return element(nil, idTracks, out)
}

// Movie is one seat's part of a recording as a WebM file: an io.ReadSeeker for http.ServeContent. Its bytes are the same
// every time. Only the chunks under what is read are decrypted. It is used by one goroutine; make one per request.
type Movie struct {
	reel  *Reel
	l     *layout
	pos   int64
	at    int // cluster in buf, -1 for none
	buf   []byte
	plain []byte
}

// Movie returns a seat's movie. It returns NotFound for a seat that sent nothing.
func (r *Reel) Movie(seat ident.Seat) (*Movie, error) {
	l, ok := r.movies[seat]
	if !ok || len(l.clusters) == 0 {
		return nil, fault.New("reel.Movie", fault.NotFound, "Nobody was recorded at this seat.").WithCode("recording_seat")
	}
	return &Movie{reel: r, l: l, at: -1}, nil
}

// Size returns the file's size.
func (m *Movie) Size() int64 { return m.l.size }

// ETag returns a strong entity tag.
func (m *Movie) ETag() string { return m.l.etag }

// Seek implements io.Seeker.
func (m *Movie) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += m.pos
	case io.SeekEnd:
		offset += m.l.size
	}
	if offset < 0 {
		return 0, errors.New("reel: seek before the beginning")
	}
	m.pos = offset
	return offset, nil
}

// Read implements io.Reader. It returns Forbidden once the reel is closed, Conflict when a chunk was altered.
func (m *Movie) Read(p []byte) (int, error) {
	if m.pos >= m.l.size {
		return 0, io.EOF
	}
	if m.pos < int64(len(m.l.head)) {
		if err := m.reel.open(); err != nil {
			return 0, err
		}
		n := copy(p, m.l.head[m.pos:])
		m.pos += int64(n)
		return n, nil
	}
	i := sort.Search(len(m.l.clusters), func(i int) bool { return m.l.clusters[i].pos > m.pos }) - 1
	if m.at != i {
		if err := m.render(i); err != nil {
			return 0, err
		}
	} else if err := m.reel.open(); err != nil {
		return 0, err
	}
	n := copy(p, m.buf[m.pos-m.l.clusters[i].pos:])
	m.pos += int64(n)
	return n, nil
}

// render builds one cluster.
func (m *Movie) render(i int) error {
	c := m.l.clusters[i]
	plain, err := m.reel.plain(c.chunk, m.plain)
	if err != nil {
		return err
	}
	m.plain = plain[:0]
	b := appendSize(appendID(m.buf[:0], idCluster), c.size-12)
	b = number(b, idTimestamp, uint64(c.ms))
	for _, bl := range c.blocks {
		b = appendSize(appendID(b, idSimpleBlock), 4+int64(bl.size))
		b = append(b, 0x80|bl.number)
		b = binary.BigEndian.AppendUint16(b, uint16(bl.at-c.ms))
		flags := byte(0)
		if bl.key {
			flags = 0x80
		}
		b = append(b, flags)
		b = append(b, plain[bl.off:bl.off+bl.size]...)
	}
	m.buf, m.at = b, i
	return nil
}

// open refuses when the reel was closed, so that what is already in memory stops as well.
func (r *Reel) open() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return fault.New("reel.Read", fault.Forbidden, "This recording was closed.").WithCode("recording_closed")
	}
	return nil
}
