package schedule

import (
	"fmt"
	"slices"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// For says whom and what a start is looked for. It names no person.
type For struct {
	Class     string
	Initiator string // visitor, inmate, staff
	Unit      ident.Unit
	Level     string
	Category  string
	Legal     string
	Minutes   int
	Rules     policy.Rules // of the visit's own scope
}

// Place is a run of slots of one session that takes one visit.
type Place struct {
	Template     ident.Template
	Starts, Ends time.Time // Ends of the visit; the run goes on for the turnaround
	Slots        int
	Pitch        time.Duration
	Private      bool
	Date         string
	Full         bool // at least one slot of the run has nothing left
	Closed       bool // a closure lies on it
}

// run is how many slots a visit takes.
func run(minutes int, turnaround, pitch time.Duration) int {
	need := time.Duration(minutes)*time.Minute + turnaround
	return int((need + pitch - 1) / pitch)
}

// suits tells whether the session is open to this inmate, class, initiator and length.
func (t Template) suits(f For) bool {
	in := func(list []string, one string) bool { return len(list) == 0 || slices.Contains(list, one) }
	return t.Class == f.Class && in(t.Initiators, f.Initiator) && (len(t.Units) == 0 || slices.Contains(t.Units, f.Unit)) &&
		in(t.Levels, f.Level) && in(t.Categories, f.Category) && in(t.Legal, f.Legal) &&
		(len(t.Lengths) == 0 || slices.Contains(t.Lengths, f.Minutes)) && slices.Contains(policy.VisitLengthsMin.Of(f.Rules), f.Minutes)
}

// narrowness puts the session that names the most about an inmate first.
func (t Template) narrowness() int {
	n := 0
	for _, l := range []int{len(t.Units), len(t.Levels), len(t.Categories), len(t.Legal)} {
		if l > 0 {
			n++
		}
	}
	return n
}

type slot struct {
	template     string
	starts, ends int64
	date         string
	free         bool
}

func scanSlot(r *store.Rows) (s slot, err error) {
	err = r.Scan(&s.template, &s.starts, &s.ends, &s.date, &s.free)
	return s, err
}

// Find returns the place for a visit that starts at this moment, the most specific session with room first. found is
// false when no session open to this inmate has such a start; a found place may still be Full or Closed.
func (s *Schedule) Find(tx *store.Tx, start time.Time, f For) (place Place, found bool, err error) {
	firsts, err := store.All(tx, scanSlot, `SELECT template, starts, ends, date, taken < capacity + extra FROM slots WHERE starts = ?`, store.Ms(start))
	if err != nil {
		return Place{}, false, fmt.Errorf("look for starts: %w", err)
	}
	best := -1
	for _, first := range firsts {
		t, err := s.Template(tx, ident.Template(first.template))
		if err != nil {
			return Place{}, false, err
		}
		if !t.suits(f) {
			continue
		}
		p, ok, err := s.fit(tx, t, first, f)
		if err != nil {
			return Place{}, false, err
		}
		rank := t.narrowness()
		if !p.Full && !p.Closed {
			rank += 10
		}
		if ok && rank > best {
			place, found, best = p, true, rank
		}
	}
	return place, found, nil
}

// fit makes the run that begins with a slot; false when the session ends before.
func (s *Schedule) fit(tx *store.Tx, t Template, first slot, f For) (Place, bool, error) {
	p := newPlace(t, first, f)
	var slots, free int
	if err := tx.Row(`SELECT count(*), coalesce(sum(taken < capacity + extra), 0) FROM slots WHERE template = ? AND starts >= ? AND starts < ? AND date = ?`,
		first.template, first.starts, first.starts+int64(p.Slots)*p.Pitch.Milliseconds(), first.date).Scan(&slots, &free); err != nil {
		return Place{}, false, fmt.Errorf("look at the run of slots: %w", err)
	}
	if slots < p.Slots {
		return Place{}, false, nil
	}
	p.Full = free < slots
	closures, err := s.closures(tx, p.Starts, p.Ends)
	if err != nil {
		return Place{}, false, err
	}
	p.Closed = closures.on(t.ID, f.Unit, store.Ms(p.Starts), store.Ms(p.Ends))
	return p, true, nil
}

func newPlace(t Template, first slot, f For) Place {
	pitch := time.Duration(t.Pitch) * time.Minute
	start := store.Time(first.starts)
	return Place{
		Template: t.ID, Starts: start, Ends: start.Add(time.Duration(f.Minutes) * time.Minute), Pitch: pitch, Private: t.Private,
		Date: first.date, Slots: run(f.Minutes, policy.VisitTurnaround.Of(f.Rules), pitch),
	}
}

// Claim takes one place in every slot of the run, all or none: Full when one of them has nothing left. The guard is in
// SQL, so that it holds whatever was read before.
func (s *Schedule) Claim(tx *store.Tx, p Place) error {
	n, err := tx.ExecN(`UPDATE slots SET taken = taken + 1 WHERE template = ? AND starts >= ? AND starts < ? AND taken < capacity + extra`,
		string(p.Template), store.Ms(p.Starts), store.Ms(p.Starts.Add(time.Duration(p.Slots)*p.Pitch)))
	if err != nil {
		return fmt.Errorf("claim slots: %w", err)
	}
	if n != int64(p.Slots) {
		return fault.New("schedule.Claim", fault.Full, "Someone else has just booked this time. Choose another time.").WithCode("slot.taken")
	}
	return nil
}

// Release gives back what Claim took.
func (s *Schedule) Release(tx *store.Tx, p Place) error {
	n, err := tx.ExecN(`UPDATE slots SET taken = taken - 1 WHERE template = ? AND starts >= ? AND starts < ?`,
		string(p.Template), store.Ms(p.Starts), store.Ms(p.Starts.Add(time.Duration(p.Slots)*p.Pitch)))
	if err != nil {
		return fmt.Errorf("release slots: %w", err)
	}
	if n != int64(p.Slots) {
		return fault.New("schedule.Release", fault.Internal, "The slots of a visit are gone.")
	}
	return nil
}
