package staff

import (
	"context"

	"sallyport/appliance/fault"
)

// SearchInmates is not open yet.
func (d *Door) SearchInmates(context.Context, SearchInmatesRequestObject) (SearchInmatesResponseObject, error) {
	return nil, fault.New("staff.SearchInmates", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetStaffInmate is not open yet.
func (d *Door) GetStaffInmate(context.Context, GetStaffInmateRequestObject) (GetStaffInmateResponseObject, error) {
	return nil, fault.New("staff.GetStaffInmate", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ListRosterImports is not open yet.
func (d *Door) ListRosterImports(context.Context, ListRosterImportsRequestObject) (ListRosterImportsResponseObject, error) {
	return nil, fault.New("staff.ListRosterImports", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ImportRoster is not open yet.
func (d *Door) ImportRoster(context.Context, ImportRosterRequestObject) (ImportRosterResponseObject, error) {
	return nil, fault.New("staff.ImportRoster", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetRosterSample is not open yet.
func (d *Door) GetRosterSample(context.Context, GetRosterSampleRequestObject) (GetRosterSampleResponseObject, error) {
	return nil, fault.New("staff.GetRosterSample", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// SearchVisitors is not open yet.
func (d *Door) SearchVisitors(context.Context, SearchVisitorsRequestObject) (SearchVisitorsResponseObject, error) {
	return nil, fault.New("staff.SearchVisitors", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
