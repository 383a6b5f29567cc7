package schedule

import (
	"fmt"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// The scopes of closures.
const (
	CloseFacility = "facility"
	CloseUnit     = "unit"
	CloseTemplate = "template"
	CloseStation  = "station"
)

// Closure is a span of time without visits: Scope is facility, unit, template or station, and Key its id.
type Closure struct {
	ID         int64
	From, To   time.Time
	Scope, Key string
	Reason     string // a code of rules.md, section 7
}

type closures []Closure

// Close blocks a span of time and returns the closure. Visits that stand in it are the caller's to move or cancel.
// Invalid when the span is empty or the scope does not fit.
func (s *Schedule) Close(tx *store.Tx, by ident.Actor, c Closure) (Closure, error) {
	bad := fault.New("schedule.Close", fault.Invalid, "A closure needs a beginning, a later end, a place and a reason.").WithCode("form")
	if !c.To.After(c.From) || !c.To.After(tx.Now()) {
		bad.WithField("to", "closureEnd")
	}
	if c.Reason == "" {
		bad.WithField("reason", "choose")
	}
	if known, err := s.place(tx, c); err != nil {
		return Closure{}, err
	} else if !known {
		bad.WithField("key", "choose")
	}
	if len(bad.Fields) > 0 {
		return Closure{}, bad
	}
	err := tx.Row(`INSERT INTO closures (starts, ends, scope, key, reason) VALUES (?, ?, ?, ?, ?) RETURNING id`,
		store.Ms(c.From), store.Ms(c.To), c.Scope, c.Key, c.Reason).Scan(&c.ID)
	if err != nil {
		return Closure{}, fmt.Errorf("write closure: %w", err)
	}
	return c, audit.Record(tx, by, "schedule.close", c.Scope, audit.Reason(c.Reason), audit.After(c))
}

// place tells whether what a closure closes exists.
func (s *Schedule) place(tx *store.Tx, c Closure) (known bool, err error) {
	switch c.Scope {
	case CloseFacility:
		return c.Key == "", nil
	case CloseUnit:
		_, err = s.Facility.Unit(tx, ident.Unit(c.Key))
	case CloseTemplate:
		_, err = s.Template(tx, ident.Template(c.Key))
	case CloseStation:
		_, err = s.Facility.Station(tx, ident.Station(c.Key))
	default:
		return false, nil
	}
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// Lift ends a closure from now on; NotFound when it does not exist or was lifted before.
func (s *Schedule) Lift(tx *store.Tx, by ident.Actor, id int64) error {
	n, err := tx.ExecN(`UPDATE closures SET lifted = ? WHERE id = ? AND lifted IS NULL`, store.Ms(tx.Now()), id)
	if err != nil {
		return fmt.Errorf("lift closure: %w", err)
	}
	if n == 0 {
		return fault.New("schedule.Lift", fault.NotFound, "There is no such closure.").WithCode("not_found")
	}
	return audit.Record(tx, by, "schedule.lift", fmt.Sprintf("closure %d", id))
}

// Closure returns one closure that is in force; NotFound.
func (s *Schedule) Closure(tx *store.Tx, id int64) (Closure, error) {
	c := Closure{ID: id}
	err := tx.Row(`SELECT starts, ends, scope, key, reason FROM closures WHERE id = ? AND lifted IS NULL`, id).Scan(&c.From, &c.To, &c.Scope, &c.Key, &c.Reason)
	if fault.Is(err, fault.NotFound) {
		return Closure{}, fault.New("schedule.Closure", fault.NotFound, "There is no such closure.").WithCode("not_found")
	}
	return c, err
}

// Closures returns the closures in force that touch a span of time.
func (s *Schedule) Closures(tx *store.Tx, from, to time.Time) ([]Closure, error) {
	return s.closures(tx, from, to)
}

func (s *Schedule) closures(tx *store.Tx, from, to time.Time) (closures, error) {
	return store.All(tx, func(r *store.Rows) (c Closure, err error) {
		err = r.Scan(&c.ID, &c.From, &c.To, &c.Scope, &c.Key, &c.Reason)
		return c, err
	}, `SELECT id, starts, ends, scope, key, reason FROM closures WHERE lifted IS NULL AND ends > ? AND starts < ? ORDER BY starts`, store.Ms(from), store.Ms(to))
}

// on tells whether a closure lies on a session of a unit. Stations are looked at by whoever assigns one.
func (cs closures) on(template ident.Template, unit ident.Unit, from, to int64) bool {
	for _, c := range cs {
		if store.Ms(c.From) >= to || store.Ms(c.To) <= from {
			continue
		}
		if c.Scope == "facility" || c.Scope == "template" && c.Key == string(template) || c.Scope == "unit" && c.Key == string(unit) {
			return true
		}
	}
	return false
}
