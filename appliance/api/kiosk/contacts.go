package kiosk

import (
	"context"

	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// AnswerContact accepts or declines somebody who asks to be a contact.
func (d *Door) AnswerContact(ctx context.Context, r AnswerContactRequestObject) (AnswerContactResponseObject, error) {
	id, err := ident.Parse[ident.Contact](r.Contact)
	if err != nil {
		return nil, err
	}
	by := api.From(ctx).Actor()
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		answer := d.People.DeclineContact
		if r.Body.Answer == "accept" {
			answer = d.People.AcceptContact
		}
		_, err := answer(tx, by, id)
		return err
	})
	return AnswerContact204Response{}, err
}
