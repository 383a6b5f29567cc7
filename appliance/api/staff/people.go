package staff

import (
	"bytes"
	"context"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// SearchInmates lists inmates by name or number.
func (d *Door) SearchInmates(ctx context.Context, r SearchInmatesRequestObject) (SearchInmatesResponseObject, error) {
	out := SearchInmates200JSONResponse{Inmates: []StaffInmate{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, total, err := d.People.Inmates(tx, words(r.Params.Q), offset(r.Params.Page), pageSize)
		if err != nil {
			return err
		}
		names, err := d.unitNames(tx)
		out.Total = total
		for _, i := range list {
			out.Inmates = append(out.Inmates, staffInmate(i, names))
		}
		return err
	})
	return out, err
}

// GetStaffInmate describes one inmate with the contacts.
func (d *Door) GetStaffInmate(ctx context.Context, r GetStaffInmateRequestObject) (GetStaffInmateResponseObject, error) {
	id, err := ident.Parse[ident.Inmate](r.Inmate)
	if err != nil {
		return nil, err
	}
	out := GetStaffInmate200JSONResponse{Contacts: []StaffContact{}, Visits: []StaffVisit{}}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		i, err := d.People.Inmate(tx, id)
		if err != nil {
			return err
		}
		names, err := d.unitNames(tx)
		if err != nil {
			return err
		}
		out.Inmate = staffInmate(i, names)
		if out.Pin, err = d.pin(tx, id); err != nil {
			return err
		}
		contacts, err := d.People.ContactsOfInmate(tx, id)
		for _, c := range contacts {
			v, err := d.People.Visitor(tx, c.Visitor)
			if err != nil {
				return err
			}
			out.Contacts = append(out.Contacts, StaffContact{Id: string(c.ID), Visitor: v.Name(), Relationship: c.Relationship, State: c.State})
		}
		if err != nil {
			return err
		}
		out.Visits, err = d.visitsOf(tx, api.From(ctx).Actor(), id)
		return err
	})
	return out, err
}

// pin says whether an inmate can sign in.
func (d *Door) pin(tx *store.Tx, id ident.Inmate) (InmatePin, error) {
	p, err := d.Access.InmatePIN(tx, id)
	switch {
	case err != nil || p.Since.IsZero():
		return InmatePin{State: InmatePinStateNone}, err
	case p.Until.IsZero():
		return InmatePin{State: InmatePinStateOwn, Since: &p.Since}, nil
	case p.Until.After(tx.Now()):
		return InmatePin{State: InmatePinStateIssued, Since: &p.Since, Until: &p.Until}, nil
	}
	return InmatePin{State: InmatePinStateLapsed, Since: &p.Since, Until: &p.Until}, nil
}

// IssueInmatePin makes a PIN for one sign-in; it is in this answer and nowhere else.
func (d *Door) IssueInmatePin(ctx context.Context, r IssueInmatePinRequestObject) (IssueInmatePinResponseObject, error) {
	id, err := ident.Parse[ident.Inmate](r.Inmate)
	if err != nil {
		return nil, err
	}
	pin, until, err := d.Access.IssueInmatePIN(ctx, api.From(ctx).Actor(), id)
	if err != nil {
		return nil, err
	}
	out := IssueInmatePin201JSONResponse{Pin: pin, Expires: until}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		i, err := d.People.Inmate(tx, id)
		if err != nil {
			return err
		}
		names, err := d.unitNames(tx)
		out.Number, out.FirstName, out.LastName, out.Unit = i.Number, i.First, i.Last, names[i.Unit]
		return err
	})
	return out, err
}

