package sfu

import "sallyport/appliance/ident"

// hop is one row of a table before seats are legs.
type hop struct {
	from  ident.Seat
	media Media
	to    ident.Seat
	slot  int
}

// linked tells whether a seat's media takes part. A lost signaling connection alone does not cut a working picture.
func (s *seat) linked() bool { return s.state == Connected || s.state == Lost && s.met && s.media }

// hops is the whole forwarding of the call's state between its seats. It is empty unless the call is live, and empty while
// a recorder that must be there is not.
func (m *machine) hops() []hop {
	if m.phase != Live || m.holds[holdRecorder] {
		return nil
	}
	var out []hop
	for _, to := range m.seats {
		if !to.linked() {
			continue
		}
		slot := 0
		for _, from := range m.seats {
			if from == to {
				continue
			}
			if from.linked() {
				if !from.noAudio {
					out = append(out, hop{from.spec.Seat, Audio, to.spec.Seat, slot})
				}
				if !from.noVideo {
					out = append(out, hop{from.spec.Seat, Video, to.spec.Seat, slot})
				}
			}
			slot++
		}
	}
	return out
}

// heard is which seats a recorder gets, and which a monitor sees: more than the seats see of each other, because staff
// check who is there before they let them meet, and while a call is paused.
func (m *machine) heard() (recorded, watched []ident.Seat) {
	if m.over() {
		return nil, nil
	}
	for _, s := range m.seats {
		if s.media && s.state != Removed {
			watched = append(watched, s.spec.Seat)
		}
		if s.linked() && m.phase == Live && !m.holds[holdRecorder] {
			recorded = append(recorded, s.spec.Seat)
		}
	}
	return recorded, watched
}

// slotOf is the slot that shows a seat to a monitor.
func (m *machine) slotOf(id ident.Seat) int {
	for k, s := range m.seats {
		if s.spec.Seat == id {
			return k
		}
	}
	return -1
}
