package staff

import (
	"bytes"
	"context"
	"slices"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/moderation"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
)

// pageSize is how many rows a list has on one page.
const pageSize = 50

func offset(page *int) int {
	if page == nil {
		return 0
	}
	return (*page - 1) * pageSize
}

// decidable lists the kinds of cases that somebody may decide.
func decidable(by ident.Actor) []string {
	var kinds []string
	for _, k := range []string{"identity", "contact", "contact_minor", "person_match"} {
		if access.MayDecide(by, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// ListCases lists what there is to decide, or what was decided.
func (d *Door) ListCases(ctx context.Context, r ListCasesRequestObject) (ListCasesResponseObject, error) {
	by := api.From(ctx).Actor()
	kinds := decidable(by)
	if r.Params.Kind != nil {
		kinds = slices.DeleteFunc(kinds, func(k string) bool { return k != string(*r.Params.Kind) })
	}
	out := ListCases200JSONResponse{Cases: []CaseSummary{}, Counts: map[string]any{}}
	if len(kinds) == 0 {
		return out, nil
	}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, total, err := d.Cases.List(tx, moderation.Filter{
			Kinds: kinds, Decided: r.Params.State != nil && *r.Params.State == "decided", Offset: offset(r.Params.Page), Limit: pageSize,
		})
		if err != nil {
			return err
		}
		out.Total = total
		for _, c := range list {
			k, err := d.caseOf(tx, by, c, false)
			if err != nil {
				return err
			}
			out.Cases = append(out.Cases, CaseSummary{
				Id: k.Id, Kind: k.Kind, State: k.State, Opened: k.Opened, Due: k.Due, Late: k.Late, ClaimedBy: k.ClaimedBy,
				ClaimedByMe: k.ClaimedByMe, Title: k.Title,
			})
		}
		counts, err := d.Cases.Counts(tx)
		for _, k := range decidable(by) {
			out.Counts[k] = counts[k]
		}
		return err
	})
	return out, err
}

// GetCase describes one case.
func (d *Door) GetCase(ctx context.Context, r GetCaseRequestObject) (GetCaseResponseObject, error) {
	k, err := d.withCase(ctx, r.Case, d.DB.View, func(tx *store.Tx, _ ident.Actor, id ident.Case) (moderation.Case, error) {
		return d.Cases.Get(tx, id)
	})
	return GetCase200JSONResponse{CaseJSONResponse(k)}, err
}

// ClaimCase takes a case.
func (d *Door) ClaimCase(ctx context.Context, r ClaimCaseRequestObject) (ClaimCaseResponseObject, error) {
	k, err := d.withCase(ctx, r.Case, d.DB.Update, d.Cases.Claim)
	return ClaimCase200JSONResponse{CaseJSONResponse(k)}, err
}

// ReleaseCase gives a case back.
func (d *Door) ReleaseCase(ctx context.Context, r ReleaseCaseRequestObject) (ReleaseCaseResponseObject, error) {
	id, err := ident.Parse[ident.Case](r.Case)
	if err != nil {
		return nil, err
	}
	return ReleaseCase204Response{}, d.DB.Update(ctx, func(tx *store.Tx) error { return d.Cases.Release(tx, api.From(ctx).Actor(), id) })
}

// DecideCase gives a verdict.
func (d *Door) DecideCase(ctx context.Context, r DecideCaseRequestObject) (DecideCaseResponseObject, error) {
	v := moderation.Verdict{By: api.From(ctx).Actor(), Decision: string(r.Body.Verdict)}
	if r.Body.Reason != nil {
		v.Reason = *r.Body.Reason
	}
	if r.Body.Note != nil {
		v.Note = *r.Body.Note
	}
	k, err := d.withCase(ctx, r.Case, d.DB.Update, func(tx *store.Tx, _ ident.Actor, id ident.Case) (moderation.Case, error) {
		return d.Cases.Decide(tx, id, v)
	})
	return DecideCase200JSONResponse{CaseJSONResponse(k)}, err
}

// GetCaseDocument shows one picture of an identity to whoever has claimed its case; each look is in the audit log.
func (d *Door) GetCaseDocument(ctx context.Context, r GetCaseDocumentRequestObject) (GetCaseDocumentResponseObject, error) {
	id, err := ident.Parse[ident.Case](r.Case)
	if err != nil {
		return nil, err
	}
	by := api.From(ctx).Actor()
	var visitor ident.Visitor
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		c, err := d.Cases.Get(tx, id)
		if err != nil {
			return err
		}
		if c.Kind != "identity" || !access.MayDecide(by, c.Kind) {
			return fault.New("staff.GetCaseDocument", fault.NotFound, "There is no such picture.").WithCode("not_found")
		}
		if string(c.ClaimedBy) != by.ID {
			return fault.New("staff.GetCaseDocument", fault.Forbidden, "Claim this case first.").WithCode("case.notClaimed")
		}
		visitor = ident.Visitor(c.Item)
		return audit.Record(tx, by, "identity.look", c.ID)
	})
	if err != nil {
		return nil, err
	}
	_, body, err := d.People.DocumentOf(ctx, visitor, string(r.Kind))
	return GetCaseDocument200ImagejpegResponse{Body: bytes.NewReader(body), ContentLength: int64(len(body))}, err
}

