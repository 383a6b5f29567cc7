package staff

import (
	"context"

	"sallyport/appliance/fault"
)

// SignOutStaff is not open yet.
func (d *Door) SignOutStaff(context.Context, SignOutStaffRequestObject) (SignOutStaffResponseObject, error) {
	return nil, fault.New("staff.SignOutStaff", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetStaffSession is not open yet.
func (d *Door) GetStaffSession(context.Context, GetStaffSessionRequestObject) (GetStaffSessionResponseObject, error) {
	return nil, fault.New("staff.GetStaffSession", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// SignInStaff is not open yet.
func (d *Door) SignInStaff(context.Context, SignInStaffRequestObject) (SignInStaffResponseObject, error) {
	return nil, fault.New("staff.SignInStaff", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ConfirmStaffTotp is not open yet.
func (d *Door) ConfirmStaffTotp(context.Context, ConfirmStaffTotpRequestObject) (ConfirmStaffTotpResponseObject, error) {
	return nil, fault.New("staff.ConfirmStaffTotp", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
