package visitor

import (
	"context"

	"sallyport/appliance/fault"
)

// ProbeVisitor is not open yet.
func (d *Door) ProbeVisitor(context.Context, ProbeVisitorRequestObject) (ProbeVisitorResponseObject, error) {
	return nil, fault.New("visitor.ProbeVisitor", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// JoinVisitorCall is not open yet.
func (d *Door) JoinVisitorCall(context.Context, JoinVisitorCallRequestObject) (JoinVisitorCallResponseObject, error) {
	return nil, fault.New("visitor.JoinVisitorCall", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetVisitorWaiting is not open yet.
func (d *Door) GetVisitorWaiting(context.Context, GetVisitorWaitingRequestObject) (GetVisitorWaitingResponseObject, error) {
	return nil, fault.New("visitor.GetVisitorWaiting", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
