package staff

import (
	"context"

	"sallyport/appliance/fault"
)

// BeginCheck is not open yet.
func (d *Door) BeginCheck(context.Context, BeginCheckRequestObject) (BeginCheckResponseObject, error) {
	return nil, fault.New("staff.BeginCheck", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// EndCall is not open yet.
func (d *Door) EndCall(context.Context, EndCallRequestObject) (EndCallResponseObject, error) {
	return nil, fault.New("staff.EndCall", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// MonitorCall is not open yet.
func (d *Door) MonitorCall(context.Context, MonitorCallRequestObject) (MonitorCallResponseObject, error) {
	return nil, fault.New("staff.MonitorCall", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// PauseCall is not open yet.
func (d *Door) PauseCall(context.Context, PauseCallRequestObject) (PauseCallResponseObject, error) {
	return nil, fault.New("staff.PauseCall", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ResumeCall is not open yet.
func (d *Door) ResumeCall(context.Context, ResumeCallRequestObject) (ResumeCallResponseObject, error) {
	return nil, fault.New("staff.ResumeCall", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// SayToCall is not open yet.
func (d *Door) SayToCall(context.Context, SayToCallRequestObject) (SayToCallResponseObject, error) {
	return nil, fault.New("staff.SayToCall", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetLive is not open yet.
func (d *Door) GetLive(context.Context, GetLiveRequestObject) (GetLiveResponseObject, error) {
	return nil, fault.New("staff.GetLive", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
