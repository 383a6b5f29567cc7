package visitor

import (
	"context"

	"sallyport/appliance/fault"
)

// GetVisitorConfig is not open yet.
func (d *Door) GetVisitorConfig(context.Context, GetVisitorConfigRequestObject) (GetVisitorConfigResponseObject, error) {
	return nil, fault.New("visitor.GetVisitorConfig", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
