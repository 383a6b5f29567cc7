package fleet

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/reel/reeltest"
)

// plays waits until a visit's recording is in the catalogue, verifies it and plays both seats through the door. It returns
// the recording's facts.
func (h *house) plays(t *testing.T, visit, verdict string) map[string]any {
	t.Helper()
	b := h.worker(t, "investigator")
	var rec map[string]any
	doortest.Eventually(t, time.Minute, "the recording in the catalogue", func() bool {
		for _, r := range doortest.List(b.Do(t, 200, "GET", "recordings", nil), "recordings") {
			if r["visit"] == visit && (r["state"] == "available" || r["state"] == "partial") {
				rec = r
			}
		}
		return rec != nil
	})
	path := "recordings/" + doortest.Str(rec, "id")
	if v := b.Do(t, 200, "POST", path+"/verify", nil); v["result"] != verdict {
		t.Errorf("the recording is found %v, want %s", v, verdict)
	}
	view := b.Do(t, 201, "POST", path+"/views", map[string]any{"purpose": "test of the appliance"})
	seats := doortest.List(view, "seats")
	if len(seats) != 2 || doortest.Str(view, "watermark") == "" {
		t.Fatalf("the view has %v", view)
	}
	for _, s := range seats {
		a := b.Ask(t, "GET", doortest.Str(s, "url"), nil)
		if a.Status != 200 || a.Header.Get("Content-Type") != "video/webm" {
			t.Fatalf("%v plays: %d %s", s["seat"], a.Status, a.Header.Get("Content-Type"))
		}
		if part := b.Ask(t, "GET", doortest.Str(s, "url"), nil, "Range", "bytes=100-199"); part.Status != 206 || string(part.Raw) != string(a.Raw[100:200]) {
			t.Errorf("a range of %v: %d, %d bytes", s["seat"], part.Status, len(part.Raw))
		}
		file := filepath.Join(t.TempDir(), doortest.Str(s, "seat")+".webm")
		if err := os.WriteFile(file, a.Raw, 0o600); err != nil {
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
	facts := b.Do(t, 200, "GET", path, nil)
	if custody := doortest.List(facts, "custody"); len(custody) < 2 {
		t.Errorf("verifying and viewing are not in custody: %v", custody)
	}
	return facts
}

// marks counts the marks of a recording by kind.
func marks(recording map[string]any) map[string]int {
	n := map[string]int{}
	for _, m := range doortest.List(recording, "marks") {
		n[doortest.Str(m, "kind")]++
	}
	return n
}
