package visitor

import (
	"bytes"
	"context"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// GetVisitorHome answers the first page: the next visits and what is still to do.
func (d *Door) GetVisitorHome(ctx context.Context, _ GetVisitorHomeRequestObject) (GetVisitorHomeResponseObject, error) {
	home := GetVisitorHome200JSONResponse{Visits: []VisitorVisit{}, Tasks: []Task{}}
	by := api.From(ctx).Actor()
	me := ident.Visitor(by.ID)
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		who, err := d.People.Visitor(tx, me)
		if err != nil {
			return err
		}
		if home.Unread, err = d.Notices.Unread(tx, by.ID); err != nil {
			return err
		}
		if who.Identity != "verified" {
			home.Tasks = append(home.Tasks, Task{Kind: TaskKindIdentity, State: who.Identity})
		}
		contacts, err := d.People.ContactsOfVisitor(tx, me)
		if err != nil {
			return err
		}
		for _, c := range contacts {
			if c.State == people.AwaitingInmate || c.State == people.AwaitingVisitor || c.State == people.AwaitingFacility {
				home.Tasks = append(home.Tasks, Task{Kind: TaskKindContact, State: c.State})
			}
		}
		home.Tasks = home.Tasks[:min(len(home.Tasks), 20)]
		list, err := d.Visits.OfVisitor(tx, me, tx.Now().Add(-3*time.Hour), tx.Now().AddDate(0, 3, 0))
		if err != nil {
			return err
		}
		for _, v := range list {
			if !v.Open() && !v.Planned() {
				continue
			}
			if len(home.Visits) == 3 {
				home.More++
				continue
			}
			out, err := d.visit(tx, v)
			if err != nil {
				return err
			}
			home.Visits = append(home.Visits, out)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return home, nil
}

// ListStarts answers the days between two dates and the starts that would be accepted now.
func (d *Door) ListStarts(ctx context.Context, q ListStartsRequestObject) (ListStartsResponseObject, error) {
	contact, err := ident.Parse[ident.Contact](q.Contact)
	if err != nil {
		return nil, err
	}
	from, err1 := time.Parse(time.DateOnly, q.Params.From)
	to, err2 := time.Parse(time.DateOnly, q.Params.To)
	if err1 != nil || err2 != nil || to.Before(from) || to.Sub(from) > 61*24*time.Hour {
		return nil, fault.New("visitor.ListStarts", fault.Invalid, "Choose a first and a last day, at most two months apart.").WithField("to", "range")
	}
	out := ListStarts200JSONResponse{Days: []StartDay{}}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		site, err := d.Facility.Get(tx)
		if err != nil {
			return err
		}
		loc, err := site.Location()
		if err != nil {
			return err
		}
		out.Zone = site.Zone
		r := visits.Request{Contact: contact, Class: visits.Social, Minutes: q.Params.Minutes}
		places, err := d.Visits.Starts(tx, api.From(ctx).Actor(), r, q.Params.From, from.AddDate(0, 0, 62).Format(time.DateOnly))
		if err != nil {
			return err
		}
		byDate := map[string][]Start{}
		for _, p := range places {
			if p.Date > q.Params.To && out.NextDay == nil {
				out.NextDay = &p.Date
			}
			byDate[p.Date] = append(byDate[p.Date], Start{Start: p.Starts, End: p.Ends, Time: p.Starts.In(loc).Format("15:04")})
		}
		for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
			date := day.Format(time.DateOnly)
			starts := byDate[date]
			if starts == nil {
				starts = []Start{}
			}
			out.Days = append(out.Days, StartDay{Date: date, Bookable: len(starts) > 0, Starts: starts[:min(len(starts), 60)]})
		}
		return nil
	})
	return out, err
}

