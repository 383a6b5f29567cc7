package setup

import (
	"context"

	"sallyport/appliance/fault"
)

// ClaimAppliance is not open yet.
func (d *Door) ClaimAppliance(context.Context, ClaimApplianceRequestObject) (ClaimApplianceResponseObject, error) {
	return nil, fault.New("setup.ClaimAppliance", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// SignOutSetup is not open yet.
func (d *Door) SignOutSetup(context.Context, SignOutSetupRequestObject) (SignOutSetupResponseObject, error) {
	return nil, fault.New("setup.SignOutSetup", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetSetupSession is not open yet.
func (d *Door) GetSetupSession(context.Context, GetSetupSessionRequestObject) (GetSetupSessionResponseObject, error) {
	return nil, fault.New("setup.GetSetupSession", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// SignInSetup is not open yet.
func (d *Door) SignInSetup(context.Context, SignInSetupRequestObject) (SignInSetupResponseObject, error) {
	return nil, fault.New("setup.SignInSetup", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ConfirmSetupTotp is not open yet.
func (d *Door) ConfirmSetupTotp(context.Context, ConfirmSetupTotpRequestObject) (ConfirmSetupTotpResponseObject, error) {
	return nil, fault.New("setup.ConfirmSetupTotp", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
