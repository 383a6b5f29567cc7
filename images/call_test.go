//go:build image

package images_test

import (
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/daemons/fleet/seattest"
)

// takesPlace has both sides come to the visit, hear and see each other, be paused and ended by staff, and looks whether all of
// it was recorded. way is what becomes of the gateway's answer on its way to a door's page.
func (s *site) takesPlace(t *testing.T, way func(door, sdp string) string) {
	take := func(b *doortest.Browser) *seattest.Seat {
		return seattest.Take(t, &seattest.Seat{Who: b, Visit: s.visit, Answer: func(sdp string) string { return way(b.Name, sdp) }})
	}
	outside, inside := take(s.self), take(s.inside)
	both := []*seattest.Seat{outside, inside}
	flows := func() {
		t.Helper()
		for _, one := range both {
			one.Live(t)
			one.Flows(t)
		}
	}
	flows()
	call := "calls/" + outside.Call
	s.staff.Do(t, 200, "POST", call+"/pause", map[string]any{"reason": "conduct"})
	for _, one := range both {
		one.Wait(t, "the pause", func() bool { return one.Phase() == "paused" })
		one.Still(t)
	}
	check := s.staff.Do(t, 200, "POST", call+"/check", nil)
	var steps []map[string]any
	for _, step := range doortest.List(check, "steps") {
		steps = append(steps, map[string]any{"key": step["key"], "done": true})
	}
	s.staff.Do(t, 200, "POST", call+"/resume", map[string]any{"check": check["id"], "steps": steps})
	flows()
	s.staff.Do(t, 200, "POST", call+"/end", map[string]any{"reason": "staff_error"})
	for _, one := range both {
		one.Wait(t, "the end", func() bool { return one.Last("ended") != nil })
	}
	doortest.Eventually(t, time.Minute, "the outcome", func() bool { return s.state(t) == "terminated" })

	var recording map[string]any
	doortest.Eventually(t, 2*time.Minute, "the recording", func() bool {
		for _, r := range doortest.List(s.staff.Do(t, 200, "GET", "recordings", nil), "recordings") {
			if r["visit"] == s.visit && r["state"] == "available" {
				recording = r
			}
		}
		return recording != nil
	})
	path := "recordings/" + doortest.Str(recording, "id")
	if v := s.staff.Do(t, 200, "POST", path+"/verify", nil); v["result"] != "whole" {
		t.Errorf("the recording is found %v, want whole", v)
	}
	view := s.staff.Do(t, 201, "POST", path+"/views", map[string]any{"purpose": "test of the appliance"})
	seats := doortest.List(view, "seats")
	if len(seats) != 2 {
		t.Fatalf("the recording has the seats %v", seats)
	}
	for _, seat := range seats {
		a := s.staff.Ask(t, "GET", doortest.Str(seat, "url"), nil)
		if a.Status != 200 || a.Header.Get("Content-Type") != "video/webm" || len(a.Raw) < 10_000 {
			t.Errorf("%v plays: %d %s, %d bytes", seat["seat"], a.Status, a.Header.Get("Content-Type"), len(a.Raw))
		}
	}
}
