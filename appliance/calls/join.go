package calls

import (
	"context"
	"fmt"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/audit"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// Ticket is what a call client needs to join: the grant, where to show it, and how to be reached.
type Ticket struct {
	Grant     string
	Signaling string
	ICE       []ICEServer // visitors only
	Call      ident.Call
	Seat      ident.Seat
	Class     linkspec.Class
	Recorded  bool
	Watched   bool // the notice says that staff may watch
	Notice    string
	Starts    time.Time
	Ends      time.Time
	Now       time.Time
	Peer      string // first name of the other side; full names for staff
	Ref       string
}

// ICEServer is a relay with its credential, as browsers take it.
type ICEServer struct {
	URLs       []string
	Username   string
	Credential string
}

// relayTail is how long a relay credential outlives the call, so that the last words are not cut by a clock.
const relayTail = time.Minute

// Join gives a party of a visit its seat. State, time, custody and restrictions are looked at now, whatever was true
// when the visit was booked. station is the enrolled device of an inmate. It returns NotFound for a visit of somebody
// else, TooSoon before the waiting room opens, Conflict with call_over after the end, Forbidden when a restriction
// stands in the way (with words that do not tell it), Unavailable while media is stopped.
func (c *Calls) Join(ctx context.Context, actor ident.Actor, visit ident.Visit, station ident.Station, fingerprint string) (Ticket, error) {
	var call Call
	var t Ticket
	err := c.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if call, t, err = c.admit(tx, actor, visit, station); err != nil {
			return err
		}
		if err := tx.Exec(`UPDATE call_seat SET asked_at = coalesce(asked_at, ?) WHERE call = ? AND seat = ?`,
			store.Ms(tx.Now()), string(call.ID), string(t.Seat)); err != nil {
			return err
		}
		if err := audit.Record(tx, actor, "call.join", string(call.ID)); err != nil {
			return err
		}
		return c.tell(tx, call)
	})
	if err != nil {
		return Ticket{}, err
	}
	s := seatOf(call, t.Seat)
	door := doorOf(s.Role)
	claims := c.claims(grant.Seat, door, s.Role, s.Who, fingerprint, grant.SeatTTL)
	claims.Call, claims.Seat, claims.Class, claims.Spec = call.ID, t.Seat, call.Class, &call.Spec
	if t.Grant, err = c.Signer.Sign(claims); err != nil {
		return Ticket{}, err
	}
	t.Signaling, t.Now = c.Signaling[door], c.Clock.Now()
	if door == "visitor" {
		t.ICE = c.relays(call.ID, t.Seat, call.Opens, call.Ends.Add(relayTail))
	}
	return t, nil
}

// admit checks everything that must hold at this moment and finds the seat.
func (c *Calls) admit(tx *store.Tx, actor ident.Actor, id ident.Visit, station ident.Station) (Call, Ticket, error) {
	v, err := c.partyTo(tx, actor, id)
	if err != nil {
		return Call{}, Ticket{}, err
	}
	rules, err := c.rules(tx, v)
	if err != nil {
		return Call{}, Ticket{}, err
	}
	now := tx.Now()
	if opens := v.Starts.Add(-rules.early); now.Before(opens) {
		return Call{}, Ticket{}, fault.New("calls.Join", fault.TooSoon, "The waiting room is not open yet.").
			WithCode("call.early").WithParam("opens", opens)
	}
	call, err := c.ByVisit(tx, id)
	switch {
	case fault.Is(err, fault.NotFound) && now.Before(v.Ends):
		// The sweep opens it within a second; until then it is as good as not open.
		return Call{}, Ticket{}, fault.New("calls.Join", fault.TooSoon, "The waiting room is opening.").
			WithCode("call.early").WithParam("opens", now.Add(time.Second)).WithParam("retry_ms", 1000)
	case fault.Is(err, fault.NotFound):
		return Call{}, Ticket{}, over()
	case err != nil:
		return Call{}, Ticket{}, err
	}
	if call.State.Over() || call.State == Ending || !now.Before(call.Ends) {
		return Call{}, Ticket{}, over()
	}
	if err := c.allowed(tx, actor, v, call, station); err != nil {
		return Call{}, Ticket{}, err
	}
	return c.ticketFor(tx, actor, v, call)
}

func over() error {
	return fault.New("calls.Join", fault.Conflict, "This visit has ended.").WithCode("call_over")
}

// partyTo returns a visit that the actor is a party to; to anybody else it does not exist.
func (c *Calls) partyTo(tx *store.Tx, actor ident.Actor, id ident.Visit) (visits.Visit, error) {
	v, err := c.Visits.Get(tx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return v, err
	}
	mine := actor.Is(ident.ByVisitor) && string(v.Main) == actor.ID || actor.Is(ident.ByInmate) && string(v.Inmate) == actor.ID
	if err != nil || !mine {
		return visits.Visit{}, fault.New("calls.Join", fault.NotFound, "There is no such visit.").WithCode("not_found")
	}
	return v, nil
}

