package visitor

import (
	"context"

	"sallyport/appliance/fault"
)

// ListVisitorNews is not open yet.
func (d *Door) ListVisitorNews(context.Context, ListVisitorNewsRequestObject) (ListVisitorNewsResponseObject, error) {
	return nil, fault.New("visitor.ListVisitorNews", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ReadVisitorNews is not open yet.
func (d *Door) ReadVisitorNews(context.Context, ReadVisitorNewsRequestObject) (ReadVisitorNewsResponseObject, error) {
	return nil, fault.New("visitor.ReadVisitorNews", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
