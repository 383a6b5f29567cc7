package staff

import (
	"context"
	"fmt"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// GetSchedule answers one day of all stations, today by default.
func (d *Door) GetSchedule(ctx context.Context, q GetScheduleRequestObject) (GetScheduleResponseObject, error) {
	out := GetSchedule200JSONResponse{Stations: []Station{}, Sessions: []ScheduleSession{}, Closures: []ScheduleClosure{}, Visits: []StaffVisit{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		site, err := d.Facility.Get(tx)
		if err != nil {
			return err
		}
		loc, err := site.Location()
		if err != nil {
			return err
		}
		today := tx.Now().In(loc).Format(time.DateOnly)
		out.Date = today
		if q.Params.Date != nil {
			out.Date = *q.Params.Date
		}
		day, err := time.Parse(time.DateOnly, out.Date)
		if err != nil {
			return fault.New("staff.GetSchedule", fault.Invalid, "This is not a date.").WithField("date", "format").Because(err)
		}
		out.Today = out.Date == today
		out.Previous, out.Next = day.AddDate(0, 0, -1).Format(time.DateOnly), day.AddDate(0, 0, 1).Format(time.DateOnly)
		if err := d.dayBounds(tx, &out, day.Weekday(), loc); err != nil {
			return err
		}
		if out.Stations, err = d.boardStations(tx); err != nil {
			return err
		}
		if err := d.timetable(tx, &out, loc); err != nil {
			return err
		}
		list, err := d.Visits.OnDate(tx, out.Date)
		if err != nil {
			return err
		}
		for _, v := range list {
			one, err := d.visit(tx, api.From(ctx).Actor(), v)
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

// dayBounds are the hours that the board shows: the facility's opening, else those of its sessions, else office hours.
func (d *Door) dayBounds(tx *store.Tx, out *GetSchedule200JSONResponse, day time.Weekday, loc *time.Location) error {
	opening, err := d.Facility.Opening(tx)
	if err != nil {
		return err
	}
	first, last := 24*60, 0
	for _, h := range opening {
		if h.Weekday == day {
			first, last = min(first, h.Opens), max(last, h.Closes)
		}
	}
	slots, err := d.Schedule.Day(tx, out.Date)
	if err != nil {
		return err
	}
	for _, s := range slots {
		at := s.Starts.In(loc)
		first = min(first, at.Hour()*60)
		last = max(last, min(24*60, at.Hour()*60+at.Minute()+int(s.Ends.Sub(s.Starts).Minutes())))
	}
	if last <= first {
		first, last = 8*60, 18*60
	}
	clock := func(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }
	out.Opens, out.Closes = clock(first), clock(last)
	return nil
}

// boardMost is how many stations the board shows.
const boardMost = 100

// boardStations are the stations of the board by unit and name.
func (d *Door) boardStations(tx *store.Tx) ([]Station, error) {
	all, err := d.StationList(tx)
	return all[:min(len(all), boardMost)], err
}

// ListStaffVisits answers the visits that wait or are planned.
func (d *Door) ListStaffVisits(ctx context.Context, q ListStaffVisitsRequestObject) (ListStaffVisitsResponseObject, error) {
	out := ListStaffVisits200JSONResponse{Visits: []StaffVisit{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, err := d.Visits.In(tx, visits.State(q.Params.State))
		if err != nil {
			return err
		}
		for _, v := range list {
			one, err := d.visit(tx, api.From(ctx).Actor(), v)
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

// GetStaffVisit answers one visit.
func (d *Door) GetStaffVisit(ctx context.Context, q GetStaffVisitRequestObject) (GetStaffVisitResponseObject, error) {
	id, err := ident.Parse[ident.Visit](q.Visit)
	if err != nil {
		return nil, err
	}
	var out StaffVisit
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		by := api.From(ctx).Actor()
		v, err := d.Visits.Own(tx, by, id)
		if err != nil {
			return err
		}
		out, err = d.visit(tx, by, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return GetStaffVisit200JSONResponse{StaffVisitJSONResponse(out)}, nil
}

// DecideVisit is the yes or no of staff to a request.
func (d *Door) DecideVisit(ctx context.Context, q DecideVisitRequestObject) (DecideVisitResponseObject, error) {
	out, err := d.change(ctx, q.Visit, func(tx *store.Tx, by ident.Actor, id ident.Visit) (visits.Visit, error) {
		if q.Body.Decision == DecisionDecisionApprove {
			return d.Visits.Approve(tx, by, id)
		}
		reason := ""
		if q.Body.Reason != nil {
			reason = *q.Body.Reason
		}
		return d.Visits.Reject(tx, by, id, reason)
	})
	if err != nil {
		return nil, err
	}
	return DecideVisit200JSONResponse{StaffVisitJSONResponse(out)}, nil
}

// CancelStaffVisit calls a visit off for the facility.
func (d *Door) CancelStaffVisit(ctx context.Context, q CancelStaffVisitRequestObject) (CancelStaffVisitResponseObject, error) {
	out, err := d.change(ctx, q.Visit, func(tx *store.Tx, by ident.Actor, id ident.Visit) (visits.Visit, error) {
		return d.Visits.Cancel(tx, by, id, q.Body.Reason)
	})
	if err != nil {
		return nil, err
	}
	return CancelStaffVisit200JSONResponse{StaffVisitJSONResponse(out)}, nil
}

// change runs one act on a visit and answers how the visit stands then.
func (d *Door) change(ctx context.Context, visit string, act func(*store.Tx, ident.Actor, ident.Visit) (visits.Visit, error)) (out StaffVisit, err error) {
	id, err := ident.Parse[ident.Visit](visit)
	if err != nil {
		return out, err
	}
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		by := api.From(ctx).Actor()
		v, err := act(tx, by, id)
		if err != nil {
			return err
		}
		out, err = d.visit(tx, by, v)
		return err
	})
	return out, err
}

// visit is a visit in the contract's words. What stands against it is looked up only while somebody has to decide.
func (d *Door) visit(tx *store.Tx, by ident.Actor, v visits.Visit) (StaffVisit, error) {
	site, err := d.Facility.Get(tx)
	if err != nil {
		return StaffVisit{}, err
	}
	loc, err := site.Location()
	if err != nil {
		return StaffVisit{}, err
	}
	i, err := d.People.Inmate(tx, v.Inmate)
	if err != nil {
		return StaffVisit{}, err
	}
	who, err := d.People.Visitor(tx, v.Main)
	if err != nil {
		return StaffVisit{}, err
	}
	out := StaffVisit{
		Id: string(v.ID), Ref: v.Ref, Inmate: i.Name(), InmateNumber: i.Number, Visitor: who.Name(), VisitClass: string(v.Class), State: string(v.State),
		Start: v.Starts, End: v.Ends, Minutes: v.Minutes, Date: v.Date, Time: v.Starts.In(loc).Format("15:04"), Flags: v.Review, Conflicts: []string{},
		MayDecide: v.State == visits.AwaitingStaff, MayCancel: v.Open() || v.State == visits.Confirmed || v.State == visits.CheckingIn,
	}
	if out.Flags == nil {
		out.Flags = []string{}
	}
	if v.Reason != "" {
		out.Reason = &v.Reason
	}
	if v.Station != "" {
		s, err := d.Facility.Station(tx, v.Station)
		if err != nil {
			return StaffVisit{}, err
		}
		id := string(v.Station)
		out.Station, out.StationId = &s.Name, &id
	}
	if v.State != visits.AwaitingStaff {
		return out, nil
	}
	found, err := d.Visits.Conflicts(tx, by, v)
	if err != nil {
		return StaffVisit{}, err
	}
	for _, c := range found {
		out.Conflicts = append(out.Conflicts, string(c))
	}
	return out, nil
}
