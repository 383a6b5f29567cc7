package recordings

import (
	"context"
	"strings"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Filter chooses recordings of the catalogue; zero values choose all.
type Filter struct {
	Who    []string // typed ids of people on either side; nil: everybody
	Visit  ident.Visit
	From   time.Time
	Until  time.Time
	State  string
	Offset int
	Limit  int // 50 when 0
}

// List returns recordings, newest first, and how many there are in all.
func (r *Recordings) List(tx *store.Tx, f Filter) ([]Recording, int, error) {
	where, args := []string{"1"}, []any{}
	add := func(cond string, arg any) { where, args = append(where, cond), append(args, arg) }
	if f.Who != nil {
		add("EXISTS (SELECT 1 FROM call_seat s WHERE s.call = r.call AND s.who IN (SELECT value FROM json_each(?)))", list(f.Who))
	}
	if f.Visit != "" {
		add("r.visit = ?", string(f.Visit))
	}
	if !f.From.IsZero() {
		add("r.armed >= ?", store.Ms(f.From))
	}
	if !f.Until.IsZero() {
		add("r.armed < ?", store.Ms(f.Until))
	}
	if f.State != "" {
		add("r.state = ?", f.State)
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	cond := "WHERE " + strings.Join(where, " AND ")
	total := 0
	if err := tx.Row(`SELECT count(*) FROM recording r `+cond, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	found, err := store.All(tx, func(rows *store.Rows) (Recording, error) { return scan(rows) },
		columns+cond+` ORDER BY r.armed DESC, r.id LIMIT ? OFFSET ?`, append(args, f.Limit, f.Offset)...)
	return found, total, err
}

// list is ids as a JSON array, for json_each.
func list(ids []string) string { return `["` + strings.Join(ids, `","`) + `"]` }

// Mark is one mark of the time line.
type Mark struct {
	At     time.Duration
	Kind   string
	Seat   ident.Seat
	Reason string
	By     string
}

// Marks returns the time line of a recording.
func (r *Recordings) Marks(tx *store.Tx, id ident.Recording) ([]Mark, error) {
	return store.All(tx, func(rows *store.Rows) (m Mark, err error) {
		var ms int64
		err = rows.Scan(&ms, &m.Kind, &m.Seat, &m.Reason, &m.By)
		m.At = time.Duration(ms) * time.Millisecond
		return m, err
	}, `SELECT at_ms, kind, seat, reason, by FROM recording_mark WHERE recording = ? ORDER BY n`, string(id))
}

// Seats returns the seats that a recording has media of.
func (r *Recordings) Seats(tx *store.Tx, id ident.Recording) ([]ident.Seat, error) {
	return store.All(tx, func(rows *store.Rows) (s ident.Seat, err error) { err = rows.Scan(&s); return s, err },
		`SELECT seat FROM recording_seat WHERE recording = ? ORDER BY seat`, string(id))
}

// Custody is one row of the custody log.
type Custody struct {
	At      time.Time
	WhoKind ident.ActorKind
	Who     string
	What    string
	Purpose string
}

// Custody returns who had the recording in hands, oldest first, the last 500.
func (r *Recordings) Custody(tx *store.Tx, id ident.Recording) ([]Custody, error) {
	return store.All(tx, func(rows *store.Rows) (c Custody, err error) {
		var at int64
		err = rows.Scan(&at, &c.WhoKind, &c.Who, &c.What, &c.Purpose)
		c.At = store.Time(at)
		return c, err
	}, `SELECT at, who_kind, who, what, purpose FROM (SELECT * FROM custody WHERE recording = ? ORDER BY n DESC LIMIT 500) ORDER BY n`, string(id))
}

// Hold keeps a recording from expiring until two people lift it. It works at once.
func (r *Recordings) Hold(ctx context.Context, actor ident.Actor, id ident.Recording, reason, review string) error {
	if !actor.Has("investigator") {
		return fault.New("recordings.Hold", fault.Forbidden, "Only an investigator may hold evidence.").WithCode("forbidden")
	}
	if _, err := time.Parse(time.DateOnly, review); err != nil || strings.TrimSpace(reason) == "" {
		return fault.New("recordings.Hold", fault.Invalid, "Give a reason and a date on which to look at it again.").WithCode("hold")
	}
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		rec, err := r.Get(tx, id)
		if err != nil {
			return err
		}
		if rec.State == "deleted" {
			return fault.New("recordings.Hold", fault.Conflict, "This recording was erased.").WithCode("recording.state")
		}
		if err := tx.Exec(`INSERT INTO legal_hold (id, recording, reason, review, staff, at) VALUES (?, ?, ?, ?, ?, ?)`,
			string(ident.New[ident.Case]()), string(id), reason, review, actor.ID, store.Ms(tx.Now())); err != nil {
			return err
		}
		if err := tx.Exec(`UPDATE recording SET state = iif(verdict = 'altered', 'partial', 'available') WHERE id = ? AND state = 'expiring'`,
			string(id)); err != nil {
			return err
		}
		if err := r.custody(tx, actor, id, "held", reason); err != nil {
			return err
		}
		return audit.Record(tx, actor, "hold.set", id, audit.Reason(reason))
	})
}

// LiftHold asks for the end of a recording's holds, and ends them when a second investigator asks as well.
func (r *Recordings) LiftHold(ctx context.Context, actor ident.Actor, id ident.Recording) (lifted bool, err error) {
	if !actor.Has("investigator") {
		return false, fault.New("recordings.LiftHold", fault.Forbidden, "Only an investigator may lift a hold.").WithCode("forbidden")
	}
	err = r.DB.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.ExecN(`UPDATE legal_hold SET lifted = ?, lifted_by = ? WHERE recording = ? AND lifted IS NULL AND asked_by IS NOT NULL AND asked_by <> ?`,
			store.Ms(tx.Now()), actor.ID, string(id), actor.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			lifted = true
			if err := r.custody(tx, actor, id, "hold_lifted", ""); err != nil {
				return err
			}
			return audit.Record(tx, actor, "hold.lift", id)
		}
		n, err = tx.ExecN(`UPDATE legal_hold SET asked_by = ? WHERE recording = ? AND lifted IS NULL AND asked_by IS NULL`, actor.ID, string(id))
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New("recordings.LiftHold", fault.Conflict, "A second person must lift this hold.").WithCode("staff.second")
		}
		return audit.Record(tx, actor, "hold.lift_asked", id)
	})
	return lifted, err
}
