package calls

import (
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Shown is one call as staff see it on the wall. Of a privileged call they see that the place is busy, and until when.
type Shown struct {
	Call
	Ref          string
	StationID    ident.Station
	Station      string
	Inmate       string
	InmateNumber string
	Visitor      string
	Check        *Check
	Flags        []string // hints that stand, unmonitored, unrecorded
	Watching     int
}

// justEnded is how long the wall still shows a call that has ended.
const justEnded = 30 * time.Second

// Live lists the calls that are open or have just ended, first to end first.
func (c *Calls) Live(tx *store.Tx) ([]Shown, error) {
	list, err := store.All(tx, func(r *store.Rows) (Call, error) { return scanCall(r) },
		columns+`WHERE ended_at IS NULL OR ended_at > ? ORDER BY ends, id`, store.Ms(tx.Now().Add(-justEnded)))
	if err != nil {
		return nil, err
	}
	stations, err := c.Facility.Stations(tx)
	if err != nil {
		return nil, err
	}
	names := map[ident.Station]string{}
	for _, s := range stations {
		names[s.ID] = s.Name
	}
	out := make([]Shown, 0, len(list))
	for _, call := range list {
		if call.Seats, err = seats(tx, call.ID); err != nil {
			return nil, err
		}
		s, err := c.shown(tx, call, names)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Show returns one call as staff see it.
func (c *Calls) Show(tx *store.Tx, id ident.Call) (Shown, error) {
	call, err := c.Get(tx, id)
	if err != nil {
		return Shown{}, err
	}
	names := map[ident.Station]string{}
	stations, err := c.Facility.Stations(tx)
	if err != nil {
		return Shown{}, err
	}
	for _, s := range stations {
		names[s.ID] = s.Name
	}
	return c.shown(tx, call, names)
}

func (c *Calls) shown(tx *store.Tx, call Call, names map[ident.Station]string) (Shown, error) {
	device := seatSpec(call.Spec, "i1").Device
	s := Shown{Call: call, StationID: device, Station: names[device], Flags: []string{}}
	if call.Privileged() {
		s.Seats, s.PauseReason, s.PauseBy, s.Code = nil, "", "", ""
		return s, nil
	}
	v, err := c.Visits.Get(tx, call.Visit)
	if err != nil {
		return Shown{}, err
	}
	i, err := c.People.Inmate(tx, v.Inmate)
	if err != nil {
		return Shown{}, err
	}
	who, err := c.People.Visitor(tx, v.Main)
	if err != nil {
		return Shown{}, err
	}
	s.Ref, s.Inmate, s.InmateNumber, s.Visitor = v.Ref, i.Name(), i.Number, who.Name()
	if s.Flags, err = c.flags(tx, call); err != nil {
		return Shown{}, err
	}
	if err := tx.Row(`SELECT count(*) FROM call_watch WHERE call = ? AND opened IS NOT NULL AND closed IS NULL`,
		string(call.ID)).Scan(&s.Watching); err != nil {
		return Shown{}, err
	}
	if call.Spec.MonitorRequired && s.Watching == 0 && !call.State.Over() {
		s.Flags = append(s.Flags, "unmonitored")
	}
	if call.State == SecurityCheck {
		check, err := c.openCheck(tx, call.ID)
		if err != nil && !fault.Is(err, fault.Conflict) {
			return Shown{}, err
		}
		if err == nil {
			if check.Asked, err = c.steps(tx, call); err != nil {
				return Shown{}, err
			}
			s.Check = &check
		}
	}
	return s, nil
}

// flags are what a monitor should look at: hints that nobody has cleared, and a recorder that is away.
func (c *Calls) flags(tx *store.Tx, call Call) ([]string, error) {
	list, err := store.All(tx, func(r *store.Rows) (kind string, err error) { err = r.Scan(&kind); return kind, err },
		`SELECT DISTINCT kind FROM call_hint WHERE call = ? AND cleared IS NULL ORDER BY kind LIMIT 16`, string(call.ID))
	if err != nil {
		return nil, err
	}
	out := append([]string{}, list...)
	if call.Spec.Record && call.Recorder == "failed" {
		out = append(out, "unrecorded")
	}
	for _, s := range call.Seats {
		if s.State == "lost" && call.State.Running() {
			out = append(out, "lost."+string(s.Seat))
		}
	}
	return out, nil
}
