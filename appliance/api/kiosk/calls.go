package kiosk

import (
	"context"

	"sallyport/appliance/fault"
)

// JoinKioskCall is not open yet.
func (d *Door) JoinKioskCall(context.Context, JoinKioskCallRequestObject) (JoinKioskCallResponseObject, error) {
	return nil, fault.New("kiosk.JoinKioskCall", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetKioskWaiting is not open yet.
func (d *Door) GetKioskWaiting(context.Context, GetKioskWaitingRequestObject) (GetKioskWaitingResponseObject, error) {
	return nil, fault.New("kiosk.GetKioskWaiting", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
