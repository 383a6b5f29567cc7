package kiosk

import (
	"context"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// deviceCookie is the part of the cookie's name that holds the device's secret, and deviceAge how long browsers keep one.
const (
	deviceCookie = "device"
	deviceAge    = 400 * 24 * time.Hour
)

// SignInInmate lets an inmate in on an enrolled device.
func (d *Door) SignInInmate(ctx context.Context, r SignInInmateRequestObject) (SignInInmateResponseObject, error) {
	req := api.From(ctx)
	e, err := d.Access.SignInInmate(ctx, req.Cookie(deviceCookie), r.Body.Number, r.Body.Pin)
	if err != nil {
		return nil, err
	}
	req.SetSession(e.Secret, e.Expires.Sub(d.Clock.Now()))
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		err := d.People.SetInmateLanguage(tx, e.Actor, ident.Inmate(e.Actor.ID), string(r.Body.Language))
		if fault.Is(err, fault.Invalid) {
			return nil // a language that is not offered changes nothing
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s, err := d.session(ctx, e.Session)
	if !e.Last.IsZero() {
		s.LastSignIn = &e.Last
	}
	return SignInInmate200JSONResponse{KioskSessionJSONResponse(s)}, err
}

// GetKioskSession says who is signed in.
func (d *Door) GetKioskSession(ctx context.Context, _ GetKioskSessionRequestObject) (GetKioskSessionResponseObject, error) {
	s, err := d.session(ctx, api.From(ctx).Session)
	return GetKioskSession200JSONResponse{KioskSessionJSONResponse(s)}, err
}

// SignOutInmate ends the session.
func (d *Door) SignOutInmate(ctx context.Context, _ SignOutInmateRequestObject) (SignOutInmateResponseObject, error) {
	r := api.From(ctx)
	if err := d.Access.SignOut(ctx, r.Session); err != nil {
		return nil, err
	}
	r.ClearSession()
	return SignOutInmate204Response{}, nil
}

func (d *Door) session(ctx context.Context, s access.Session) (out KioskSession, err error) {
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		i, err := d.People.Inmate(tx, ident.Inmate(s.Actor.ID))
		out = KioskSession{
			Stage: KioskSessionStageFull, Csrf: s.CSRF, Expires: s.Expires, FirstName: i.First, LastName: i.Last, Number: i.Number, Language: Language(i.Language),
		}
		if s.Stage == access.StageNewPIN {
			out.Stage = KioskSessionStageNewPin
		}
		return err
	})
	return out, err
}

// PutOwnPin takes the PIN that an inmate chooses after an issued one.
func (d *Door) PutOwnPin(ctx context.Context, r PutOwnPinRequestObject) (PutOwnPinResponseObject, error) {
	req := api.From(ctx)
	e, err := d.Access.ChooseInmatePIN(ctx, req.Session, r.Body.Pin)
	if err != nil {
		return nil, err
	}
	req.SetSession(e.Secret, e.Expires.Sub(d.Clock.Now()))
	s, err := d.session(ctx, e.Session)
	return PutOwnPin200JSONResponse{KioskSessionJSONResponse(s)}, err
}
