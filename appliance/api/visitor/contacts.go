package visitor

import (
	"context"

	"sallyport/appliance/fault"
)

// ListVisitorContacts is not open yet.
func (d *Door) ListVisitorContacts(context.Context, ListVisitorContactsRequestObject) (ListVisitorContactsResponseObject, error) {
	return nil, fault.New("visitor.ListVisitorContacts", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// RequestContact is not open yet.
func (d *Door) RequestContact(context.Context, RequestContactRequestObject) (RequestContactResponseObject, error) {
	return nil, fault.New("visitor.RequestContact", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
