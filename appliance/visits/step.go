package visits

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/policy"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

// step moves a visit: it checks the table of moves, writes the row and everything that belongs to the fact.
func (vs *Visits) step(tx *store.Tx, by ident.Actor, event string, v *Visit, to State, reason string, r policy.Rules) error {
	if err := checkMove(event, v.State, to, by.Kind); err != nil {
		return err
	}
	before, put := v.State, vs.write
	if v.Version == 0 {
		before, put = "", vs.insert // asked for in one go: there was nothing before
	}
	v.State, v.Version, v.Changed = to, v.Version+1, tx.Now()
	if reason != "" {
		v.Reason = reason
	}
	switch to {
	case AwaitingStaff:
		v.WaitingOn = "staff"
	case Suggested:
	default:
		v.WaitingOn = ""
	}
	v.Due = due(*v, r)
	if err := put(tx, v); err != nil {
		return err
	}
	return vs.publish(tx, by, event, *v, before)
}

// due is when something happens to a visit by itself.
func due(v Visit, r policy.Rules) time.Time {
	switch v.State {
	case Held:
		return v.Changed.Add(policy.BookingHoldTTL.Of(r))
	case Suggested:
		ttl, until := v.Changed.Add(policy.BookingSuggestionTTL.Of(r)), v.Starts.Add(-policy.BookingAcceptUntil.Of(r))
		if until.Before(ttl) {
			return until
		}
		return ttl
	case AwaitingStaff:
		return v.Starts.Add(-policy.BookingStaffDecideUntil.Of(r))
	case Confirmed:
		return v.Starts.Add(-policy.VisitEarlyJoin.Of(r))
	case CheckingIn:
		return v.Starts.Add(policy.VisitNoShowAfter.Of(r))
	}
	return time.Time{}
}

func (vs *Visits) write(tx *store.Tx, v *Visit) error {
	n, err := tx.ExecN(`UPDATE visits SET state = ?, waiting_on = ?, reason = ?, review = ?, taken = ?, station = nullif(?, ''), lobby = nullif(?, ''),
			template = ?, slots = ?, pitch = ?, turnaround = ?, funding = ?, credited = ?, credit_cutoff = ?, policy_version = ?, version = ?,
			due = nullif(?, 0), changed_at = ? WHERE id = ? AND version = ?`,
		string(v.State), v.WaitingOn, v.Reason, join(v.Review), v.Taken, string(v.Station), string(v.Lobby), string(v.Template), v.slots,
		int(v.pitch/time.Minute), int(v.turnaround/time.Minute), v.Funding, v.Credited, v.CreditCutoff.Milliseconds(), v.PolicyVersion, v.Version,
		dueMs(*v), store.Ms(v.Changed), string(v.ID), v.Version-1)
	if err != nil {
		return fmt.Errorf("write visit: %w", err)
	}
	if n == 0 {
		return fault.New("visits.write", fault.Conflict, "The visit has changed meanwhile. Look at it again.").WithCode("visit.state")
	}
	return nil
}

// insert writes a visit that stands in no table yet. Its reference is short enough to be said on the telephone, and
// so some other visit has it now and then: then it gets another one.
func (vs *Visits) insert(tx *store.Tx, v *Visit) error {
	for {
		err := vs.insertAs(tx, *v)
		if !fault.Is(err, fault.Conflict) {
			return err
		}
		var taken bool
		if qerr := tx.Row(`SELECT count(*) > 0 FROM visits WHERE ref = ?`, v.Ref).Scan(&taken); qerr != nil || !taken {
			return errors.Join(err, qerr)
		}
		v.Ref = vs.reference()
	}
}

