package recorder

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"filippo.io/age"

	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/reel"
	"sallyport/appliance/sfu"
)

// When a chunk is closed, and when a failure is the last one.
const (
	chunkAge   = time.Second
	chunkBytes = 256 << 10
	failAgain  = time.Minute
	lossMost   = 2 * time.Second // of a minute
	spaceEvery = 5 * time.Second
)

// script is the writing side of a take: what is not on disk yet, and what the manifest will say.
type script struct {
	r      *Recorders
	to     []age.Recipient
	folder string // below the root
	head   reel.Header
	w      *reel.Writer
	from   uint32 // this run's first segment

	lines    map[lineKey]*line
	declared map[uint8]bool // tracks that this segment knows
	records  []reel.Record
	size     int
	first    time.Duration // boot time of the first record of the chunk
	gap      bool          // the next chunk has something missing before it

	failedAt time.Duration // boot time of the last failure, 0 for none
	spaceAt  time.Duration
	losses   []loss
	outcome  error // of the seal

	counts reel.Counts
	pauses []reel.Span
	gaps   []reel.Span
	length time.Duration
	ended  bool // the call has marked its end
}

type lineKey struct {
	seat  ident.Seat
	media sfu.Media
}

// line is one track.
type line struct {
	number        uint8
	info          reel.TrackInfo
	b             *builder
	width, height int
}

type loss struct {
	at   time.Duration
	long time.Duration
}

func newScript(r *Recorders, to []age.Recipient) *script {
	return &script{r: r, to: to, lines: map[lineKey]*line{}, declared: map[uint8]bool{}, spaceAt: r.cfg.Clock.Boot()}
}

// follow makes the next segment's header from what the former run left.
func (s *script) follow(before begun, now linkspec.Instant) error {
	path := filepath.Join(s.r.cfg.Root, before.folder)
	found, err := reel.Survey(path)
	if err != nil {
		return err
	}
	next, err := reel.NextSegment(path)
	if err != nil {
		return err
	}
	last := found[len(found)-1]
	s.folder, s.head = before.folder, before.first
	s.head.Segment, s.head.Opened, s.head.Prev = next, now, last.Last[:]
	return nil
}

// due returns how long the open chunk may still wait.
func (s *script) due(now time.Duration) time.Duration {
	if len(s.records) == 0 {
		return chunkAge
	}
	return max(s.first+chunkAge-now, 0)
}

// apply takes a batch in and writes the chunks that it closes. ended tells that the recording is over.
func (s *script) apply(batch []item) (ended bool, err error) {
	for _, it := range batch {
		if len(s.records) > 0 && (it.at-s.first >= chunkAge || s.size >= chunkBytes) {
			if err := s.flush(0); err != nil {
				return false, err
			}
		}
		switch it.what {
		case isPacket:
			s.line(it.seat, it.media).b.push(it)
		case isReport:
			s.clock(it)
		case isMark:
			s.mark(it)
		case isGap:
			if err := s.lost(it); err != nil {
				return false, err
			}
		case isSeal:
			return true, s.end(it)
		}
	}
	now := s.r.cfg.Clock.Boot()
	if len(s.records) > 0 && (now-s.first >= chunkAge || s.size >= chunkBytes) {
		if err := s.flush(0); err != nil {
			return false, err
		}
	}
	if now-s.spaceAt >= spaceEvery {
		s.spaceAt = now
		return false, s.r.room(reserveLive, 0)
	}
	return false, nil
}

// add puts a record whose time is boot time into the chunk.
func (s *script) add(r reel.Record) {
	at := r.At
	r.At = s.since(at)
	if len(s.records) == 0 {
		s.first = at
	}
	s.records = append(s.records, r)
	s.size += r.Size()
	s.length = max(s.length, r.At)
}

// since returns boot time as time since the recording's zero.
func (s *script) since(boot time.Duration) time.Duration { return s.head.Since(s.instant(boot)) }

