package setup

import (
	"context"

	"sallyport/appliance/fault"
)

// GetSetupState is not open yet.
func (d *Door) GetSetupState(context.Context, GetSetupStateRequestObject) (GetSetupStateResponseObject, error) {
	return nil, fault.New("setup.GetSetupState", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
