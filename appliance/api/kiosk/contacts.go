package kiosk

import (
	"context"

	"sallyport/appliance/fault"
)

// AnswerContact is not open yet.
func (d *Door) AnswerContact(context.Context, AnswerContactRequestObject) (AnswerContactResponseObject, error) {
	return nil, fault.New("kiosk.AnswerContact", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