func (vs *Visits) insertAs(tx *store.Tx, v Visit) error {
	err := tx.Exec(`INSERT INTO visits (id, ref, inmate, contact, visitor, party, class, template, starts, ends, date, minutes, slots, pitch, turnaround,
			state, waiting_on, asked_by, holder, reason, review, taken, station, lobby, funding, credited, credit_cutoff, policy_version, version,
			due, created_at, changed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), ?, ?, ?, ?, ?, nullif(?, 0), ?, ?)`,
		string(v.ID), v.Ref, string(v.Inmate), string(v.Contact), string(v.Main), join(v.Party), string(v.Class), string(v.Template),
		store.Ms(v.Starts), store.Ms(v.Ends), v.Date, v.Minutes, v.slots, int(v.pitch/time.Minute), int(v.turnaround/time.Minute),
		string(v.State), v.WaitingOn, string(v.AskedBy), v.holder, v.Reason, join(v.Review), v.Taken, string(v.Station), string(v.Lobby),
		v.Funding, v.Credited, v.CreditCutoff.Milliseconds(), v.PolicyVersion, v.Version, dueMs(v), store.Ms(v.Created), store.Ms(v.Changed))
	if err != nil {
		return fmt.Errorf("write visit: %w", err)
	}
	return nil
}

func dueMs(v Visit) int64 {
	if v.Due.IsZero() {
		return 0
	}
	return store.Ms(v.Due)
}

// mark is what the audit keeps of a state: enough to tell what changed, nothing about people.
type mark struct {
	State   State         `json:"state"`
	Version int           `json:"version,omitempty"`
	Starts  string        `json:"starts,omitempty"`
	Station ident.Station `json:"station,omitempty"`
	Funding string        `json:"funding,omitempty"`
}

// publish writes what goes with a move: the audit row, news for open screens, the replicated record, and what other
// rooms registered.
func (vs *Visits) publish(tx *store.Tx, by ident.Actor, event string, v Visit, before State) error {
	details := []audit.Detail{
		audit.After(mark{v.State, v.Version, v.Starts.UTC().Format(time.RFC3339), v.Station, v.Funding}),
		audit.Policy(strconv.FormatInt(v.PolicyVersion, 10)),
	}
	if before != "" {
		details = append(details, audit.Before(mark{State: before}))
	}
	if v.Reason != "" {
		details = append(details, audit.Reason(v.Reason))
	}
	if err := audit.Record(tx, by, event, v.ID, details...); err != nil {
		return err
	}
	if v.State == Held || v.State == gone {
		return nil // nobody but the holder knows of a hold
	}
	if err := outbox.TellEach(tx, "visit", v.ID, outbox.ToVisitor(v.Main), outbox.ToInmate(v.Inmate), outbox.ToStaff()); err != nil {
		return err
	}
	if err := vs.replicate(tx, by, v); err != nil {
		return err
	}
	for _, do := range vs.onMove {
		if err := do(tx, v); err != nil {
			return err
		}
	}
	return nil
}

func (vs *Visits) replicate(tx *store.Tx, by ident.Actor, v Visit) error {
	if vs.Put == nil || !record.Travels(string(v.Class)) {
		return nil
	}
	party := make([]string, len(v.Party))
	for i, p := range v.Party {
		party[i] = string(p)
	}
	return vs.Put(tx, record.New(record.TypeVisit, v.ID, &record.Visit{
		Ref: v.Ref, Class: string(v.Class), Inmate: string(v.Inmate), Contact: string(v.Contact), Visitor: string(v.Main), Party: party,
		Station: string(v.Station), StartsMs: store.Ms(v.Starts), EndsMs: store.Ms(v.Ends), State: string(v.State), WaitingOn: v.WaitingOn,
		Reason: v.Reason, PolicyVersion: v.PolicyVersion,
	}).ByActor(by))
}

// notify queues a notice to the visitor and one to the inmate.
func (vs *Visits) notify(tx *store.Tx, template string, v Visit, to ...string) error {
	return outbox.NotifyEach(tx, outbox.Notice{Template: template, Subject: string(v.ID), Params: map[string]any{
		"ref": v.Ref, "inmate": string(v.Inmate), "visitor": string(v.Main), "starts": v.Starts.UTC().Format(time.RFC3339),
		"ends": v.Ends.UTC().Format(time.RFC3339), "minutes": v.Minutes, "class": string(v.Class), "state": string(v.State),
		"reason": v.Reason, "funding": v.Funding, "credited": v.Credited, "version": v.Version,
	}}, to...)
}

// both are the two sides of a visit.
func (v Visit) both() []string { return []string{string(v.Main), string(v.Inmate)} }
