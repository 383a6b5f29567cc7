package staff

import (
	"context"

	"sallyport/appliance/fault"
)

// ListRecordings is not open yet.
func (d *Door) ListRecordings(context.Context, ListRecordingsRequestObject) (ListRecordingsResponseObject, error) {
	return nil, fault.New("staff.ListRecordings", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetRecording is not open yet.
func (d *Door) GetRecording(context.Context, GetRecordingRequestObject) (GetRecordingResponseObject, error) {
	return nil, fault.New("staff.GetRecording", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// VerifyRecording is not open yet.
func (d *Door) VerifyRecording(context.Context, VerifyRecordingRequestObject) (VerifyRecordingResponseObject, error) {
	return nil, fault.New("staff.VerifyRecording", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ViewRecording is not open yet.
func (d *Door) ViewRecording(context.Context, ViewRecordingRequestObject) (ViewRecordingResponseObject, error) {
	return nil, fault.New("staff.ViewRecording", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