// HoldVisit keeps a time while the visitor goes through the rest of the pages.
func (d *Door) HoldVisit(ctx context.Context, q HoldVisitRequestObject) (HoldVisitResponseObject, error) {
	r := visits.Request{Class: visits.Social, Start: q.Body.Start, Minutes: q.Body.Minutes}
	var err error
	if r.Contact, err = ident.Parse[ident.Contact](q.Body.Contact); err != nil {
		return nil, err
	}
	if q.Body.Party != nil {
		for _, one := range *q.Body.Party {
			id, err := ident.Parse[ident.Person](one)
			if err != nil {
				return nil, err
			}
			r.Party = append(r.Party, id)
		}
	}
	var out HoldVisit201JSONResponse
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		by := api.From(ctx).Actor()
		h, err := d.Visits.Hold(tx, by, r)
		if err != nil {
			return err
		}
		site, err := d.Facility.Get(tx)
		if err != nil {
			return err
		}
		who, err := d.People.Visitor(tx, h.Main)
		if err != nil {
			return err
		}
		out = HoldVisit201JSONResponse{
			Id: string(h.ID), Expires: h.Due, Start: h.Starts, End: h.Ends, Minutes: h.Minutes, Modes: []HoldModes{},
			Funding: HoldFunding(h.Funding), Currency: site.Currency, CancelFreeUntil: h.Until,
		}
		for _, m := range h.Modes {
			out.Modes = append(out.Modes, HoldModes(m))
		}
		version, items := visits.Statements(who.Language)
		out.Rules = Statements{Version: version, Items: make([]Statement, len(items))}
		for i, s := range items {
			out.Rules.Items[i] = Statement{Key: s.Key, Text: s.Text}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DropHold gives a kept time back.
func (d *Door) DropHold(ctx context.Context, q DropHoldRequestObject) (DropHoldResponseObject, error) {
	id, err := ident.Parse[ident.Visit](q.Hold)
	if err != nil {
		return nil, err
	}
	err = d.DB.Update(ctx, func(tx *store.Tx) error { return d.Visits.Drop(tx, api.From(ctx).Actor(), id) })
	if err != nil {
		return nil, err
	}
	return DropHold204Response{}, nil
}

// RequestVisit turns a kept time into a suggestion, a request or a confirmed visit.
func (d *Door) RequestVisit(ctx context.Context, q RequestVisitRequestObject) (RequestVisitResponseObject, error) {
	id, err := ident.Parse[ident.Visit](q.Body.Hold)
	if err != nil {
		return nil, err
	}
	ticked, err := visits.Ticked(q.Body.Rules.Version, q.Body.Rules.Ticked)
	if err != nil {
		return nil, err
	}
	out, err := d.change(ctx, func(tx *store.Tx, by ident.Actor) (visits.Visit, error) {
		return d.Visits.Ask(tx, by, id, visits.Mode(q.Body.Mode), ticked, q.Params.IdempotencyKey)
	})
	if err != nil {
		return nil, err
	}
	return RequestVisit201JSONResponse{VisitorVisitJSONResponse(out)}, nil
}

// ListVisitorVisits answers the visitor's own visits, by default from 3 months back on.
func (d *Door) ListVisitorVisits(ctx context.Context, q ListVisitorVisitsRequestObject) (ListVisitorVisitsResponseObject, error) {
	out := ListVisitorVisits200JSONResponse{Visits: []VisitorVisit{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		site, err := d.Facility.Get(tx)
		if err != nil {
			return err
		}
		loc, err := site.Location()
		if err != nil {
			return err
		}
		from, to := tx.Now().AddDate(0, -3, 0), tx.Now().AddDate(0, 3, 0)
		if q.Params.From != nil {
			if from, err = time.ParseInLocation(time.DateOnly, *q.Params.From, loc); err != nil {
				return fault.New("visitor.ListVisitorVisits", fault.Invalid, "The first day is not a date.").WithField("from", "format").Because(err)
			}
		}
		if q.Params.To != nil {
			if to, err = time.ParseInLocation(time.DateOnly, *q.Params.To, loc); err != nil {
				return fault.New("visitor.ListVisitorVisits", fault.Invalid, "The last day is not a date.").WithField("to", "format").Because(err)
			}
			to = to.AddDate(0, 0, 1)
		}
		list, err := d.Visits.OfVisitor(tx, ident.Visitor(api.From(ctx).Actor().ID), from, to)
		if err != nil {
			return err
		}
		for _, v := range list {
			one, err := d.visit(tx, v)
			if err != nil {
				return err
			}
			out.Visits = append(out.Visits, one)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetVisitorVisit answers one own visit.
func (d *Door) GetVisitorVisit(ctx context.Context, q GetVisitorVisitRequestObject) (GetVisitorVisitResponseObject, error) {
	id, err := ident.Parse[ident.Visit](q.Visit)
	if err != nil {
		return nil, err
	}
	var out VisitorVisit
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		v, err := d.Visits.Own(tx, api.From(ctx).Actor(), id)
		if err != nil {
			return err
		}
		out, err = d.visit(tx, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return GetVisitorVisit200JSONResponse{VisitorVisitJSONResponse(out)}, nil
}

// CancelVisitorVisit calls an own visit off, or takes an open request back.
func (d *Door) CancelVisitorVisit(ctx context.Context, q CancelVisitorVisitRequestObject) (CancelVisitorVisitResponseObject, error) {
	id, err := ident.Parse[ident.Visit](q.Visit)
	if err != nil {
		return nil, err
	}
	out, err := d.change(ctx, func(tx *store.Tx, by ident.Actor) (visits.Visit, error) { return d.Visits.Cancel(tx, by, id, "") })
	if err != nil {
		return nil, err
	}
	return CancelVisitorVisit200JSONResponse{VisitorVisitJSONResponse(out)}, nil
}

// GetVisitCalendar answers an own visit as a calendar file.
func (d *Door) GetVisitCalendar(ctx context.Context, q GetVisitCalendarRequestObject) (GetVisitCalendarResponseObject, error) {
	id, err := ident.Parse[ident.Visit](q.Visit)
	if err != nil {
		return nil, err
	}
	var file []byte
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		v, err := d.Visits.Own(tx, api.From(ctx).Actor(), id)
		if err != nil {
			return err
		}
		file, _, err = d.Visits.CalendarFile(tx, v.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return GetVisitCalendar200TextcalendarResponse{Body: bytes.NewReader(file), ContentLength: int64(len(file))}, nil
}

// change runs one act on a visit and answers how the visit stands then.
func (d *Door) change(ctx context.Context, act func(*store.Tx, ident.Actor) (visits.Visit, error)) (out VisitorVisit, err error) {
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		v, err := act(tx, api.From(ctx).Actor())
		if err != nil {
			return err
		}
		out, err = d.visit(tx, v)
		return err
	})
	return out, err
}

// visit is a visit in the contract's words.
func (d *Door) visit(tx *store.Tx, v visits.Visit) (VisitorVisit, error) {
	site, err := d.Facility.Get(tx)
	if err != nil {
		return VisitorVisit{}, err
	}
	loc, err := site.Location()
	if err != nil {
		return VisitorVisit{}, err
	}
	i, err := d.People.Inmate(tx, v.Inmate)
	if err != nil {
		return VisitorVisit{}, err
	}
	opens, err := d.Visits.Opens(tx, v)
	if err != nil {
		return VisitorVisit{}, err
	}
	out := VisitorVisit{
		Id: string(v.ID), Ref: v.Ref, Contact: string(v.Contact), FirstName: i.First, LastName: i.Last, VisitClass: string(v.Class),
		State: string(v.State), Label: VisitorVisitLabel(v.Label()), WaitingOn: optional(v.WaitingOn), Reason: optional(v.ReasonFor(ident.ByVisitor)),
		Start: v.Starts, End: v.Ends, Minutes: v.Minutes, Opens: opens, Date: v.Date, Time: v.Starts.In(loc).Format("15:04"), Version: v.Version,
		Party: []string{}, MayCancel: v.Open() || v.State == visits.Confirmed || v.State == visits.CheckingIn,
		CancelCredited: v.Credited || v.Planned() && v.CreditedAt(tx.Now()) || v.Open(),
		MayJoin:        v.State == visits.CheckingIn || v.State == visits.InProgress, Funding: v.Funding,
	}
	if len(v.Party) == 0 {
		return out, nil
	}
	listed, err := d.People.Persons(tx, v.Main)
	if err != nil {
		return VisitorVisit{}, err
	}
	for _, id := range v.Party {
		for _, p := range listed {
			if p.ID == id {
				out.Party = append(out.Party, p.Name())
			}
		}
	}
	return out, nil
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
