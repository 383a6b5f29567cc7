package api

import (
	"context"
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// Unit is a housing unit and what is in it.
type Unit struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Stations int    `json:"stations"`
	Inmates  int    `json:"inmates"`
}

// Station is a kiosk, a tablet or a lobby place.
type Station struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Kind     string     `json:"kind"`
	Unit     string     `json:"unit"`
	UnitID   *string    `json:"unit_id,omitempty"`
	Private  bool       `json:"private"`
	State    string     `json:"state"`
	Since    *time.Time `json:"since,omitempty"`
	Enrolled bool       `json:"enrolled"`
}

// StationList returns all stations that are not retired, by unit and name.
func (r *Rooms) StationList(tx *store.Tx) ([]Station, error) {
	list, err := r.Facility.Stations(tx)
	if err != nil {
		return nil, err
	}
	names, err := r.unitNames(tx)
	if err != nil {
		return nil, err
	}
	out := []Station{}
	for _, s := range list {
		one, err := r.station(tx, s, names)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// StationOf returns one station.
func (r *Rooms) StationOf(tx *store.Tx, s facility.Station) (Station, error) {
	names, err := r.unitNames(tx)
	if err != nil {
		return Station{}, err
	}
	return r.station(tx, s, names)
}

func (r *Rooms) station(tx *store.Tx, s facility.Station, names map[ident.Unit]string) (Station, error) {
	since, err := r.Access.Enrolled(tx, s.ID)
	out := Station{
		ID: string(s.ID), Name: s.Name, Kind: string(s.Kind), Unit: names[s.Unit], Private: s.Private, State: string(s.State), Enrolled: !since.IsZero(),
	}
	if s.Unit != "" {
		id := string(s.Unit)
		out.UnitID = &id
	}
	if !since.IsZero() {
		out.Since = &since
	}
	return out, err
}

func (r *Rooms) unitNames(tx *store.Tx) (map[ident.Unit]string, error) {
	units, err := r.Facility.Units(tx)
	names := map[ident.Unit]string{}
	for _, u := range units {
		names[u.ID] = u.Name
	}
	return names, err
}

// UnitList returns all housing units by name.
func (r *Rooms) UnitList(tx *store.Tx) ([]Unit, error) {
	units, err := r.Facility.Units(tx)
	if err != nil {
		return nil, err
	}
	stations, err := r.Facility.Stations(tx)
	if err != nil {
		return nil, err
	}
	inmates, err := r.People.InUnits(tx)
	if err != nil {
		return nil, err
	}
	stand := map[ident.Unit]int{}
	for _, s := range stations {
		stand[s.Unit]++
	}
	out := []Unit{}
	for _, u := range units {
		out = append(out, Unit{ID: string(u.ID), Name: u.Name, Stations: stand[u.ID], Inmates: inmates[u.ID]})
	}
	return out, nil
}

// RetireStation takes a station out for ever: its device is cut off, and visits that stand on it are marked for a look.
func (r *Rooms) RetireStation(ctx context.Context, station string) (Standing, error) {
	id, err := ident.Parse[ident.Station](station)
	if err != nil {
		return Standing{}, err
	}
	by := From(ctx).Actor()
	return r.takeAway(ctx, issueStation, func(tx *store.Tx) (visits.Ground, error) {
		s, err := r.Facility.Station(tx, id)
		if err != nil {
			return visits.Ground{}, err
		}
		s.State = facility.Retired
		if _, err := r.Facility.PutStation(tx, by, s); err != nil {
			return visits.Ground{}, err
		}
		return visits.Ground{Station: id}, r.Access.RevokeDevice(tx, by, id)
	})
}
