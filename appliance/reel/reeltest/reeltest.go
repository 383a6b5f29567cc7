// Package reeltest gives tests real pictures and sound, and looks at what was recorded with programs of others.
//
// It must not know how a recording is made. It needs ffmpeg and ffprobe, which `make test` installs, and ends a test
// that cannot have them.
package reeltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"

	"github.com/at-wat/ebml-go"
	"github.com/at-wat/ebml-go/webm"
)

// Frame is one picture or sound packet of a sample.
type Frame struct {
	Video bool
	MS    int64
	Key   bool
	Data  []byte
}

// The sample's shape.
const (
	Width     = 160
	Height    = 120
	VideoRate = 10 // pictures a second
	AudioRate = 50 // packets a second
)

// Sample returns moving pictures (VP8) and a tone (Opus) of some seconds, in order of time.
func Sample(t testing.TB, seconds int) []Frame {
	t.Helper()
	need(t, "ffmpeg")
	var errs bytes.Buffer
	cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc=size=%dx%d:rate=%d", Width, Height, VideoRate),
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", fmt.Sprint(seconds), "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-auto-alt-ref", "0", "-g", "20", "-b:v", "200k",
		"-c:a", "libopus", "-frame_duration", "20", "-b:a", "24k", "-f", "webm", "-")
	cmd.Stderr = &errs
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg made no sample: %v\n%s", err, errs.String())
	}
	return Frames(t, raw)
}

// Frames reads a WebM file's frames in the file's order.
func Frames(t testing.TB, raw []byte) []Frame {
	t.Helper()
	var doc Document
	if err := ebml.Unmarshal(bytes.NewReader(raw), &doc); err != nil {
		t.Fatalf("not WebM: %v", err)
	}
	video := map[uint64]bool{}
	for _, tr := range doc.Segment.Tracks.TrackEntry {
		video[tr.TrackNumber] = tr.CodecID == "V_VP8"
	}
	var out []Frame
	for _, c := range doc.Segment.Cluster {
		for _, b := range c.SimpleBlock {
			for _, data := range b.Data {
				out = append(out, Frame{Video: video[b.TrackNumber], MS: int64(c.Timecode) + int64(b.Timecode), Key: b.Keyframe, Data: data})
			}
		}
		for _, g := range c.BlockGroup {
			for _, data := range g.Block.Data {
				out = append(out, Frame{Video: video[g.Block.TrackNumber], MS: int64(c.Timecode) + int64(g.Block.Timecode), Data: data})
			}
		}
	}
	return out
}

// Document is a WebM file as another library reads it.
type Document struct {
	Header  webm.EBMLHeader `ebml:"EBML"`
	Segment struct {
		SeekHead *webm.SeekHead
		Info     webm.Info
		Tracks   webm.Tracks
		Cues     *webm.Cues
		Cluster  []webm.Cluster
	} `ebml:"Segment"`
}

// Stream is what ffprobe says of a stream after decoding all of it.
type Stream struct {
	Codec  string `json:"codec_name"`
	Type   string `json:"codec_type"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Frames string `json:"nb_read_frames"`
}

// Probe decodes a WebM file with ffprobe. Anything that ffprobe complains about ends the test.
func Probe(t testing.TB, path string) []Stream {
	t.Helper()
	need(t, "ffprobe")
	var errs bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", "warning", "-count_frames", "-show_streams", "-of", "json", path)
	cmd.Stderr = &errs
	raw, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("ffprobe: %v\n%s", err, errs.String())
	}
	var out struct {
		Streams []Stream `json:"streams"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("ffprobe: %v", err)
	}
	return out.Streams
}

func need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("this test needs %s: `make test` installs it, or `apt-get install ffmpeg`", program)
	}
}
