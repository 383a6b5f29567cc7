package visitor

import (
	"context"

	"sallyport/appliance/fault"
)

// ListStarts is not open yet.
func (d *Door) ListStarts(context.Context, ListStartsRequestObject) (ListStartsResponseObject, error) {
	return nil, fault.New("visitor.ListStarts", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// HoldVisit is not open yet.
func (d *Door) HoldVisit(context.Context, HoldVisitRequestObject) (HoldVisitResponseObject, error) {
	return nil, fault.New("visitor.HoldVisit", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// DropHold is not open yet.
func (d *Door) DropHold(context.Context, DropHoldRequestObject) (DropHoldResponseObject, error) {
	return nil, fault.New("visitor.DropHold", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetVisitorHome is not open yet.
func (d *Door) GetVisitorHome(context.Context, GetVisitorHomeRequestObject) (GetVisitorHomeResponseObject, error) {
	return nil, fault.New("visitor.GetVisitorHome", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ListVisitorVisits is not open yet.
func (d *Door) ListVisitorVisits(context.Context, ListVisitorVisitsRequestObject) (ListVisitorVisitsResponseObject, error) {
	return nil, fault.New("visitor.ListVisitorVisits", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// RequestVisit is not open yet.
func (d *Door) RequestVisit(context.Context, RequestVisitRequestObject) (RequestVisitResponseObject, error) {
	return nil, fault.New("visitor.RequestVisit", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetVisitorVisit is not open yet.
func (d *Door) GetVisitorVisit(context.Context, GetVisitorVisitRequestObject) (GetVisitorVisitResponseObject, error) {
	return nil, fault.New("visitor.GetVisitorVisit", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetVisitCalendar is not open yet.
func (d *Door) GetVisitCalendar(context.Context, GetVisitCalendarRequestObject) (GetVisitCalendarResponseObject, error) {
	return nil, fault.New("visitor.GetVisitCalendar", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// CancelVisitorVisit is not open yet.
func (d *Door) CancelVisitorVisit(context.Context, CancelVisitorVisitRequestObject) (CancelVisitorVisitResponseObject, error) {
	return nil, fault.New("visitor.CancelVisitorVisit", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
