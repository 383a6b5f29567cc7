package staff

import (
	"context"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
)

// SignInStaff looks at user name and password; the second factor is the next step.
func (d *Door) SignInStaff(ctx context.Context, r SignInStaffRequestObject) (SignInStaffResponseObject, error) {
	e, err := d.Access.SignInStaff(ctx, access.DoorStaff, r.Body.Username, r.Body.Password)
	if err != nil {
		return nil, err
	}
	s, err := d.EnterStaff(ctx, e)
	return SignInStaff200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// ConfirmStaffTotp takes the code of the authenticator.
func (d *Door) ConfirmStaffTotp(ctx context.Context, r ConfirmStaffTotpRequestObject) (ConfirmStaffTotpResponseObject, error) {
	e, err := d.Access.ConfirmTOTP(ctx, api.From(ctx).Session, r.Body.Code)
	if err != nil {
		return nil, err
	}
	s, err := d.EnterStaff(ctx, e)
	return ConfirmStaffTotp200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// GetStaffSession says who is signed in and what they can do.
func (d *Door) GetStaffSession(ctx context.Context, _ GetStaffSessionRequestObject) (GetStaffSessionResponseObject, error) {
	s, err := d.StaffSession(ctx, api.From(ctx).Session)
	return GetStaffSession200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// SignOutStaff ends the session.
func (d *Door) SignOutStaff(ctx context.Context, _ SignOutStaffRequestObject) (SignOutStaffResponseObject, error) {
	return SignOutStaff204Response{}, d.LeaveStaff(ctx)
}

// ActivateStaff gives an account its password by the code of its invitation.
func (d *Door) ActivateStaff(ctx context.Context, r ActivateStaffRequestObject) (ActivateStaffResponseObject, error) {
	factor, err := d.Access.ActivateStaff(ctx, access.DoorStaff, r.Body.Username, r.Body.Code, r.Body.Password)
	return ActivateStaff201JSONResponse{TotpSecret: factor.Secret, TotpUrl: factor.URL}, err
}
