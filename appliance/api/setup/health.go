package setup

import (
	"context"

	"sallyport/appliance/fault"
)

// GetHealth is not open yet.
func (d *Door) GetHealth(context.Context, GetHealthRequestObject) (GetHealthResponseObject, error) {
	return nil, fault.New("setup.GetHealth", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
