package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// NewTemplate is a weekly pattern of sessions as a page sends it.
type NewTemplate struct {
	Name       string   `json:"name"`
	Class      string   `json:"class"`
	Weekdays   []int    `json:"weekdays"`
	Starts     string   `json:"starts"`
	Ends       string   `json:"ends"`
	Pitch      int      `json:"pitch"`
	Lengths    []int    `json:"lengths"`
	Capacity   int      `json:"capacity"`
	EveryWeeks int      `json:"every_weeks"`
	From       string   `json:"from"`
	To         *string  `json:"to,omitempty"`
	Units      []string `json:"units"`
	Private    bool     `json:"private"`
}

// SessionTemplate is a weekly pattern of sessions and how it stands.
type SessionTemplate struct {
	ID string `json:"id"`
	NewTemplate
	State  string `json:"state"`
	Visits int    `json:"visits"`
}

// Standing is how many visits stand on what goes away.
type Standing struct {
	Visits int `json:"visits"`
}

// VisitingHours is everything about when visits take place.
type VisitingHours struct {
	Today             string            `json:"today"`
	Zone              string            `json:"zone"`
	Opening           []OpeningSpan     `json:"opening"`
	Templates         []SessionTemplate `json:"templates"`
	Closures          []Closure         `json:"closures"`
	Units             []Unit            `json:"units"`
	Stations          []Station         `json:"stations"`
	Lengths           []int             `json:"lengths"`
	Classes           []string          `json:"classes"`
	TurnaroundMinutes int               `json:"turnaround_minutes"`
}

// closuresAhead is how far closures are listed.
const closuresAhead = 5 * 366 * 24 * time.Hour

// Hours answers when visits take place and what a new template may say.
func (r *Rooms) Hours(ctx context.Context) (VisitingHours, error) {
	out := VisitingHours{Templates: []SessionTemplate{}, Closures: []Closure{}}
	err := r.DB.View(ctx, func(tx *store.Tx) error {
		f, loc, err := r.site(tx)
		if err != nil {
			return err
		}
		out.Zone, out.Today = f.Zone, today(tx, loc)
		rules, err := r.Policy.At(tx, policy.Scope{})
		if err != nil {
			return err
		}
		out.Lengths, out.Classes = policy.VisitLengthsMin.Of(rules), policy.ServiceClasses.Of(rules)
		out.TurnaroundMinutes = int(policy.VisitTurnaround.Of(rules).Minutes())
		if out.Opening, err = r.openingSpans(tx); err != nil {
			return err
		}
		if out.Units, err = r.UnitList(tx); err != nil {
			return err
		}
		if out.Stations, err = r.StationList(tx); err != nil {
			return err
		}
		templates, err := r.Schedule.Templates(tx)
		if err != nil {
			return err
		}
		for _, t := range templates {
			if t.To != "" && t.To < t.From {
				continue // taken back before it began
			}
			one, err := r.template(tx, t, out.Today)
			if err != nil {
				return err
			}
			out.Templates = append(out.Templates, one)
		}
		closures, err := r.Schedule.Closures(tx, tx.Now(), tx.Now().Add(closuresAhead))
		for _, c := range closures {
			one, err := r.closure(tx, c)
			if err != nil {
				return err
			}
			out.Closures = append(out.Closures, one)
		}
		return err
	})
	return out, err
}

// site returns the facility and its zone.
func (r *Rooms) site(tx *store.Tx) (facility.Facility, *time.Location, error) {
	f, err := r.Facility.Get(tx)
	if err != nil {
		return f, nil, err
	}
	loc, err := f.Location()
	return f, loc, err
}

// today is the facility's date.
func today(tx *store.Tx, loc *time.Location) string { return tx.Now().In(loc).Format(time.DateOnly) }