func (s *script) instant(boot time.Duration) linkspec.Instant {
	c := s.r.cfg.Clock
	return linkspec.Instant{BootID: c.BootID(), Boot: int64(boot), Wall: c.Now().Add(boot - c.Boot())}
}

func (s *script) line(seat ident.Seat, media sfu.Media) *line {
	key := lineKey{seat, media}
	l := s.lines[key]
	if l == nil {
		l = &line{number: uint8(len(s.lines) + 1), info: reel.TrackInfo{Seat: seat, Codec: reel.Opus, Rate: 48000}}
		if media == sfu.Video {
			l.info.Codec, l.info.Rate = reel.VP8, 90000
		}
		l.b = newBuilder(media, func(r reel.Record) { s.frame(l, r) })
		s.lines[key] = l
	}
	return l
}

// declare introduces a track before its first record of a segment.
func (s *script) declare(l *line, at time.Duration) {
	if s.declared[l.number] {
		return
	}
	s.declared[l.number] = true
	body, err := json.Marshal(l.info)
	if err != nil {
		return // strings and a number always become JSON
	}
	s.add(reel.Record{Kind: reel.Track, Track: l.number, At: at, Payload: body})
}

func (s *script) frame(l *line, r reel.Record) {
	s.declare(l, r.At)
	r.Track = l.number
	if r.Flags&reel.Loss != 0 {
		s.counts.Lost++
	}
	if r.Kind == reel.Audio {
		s.counts.Audio++
		s.add(r)
		return
	}
	s.counts.Video++
	if w, h, ok := reel.PictureSize(r.Payload); ok && (w != l.width || h != l.height) {
		l.width, l.height = w, h
		s.note(r.At, reel.Mark{Kind: reel.MarkResolution, Seat: l.info.Seat, Data: fmt.Appendf(nil, `{"width":%d,"height":%d}`, w, h)})
	}
	s.add(r)
}

func (s *script) clock(it item) {
	l := s.line(it.seat, it.media)
	if !l.b.started {
		return // it belongs to nothing that is recorded
	}
	s.declare(l, it.at)
	s.add(reel.Record{Kind: reel.Clock, Track: l.number, At: it.at, RTP: it.rtp, Payload: binary.BigEndian.AppendUint64(nil, it.ntp)})
}

func (s *script) note(at time.Duration, m reel.Mark) {
	r := m.Record(s.since(at))
	r.At = at
	s.add(r)
	s.counts.Marks++
}

// mark writes a fact of the call, and ends the runs that it ends.
func (s *script) mark(it item) {
	m := reel.Mark{Kind: it.mark.Kind, Seat: it.mark.Seat, By: it.mark.By, Role: it.mark.ByRole, Reason: it.mark.Reason}
	if it.mark.Body != "" {
		m.Data, _ = json.Marshal(map[string]string{"body": it.mark.Body}) // a string always becomes JSON
	}
	ms := s.since(it.at).Milliseconds()
	switch m.Kind {
	case reel.MarkPause:
		s.cut("")
		s.pauses = append(s.pauses, reel.Span{FromMS: ms, ToMS: -1, Reason: m.Reason})
	case reel.MarkResume:
		s.cut("")
		s.resumed(ms)
	case reel.MarkLeft, reel.MarkLost, reel.MarkBack, reel.MarkMoved, reel.MarkJoined:
		s.cut(m.Seat)
	case reel.MarkEnd:
		s.ended = true
	}
	s.note(it.at, m)
}

func (s *script) resumed(ms int64) {
	if n := len(s.pauses); n > 0 && s.pauses[n-1].ToMS < 0 {
		s.pauses[n-1].ToMS = ms
	}
}

// cut ends the runs of a seat, of all seats when seat is "": what came before is kept, half a picture is not.
func (s *script) cut(seat ident.Seat) {
	for key, l := range s.lines {
		if seat == "" || key.seat == seat {
			l.b.flush()
			l.b.reset()
		}
	}
}

