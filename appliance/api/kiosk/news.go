package kiosk

import (
	"context"

	"sallyport/appliance/fault"
)

// ListKioskNews is not open yet.
func (d *Door) ListKioskNews(context.Context, ListKioskNewsRequestObject) (ListKioskNewsResponseObject, error) {
	return nil, fault.New("kiosk.ListKioskNews", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ReadKioskNews is not open yet.
func (d *Door) ReadKioskNews(context.Context, ReadKioskNewsRequestObject) (ReadKioskNewsResponseObject, error) {
	return nil, fault.New("kiosk.ReadKioskNews", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
