package kiosk

import (
	"context"

	"sallyport/appliance/fault"
)

// GetKioskHome is not open yet.
func (d *Door) GetKioskHome(context.Context, GetKioskHomeRequestObject) (GetKioskHomeResponseObject, error) {
	return nil, fault.New("kiosk.GetKioskHome", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ListKioskRequests is not open yet.
func (d *Door) ListKioskRequests(context.Context, ListKioskRequestsRequestObject) (ListKioskRequestsResponseObject, error) {
	return nil, fault.New("kiosk.ListKioskRequests", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ListKioskVisits is not open yet.
func (d *Door) ListKioskVisits(context.Context, ListKioskVisitsRequestObject) (ListKioskVisitsResponseObject, error) {
	return nil, fault.New("kiosk.ListKioskVisits", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// AnswerVisit is not open yet.
func (d *Door) AnswerVisit(context.Context, AnswerVisitRequestObject) (AnswerVisitResponseObject, error) {
	return nil, fault.New("kiosk.AnswerVisit", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
