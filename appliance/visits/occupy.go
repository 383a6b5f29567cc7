package visits

import (
	"fmt"
	"slices"
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
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
	for _, subject := range v.subjects() {
		err := tx.Exec(`INSERT INTO visit_spans (subject, starts, ends, visit) VALUES (?, ?, ?, ?)`,
			subject, store.Ms(v.Starts), store.Ms(v.Ends.Add(v.turnaround)), string(v.ID))
		if fault.Is(err, fault.Conflict) {
			return fault.New("visits.occupy", fault.Full, "Someone else has just booked this time. Choose another time.").WithCode("slot.taken").Because(err)
		}
		if err != nil {
			return fmt.Errorf("take the time of a visit: %w", err)
		}
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

// findStations picks the first free station of the inmate's unit that the class may use, and for an onsite visit one
// of the lobby for the visitor.
func (vs *Visits) findStations(tx *store.Tx, f *Facts, r Request, until time.Time) (err error) {
	if !f.NeedsPlace {
		return nil
	}
	kinds := policy.DeviceInmateAllowed.Of(f.rules)
	private := r.Class == Privileged && policy.PrivilegeLocationPrivate.Of(f.rules)
	fits := func(s facility.Station) bool {
		return slices.Contains(kinds, string(s.Kind)) && (!private || s.Private)
	}
	if f.Station, err = vs.freeStation(tx, f.Inmate.Unit, r.Start, until, fits); err != nil || r.Class != OnSite || f.Station == "" {
		return err
	}
	if f.Lobby, err = vs.freeStation(tx, "", r.Start, until, func(facility.Station) bool { return true }); f.Lobby == "" {
		f.Station = "" // one without the other is no place
	}
	return err
}

func (vs *Visits) freeStation(tx *store.Tx, unit ident.Unit, from, until time.Time, fits func(facility.Station) bool) (ident.Station, error) {
	stations, err := vs.Facility.StationsIn(tx, unit)
	if err != nil {
		return "", err
	}
	closures, err := vs.Schedule.Closures(tx, from, until)
	if err != nil {
		return "", err
	}
	for _, s := range stations {
		closed := false
		for _, c := range closures {
			closed = closed || c.Scope == "station" && c.Key == string(s.ID)
		}
		if closed || !fits(s) {
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
