package visitor

import (
	"context"

	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// ListVisitorContacts lists the people on the visitor's list.
func (d *Door) ListVisitorContacts(ctx context.Context, _ ListVisitorContactsRequestObject) (ListVisitorContactsResponseObject, error) {
	out := ListVisitorContacts200JSONResponse{Contacts: []VisitorContact{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, err := d.People.ContactsOfVisitor(tx, ident.Visitor(api.From(ctx).Actor().ID))
		if err != nil {
			return err
		}
		for _, c := range list {
			one, err := d.contact(tx, c)
			if err != nil {
				return err
			}
			out.Contacts = append(out.Contacts, one)
		}
		return nil
	})
	return out, err
}

// RequestContact asks to be somebody's contact.
func (d *Door) RequestContact(ctx context.Context, r RequestContactRequestObject) (RequestContactResponseObject, error) {
	by := api.From(ctx).Actor()
	var out VisitorContact
	err := d.DB.Update(ctx, func(tx *store.Tx) error {
		c, err := d.People.RequestContact(tx, by, ident.Visitor(by.ID), people.Lookup{
			First: r.Body.FirstName, Last: r.Body.LastName, Number: r.Body.Number, Born: r.Body.DateOfBirth, Relationship: string(r.Body.Relationship),
		})
		if err != nil {
			return err
		}
		out, err = d.contact(tx, c)
		return err
	})
	return RequestContact201JSONResponse(out), err
}

// neutral are the states that a visitor must not tell apart: one side's block, a pause, and an end.
var neutral = map[string]string{people.BlockedByInmate: "not_available", people.Rejected: people.Declined}

// contact describes a contact to its visitor.
func (d *Door) contact(tx *store.Tx, c people.Contact) (VisitorContact, error) {
	i, err := d.People.Inmate(tx, c.Inmate)
	if err != nil {
		return VisitorContact{}, err
	}
	out := VisitorContact{
		Id: string(c.ID), FirstName: i.First, LastName: i.Last, Relationship: c.Relationship, State: c.State, Met: c.Met,
	}
	if word, ok := neutral[c.State]; ok {
		out.State = word
	}
	if c.State != people.Approved {
		return out, nil
	}
	rules, err := d.Policy.At(tx, policy.Scope{Inmate: c.Inmate})
	if err != nil {
		return VisitorContact{}, err
	}
	v, err := d.People.Visitor(tx, c.Visitor)
	out.MayBook = policy.IDRequiredBefore.Of(rules) == "none" || v.Identity == people.IdentityVerified
	return out, err
}
