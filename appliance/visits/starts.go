package visits

import (
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
)

// Starts returns the starts between two facility dates, both included, that would be accepted now for this request (its
// Start is not looked at), by time. When the request could not be accepted on any day, because of who is asked for or
// what, the refusal is returned in place of an empty list.
func (vs *Visits) Starts(tx *store.Tx, by ident.Actor, r Request, from, to string) ([]schedule.Place, error) {
	r.Start, r.Mode = tx.Now(), ""
	f, err := vs.facts(tx, by, r, Visit{}, asking)
	if err != nil {
		return nil, err
	}
	if err := mine("visits.Starts", by, f.Contact); err != nil {
		return nil, err
	}
	window := f.Limits.WindowDays
	if by.Is(ident.ByStaff) {
		window = staffWindow
	}
	from, to = max(from, f.Today), min(to, addDays(f.Today, window))
	if to < from {
		return nil, nil
	}
	places, err := vs.Schedule.Starts(tx, from, to, schedule.For{
		Class: string(r.Class), Initiator: initiator(by), Unit: f.Inmate.Unit, Level: f.Inmate.Level,
		Category: f.Inmate.Category, Legal: f.Inmate.Legal, Minutes: r.Minutes, Rules: f.rules,
	})
	if err != nil {
		return nil, err
	}
	return vs.sift(tx, f, r, places)
}

// sift keeps the places that pass every check.
func (vs *Visits) sift(tx *store.Tx, f Facts, r Request, places []schedule.Place) (kept []schedule.Place, err error) {
	times, err := vs.timetable(tx, f, r)
	if err != nil {
		return nil, err
	}
	turnaround := policy.VisitTurnaround.Of(f.rules)
	never := len(places) > 0
	var first Conflict
	for _, p := range places {
		if p.Date != f.Date {
			f.Date = p.Date
			if err := vs.count(tx, &f, ""); err != nil {
				return nil, err
			}
			if err := vs.quota(tx, &f, Visit{}); err != nil {
				return nil, err
			}
		}
		r.Start = p.Starts
		f.Place, f.HasPlace = p, true
		times.at(&f, r, p.Starts, p.Ends.Add(turnaround))
		found := Check(f, r)
		if len(found) == 0 {
			kept = append(kept, p)
			continue
		}
		if first == "" {
			first = found[0]
		}
		never = never && personal(found[0])
	}
	if never && len(kept) == 0 {
		return nil, first.Fault("visits.Starts", f)
	}
	return kept, nil
}

// personal tells whether a conflict lies with who asks or for whom, so that no other time helps.
func personal(c Conflict) bool {
	switch c {
	case ServiceOff, Account, Identity, Party, NoContact, NotAvailable, WrongClass:
		return true
	}
	return false
}

// timetable is when the subjects of a request and the stations that fit it are taken, read once for many starts.
type timetable struct {
	spans    map[string][]span
	stations []facility.Station
	lobby    []facility.Station
	closures []schedule.Closure
}

type span struct{ from, to int64 }

func (vs *Visits) timetable(tx *store.Tx, f Facts, r Request) (t timetable, err error) {
	t.spans = map[string][]span{}
	subjects := []string{string(f.Inmate.ID), string(f.Main.ID)}
	for _, g := range f.Guests {
		subjects = append(subjects, string(g.ID))
	}
	if f.NeedsPlace {
		if t.stations, t.lobby, err = vs.stations(tx, f, r); err != nil {
			return t, err
		}
	}
	for _, s := range t.stations {
		subjects = append(subjects, string(s.ID))
	}
	for _, s := range t.lobby {
		subjects = append(subjects, string(s.ID))
	}
	from, to := store.Ms(f.Now.Add(-3*time.Hour)), store.Ms(f.Now.AddDate(0, 0, staffWindow+2))
	for _, subject := range subjects {
		t.spans[subject], err = store.All(tx, func(r *store.Rows) (s span, err error) { err = r.Scan(&s.from, &s.to); return s, err },
			`SELECT starts, ends FROM visit_spans WHERE subject = ? AND starts >= ? AND starts < ?`, subject, from, to)
		if err != nil {
			return t, err
		}
	}
	t.closures, err = vs.Schedule.Closures(tx, store.Time(from), store.Time(to))
	return t, err
}

func (t timetable) busy(subject string, from, to time.Time) bool {
	for _, s := range t.spans[subject] {
		if s.from < store.Ms(to) && s.to > store.Ms(from) {
			return true
		}
	}
	return false
}

// at sets what depends on the time: who is busy and which station is free.
func (t timetable) at(f *Facts, r Request, from, to time.Time) {
	inmate, outside := t.busy(string(f.Inmate.ID), from, to), t.busy(string(f.Main.ID), from, to)
	for _, g := range f.Guests {
		outside = outside || t.busy(string(g.ID), from, to)
	}
	f.OwnBusy, f.Busy = outside, inmate
	if f.By.Is(ident.ByInmate) {
		f.OwnBusy, f.Busy = inmate, outside
	}
	f.Station, f.Lobby = t.free(t.stations, from, to), ""
	if r.Class == OnSite {
		if f.Lobby = t.free(t.lobby, from, to); f.Lobby == "" {
			f.Station = ""
		}
	}
}

func (t timetable) free(stations []facility.Station, from, to time.Time) ident.Station {
	for _, s := range stations {
		closed := false
		for _, c := range t.closures {
			closed = closed || c.Scope == "station" && c.Key == string(s.ID) && c.From.Before(to) && c.To.After(from)
		}
		if !closed && !t.busy(string(s.ID), from, to) {
			return s.ID
		}
	}
	return ""
}
