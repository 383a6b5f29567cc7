package reel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/at-wat/ebml-go"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/reel"
	"sallyport/appliance/reel/reeltest"
)

// The staged call: the sample plays from 0.5 s, is cut at 4 s of itself, and goes on 5 s later. Sound takes 150 ms longer
// through the network than pictures, and every packet is late by up to 60 ms more.
const (
	begins   = 500 * time.Millisecond
	cutAt    = 4000 // ms of the sample
	pauseFor = 5 * time.Second
	soundLag = 150 * time.Millisecond
	jitter   = 60
)

// stage records a sample as seat v1 and returns the frames as they were sent.
func stage(t testing.TB, r *rig, reports bool) []reeltest.Frame {
	t.Helper()
	frames := reeltest.Sample(t, 8)
	rng := rand.New(rand.NewPCG(9, 10))
	tracks := func() []reel.Record {
		return []reel.Record{
			track(t, 1, reel.TrackInfo{Seat: "v1", Codec: reel.VP8, Rate: 90000}),
			track(t, 2, reel.TrackInfo{Seat: "v1", Codec: reel.Opus, Rate: 48000}),
		}
	}
	open := tracks()
	var first time.Duration
	paused := false
	fresh := map[bool]bool{true: true, false: true}
	for i, f := range frames {
		sent := begins + time.Duration(f.MS)*time.Millisecond
		if f.MS >= cutAt {
			if !paused {
				paused = true
				open = append(open, reel.Mark{Kind: reel.MarkPause, Reason: "check"}.Record(sent))
				open = append(open, reel.Mark{Kind: reel.MarkResume}.Record(sent+pauseFor))
				fresh = map[bool]bool{true: true, false: true}
			}
			sent += pauseFor
		}
		arrived := sent + time.Duration(rng.IntN(jitter))*time.Millisecond
		rec := reel.Record{Kind: reel.Video, Track: 1, At: arrived, RTP: 0xFFFFF000 + uint32(f.MS*90), Payload: f.Data}
		if !f.Video {
			arrived += soundLag
			rec = reel.Record{Kind: reel.Audio, Track: 2, At: arrived, RTP: 77 + uint32(f.MS*48), Payload: f.Data}
		}
		if f.Key {
			rec.Flags |= reel.Key
		}
		if fresh[f.Video] {
			rec.Flags |= reel.Fresh
			fresh[f.Video] = false
		}
		open = append(open, rec)
		if reports && i%20 == 5 {
			open = append(open, reel.Record{Kind: reel.Clock, Track: rec.Track, At: arrived, RTP: rec.RTP, Payload: ntp(zero.Add(3*time.Hour + sent))})
		}
		if arrived-first >= time.Second {
			r.chunk(first, 0, open...)
			open, first = nil, arrived
		}
	}
	open = append(open, reel.Mark{Kind: reel.MarkEnd, Reason: "time_up"}.Record(begins+8*time.Second+pauseFor))
	r.chunk(first, reel.Final, open...)
	r.seal()
	return frames
}

func track(t testing.TB, n uint8, info reel.TrackInfo) reel.Record {
	t.Helper()
	body, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	return reel.Record{Kind: reel.Track, Track: n, Payload: body}
}

func openReel(t testing.TB, r *rig) *reel.Reel {
	t.Helper()
	rl, err := reel.Open(r.folder, r.keys())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rl.Close() })
	return rl
}

func movie(t testing.TB, rl *reel.Reel, seat ident.Seat) []byte {
	t.Helper()
	m, err := rl.Movie(seat)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(m)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != m.Size() {
		t.Fatalf("%d bytes, announced %d", len(b), m.Size())
	}
	return b
}

