package setup

import (
	"context"
	"strings"

	"sallyport/appliance/api"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// ListSetupStations lists all stations and whether each has a device.
func (d *Door) ListSetupStations(ctx context.Context, _ ListSetupStationsRequestObject) (ListSetupStationsResponseObject, error) {
	var out Stations
	err := d.DB.View(ctx, func(tx *store.Tx) (err error) { out.Stations, err = d.StationList(tx); return err })
	return ListSetupStations200JSONResponse{StationsJSONResponse(out)}, err
}

// AddStation adds a station; its device comes by a code.
func (d *Door) AddStation(ctx context.Context, r AddStationRequestObject) (AddStationResponseObject, error) {
	s := facility.Station{Name: strings.TrimSpace(r.Body.Name), Kind: facility.StationKind(r.Body.Kind), Private: r.Body.Private}
	if r.Body.Unit != nil {
		s.Unit = ident.Unit(*r.Body.Unit)
	}
	out, err := d.put(ctx, func(tx *store.Tx) (facility.Station, error) {
		if s.Unit == "" {
			return s, nil // in the lobby, or refused by the room
		}
		_, err := d.Facility.Unit(tx, s.Unit)
		return s, err
	})
	return AddStation201JSONResponse(out), err
}

// ChangeStation renames a station, or takes it out of use and back.
func (d *Door) ChangeStation(ctx context.Context, r ChangeStationRequestObject) (ChangeStationResponseObject, error) {
	id, err := ident.Parse[ident.Station](r.Station)
	if err != nil {
		return nil, err
	}
	out, err := d.put(ctx, func(tx *store.Tx) (facility.Station, error) {
		s, err := d.Facility.Station(tx, id)
		if s.State != facility.Retired {
			s.State = facility.StationState(r.Body.State)
		}
		s.Name, s.Private = strings.TrimSpace(r.Body.Name), r.Body.Private
		return s, err
	})
	return ChangeStation200JSONResponse(out), err
}

// put writes the station that change returns and answers how it stands.
func (d *Door) put(ctx context.Context, change func(*store.Tx) (facility.Station, error)) (out api.Station, err error) {
	by := api.From(ctx).Actor()
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		s, err := change(tx)
		if err != nil {
			return err
		}
		if s, err = d.Facility.PutStation(tx, by, s); err != nil {
			return err
		}
		out, err = d.StationOf(tx, s)
		return err
	})
	return out, err
}

// RetireStation takes a station out for ever.
func (d *Door) RetireStation(ctx context.Context, r RetireStationRequestObject) (RetireStationResponseObject, error) {
	out, err := d.Rooms.RetireStation(ctx, r.Station)
	return RetireStation200JSONResponse(out), err
}

// IssueEnrolmentCode makes the code that turns one device into a station.
func (d *Door) IssueEnrolmentCode(ctx context.Context, r IssueEnrolmentCodeRequestObject) (IssueEnrolmentCodeResponseObject, error) {
	id, err := ident.Parse[ident.Station](r.Station)
	if err != nil {
		return nil, err
	}
	var out EnrolmentCode
	err = d.DB.Update(ctx, func(tx *store.Tx) (err error) {
		out.Code, out.Expires, err = d.Access.NewEnrolment(tx, api.From(ctx).Actor(), id)
		return err
	})
	return IssueEnrolmentCode201JSONResponse(out), err
}
