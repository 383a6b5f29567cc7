package staff

import (
	"context"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// SignInStaff looks at user name and password; the second factor is the next step.
func (d *Door) SignInStaff(ctx context.Context, r SignInStaffRequestObject) (SignInStaffResponseObject, error) {
	e, err := d.Access.SignInStaff(ctx, access.DoorStaff, r.Body.Username, r.Body.Password)
	if err != nil {
		return nil, err
	}
	s, err := d.entered(ctx, e)
	return SignInStaff200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// ConfirmStaffTotp takes the code of the authenticator.
func (d *Door) ConfirmStaffTotp(ctx context.Context, r ConfirmStaffTotpRequestObject) (ConfirmStaffTotpResponseObject, error) {
	e, err := d.Access.ConfirmTOTP(ctx, api.From(ctx).Session, r.Body.Code)
	if err != nil {
		return nil, err
	}
	s, err := d.entered(ctx, e)
	return ConfirmStaffTotp200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// GetStaffSession says who is signed in and what they can do.
func (d *Door) GetStaffSession(ctx context.Context, _ GetStaffSessionRequestObject) (GetStaffSessionResponseObject, error) {
	s, err := d.session(ctx, api.From(ctx).Session)
	return GetStaffSession200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// SignOutStaff ends the session.
func (d *Door) SignOutStaff(ctx context.Context, _ SignOutStaffRequestObject) (SignOutStaffResponseObject, error) {
	r := api.From(ctx)
	if err := d.Access.SignOut(ctx, r.Session); err != nil {
		return nil, err
	}
	r.ClearSession()
	return SignOutStaff204Response{}, nil
}

func (d *Door) entered(ctx context.Context, e access.Entry) (StaffSession, error) {
	api.From(ctx).SetSession(e.Secret, e.Expires.Sub(d.Clock.Now()))
	return d.session(ctx, e.Session)
}

// session describes a session; who it is of and what they can do is told only after the second factor.
func (d *Door) session(ctx context.Context, s access.Session) (StaffSession, error) {
	out := StaffSession{
		Stage: StaffSessionStage(s.Stage), Csrf: s.CSRF, IdleS: int(s.Idle.Seconds()), Expires: s.Expires, Roles: []string{}, Capabilities: []string{},
	}
	if s.Stage != access.StageFull {
		return out, nil
	}
	out.Roles, out.Capabilities, out.Staff = s.Actor.Roles, access.Capabilities(s.Actor), &s.Actor.ID
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		who, err := d.Access.Staff(tx, ident.Staff(s.Actor.ID))
		out.Name = &who.Name
		return err
	})
	return out, err
}
