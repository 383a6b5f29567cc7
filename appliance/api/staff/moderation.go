package staff

import (
	"context"

	"sallyport/appliance/fault"
)

// ListCases is not open yet.
func (d *Door) ListCases(context.Context, ListCasesRequestObject) (ListCasesResponseObject, error) {
	return nil, fault.New("staff.ListCases", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetCase is not open yet.
func (d *Door) GetCase(context.Context, GetCaseRequestObject) (GetCaseResponseObject, error) {
	return nil, fault.New("staff.GetCase", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ClaimCase is not open yet.
func (d *Door) ClaimCase(context.Context, ClaimCaseRequestObject) (ClaimCaseResponseObject, error) {
	return nil, fault.New("staff.ClaimCase", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetCaseDocument is not open yet.
func (d *Door) GetCaseDocument(context.Context, GetCaseDocumentRequestObject) (GetCaseDocumentResponseObject, error) {
	return nil, fault.New("staff.GetCaseDocument", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ReleaseCase is not open yet.
func (d *Door) ReleaseCase(context.Context, ReleaseCaseRequestObject) (ReleaseCaseResponseObject, error) {
	return nil, fault.New("staff.ReleaseCase", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// DecideCase is not open yet.
func (d *Door) DecideCase(context.Context, DecideCaseRequestObject) (DecideCaseResponseObject, error) {
	return nil, fault.New("staff.DecideCase", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
