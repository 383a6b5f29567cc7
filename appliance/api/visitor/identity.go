package visitor

import (
	"context"
	"io"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// pictureMax is more than a picture may have, so that the room says what is too big and not the reader.
const pictureMax = 11 << 20

// GetIdentity says how the check of the visitor's identity stands.
func (d *Door) GetIdentity(ctx context.Context, _ GetIdentityRequestObject) (GetIdentityResponseObject, error) {
	i, err := d.identity(ctx)
	return GetIdentity200JSONResponse{IdentityJSONResponse(i)}, err
}

// PutIdentityDocument takes one picture.
func (d *Door) PutIdentityDocument(ctx context.Context, r PutIdentityDocumentRequestObject) (PutIdentityDocumentResponseObject, error) {
	by := api.From(ctx).Actor()
	raw, err := io.ReadAll(io.LimitReader(r.Body, pictureMax))
	if err != nil {
		return nil, err
	}
	if _, err := d.People.AddDocument(ctx, by, ident.Visitor(by.ID), string(r.Kind), raw); err != nil {
		return nil, err
	}
	i, err := d.identity(ctx)
	return PutIdentityDocument200JSONResponse{IdentityJSONResponse(i)}, err
}

// SubmitIdentity hands the pictures to staff.
func (d *Door) SubmitIdentity(ctx context.Context, _ SubmitIdentityRequestObject) (SubmitIdentityResponseObject, error) {
	by := api.From(ctx).Actor()
	err := d.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := d.People.SubmitIdentity(tx, by, ident.Visitor(by.ID))
		return err
	})
	if err != nil {
		return nil, err
	}
	i, err := d.identity(ctx)
	return SubmitIdentity200JSONResponse{IdentityJSONResponse(i)}, err
}

func (d *Door) identity(ctx context.Context) (out Identity, err error) {
	id := ident.Visitor(api.From(ctx).Actor().ID)
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		v, err := d.People.Visitor(tx, id)
		if err != nil {
			return err
		}
		rules, err := d.Policy.At(tx, policy.Scope{})
		if err != nil {
			return err
		}
		docs, err := d.People.Documents(tx, id)
		if err != nil {
			return err
		}
		out = Identity{
			State: IdentityState(v.Identity), AttemptsLeft: max(0, policy.IDMaxAttempts.Of(rules)-v.Refusals),
			Due: orNil(v.IdentityDue), Until: orNil(v.IdentityUntil), Documents: []IdentityDocument{},
		}
		if v.IdentityWhy != "" {
			out.Reason = &v.IdentityWhy
		}
		present := map[string]bool{}
		for _, doc := range docs {
			present[doc.Kind] = true
		}
		required := map[string]bool{}
		for _, kind := range policy.IDRequiredDocs.Of(rules) {
			required[kind] = true
		}
		// Proof of address is asked for when a moderator misses it.
		required[people.Address] = v.Identity == people.IdentityMoreInfo && v.IdentityWhy == "address_missing"
		for _, kind := range []string{people.IDFront, people.IDBack, people.Selfie, people.Address} {
			if required[kind] || present[kind] || (kind == people.Address && required["address_if_missing"]) {
				out.Documents = append(out.Documents, IdentityDocument{Kind: DocumentKind(kind), Required: required[kind], Present: present[kind]})
			}
		}
		return nil
	})
	return out, err
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