func (r *Rooms) template(tx *store.Tx, t schedule.Template, now string) (SessionTemplate, error) {
	yesterday, err := dayBefore(now)
	if err != nil {
		return SessionTemplate{}, err
	}
	n, err := r.Visits.Standing(tx, visits.Ground{Template: t.ID, After: yesterday})
	out := SessionTemplate{
		ID: string(t.ID), State: "running", Visits: n,
		NewTemplate: NewTemplate{
			Name: t.Name, Class: t.Class, Weekdays: []int{}, Starts: Wall(t.Starts), Ends: Wall(t.Ends), Pitch: t.Pitch, Lengths: t.Lengths,
			Capacity: t.Capacity, EveryWeeks: t.EveryWeeks, From: t.From, Units: []string{}, Private: t.Private,
		},
	}
	for _, d := range t.Weekdays {
		out.Weekdays = append(out.Weekdays, int(d))
	}
	for _, u := range t.Units {
		out.Units = append(out.Units, string(u))
	}
	if t.Lengths == nil {
		out.Lengths = []int{}
	}
	if t.To != "" {
		out.To = &t.To
	}
	switch {
	case t.To != "" && t.To < now:
		out.State = "ended"
	case t.From > now:
		out.State = "planned"
	}
	return out, err
}

// AddTemplate makes a session template and its slots.
func (r *Rooms) AddTemplate(ctx context.Context, n NewTemplate) (SessionTemplate, error) {
	by := From(ctx).Actor()
	var out SessionTemplate
	err := r.DB.Update(ctx, func(tx *store.Tx) error {
		_, loc, err := r.site(tx)
		if err != nil {
			return err
		}
		t, err := r.fromPage(tx, n, today(tx, loc))
		if err != nil {
			return err
		}
		if t, err = r.Schedule.PutTemplate(tx, by, t); err != nil {
			return err
		}
		out, err = r.template(tx, t, today(tx, loc))
		return err
	})
	if err != nil {
		return SessionTemplate{}, err
	}
	return out, r.Schedule.UnfoldAll(ctx, r.DB)
}

// fromPage reads what a page sent. A template begins today or later: what is past is not offered to anybody.
func (r *Rooms) fromPage(tx *store.Tx, n NewTemplate, now string) (schedule.Template, error) {
	t := schedule.Template{
		Name: strings.TrimSpace(n.Name), Class: n.Class, Starts: minutes(n.Starts), Ends: minutes(n.Ends), Pitch: n.Pitch, Lengths: n.Lengths,
		Capacity: n.Capacity, EveryWeeks: n.EveryWeeks, From: n.From, Private: n.Private,
	}
	bad := fault.New("api.AddTemplate", fault.Invalid, "The session template is not complete.").WithCode("form")
	if n.From < now {
		bad.WithField("from", "past")
	}
	if n.To != nil {
		t.To = *n.To
	}
	for _, d := range n.Weekdays {
		if !slices.Contains(t.Weekdays, time.Weekday(d)) {
			t.Weekdays = append(t.Weekdays, time.Weekday(d))
		}
	}
	for _, id := range n.Units {
		switch _, err := r.Facility.Unit(tx, ident.Unit(id)); {
		case fault.Is(err, fault.NotFound):
			bad.WithField("units", "choose")
		case err != nil:
			return t, err
		}
		t.Units = append(t.Units, ident.Unit(id))
	}
	if len(bad.Fields) > 0 {
		return t, bad
	}
	return t, nil
}

// StandingAfter counts the visits on a template after a day.
func (r *Rooms) StandingAfter(ctx context.Context, template, after string) (out Standing, err error) {
	id, err := ident.Parse[ident.Template](template)
	if err != nil {
		return out, err
	}
	err = r.DB.View(ctx, func(tx *store.Tx) error {
		if _, err := r.Schedule.Template(tx, id); err != nil {
			return err
		}
		out.Visits, err = r.Visits.Standing(tx, visits.Ground{Template: id, After: after})
		return err
	})
	return out, err
}

// EndTemplate ends a template after a day; visits that stand later are marked for a look.
func (r *Rooms) EndTemplate(ctx context.Context, template, last string) (Standing, error) {
	id, err := ident.Parse[ident.Template](template)
	if err != nil {
		return Standing{}, err
	}
	by := From(ctx).Actor()
	return r.takeAway(ctx, issueSchedule, func(tx *store.Tx) (visits.Ground, error) {
		_, err := r.Schedule.EndTemplate(tx, by, id, last)
		return visits.Ground{Template: id, After: last}, err
	})
}

func dayBefore(date string) (string, error) {
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return "", fmt.Errorf("read date: %w", err)
	}
	return d.AddDate(0, 0, -1).Format(time.DateOnly), nil
}
