package kiosk

import (
	"context"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// GetKioskHome answers what the tiles show.
func (d *Door) GetKioskHome(ctx context.Context, _ GetKioskHomeRequestObject) (GetKioskHomeResponseObject, error) {
	var home GetKioskHome200JSONResponse
	by := api.From(ctx).Actor()
	me := ident.Inmate(by.ID)
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		contacts, list, err := d.mine(tx, me)
		if err != nil {
			return err
		}
		home.Requests = len(contacts)
		if home.Unread, err = d.Notices.Unread(tx, by.ID); err != nil {
			return err
		}
		if home.Allowance, err = d.allowance(tx, me); err != nil {
			return err
		}
		for _, v := range list {
			if v.State == visits.Suggested && v.WaitingOn == "inmate" {
				home.Requests++
			}
			if !v.Planned() || !v.Ends.After(tx.Now()) {
				continue
			}
			one, err := d.visit(tx, v)
			if err != nil {
				return err
			}
			if home.Next == nil {
				home.Next = &one
			}
			if one.MayJoin && home.Joinable == nil {
				home.Joinable = &one
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return home, nil
}

// mine are the contacts that wait for the inmate and the inmate's visits from yesterday on.
func (d *Door) mine(tx *store.Tx, me ident.Inmate) (waiting []people.Contact, list []visits.Visit, err error) {
	contacts, err := d.People.ContactsOfInmate(tx, me)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range contacts {
		if c.State == people.AwaitingInmate {
			waiting = append(waiting, c)
		}
	}
	now := tx.Now()
	list, err = d.Visits.OfInmate(tx, me, now.AddDate(0, 0, -1).Format(time.DateOnly), now.AddDate(0, 0, 62).Format(time.DateOnly))
	return waiting, list, err
}

// allowance is what the inmate has left in the present period, nil where nothing is counted.
func (d *Door) allowance(tx *store.Tx, me ident.Inmate) (*Allowance, error) {
	site, err := d.Facility.Get(tx)
	if err != nil {
		return nil, err
	}
	loc, err := site.Location()
	if err != nil {
		return nil, err
	}
	a, err := d.Visits.Allowance(tx, me, tx.Now().In(loc).Format(time.DateOnly))
	if err != nil || a.Off {
		return nil, err
	}
	last, err := time.ParseInLocation(time.DateOnly, a.To, loc)
	if err != nil {
		return nil, err
	}
	return &Allowance{CallsLeft: a.Calls, MinutesLeft: a.Minutes, PeriodEnds: last.AddDate(0, 0, 1).UTC()}, nil
}

// ListKioskRequests answers what waits for the inmate's yes or no.
func (d *Door) ListKioskRequests(ctx context.Context, _ ListKioskRequestsRequestObject) (ListKioskRequestsResponseObject, error) {
	out := ListKioskRequests200JSONResponse{Contacts: []KioskContact{}, Visits: []KioskVisit{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		contacts, list, err := d.mine(tx, ident.Inmate(api.From(ctx).Actor().ID))
		if err != nil {
			return err
		}
		for _, c := range contacts[:min(len(contacts), 100)] {
			who, err := d.People.Visitor(tx, c.Visitor)
			if err != nil {
				return err
			}
			out.Contacts = append(out.Contacts, KioskContact{Id: string(c.ID), FirstName: who.First, LastName: who.Last, Relationship: c.Relationship, Asked: c.Asked})
		}
		for _, v := range list {
			if v.State != visits.Suggested || v.WaitingOn != "inmate" || len(out.Visits) == 100 {
				continue
			}
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

// ListKioskVisits answers the inmate's visits from yesterday on.
func (d *Door) ListKioskVisits(ctx context.Context, _ ListKioskVisitsRequestObject) (ListKioskVisitsResponseObject, error) {
	out := ListKioskVisits200JSONResponse{Visits: []KioskVisit{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		_, list, err := d.mine(tx, ident.Inmate(api.From(ctx).Actor().ID))
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

// AnswerVisit is the inmate's yes or no: to a suggestion, or the no to a visit that was confirmed without asking.
func (d *Door) AnswerVisit(ctx context.Context, q AnswerVisitRequestObject) (AnswerVisitResponseObject, error) {
	id, err := ident.Parse[ident.Visit](q.Visit)
	if err != nil {
		return nil, err
	}
	reason := "other"
	if q.Body.Reason != nil {
		reason = string(*q.Body.Reason)
	}
	var out KioskVisit
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		by := api.From(ctx).Actor()
		v, err := d.Visits.Own(tx, by, id)
		if err != nil {
			return err
		}
		switch {
		case q.Body.Answer == Accept:
			v, err = d.Visits.Accept(tx, by, id)
		case v.State == visits.Confirmed || v.State == visits.CheckingIn:
			v, err = d.Visits.Refuse(tx, by, id)
		default:
			v, err = d.Visits.Decline(tx, by, id, reason)
		}
		if err != nil {
			return err
		}
		out, err = d.visit(tx, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return AnswerVisit200JSONResponse(out), nil
}

// visit is a visit in the contract's words.
func (d *Door) visit(tx *store.Tx, v visits.Visit) (KioskVisit, error) {
	site, err := d.Facility.Get(tx)
	if err != nil {
		return KioskVisit{}, err
	}
	loc, err := site.Location()
	if err != nil {
		return KioskVisit{}, err
	}
	c, err := d.People.Contact(tx, v.Contact)
	if err != nil {
		return KioskVisit{}, err
	}
	who, err := d.People.Visitor(tx, v.Main)
	if err != nil {
		return KioskVisit{}, err
	}
	opens, err := d.Visits.Opens(tx, v)
	if err != nil {
		return KioskVisit{}, err
	}
	out := KioskVisit{
		Id: string(v.ID), Ref: v.Ref, FirstName: who.First, LastName: who.Last, Relationship: c.Relationship, VisitClass: string(v.Class),
		State: string(v.State), Label: v.Label(), Start: v.Starts, End: v.Ends, Minutes: v.Minutes, Opens: opens, Date: v.Date,
		Time: v.Starts.In(loc).Format("15:04"), MayAnswer: v.State == visits.Suggested && v.WaitingOn == "inmate",
		MayJoin: v.State == visits.CheckingIn || v.State == visits.InProgress, Party: []string{},
	}
	if reason := v.ReasonFor(ident.ByInmate); reason != "" {
		out.Reason = &reason
	}
	if v.Station != "" {
		s, err := d.Facility.Station(tx, v.Station)
		if err != nil {
			return KioskVisit{}, err
		}
		out.Station = &s.Name
	}
	if v.Funding == "entitlement" {
		out.UsesCalls = 1
	}
	if out.MayAnswer && v.Class == visits.Social {
		a, err := d.Visits.Allowance(tx, v.Inmate, v.Date)
		if err != nil {
			return KioskVisit{}, err
		}
		if a.Covers(v.Minutes) && !a.Off {
			left := a.Calls - 1
			out.UsesCalls, out.CallsLeftAfter = 1, &left
		}
	}
	if len(v.Party) == 0 {
		return out, nil
	}
	listed, err := d.People.Persons(tx, v.Main)
	if err != nil {
		return KioskVisit{}, err
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
