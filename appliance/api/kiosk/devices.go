package kiosk

import (
	"context"

	"sallyport/appliance/fault"
)

// EnrolStation is not open yet.
func (d *Door) EnrolStation(context.Context, EnrolStationRequestObject) (EnrolStationResponseObject, error) {
	return nil, fault.New("kiosk.EnrolStation", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
