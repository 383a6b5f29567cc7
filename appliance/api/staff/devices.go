package staff

import (
	"context"

	"sallyport/appliance/fault"
)

// ListStaffStations is not open yet.
func (d *Door) ListStaffStations(context.Context, ListStaffStationsRequestObject) (ListStaffStationsResponseObject, error) {
	return nil, fault.New("staff.ListStaffStations", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
