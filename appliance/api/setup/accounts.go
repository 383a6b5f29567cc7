package setup

import (
	"context"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// SignInSetup looks at user name and password; the second factor is the next step.
func (d *Door) SignInSetup(ctx context.Context, r SignInSetupRequestObject) (SignInSetupResponseObject, error) {
	e, err := d.Access.SignInStaff(ctx, access.DoorSetup, r.Body.Username, r.Body.Password)
	if err != nil {
		return nil, err
	}
	s, err := d.entered(ctx, e)
	return SignInSetup200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// ConfirmSetupTotp takes the code of the authenticator.
func (d *Door) ConfirmSetupTotp(ctx context.Context, r ConfirmSetupTotpRequestObject) (ConfirmSetupTotpResponseObject, error) {
	e, err := d.Access.ConfirmTOTP(ctx, api.From(ctx).Session, r.Body.Code)
	if err != nil {
		return nil, err
	}
	s, err := d.entered(ctx, e)
	return ConfirmSetupTotp200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// GetSetupSession says who is signed in and what they can do.
func (d *Door) GetSetupSession(ctx context.Context, _ GetSetupSessionRequestObject) (GetSetupSessionResponseObject, error) {
	s, err := d.session(ctx, api.From(ctx).Session)
	return GetSetupSession200JSONResponse{StaffSessionJSONResponse(s)}, err
}

// SignOutSetup ends the session.
func (d *Door) SignOutSetup(ctx context.Context, _ SignOutSetupRequestObject) (SignOutSetupResponseObject, error) {
	r := api.From(ctx)
	if err := d.Access.SignOut(ctx, r.Session); err != nil {
		return nil, err
	}
	r.ClearSession()
	return SignOutSetup204Response{}, nil
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

// ClaimAppliance makes the first administrator by the code on the appliance's own screen.
func (d *Door) ClaimAppliance(ctx context.Context, r ClaimApplianceRequestObject) (ClaimApplianceResponseObject, error) {
	_, factor, err := d.Access.ClaimAppliance(ctx, r.Body.Code, r.Body.Name, r.Body.Username, r.Body.Password)
	return ClaimAppliance201JSONResponse{TotpSecret: factor.Secret, TotpUrl: factor.URL}, err
}
