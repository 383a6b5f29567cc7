package staff

import (
	"context"

	"sallyport/appliance/fault"
)

// GetStaffConfig is not open yet.
func (d *Door) GetStaffConfig(context.Context, GetStaffConfigRequestObject) (GetStaffConfigResponseObject, error) {
	return nil, fault.New("staff.GetStaffConfig", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
