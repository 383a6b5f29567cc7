package kiosk

import (
	"context"

	"sallyport/appliance/fault"
)

// GetKioskConfig is not open yet.
func (d *Door) GetKioskConfig(context.Context, GetKioskConfigRequestObject) (GetKioskConfigResponseObject, error) {
	return nil, fault.New("kiosk.GetKioskConfig", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