// withCase does something with a case and describes what it is then.
func (d *Door) withCase(ctx context.Context, id string, in func(context.Context, func(*store.Tx) error) error,
	do func(*store.Tx, ident.Actor, ident.Case) (moderation.Case, error),
) (out Case, err error) {
	parsed, err := ident.Parse[ident.Case](id)
	if err != nil {
		return Case{}, err
	}
	by := api.From(ctx).Actor()
	err = in(ctx, func(tx *store.Tx) error {
		c, err := do(tx, by, parsed)
		if err != nil {
			return err
		}
		if !access.MayDecide(by, c.Kind) {
			return fault.New("staff.case", fault.NotFound, "There is no such case.").WithCode("not_found")
		}
		out, err = d.caseOf(tx, by, c, true)
		return err
	})
	return out, err
}

// caseOf describes a case to staff who may decide it; whole adds what only the case's own page needs.
func (d *Door) caseOf(tx *store.Tx, by ident.Actor, c moderation.Case, whole bool) (Case, error) {
	out := Case{
		Id: string(c.ID), Kind: c.Kind, State: c.State, Opened: c.Opened, Due: c.Due, Late: c.Verdict == "" && tx.Now().After(c.Due),
		Documents: []DocumentKind{}, Reasons: []string{}, History: []CaseEvent{},
	}
	if c.ClaimedBy != "" {
		name := d.name(tx, string(c.ClaimedBy))
		out.ClaimedBy, out.ClaimedByMe, out.ClaimExpires = &name, string(c.ClaimedBy) == by.ID, &c.ClaimUntil
	}
	if c.Verdict != "" {
		out.Verdict, out.Reason = &c.Verdict, &c.Reason
	}
	var err error
	switch c.Kind {
	case "identity":
		err = d.identityCase(tx, c, &out)
	case "contact", "contact_minor":
		err = d.contactCase(tx, c, &out)
	}
	if err != nil || !whole {
		return out, err
	}
	events, err := d.Cases.History(tx, c.ID)
	for _, e := range events {
		line := CaseEvent{At: e.At, What: e.What, Who: d.name(tx, e.Who)}
		if e.Reason != "" {
			line.Reason = &e.Reason
		}
		out.History = append(out.History, line)
	}
	return out, err
}

func (d *Door) identityCase(tx *store.Tx, c moderation.Case, out *Case) error {
	v, err := d.People.Visitor(tx, ident.Visitor(c.Item))
	if err != nil {
		return err
	}
	docs, err := d.People.Documents(tx, v.ID)
	for _, doc := range docs {
		out.Documents = append(out.Documents, DocumentKind(doc.Kind))
	}
	who := staffVisitor(v)
	out.Title, out.Visitor, out.Reasons = v.Name(), &who, people.IdentityReasons()
	return err
}

func (d *Door) contactCase(tx *store.Tx, c moderation.Case, out *Case) error {
	k, err := d.People.Contact(tx, ident.Contact(c.Item))
	if err != nil {
		return err
	}
	v, err := d.People.Visitor(tx, k.Visitor)
	if err != nil {
		return err
	}
	i, err := d.People.Inmate(tx, k.Inmate)
	if err != nil {
		return err
	}
	names, err := d.unitNames(tx)
	who, whom := staffVisitor(v), staffInmate(i, names)
	out.Title, out.Visitor, out.Inmate, out.Relationship = v.Name()+" and "+i.Name(), &who, &whom, &k.Relationship
	out.Reasons = people.ContactReasons()
	return err
}

// name is what a member of staff is called on screens of staff; the appliance itself has none.
func (d *Door) name(tx *store.Tx, id string) string {
	s, err := d.Access.Staff(tx, ident.Staff(id))
	if err != nil {
		return ""
	}
	return s.Name
}
