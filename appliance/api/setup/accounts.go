package setup

import (
	"context"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
)

// SignInSetup looks at user name and password; the second factor is the next step.
func (d *Door) SignInSetup(ctx context.Context, r SignInSetupRequestObject) (SignInSetupResponseObject, error) {
	e, err := d.Access.SignInStaff(ctx, access.DoorSetup, r.Body.Username, r.Body.Password)
	if err != nil {
		return nil, err
	}
	s, err := d.EnterStaff(ctx, e)
	return SignInSetup200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// ConfirmSetupTotp takes the code of the authenticator.
func (d *Door) ConfirmSetupTotp(ctx context.Context, r ConfirmSetupTotpRequestObject) (ConfirmSetupTotpResponseObject, error) {
	e, err := d.Access.ConfirmTOTP(ctx, api.From(ctx).Session, r.Body.Code)
	if err != nil {
		return nil, err
	}
	s, err := d.EnterStaff(ctx, e)
	return ConfirmSetupTotp200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// GetSetupSession says who is signed in and what they can do.
func (d *Door) GetSetupSession(ctx context.Context, _ GetSetupSessionRequestObject) (GetSetupSessionResponseObject, error) {
	s, err := d.StaffSession(ctx, api.From(ctx).Session)
	return GetSetupSession200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// SignOutSetup ends the session.
func (d *Door) SignOutSetup(ctx context.Context, _ SignOutSetupRequestObject) (SignOutSetupResponseObject, error) {
	return SignOutSetup204Response{}, d.LeaveStaff(ctx)
}

// ActivateSetup gives an account its password by the code of its invitation.
func (d *Door) ActivateSetup(ctx context.Context, r ActivateSetupRequestObject) (ActivateSetupResponseObject, error) {
	factor, err := d.Access.ActivateStaff(ctx, access.DoorSetup, r.Body.Username, r.Body.Code, r.Body.Password)
	return ActivateSetup201JSONResponse{TotpSecret: factor.Secret, TotpUrl: factor.URL}, err
}

// ClaimAppliance makes the first administrator by the code on the appliance's own screen.
func (d *Door) ClaimAppliance(ctx context.Context, r ClaimApplianceRequestObject) (ClaimApplianceResponseObject, error) {
	_, factor, err := d.Access.ClaimAppliance(ctx, r.Body.Code, r.Body.Name, r.Body.Username, r.Body.Password)
	return ClaimAppliance201JSONResponse{TotpSecret: factor.Secret, TotpUrl: factor.URL}, err
}
