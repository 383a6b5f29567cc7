package staff

import (
	"context"

	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// ListStaffStations lists all stations and whether each has a device.
func (d *Door) ListStaffStations(ctx context.Context, _ ListStaffStationsRequestObject) (ListStaffStationsResponseObject, error) {
	var out Stations
	err := d.DB.View(ctx, func(tx *store.Tx) (err error) { out.Stations, err = d.StationList(tx); return err })
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
