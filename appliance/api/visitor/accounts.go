package visitor

import (
	"context"

	"sallyport/appliance/fault"
)

// RegisterVisitor is not open yet.
func (d *Door) RegisterVisitor(context.Context, RegisterVisitorRequestObject) (RegisterVisitorResponseObject, error) {
	return nil, fault.New("visitor.RegisterVisitor", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ActivateVisitor is not open yet.
func (d *Door) ActivateVisitor(context.Context, ActivateVisitorRequestObject) (ActivateVisitorResponseObject, error) {
	return nil, fault.New("visitor.ActivateVisitor", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ResendActivation is not open yet.
func (d *Door) ResendActivation(context.Context, ResendActivationRequestObject) (ResendActivationResponseObject, error) {
	return nil, fault.New("visitor.ResendActivation", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// PutProfile is not open yet.
func (d *Door) PutProfile(context.Context, PutProfileRequestObject) (PutProfileResponseObject, error) {
	return nil, fault.New("visitor.PutProfile", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// SignOutVisitor is not open yet.
func (d *Door) SignOutVisitor(context.Context, SignOutVisitorRequestObject) (SignOutVisitorResponseObject, error) {
	return nil, fault.New("visitor.SignOutVisitor", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetVisitorSession is not open yet.
func (d *Door) GetVisitorSession(context.Context, GetVisitorSessionRequestObject) (GetVisitorSessionResponseObject, error) {
	return nil, fault.New("visitor.GetVisitorSession", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// SignInVisitor is not open yet.
func (d *Door) SignInVisitor(context.Context, SignInVisitorRequestObject) (SignInVisitorResponseObject, error) {
	return nil, fault.New("visitor.SignInVisitor", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// AcceptAgreement is not open yet.
func (d *Door) AcceptAgreement(context.Context, AcceptAgreementRequestObject) (AcceptAgreementResponseObject, error) {
	return nil, fault.New("visitor.AcceptAgreement", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ConfirmBrowser is not open yet.
func (d *Door) ConfirmBrowser(context.Context, ConfirmBrowserRequestObject) (ConfirmBrowserResponseObject, error) {
	return nil, fault.New("visitor.ConfirmBrowser", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ResendBrowserCode is not open yet.
func (d *Door) ResendBrowserCode(context.Context, ResendBrowserCodeRequestObject) (ResendBrowserCodeResponseObject, error) {
	return nil, fault.New("visitor.ResendBrowserCode", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
