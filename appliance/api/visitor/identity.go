package visitor

import (
	"context"

	"sallyport/appliance/fault"
)

// GetIdentity is not open yet.
func (d *Door) GetIdentity(context.Context, GetIdentityRequestObject) (GetIdentityResponseObject, error) {
	return nil, fault.New("visitor.GetIdentity", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// PutIdentityDocument is not open yet.
func (d *Door) PutIdentityDocument(context.Context, PutIdentityDocumentRequestObject) (PutIdentityDocumentResponseObject, error) {
	return nil, fault.New("visitor.PutIdentityDocument", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// SubmitIdentity is not open yet.
func (d *Door) SubmitIdentity(context.Context, SubmitIdentityRequestObject) (SubmitIdentityResponseObject, error) {
	return nil, fault.New("visitor.SubmitIdentity", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
