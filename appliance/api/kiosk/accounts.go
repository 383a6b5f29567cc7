package kiosk

import (
	"context"

	"sallyport/appliance/fault"
)

// SignOutInmate is not open yet.
func (d *Door) SignOutInmate(context.Context, SignOutInmateRequestObject) (SignOutInmateResponseObject, error) {
	return nil, fault.New("kiosk.SignOutInmate", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetKioskSession is not open yet.
func (d *Door) GetKioskSession(context.Context, GetKioskSessionRequestObject) (GetKioskSessionResponseObject, error) {
	return nil, fault.New("kiosk.GetKioskSession", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// SignInInmate is not open yet.
func (d *Door) SignInInmate(context.Context, SignInInmateRequestObject) (SignInInmateResponseObject, error) {
	return nil, fault.New("kiosk.SignInInmate", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
