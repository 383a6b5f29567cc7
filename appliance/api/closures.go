package api

import (
	"context"
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// NewClosure is a span of time to be closed, on the facility's own clock.
type NewClosure struct {
	Scope  string  `json:"scope"`
	Key    *string `json:"key,omitempty"`
	From   string  `json:"from"`
	To     string  `json:"to"`
	Reason string  `json:"reason"`
}

// Closure is a span of time without visits.
type Closure struct {
	ID     int64     `json:"id"`
	Scope  string    `json:"scope"`
	Key    *string   `json:"key,omitempty"`
	Name   *string   `json:"name,omitempty"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
	Visits int       `json:"visits"`
}

// issues that staff find on visits whose ground went away.
const (
	issueSchedule = "schedule_changed"
	issueClosed   = "closed"
	issueStation  = "device_disabled"
)

// AddClosure closes a span of time; visits that stand in it are marked for a look.
func (r *Rooms) AddClosure(ctx context.Context, n NewClosure) (out Closure, err error) {
	by := From(ctx).Actor()
	_, err = r.takeAway(ctx, issueClosed, func(tx *store.Tx) (visits.Ground, error) {
		c, err := r.closureFromPage(tx, n)
		if err != nil {
			return visits.Ground{}, err
		}
		if c, err = r.Schedule.Close(tx, by, c); err != nil {
			return visits.Ground{}, err
		}
		out, err = r.closure(tx, c)
		return visits.Under(c), err
	})
	return out, err
}

// takeAway runs what takes the ground from visits and marks them; many are marked in transactions of their own.
func (r *Rooms) takeAway(ctx context.Context, issue string, act func(*store.Tx) (visits.Ground, error)) (out Standing, err error) {
	by := From(ctx).Actor()
	var ground visits.Ground
	more := false
	err = r.DB.Update(ctx, func(tx *store.Tx) error {
		if ground, err = act(tx); err != nil {
			return err
		}
		if out.Visits, err = r.Visits.Standing(tx, ground); err != nil {
			return err
		}
		more, err = r.Visits.Displace(tx, by, ground, issue)
		return err
	})
	for err == nil && more {
		err = r.DB.Update(ctx, func(tx *store.Tx) error {
			more, err = r.Visits.Displace(tx, by, ground, issue)
			return err
		})
	}
	return out, err
}

func (r *Rooms) closureFromPage(tx *store.Tx, n NewClosure) (schedule.Closure, error) {
	_, loc, err := r.site(tx)
	if err != nil {
		return schedule.Closure{}, err
	}
	c := schedule.Closure{Scope: n.Scope, Reason: n.Reason}
	if n.Key != nil {
		c.Key = *n.Key
	}
	const shape = "2006-01-02T15:04"
	bad := fault.New("api.AddClosure", fault.Invalid, "This is not a time.").WithCode("form")
	if c.From, err = time.ParseInLocation(shape, n.From, loc); err != nil {
		return c, bad.WithField("from", "format")
	}
	if c.To, err = time.ParseInLocation(shape, n.To, loc); err != nil {
		return c, bad.WithField("to", "format")
	}
	return c, nil
}

func (r *Rooms) closure(tx *store.Tx, c schedule.Closure) (Closure, error) {
	out := Closure{ID: c.ID, Scope: c.Scope, From: c.From, To: c.To, Reason: c.Reason}
	if c.Key != "" {
		out.Key = &c.Key
	}
	name, err := r.PlaceName(tx, c)
	if err != nil {
		return out, err
	}
	if name != "" {
		out.Name = &name
	}
	out.Visits, err = r.Visits.Standing(tx, visits.Under(c))
	return out, err
}

// PlaceName is the name of what a closure closes, "" for the whole facility and for a unit that was removed since.
func (r *Rooms) PlaceName(tx *store.Tx, c schedule.Closure) (name string, err error) {
	switch c.Scope {
	case schedule.CloseUnit:
		var u facility.Unit
		u, err = r.Facility.Unit(tx, ident.Unit(c.Key))
		name = u.Name
	case schedule.CloseStation:
		var s facility.Station
		s, err = r.Facility.Station(tx, ident.Station(c.Key))
		name = s.Name
	case schedule.CloseTemplate:
		var t schedule.Template
		t, err = r.Schedule.Template(tx, ident.Template(c.Key))
		name = t.Name
	}
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return name, err
}

// LiftClosure opens a closed span again.
func (r *Rooms) LiftClosure(ctx context.Context, id int64) error {
	by := From(ctx).Actor()
	return r.DB.Update(ctx, func(tx *store.Tx) error { return r.Schedule.Lift(tx, by, id) })
}
