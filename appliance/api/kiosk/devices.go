package kiosk

import (
	"context"

	"sallyport/appliance/api"
)

// EnrolStation turns this device into the station of a code.
func (d *Door) EnrolStation(ctx context.Context, r EnrolStationRequestObject) (EnrolStationResponseObject, error) {
	secret, _, err := d.Access.Enrol(ctx, r.Body.Code)
	if err != nil {
		return nil, err
	}
	api.From(ctx).SetCookie(deviceCookie, secret, deviceAge)
	return EnrolStation204Response{}, nil
}
