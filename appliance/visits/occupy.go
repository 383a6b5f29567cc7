package visits

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
)

// occupy takes the slots, and the time of the inmate, of each person and of the stations. The guards are in SQL: Full
// when anything was taken by somebody else.
func (vs *Visits) occupy(tx *store.Tx, v *Visit, f Facts) error {
	if v.Taken {
		return nil
	}
	if err := vs.Schedule.Claim(tx, f.Place); err != nil {
		return err
	}
	v.Template, v.slots, v.pitch = f.Place.Template, f.Place.Slots, f.Place.Pitch
	v.turnaround = policy.VisitTurnaround.Of(f.rules)
	v.Station, v.Lobby, v.Taken = f.Station, f.Lobby, true
	var spans []any
	for _, subject := range v.subjects() {
		spans = append(spans, subject, store.Ms(v.Starts), store.Ms(v.Ends.Add(v.turnaround)), string(v.ID))
	}
	err := tx.Exec(`INSERT INTO visit_spans (subject, starts, ends, visit) VALUES (?, ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?)`, len(spans)/4-1), spans...)
	if fault.Is(err, fault.Conflict) {
		return fault.New("visits.occupy", fault.Full, "Someone else has just booked this time. Choose another time.").WithCode("slot.taken").Because(err)
	}
	if err != nil {
		return fmt.Errorf("take the time of a visit: %w", err)
	}
	return nil
}

// subjects are all who can be in one visit at a time only.
func (v Visit) subjects() []string {
	all := []string{string(v.Inmate), string(v.Main)}
	for _, p := range v.Party {
		all = append(all, string(p))
	}
	for _, s := range []ident.Station{v.Station, v.Lobby} {
		if s != "" {
			all = append(all, string(s))
		}
	}
	return all
}

// free gives everything back that occupy took.
func (vs *Visits) free(tx *store.Tx, v *Visit) error {
	if !v.Taken {
		return nil
	}
	if err := vs.Schedule.Release(tx, v.place()); err != nil {
		return err
	}
	if err := tx.Exec(`DELETE FROM visit_spans WHERE visit = ?`, string(v.ID)); err != nil {
		return fmt.Errorf("free the time of a visit: %w", err)
	}
	v.Taken, v.Station, v.Lobby = false, "", ""
	return nil
}

// stations are those that the class may use: in the inmate's unit, and for an onsite visit in the lobby.
func (vs *Visits) stations(tx *store.Tx, f Facts, r Request) (inside, lobby []facility.Station, err error) {
	all, err := vs.Facility.StationsIn(tx, f.Inmate.Unit)
	if err != nil {
		return nil, nil, err
	}
	kinds := policy.DeviceInmateAllowed.Of(f.rules)
	private := r.Class == Privileged && policy.PrivilegeLocationPrivate.Of(f.rules)
	for _, s := range all {
		if slices.Contains(kinds, string(s.Kind)) && (!private || s.Private) {
			inside = append(inside, s)
		}
	}
	if r.Class == OnSite {
		lobby, err = vs.Facility.StationsIn(tx, "")
	}
	return inside, lobby, err
}

// findStations picks the first free station of the inmate's unit that the class may use, and for an onsite visit one
// of the lobby for the visitor: one without the other is no place.
func (vs *Visits) findStations(tx *store.Tx, f *Facts, r Request, until time.Time) (err error) {
	if !f.NeedsPlace {
		return nil
	}
	inside, lobby, err := vs.stations(tx, *f, r)
	if err != nil {
		return err
	}
	closures, err := vs.Schedule.Closures(tx, r.Start, until)
	if err != nil {
		return err
	}
	if f.Station, err = freeStation(tx, inside, closures, r.Start, until); err != nil || r.Class != OnSite {
		return err
	}
	if f.Lobby, err = freeStation(tx, lobby, closures, r.Start, until); f.Lobby == "" {
		f.Station = ""
	}
	return err
}

func freeStation(tx *store.Tx, stations []facility.Station, closures []schedule.Closure, from, until time.Time) (ident.Station, error) {
	for _, s := range stations {
		if slices.ContainsFunc(closures, func(c schedule.Closure) bool { return c.Scope == "station" && c.Key == string(s.ID) }) {
			continue
		}
		taken, err := busy(tx, string(s.ID), from, until)
		if err != nil {
			return "", err
		}
		if !taken {
			return s.ID, nil
		}
	}
	return "", nil
}