// allowed looks at the people, the restrictions, the device and the kill switches as they are now.
func (c *Calls) allowed(tx *store.Tx, actor ident.Actor, v visits.Visit, call Call, station ident.Station) error {
	why, err := c.parted(tx, call, v.Inmate, v.Main)
	if err != nil {
		return err
	}
	if why != "" {
		return fault.New("calls.Join", fault.Forbidden, "You cannot join this visit. Call the facility if you have questions.").WithCode("call.refused")
	}
	if err := c.device(tx, actor, call, station); err != nil {
		return err
	}
	return c.standing(tx, call.Spec.Labels)
}

// parted tells why two people may not be in a call together at this moment, "" when they may. The code is for staff.
func (c *Calls) parted(tx *store.Tx, call Call, inmate ident.Inmate, visitor ident.Visitor) (string, error) {
	i, err := c.People.Inmate(tx, inmate)
	if err != nil {
		return "", err
	}
	who, err := c.People.Visitor(tx, visitor)
	if err != nil {
		return "", err
	}
	if !i.Present() {
		return "inmate_removed", nil
	}
	if who.State != people.Active {
		return "ban", nil
	}
	restricted, err := c.People.Restrictions(tx, inmate, visitor)
	if err != nil {
		return "", err
	}
	f, err := c.Facility.Get(tx)
	if err != nil {
		return "", err
	}
	zone, err := f.Location()
	if err != nil {
		return "", err
	}
	today := tx.Now().In(zone).Format(time.DateOnly)
	for _, r := range restricted {
		if r.On(today) && (r.Blocks() || r.Code == people.VisitsLost && !call.Privileged()) {
			return "ban", nil
		}
	}
	return "", nil
}

// device checks that an inmate sits at a device of the own unit, out of hearing where the call is privileged.
func (c *Calls) device(tx *store.Tx, actor ident.Actor, call Call, id ident.Station) error {
	if !actor.Is(ident.ByInmate) {
		return nil
	}
	stations, err := c.Facility.Stations(tx)
	if err != nil {
		return err
	}
	planned := seatSpec(call.Spec, "i1")
	var at, want facility.Station
	for _, s := range stations {
		if s.ID == id {
			at = s
		}
		if s.ID == planned.Device {
			want = s
		}
	}
	wrong := fault.New("calls.Join", fault.Conflict, "This call is at another station.").
		WithCode("call.otherStation").WithParam("station", want.Name)
	switch {
	case at.ID == "" || at.State != facility.Ready || at.Kind == facility.Lobby:
		return wrong
	case at.Unit != planned.Unit && planned.Unit != "":
		return wrong
	case call.Privileged() && !at.Private && at.ID != planned.Device:
		return wrong
	}
	return nil
}

// standing refuses while a kill switch covers the call.
func (c *Calls) standing(tx *store.Tx, l linkspec.Labels) error {
	scopes, err := store.All(tx, func(r *store.Rows) (s string, err error) { err = r.Scan(&s); return s, err },
		`SELECT scope FROM media_stop WHERE lifted IS NULL`)
	if err != nil {
		return err
	}
	for _, s := range scopes {
		if covers(s, l) {
			return fault.New("calls.Join", fault.Unavailable, "Visits are stopped at the moment. Stay on this page.").WithCode("stopped")
		}
	}
	return nil
}

func (c *Calls) ticketFor(tx *store.Tx, actor ident.Actor, v visits.Visit, call Call) (Call, Ticket, error) {
	seat := ident.Seat("v1")
	if actor.Is(ident.ByInmate) {
		seat = "i1"
	}
	peer, err := c.peer(tx, actor, v.Inmate, v.Main)
	if err != nil {
		return call, Ticket{}, err
	}
	if s := seatOf(call, seat); s.Who != actor.ID || s.State == "removed" {
		return call, Ticket{}, fault.New("calls.Join", fault.Forbidden, "Staff have closed this place.").WithCode("seat_removed")
	}
	return call, Ticket{
		Call: call.ID, Seat: seat, Class: call.Class, Recorded: call.Spec.Record, Watched: !call.Privileged(),
		Notice: call.Spec.Notice, Starts: call.Starts, Ends: call.Ends, Peer: peer, Ref: v.Ref,
	}, nil
}

// Probe gives a visitor or inmate a grant that echoes the own media, for the device check.
func (c *Calls) Probe(actor ident.Actor, fingerprint string) (Ticket, error) {
	door := "visitor"
	if actor.Is(ident.ByInmate) {
		door = "kiosk"
	} else if !actor.Is(ident.ByVisitor) {
		return Ticket{}, fault.New("calls.Probe", fault.Forbidden, "Only a visitor or an inmate checks a device.").WithCode("forbidden")
	}
	claims := c.claims(grant.Probe, door, string(actor.Kind), actor.ID, fingerprint, grant.ProbeTTL)
	claims.Call = ident.New[ident.Call]() // names the check for the relay; there is no such call
	text, err := c.Signer.Sign(claims)
	if err != nil {
		return Ticket{}, err
	}
	now := c.Clock.Now()
	t := Ticket{Grant: text, Signaling: c.Signaling[door], Seat: "p1", Notice: NoticePrivate, Now: now, Starts: now, Ends: now.Add(grant.ProbeTTL)}
	if door == "visitor" {
		t.ICE = c.relays(claims.Call, "p1", now, now.Add(2*grant.ProbeTTL))
	}
	return t, nil
}

