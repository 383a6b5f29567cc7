package staff

import (
	"cmp"
	"slices"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
)

// boardMostSpans is how many sessions and closures the board shows of a day.
const boardMostSpans = 200

// timetable fills in the sessions and the closures of the day.
func (d *Door) timetable(tx *store.Tx, out *GetSchedule200JSONResponse, loc *time.Location) error {
	slots, err := d.Schedule.Day(tx, out.Date)
	if err != nil {
		return err
	}
	of := map[ident.Template]int{}
	for _, s := range slots {
		i, known := of[s.Template]
		if !known {
			t, err := d.Schedule.Template(tx, s.Template)
			if err != nil {
				return err
			}
			i = len(out.Sessions)
			of[s.Template] = i
			out.Sessions = append(out.Sessions, ScheduleSession{
				Template: string(t.ID), Name: t.Name, Starts: api.Wall(t.Starts), Ends: api.Wall(t.Ends), Capacity: s.Capacity + s.Extra,
			})
		}
		out.Sessions[i].Busiest = max(out.Sessions[i].Busiest, s.Taken)
	}
	slices.SortStableFunc(out.Sessions, func(a, b ScheduleSession) int { return cmp.Compare(a.Starts, b.Starts) })
	out.Sessions = out.Sessions[:min(len(out.Sessions), boardMostSpans)]
	return d.closures(tx, out, loc)
}

func (d *Door) closures(tx *store.Tx, out *GetSchedule200JSONResponse, loc *time.Location) error {
	from, err := time.ParseInLocation(time.DateOnly, out.Date, loc)
	if err != nil {
		return err
	}
	to := from.AddDate(0, 0, 1)
	list, err := d.Schedule.Closures(tx, from, to)
	if err != nil {
		return err
	}
	for _, c := range list[:min(len(list), boardMostSpans)] {
		one := ScheduleClosure{
			Id: c.ID, Scope: ScheduleClosureScope(c.Scope), Reason: c.Reason, Stations: []string{},
			Starts: clockIn(c.From, out.Date, loc), Ends: clockIn(c.To, out.Date, loc),
		}
		name, err := d.PlaceName(tx, c)
		if err != nil {
			return err
		}
		one.Name = optional(name)
		for _, s := range out.Stations {
			unit := ""
			if s.UnitID != nil {
				unit = *s.UnitID
			}
			if c.Scope == schedule.CloseFacility || c.Scope == schedule.CloseUnit && c.Key == unit || c.Scope == schedule.CloseStation && c.Key == s.ID {
				one.Stations = append(one.Stations, s.ID)
			}
		}
		out.Closures = append(out.Closures, one)
	}
	return nil
}

// clockIn is the wall time of an instant on a date: midnight before it and 24:00 after it.
func clockIn(at time.Time, date string, loc *time.Location) string {
	local := at.In(loc)
	switch day := local.Format(time.DateOnly); {
	case day < date:
		return "00:00"
	case day > date:
		return "24:00"
	}
	return local.Format("15:04")
}
