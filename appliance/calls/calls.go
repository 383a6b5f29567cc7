package calls

import (
	"embed"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// Schema holds the room's migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// Call is one call as the database knows it.
type Call struct {
	ID          ident.Call
	Visit       ident.Visit
	Class       linkspec.Class
	State       State
	Since       time.Time // of State
	Spec        linkspec.Spec
	Version     int64
	Opens       time.Time
	Starts      time.Time
	Ends        time.Time
	LiveAt      time.Time // zero: never live
	EndedAt     time.Time // zero: open
	Code        string
	EndedBy     string
	PauseReason string
	PauseBy     string
	Pauses      int
	MeteredS    int64
	LiveMS      int64
	Recorder    string // "", armed, gap, failed, sealed
	Seats       []Seat

	wanted linkspec.Instant
}

// Privileged tells whether nobody but the parties may see or hear the call.
func (c Call) Privileged() bool { return privileged(c.Class) }

// Seat is one place in a call.
type Seat struct {
	Seat       ident.Seat
	Role       string
	Who        string
	State      string // expected, waiting, connected, lost, left, refused, removed
	Since      time.Time
	Asked      time.Time // zero: never opened the waiting room
	Joined     time.Time // zero: never connected
	Generation int
	Path       string
	Muted      string
}

// Here tells whether the seat is taken by a living connection.
func (s Seat) Here() bool { return s.State == "waiting" || s.State == "connected" }

// side returns the first seat with a role.
func (c Call) side(role string) Seat {
	for _, s := range c.Seats {
		if s.Role == role {
			return s
		}
	}
	return Seat{}
}

// GatewayQuiet is how long gatewayd may be silent before it counts as missing: it hands in its metrics every 10 seconds.
const GatewayQuiet = 35 * time.Second

// Options make the room.
type Options struct {
	DB       *store.DB
	Clock    clock.Clock
	Log      *slog.Logger
	Policy   *policy.Policy
	Facility *facility.Facilities
	People   *people.People
	Visits   *visits.Visits

	Signer     *grant.Signer
	TURN       []linkspec.TURNSecret // the first is current
	Recipients []string              // age recipients of recordings' data keys
	Origins    linkspec.Origins
	Signaling  map[string]string // door -> address of the signaling socket
	Relay      []string          // turn: and turns: addresses, for visitors only
}

// Calls is the room.
type Calls struct {
	Options
	on map[string]func(tx *store.Tx, e linkspec.Event) error // by kind, filled while wiring

	watchdog sync.Mutex // guards seen
	seen     time.Time  // when gatewayd last spoke to us
}

// New makes the room and registers with visits: a visit that opens gets its call, one that is called off loses it.
// [Calls.Serve] runs the sweep.
func New(o Options) *Calls {
	c := &Calls{Options: o, on: map[string]func(tx *store.Tx, e linkspec.Event) error{}}
	o.Visits.OnMove(c.moved)
	o.Visits.OnNoShow(c.whyNotHeld)
	return c
}

// On registers a handler for facts of a kind that another room owns; it is called in the transaction that takes the fact.
// It is meant for wiring, before anything is served.
func (c *Calls) On(kind string, take func(tx *store.Tx, e linkspec.Event) error) { c.on[kind] = take }

// now ties the machine's two clocks together.
func (c *Calls) now() linkspec.Instant {
	return linkspec.Instant{BootID: c.Clock.BootID(), Boot: int64(c.Clock.Boot()), Wall: c.Clock.Now()}
}

const columns = `SELECT id, visit, class, state, state_at, spec, version, opens, starts, ends, wanted_boot, wanted_mono, wanted_at,
	coalesce(live_at, 0), coalesce(ended_at, 0), code, ended_by, pause_reason, pause_by, pauses, metered_s, live_ms, recorder FROM call `

type scanner interface{ Scan(dest ...any) error }

func scanCall(row scanner) (Call, error) {
	var c Call
	var spec string
	var since, opens, starts, ends, wanted, live, ended int64
	err := row.Scan(&c.ID, &c.Visit, &c.Class, &c.State, &since, &spec, &c.Version, &opens, &starts, &ends,
		&c.wanted.BootID, &c.wanted.Boot, &wanted, &live, &ended, &c.Code, &c.EndedBy, &c.PauseReason, &c.PauseBy, &c.Pauses,
		&c.MeteredS, &c.LiveMS, &c.Recorder)
	if err != nil {
		return Call{}, err
	}
	if err := json.Unmarshal([]byte(spec), &c.Spec); err != nil {
		return Call{}, fault.New("calls.scan", fault.Internal, "The call's plan cannot be read.").Because(err)
	}
	c.Since, c.Opens, c.Starts, c.Ends = store.Time(since), store.Time(opens), store.Time(starts), store.Time(ends)
	c.wanted.Wall, c.LiveAt, c.EndedAt = moment(wanted), moment(live), moment(ended)
	return c, nil
}

// moment is the time of a column in which 0 stands for never.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return store.Time(ms)
}

// Get returns a call with its seats, NotFound when there is none.
func (c *Calls) Get(tx *store.Tx, id ident.Call) (Call, error) {
	return c.one(tx, `WHERE id = ?`, string(id))
}

// ByVisit returns the call of a visit, NotFound before its waiting room opens.
func (c *Calls) ByVisit(tx *store.Tx, id ident.Visit) (Call, error) {
	return c.one(tx, `WHERE visit = ?`, string(id))
}

func (c *Calls) one(tx *store.Tx, where string, args ...any) (Call, error) {
	call, err := scanCall(tx.Row(columns+where, args...))
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			return Call{}, unknown("calls.Get")
		}
		return Call{}, err
	}
	call.Seats, err = seats(tx, call.ID)
	return call, err
}

func seats(tx *store.Tx, id ident.Call) ([]Seat, error) {
	return store.All(tx, func(r *store.Rows) (Seat, error) {
		var s Seat
		var since, asked, joined int64
		err := r.Scan(&s.Seat, &s.Role, &s.Who, &s.State, &since, &asked, &joined, &s.Generation, &s.Path, &s.Muted)
		s.Since, s.Asked, s.Joined = store.Time(since), moment(asked), moment(joined)
		return s, err
	}, `SELECT seat, role, who, state, state_at, coalesce(asked_at, 0), coalesce(joined_at, 0), generation, path, muted
		FROM call_seat WHERE call = ? ORDER BY role DESC, seat`, string(id))
}

// open returns every call that has not found its end, first to end first.
func (c *Calls) open(tx *store.Tx) ([]Call, error) {
	list, err := store.All(tx, func(r *store.Rows) (Call, error) { return scanCall(r) },
		columns+`WHERE ended_at IS NULL ORDER BY ends, id`)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Seats, err = seats(tx, list[i].ID); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func unknown(op string) error {
	return fault.New(op, fault.NotFound, "There is no such call.").WithCode("call_unknown")
}
