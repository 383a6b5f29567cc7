package fleet

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/reel/reeltest"
)

// TestCutHouse loses its centre for a whole visit, and its disk for the beginning of another.
func TestCutHouse(t *testing.T) {
	t.Parallel()
	w := layWire(t)
	h := open(t, "-etcd-via", w.at())
	w.lead(h)
	h.stop(t)
	start := h.startIn(t, 25*time.Second)
	h.start(t)
	h.record(t, time.Minute, h.site(t)) // replication works before the cut
	w.set(true)
	doortest.Eventually(t, 30*time.Second, "staff to see that the centre is away", func() bool { return h.syncCard(t)["state"] != "live" })
	film := reeltest.Sample(t, 4)
	v, i := h.meet(t, h.People.Visitors[1], h.People.Inmates[1], start, film)
	t.Run("etcd gone for a whole visit", func(t *testing.T) {
		for _, s := range []*seat{v, i} {
			s.Live(t)
			s.Flows(t)
		}
		h.end(t, v, "staff_error")
		doortest.Eventually(t, 20*time.Second, "the outcome", func() bool { return v.who.state(t, v.Visit) == "terminated" })
		h.plays(t, v.Visit, "whole")
		card := h.syncCard(t)
		if waiting, _ := card["waiting"].(float64); waiting < 1 || card["state"] == "live" {
			t.Errorf("replication is shown as %v", card)
		}
		w.set(false)
		h.record(t, offline, v.Visit, "terminated")
		doortest.Eventually(t, 30*time.Second, "staff to see that all has arrived", func() bool {
			card := h.syncCard(t)
			return card["state"] == "live" && card["waiting"] == 0.0
		})
	})
	t.Run("recorder cannot write", func(t *testing.T) { h.cannotRecord(t, start.Add(5*time.Minute), film) })
}

// cannotRecord holds a call whose recording has no place: it does not start, and everybody is told why; it starts when
// the place is back. A file in place of the folder stops a recorder of any user.
func (h *house) cannotRecord(t *testing.T, start time.Time, film []reeltest.Frame) {
	folder := filepath.Join(h.state, "gateway", "recordings")
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	v, i := h.meet(t, h.People.Visitors[2], h.People.Inmates[2], start, film)
	for _, s := range []*seat{v, i} {
		s.Wait(t, "to be told that it cannot be recorded", func() bool {
			return s.Last("problem")["code"] == "no_recorder" && s.Last("state")["says"] == "call.cannotRecord"
		})
	}
	doortest.Eventually(t, 20*time.Second, "staff to be told", func() bool { return h.liveCall(t, v.Visit)["recorder"] == "failed" })
	for _, s := range []*seat{v, i} {
		s.Still(t)
		if s.Phase() != "open" {
			t.Errorf("%s is in a call that is %v without a recording", s.who.Name, s.Phase())
		}
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*seat{v, i} {
		s.Wait(t, "the recorder", func() bool { return s.Last("state")["says"] == "call.waitStart" })
	}
	doortest.Eventually(t, 20*time.Second, "staff to be told that it records", func() bool { return h.liveCall(t, v.Visit)["recorder"] == "recording" })
}