// lost notes that the ring was full for a while.
func (s *script) lost(it item) error {
	from := it.at - it.lost
	span := reel.Span{FromMS: s.since(from).Milliseconds(), ToMS: s.since(it.at).Milliseconds(), Reason: "overflow"}
	s.gaps = append(s.gaps, span)
	s.gap = true
	s.note(it.at, reel.Mark{Kind: reel.MarkGap, Reason: "overflow", Data: fmt.Appendf(nil, `{"from_ms":%d,"to_ms":%d}`, span.FromMS, span.ToMS)})
	s.tellGap("overflow")
	s.losses = append(s.losses, loss{it.at, it.lost})
	sum := time.Duration(0)
	for _, l := range s.losses {
		if it.at-l.at < time.Minute {
			sum += l.long
		}
	}
	if sum >= lossMost {
		return slow()
	}
	return nil
}

// end writes the final chunk and the manifest; without a code only what waits.
func (s *script) end(it item) error {
	s.cut("")
	if it.code == "" {
		if len(s.records) == 0 {
			return nil
		}
		return s.flush(0)
	}
	s.resumed(s.since(it.at).Milliseconds())
	if !s.ended {
		s.note(it.at, reel.Mark{Kind: reel.MarkEnd, Reason: it.code})
	}
	if err := s.flush(reel.Final); err != nil {
		return err
	}
	s.outcome = s.r.seal(s.folder, s.manifest(it.code))
	return nil
}

// manifest returns what this run knows; the seal adds what the folder says.
func (s *script) manifest(code string) reel.Manifest {
	m := reel.Manifest{
		Code: code, Counts: s.counts, CountedFrom: s.from, Pauses: s.pauses, Gaps: s.gaps, LengthMS: s.length.Milliseconds(),
	}
	m.Tracks = make([]reel.TrackInfo, len(s.lines))
	for _, l := range s.lines {
		m.Tracks[l.number-1] = l.info
	}
	return m
}

// flush writes the open chunk. A failure moves it to a new segment once; a second one within a minute is the end.
func (s *script) flush(flags reel.Flags) error {
	if s.gap {
		flags |= reel.Gap
	}
	at := s.instant(s.first)
	s.r.sync <- struct{}{}
	err := s.w.Append(at, flags, s.records)
	<-s.r.sync
	if err != nil {
		if err = s.move(err); err == nil {
			err = s.w.Append(at, flags, s.records)
		}
		if err != nil {
			return unwritable(err)
		}
	}
	clear(s.records)
	s.records, s.size, s.gap = s.records[:0], 0, false
	return nil
}

// move opens a new segment for the chunk that could not be written.
func (s *script) move(cause error) error {
	now := s.r.cfg.Clock.Boot()
	if s.failedAt != 0 && now-s.failedAt < failAgain {
		return cause
	}
	s.failedAt = now
	path := filepath.Join(s.r.cfg.Root, s.folder)
	next, err := reel.NextSegment(path)
	if err != nil {
		return err
	}
	last := s.w.Last()
	s.head.Segment, s.head.Opened, s.head.Prev = next, s.instant(now), last[:]
	w, err := reel.Create(path, s.head, s.to)
	if err != nil {
		return cause
	}
	_ = s.w.Close() // every chunk was synced, and the segment is given up
	s.w = w
	// The new segment has another key and knows no track yet: they come first.
	moved := s.records
	s.records, s.size = nil, 0
	clear(s.declared)
	for _, l := range s.lines {
		s.declare(l, s.first)
	}
	s.note(now, reel.Mark{Kind: reel.MarkGap, Reason: "disk"})
	for _, r := range moved {
		if r.Kind != reel.Track {
			s.records = append(s.records, r)
			s.size += r.Size()
		}
	}
	s.r.cfg.Log.Warn("recording moved to a new segment", "op", "recorder.move", "call", string(s.head.Call), "err", cause)
	s.tellGap("disk")
	return nil
}

func (s *script) tellGap(cause string) {
	s.r.cfg.Tell(linkspec.RecordingGap, s.head.Call, linkspec.RecordingData{Recording: s.head.Recording, Folder: s.folder, Cause: cause})
}