func TestMoviePlays(t *testing.T) {
	r := newRig(t)
	sent := stage(t, r, true)
	raw := movie(t, openReel(t, r), "v1")
	path := filepath.Join(t.TempDir(), "v1.webm")
	write(t, path, raw)
	count := map[string]int{}
	for _, s := range reeltest.Probe(t, path) {
		n, err := strconv.Atoi(s.Frames)
		if err != nil {
			t.Fatal(err)
		}
		count[s.Codec] = n
		if s.Codec == "vp8" && (s.Width != reeltest.Width || s.Height != reeltest.Height) {
			t.Errorf("%d x %d", s.Width, s.Height)
		}
	}
	// The first picture after the pause is no key frame of the sample, so pictures wait for the next one.
	if count["opus"] < 8*reeltest.AudioRate || count["vp8"] < 7*reeltest.VideoRate {
		t.Errorf("decoded %v of %d frames", count, len(sent))
	}
}

func TestMovieKeepsLipsAndPauses(t *testing.T) {
	for _, reports := range []bool{true, false} {
		t.Run(fmt.Sprintf("reports %v", reports), func(t *testing.T) {
			r := newRig(t)
			sent := stage(t, r, reports)
			at := map[string]int64{} // by content: every frame of the sample is different
			for _, f := range reeltest.Frames(t, movie(t, openReel(t, r), "v1")) {
				at[string(f.Data)] = f.MS
			}
			for _, f := range sent {
				got, ok := at[string(f.Data)]
				if !ok {
					continue // a picture before the first key frame of its run
				}
				want := begins.Milliseconds() + f.MS
				if f.MS >= cutAt {
					want += pauseFor.Milliseconds()
				}
				late := got - want
				most := int64(12) // the least jitter of the run, and rounding
				if !reports && !f.Video {
					most += soundLag.Milliseconds() // nothing tells that sound took longer
				}
				if late < -2 || late > most {
					t.Fatalf("video %v of %d ms is shown %d ms late, want at most %d", f.Video, f.MS, late, most)
				}
			}
		})
	}
}

func TestMovieLayout(t *testing.T) {
	r := newRig(t)
	stage(t, r, true)
	rl := openReel(t, r)
	raw := movie(t, rl, "v1")
	if again := movie(t, rl, "v1"); !bytes.Equal(raw, again) {
		t.Error("the bytes differ from one reading to the next")
	}
	var doc reeltest.Document
	if err := ebml.Unmarshal(bytes.NewReader(raw), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Header.DocType != "webm" || doc.Segment.Info.TimecodeScale != 1_000_000 || len(doc.Segment.Tracks.TrackEntry) != 2 {
		t.Errorf("header %+v, info %+v", doc.Header, doc.Segment.Info)
	}
	if want := float64((begins + 8*time.Second + pauseFor).Milliseconds()); doc.Segment.Info.Duration < want || doc.Segment.Info.Duration > want+jitter {
		t.Errorf("lasts %v ms, want %v", doc.Segment.Info.Duration, want)
	}
	start := bytes.Index(raw, []byte{0x18, 0x53, 0x80, 0x67}) + 12
	ids := map[uint64]string{}
	for _, s := range doc.Segment.SeekHead.Seek {
		at := uint64(start) + s.SeekPosition
		if !bytes.HasPrefix(raw[at:], s.SeekID) {
			t.Errorf("at %d is no element %x", at, s.SeekID)
		}
		ids[at] = fmt.Sprintf("%x", s.SeekID)
	}
	if len(ids) != 3 {
		t.Errorf("the seek head knows %v", ids)
	}
	if len(doc.Segment.Cues.CuePoint) < 3 {
		t.Errorf("%d cues", len(doc.Segment.Cues.CuePoint))
	}
	first := bytes.Index(raw, []byte{0x1F, 0x43, 0xB6, 0x75})
	for _, c := range doc.Segment.Cues.CuePoint {
		at := start + int(c.CueTrackPositions[0].CueClusterPosition)
		if at < first || !bytes.HasPrefix(raw[at:], []byte{0x1F, 0x43, 0xB6, 0x75}) {
			t.Errorf("the cue of %d ms points at %d, which is no cluster", c.CueTime, at)
		}
	}
	last := map[uint64]int64{}
	for _, c := range doc.Segment.Cluster {
		for _, b := range c.SimpleBlock {
			ms := int64(c.Timecode) + int64(b.Timecode)
			if before, ok := last[b.TrackNumber]; ok && ms <= before {
				t.Fatalf("track %d goes back from %d to %d ms", b.TrackNumber, before, ms)
			}
			last[b.TrackNumber] = ms
		}
	}
}

func TestMovieServesRanges(t *testing.T) {
	r := newRig(t)
	stage(t, r, true)
	rl := openReel(t, r)
	whole := movie(t, rl, "v1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		m, err := rl.Movie("v1")
		if err != nil {
			t.Error(err)
			return
		}
		w.Header().Set("Content-Type", "video/webm")
		w.Header().Set("ETag", m.ETag())
		http.ServeContent(w, req, "", rl.Start(), m)
	}))
	defer server.Close()
	rng := rand.New(rand.NewPCG(11, 12))
	for range 60 {
		from := rng.IntN(len(whole))
		to := from + rng.IntN(len(whole)-from)
		req, err := http.NewRequest(http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to))
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusPartialContent || !bytes.Equal(got, whole[from:to+1]) {
			t.Fatalf("bytes %d to %d: status %d, %d bytes, %v", from, to, res.StatusCode, len(got), err)
		}
	}
}

