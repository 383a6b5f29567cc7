package setup

import (
	"context"

	"sallyport/appliance/fault"
)

// PutFacility is not open yet.
func (d *Door) PutFacility(context.Context, PutFacilityRequestObject) (PutFacilityResponseObject, error) {
	return nil, fault.New("setup.PutFacility", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