// visitsOf lists an inmate's visits from the last month on.
func (d *Door) visitsOf(tx *store.Tx, by ident.Actor, id ident.Inmate) ([]StaffVisit, error) {
	now := tx.Now()
	list, err := d.Visits.OfInmate(tx, id, now.AddDate(0, -1, 0).Format(time.DateOnly), now.AddDate(0, 3, 0).Format(time.DateOnly))
	out := []StaffVisit{}
	for _, v := range list {
		one, err := d.visit(tx, by, v)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, err
}

// SearchVisitors lists visitors by name.
func (d *Door) SearchVisitors(ctx context.Context, r SearchVisitorsRequestObject) (SearchVisitorsResponseObject, error) {
	out := SearchVisitors200JSONResponse{Visitors: []StaffVisitor{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, total, err := d.People.Visitors(tx, words(r.Params.Q), offset(r.Params.Page), pageSize)
		out.Total = total
		for _, v := range list {
			out.Visitors = append(out.Visitors, staffVisitor(v))
		}
		return err
	})
	return out, err
}

// ImportRoster applies a roster file.
func (d *Door) ImportRoster(ctx context.Context, r ImportRosterRequestObject) (ImportRosterResponseObject, error) {
	m, err := d.People.ImportRoster(ctx, api.From(ctx).Actor(), "upload", r.Params.Full, r.Body)
	if err != nil {
		return nil, err
	}
	var out RosterImport
	err = d.DB.View(ctx, func(tx *store.Tx) (err error) { out, err = d.imported(tx, m); return err })
	return ImportRoster200JSONResponse(out), err
}

// ListRosterImports lists imports, newest first.
func (d *Door) ListRosterImports(ctx context.Context, _ ListRosterImportsRequestObject) (ListRosterImportsResponseObject, error) {
	out := ListRosterImports200JSONResponse{Imports: []RosterImport{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, err := d.People.Imports(tx, pageSize)
		if err != nil {
			return err
		}
		for _, m := range list {
			if m.State == "running" {
				continue // it is shown when it is done; the page hears of it
			}
			one, err := d.imported(tx, m)
			if err != nil {
				return err
			}
			out.Imports = append(out.Imports, one)
		}
		return nil
	})
	return out, err
}

// GetRosterSample returns a file to copy.
func (d *Door) GetRosterSample(context.Context, GetRosterSampleRequestObject) (GetRosterSampleResponseObject, error) {
	return GetRosterSample200TextcsvResponse{Body: bytes.NewReader(d.RosterSample), ContentLength: int64(len(d.RosterSample))}, nil
}

func (d *Door) imported(tx *store.Tx, m people.Import) (RosterImport, error) {
	out := RosterImport{
		Id: string(m.ID), At: m.Started, By: d.name(tx, m.By), Full: m.Full, State: RosterImportState(m.State), Rows: m.Rows,
		Added: m.Added, Changed: m.Changed, Unchanged: m.Unchanged, Released: m.Released, Quarantined: []RosterBadRow{},
	}
	for _, b := range m.Bad {
		row := RosterBadRow{Line: b.Line, Cause: b.Cause}
		if b.Column != "" {
			row.Column = &b.Column
		}
		out.Quarantined = append(out.Quarantined, row)
	}
	if m.State != "refused" {
		return out, nil
	}
	rules, err := d.Policy.At(tx, policy.Scope{})
	params := map[string]any{"leaving": m.Leaving, "in_custody": m.InCustody, "max_percent": policy.RosterFullFileDropMax.Of(rules)}
	if m.InCustody > 0 {
		params["percent"] = m.Leaving * 100 / m.InCustody
	}
	out.Reason, out.Params = &m.Reason, &params
	return out, err
}

func words(q *string) string {
	if q == nil {
		return ""
	}
	return *q
}

func staffInmate(i people.Inmate, units map[ident.Unit]string) StaffInmate {
	return StaffInmate{
		Id: string(i.ID), Number: i.Number, FirstName: i.First, LastName: i.Last, DateOfBirth: i.Born, Unit: units[i.Unit], Level: i.Level, State: i.State,
	}
}

func staffVisitor(v people.Visitor) StaffVisitor {
	return StaffVisitor{
		Id: string(v.ID), FirstName: v.First, LastName: v.Last, DateOfBirth: v.Born, State: v.State, Identity: v.Identity, Registered: v.Registered,
	}
}