func TestMarksAndSeats(t *testing.T) {
	r := newRig(t)
	stage(t, r, true)
	rl := openReel(t, r)
	var kinds []string
	for _, m := range rl.Marks() {
		kinds = append(kinds, m.Kind)
	}
	if fmt.Sprint(kinds) != "[pause resume end]" || rl.Marks()[1].AtMS-rl.Marks()[0].AtMS != pauseFor.Milliseconds() {
		t.Errorf("marks %v", rl.Marks())
	}
	if fmt.Sprint(rl.Seats()) != "[v1]" {
		t.Errorf("seats %v", rl.Seats())
	}
	if _, err := rl.Movie("i1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a seat that sent nothing: %v", err)
	}
}

func TestCloseCutsAPlayback(t *testing.T) {
	r := newRig(t)
	stage(t, r, true)
	rl := openReel(t, r)
	m, err := rl.Movie("v1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(m, make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	rl.Close()
	if _, err := m.Read(make([]byte, 1)); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a read after the recording was closed: %v", err)
	}
}

func TestAnAlteredChunkIsNotPlayed(t *testing.T) {
	r := newRig(t)
	stage(t, r, true)
	rl := openReel(t, r)
	path := filepath.Join(r.folder, reel.SegmentName(1))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	write(t, path, b) // in place: the reel holds the file open
	m, err := rl.Movie("v1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(m); !fault.Is(err, fault.Conflict) {
		t.Errorf("an altered chunk played: %v", err)
	}
}

func TestWithoutItsKeyNothingOpens(t *testing.T) {
	r := whole(t)
	keys := r.keys()
	delete(keys, 2)
	if _, err := reel.Open(r.folder, keys); !fault.Is(err, fault.Forbidden) {
		t.Errorf("opened without the second segment's key: %v", err)
	}
}

// A sender whose clock is nonsense must not move its frames out of the call.
func TestNonsenseClocksAreIgnored(t *testing.T) {
	r := newRig(t)
	rng := rand.New(rand.NewPCG(13, 14))
	open := []reel.Record{track(t, 1, reel.TrackInfo{Seat: "v1", Codec: reel.Opus, Rate: 48000})}
	for i := range 200 {
		at := time.Duration(i) * 20 * time.Millisecond
		open = append(open, reel.Record{Kind: reel.Audio, Track: 1, At: at, RTP: rng.Uint32(), Flags: reel.Key, Payload: []byte{0xF8, byte(i), byte(i >> 8), 1}})
		open = append(open, reel.Record{Kind: reel.Clock, Track: 1, At: at, RTP: rng.Uint32(), Payload: ntp(zero.Add(time.Duration(rng.Int64N(int64(100 * time.Hour)))))})
	}
	r.chunk(0, reel.Final, open...)
	for _, f := range reeltest.Frames(t, movie(t, openReel(t, r), "v1")) {
		if f.MS < 0 || f.MS > 7000 {
			t.Fatalf("a frame at %d ms of a call of 4 s", f.MS)
		}
	}
}
