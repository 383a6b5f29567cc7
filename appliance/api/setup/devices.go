package setup

import (
	"context"

	"sallyport/appliance/fault"
)

// ListSetupStations is not open yet.
func (d *Door) ListSetupStations(context.Context, ListSetupStationsRequestObject) (ListSetupStationsResponseObject, error) {
	return nil, fault.New("setup.ListSetupStations", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// IssueEnrolmentCode is not open yet.
func (d *Door) IssueEnrolmentCode(context.Context, IssueEnrolmentCodeRequestObject) (IssueEnrolmentCodeResponseObject, error) {
	return nil, fault.New("setup.IssueEnrolmentCode", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
