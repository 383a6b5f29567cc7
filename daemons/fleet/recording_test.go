package fleet

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sallyport/appliance/reel/reeltest"
)

// plays waits until a visit's recording is in the catalogue, verifies it and plays both seats through the door. It returns
// the recording's facts.
func (h *house) plays(t *testing.T, visit, verdict string) map[string]any {
	t.Helper()
	b := h.worker(t, "investigator")
	var rec map[string]any
	eventually(t, time.Minute, "the recording in the catalogue", func() bool {
		for _, r := range list(b.do(t, 200, "GET", "recordings", nil), "recordings") {
			if r["visit"] == visit && (r["state"] == "available" || r["state"] == "partial") {
				rec = r
			}
		}
		return rec != nil
	})
	path := "recordings/" + str(rec, "id")
	if v := b.do(t, 200, "POST", path+"/verify", nil); v["result"] != verdict {
		t.Errorf("the recording is found %v, want %s", v, verdict)
	}
	view := b.do(t, 201, "POST", path+"/views", map[string]any{"purpose": "test of the appliance"})
	seats := list(view, "seats")
	if len(seats) != 2 || str(view, "watermark") == "" {
		t.Fatalf("the view has %v", view)
	}
	for _, s := range seats {
		a := b.ask(t, "GET", str(s, "url"), nil)
		if a.status != 200 || a.header.Get("Content-Type") != "video/webm" {
			t.Fatalf("%v plays: %d %s", s["seat"], a.status, a.header.Get("Content-Type"))
		}
		if part := b.ask(t, "GET", str(s, "url"), nil, "Range", "bytes=100-199"); part.status != 206 || string(part.raw) != string(a.raw[100:200]) {
			t.Errorf("a range of %v: %d, %d bytes", s["seat"], part.status, len(part.raw))
		}
		file := filepath.Join(t.TempDir(), str(s, "seat")+".webm")
		if err := os.WriteFile(file, a.raw, 0o600); err != nil {
			t.Fatal(err)
		}
		decoded := map[string]int{}
		for _, stream := range reeltest.Probe(t, file) {
			n, err := strconv.Atoi(stream.Frames)
			if err != nil {
				t.Fatal(err)
			}
			decoded[stream.Codec] = n
		}
		if decoded["vp8"] < 10 || decoded["opus"] < 50 {
			t.Errorf("%v holds %v", s["seat"], decoded)
		}
	}
	facts := b.do(t, 200, "GET", path, nil)
	if custody := list(facts, "custody"); len(custody) < 2 {
		t.Errorf("verifying and viewing are not in custody: %v", custody)
	}
	return facts
}

// marks counts the marks of a recording by kind.
func marks(recording map[string]any) map[string]int {
	n := map[string]int{}
	for _, m := range list(recording, "marks") {
		n[str(m, "kind")]++
	}
	return n
}
