package staff

import (
	"context"

	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// ListStaffStations lists all stations and whether each has a device.
func (d *Door) ListStaffStations(ctx context.Context, _ ListStaffStationsRequestObject) (ListStaffStationsResponseObject, error) {
	out := Stations{Stations: []Station{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, err := d.Facility.Stations(tx)
		if err != nil {
			return err
		}
		names, err := d.unitNames(tx)
		if err != nil {
			return err
		}
		for _, s := range list {
			one, err := d.station(tx, s, names)
			if err != nil {
				return err
			}
			out.Stations = append(out.Stations, one)
		}
		return nil
	})
	return ListStaffStations200JSONResponse{StationsJSONResponse(out)}, err
}

func (d *Door) unitNames(tx *store.Tx) (map[ident.Unit]string, error) {
	units, err := d.Facility.Units(tx)
	names := map[ident.Unit]string{}
	for _, u := range units {
		names[u.ID] = u.Name
	}
	return names, err
}

func (d *Door) station(tx *store.Tx, s facility.Station, names map[ident.Unit]string) (Station, error) {
	since, err := d.Access.Enrolled(tx, s.ID)
	out := Station{
		Id: string(s.ID), Name: s.Name, Kind: StationKind(s.Kind), Unit: names[s.Unit], State: string(s.State), Enrolled: !since.IsZero(),
	}
	if !since.IsZero() {
		out.Since = &since
	}
	return out, err
}