// Monitor gives a member of staff a place outside the participants of a social call. Who, why and when are stored
// before the grant exists. It returns NotFound for a privileged call, as for one that does not exist; Forbidden for
// anybody who is neither monitor nor investigator; Invalid without a purpose.
func (c *Calls) Monitor(ctx context.Context, actor ident.Actor, id ident.Call, purpose, fingerprint string) (Ticket, error) {
	if !access.Can(actor, "calls.watch") {
		return Ticket{}, fault.New("calls.Monitor", fault.Forbidden, "Only a monitor or an investigator may watch.").WithCode("forbidden")
	}
	if purpose == "" {
		return Ticket{}, fault.New("calls.Monitor", fault.Invalid, "Say why you watch.").WithCode("purpose").WithField("purpose", "required")
	}
	claims := c.claims(grant.Monitor, "staff", "monitor", actor.ID, fingerprint, grant.MonitorTTL)
	claims.ID, claims.Call = ident.New[ident.Grant](), id
	var call Call
	var peer, ref string
	err := c.DB.Update(ctx, func(tx *store.Tx) (err error) {
		call, err = c.Get(tx, id)
		if err != nil {
			return err
		}
		if call.Privileged() {
			return unknown("calls.Monitor")
		}
		if call.State.Over() || call.State == Ending {
			return fault.New("calls.Monitor", fault.Conflict, "The call has ended.").WithCode("call_over")
		}
		if err := tx.Exec(`INSERT INTO call_watch (id, call, staff, purpose, asked) VALUES (?, ?, ?, ?, ?)`,
			string(claims.ID), string(id), actor.ID, purpose, store.Ms(tx.Now())); err != nil {
			return err
		}
		if peer, ref, err = c.title(tx, call); err != nil {
			return err
		}
		return audit.Record(tx, actor, "call.watch", string(id), audit.Reason(purpose))
	})
	if fault.Is(err, fault.NotFound) {
		c.noteRefusedWatch(ctx, actor, id)
	}
	if err != nil {
		return Ticket{}, err
	}
	claims.Class = call.Class
	text, err := c.Signer.Sign(claims)
	if err != nil {
		return Ticket{}, err
	}
	return Ticket{
		Grant: text, Signaling: c.Signaling["staff"], Call: id, Class: call.Class, Recorded: call.Spec.Record, Watched: true,
		Notice: call.Spec.Notice, Starts: call.Starts, Ends: call.Ends, Now: c.Clock.Now(), Peer: peer, Ref: ref,
	}, nil
}

// noteRefusedWatch audits that somebody tried to watch what nobody may watch.
func (c *Calls) noteRefusedWatch(ctx context.Context, actor ident.Actor, id ident.Call) {
	err := c.DB.Update(ctx, func(tx *store.Tx) error { return audit.Record(tx, actor, "call.watch_refused", string(id)) })
	if err != nil {
		c.Log.Error("a refused watch was not audited", "op", "calls.Monitor", "err", err)
	}
}

// claims fills what all grants share.
func (c *Calls) claims(kind grant.Kind, door, role, who, fingerprint string, ttl time.Duration) grant.Claims {
	now := c.Clock.Now()
	return grant.Claims{Kind: kind, Door: door, Role: role, Who: who, FP: fingerprint, NBF: now.Unix(), EXP: now.Add(ttl).Unix()}
}

// relays returns the relay with a credential that holds for one seat of one call at the visitor door.
func (c *Calls) relays(call ident.Call, seat ident.Seat, from, to time.Time) []ICEServer {
	if len(c.Relay) == 0 || len(c.TURN) == 0 {
		return nil
	}
	user, password := grant.Credential(c.TURN[0], call, seat, "visitor", from, to)
	return []ICEServer{{URLs: c.Relay, Username: user, Credential: password}}
}

// title is how staff know a call: names of both sides and the visit's reference.
func (c *Calls) title(tx *store.Tx, call Call) (names, ref string, err error) {
	v, err := c.Visits.Get(tx, call.Visit)
	if err != nil {
		return "", "", err
	}
	i, err := c.People.Inmate(tx, v.Inmate)
	if err != nil {
		return "", "", err
	}
	who, err := c.People.Visitor(tx, v.Main)
	return fmt.Sprintf("%s %s <-> %s", i.Number, i.Last, who.Name()), v.Ref, err
}

func doorOf(role string) string {
	if role == "inmate" {
		return "kiosk"
	}
	return "visitor"
}

func seatOf(call Call, id ident.Seat) Seat {
	for _, s := range call.Seats {
		if s.Seat == id {
			return s
		}
	}
	return Seat{}
}

func seatSpec(spec linkspec.Spec, id ident.Seat) linkspec.SeatSpec {
	for _, s := range spec.Seats {
		if s.Seat == id {
			return s
		}
	}
	return linkspec.SeatSpec{}
}
