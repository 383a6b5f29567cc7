package staff

import (
	"context"

	"sallyport/appliance/fault"
)

// GetSchedule is not open yet.
func (d *Door) GetSchedule(context.Context, GetScheduleRequestObject) (GetScheduleResponseObject, error) {
	return nil, fault.New("staff.GetSchedule", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ListStaffVisits is not open yet.
func (d *Door) ListStaffVisits(context.Context, ListStaffVisitsRequestObject) (ListStaffVisitsResponseObject, error) {
	return nil, fault.New("staff.ListStaffVisits", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetStaffVisit is not open yet.
func (d *Door) GetStaffVisit(context.Context, GetStaffVisitRequestObject) (GetStaffVisitResponseObject, error) {
	return nil, fault.New("staff.GetStaffVisit", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// CancelStaffVisit is not open yet.
func (d *Door) CancelStaffVisit(context.Context, CancelStaffVisitRequestObject) (CancelStaffVisitResponseObject, error) {
	return nil, fault.New("staff.CancelStaffVisit", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// DecideVisit is not open yet.
func (d *Door) DecideVisit(context.Context, DecideVisitRequestObject) (DecideVisitResponseObject, error) {
	return nil, fault.New("staff.DecideVisit", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
