package visits

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// Serve does what falls due by itself, until ctx ends: it ends holds and open requests, opens waiting rooms, and notes
// who did not come.
func (vs *Visits) Serve(ctx context.Context, db *store.DB, c clock.Clock, log *slog.Logger) error {
	for {
		changed := db.Changed()
		next, err := vs.Sweep(ctx, db, log)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("sweep visits: %w", err)
		}
		wait := time.Minute // also the time after which a wall clock that was set is noticed
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(c.Now()), 20*time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-c.After(wait):
		}
	}
}

// Sweep does everything that is due and returns when the next thing is; zero when nothing waits. A visit that cannot be
// moved is logged and tried again a minute later, so that it holds nobody else up.
func (vs *Visits) Sweep(ctx context.Context, db *store.DB, log *slog.Logger) (next time.Time, err error) {
	for {
		var ids []ident.Visit
		err := db.View(ctx, func(tx *store.Tx) (err error) {
			ids, err = store.All(tx, func(r *store.Rows) (id ident.Visit, err error) { err = r.Scan(&id); return id, err },
				`SELECT id FROM visits WHERE due <= ? ORDER BY due LIMIT 50`, store.Ms(tx.Now()))
			if err != nil || len(ids) > 0 {
				return err
			}
			var ms int64
			err = tx.Row(`SELECT coalesce(min(due), 0) FROM visits WHERE due IS NOT NULL`).Scan(&ms)
			if ms != 0 {
				next = store.Time(ms)
			}
			return err
		})
		if err != nil || len(ids) == 0 {
			return next, err
		}
		for _, id := range ids {
			if err := vs.fall(ctx, db, log, id); err != nil {
				return next, err
			}
		}
	}
}

func (vs *Visits) fall(ctx context.Context, db *store.DB, log *slog.Logger, id ident.Visit) error {
	err := db.Update(ctx, func(tx *store.Tx) error { return vs.Fall(tx, id) })
	if err == nil || ctx.Err() != nil || fault.Is(err, fault.Unavailable) {
		return err
	}
	log.Error("visit cannot be moved", "op", "visits.Sweep", "visit", string(id), "err", err)
	return db.Update(ctx, func(tx *store.Tx) error {
		return tx.Exec(`UPDATE visits SET due = ? WHERE id = ?`, store.Ms(tx.Now().Add(time.Minute)), string(id))
	})
}

// Fall does what is due for one visit, and nothing when nothing is due.
func (vs *Visits) Fall(tx *store.Tx, id ident.Visit) error {
	v, err := vs.Get(tx, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || v.Due.IsZero() || v.Due.After(tx.Now()) {
		return err
	}
	by := ident.System()
	switch v.State {
	case Held:
		return vs.drop(tx, by, v)
	case Suggested:
		return vs.refused(tx, by, "visit.expire", "visit.expired", &v, Expired, "no_answer_in_time")
	case AwaitingStaff:
		return vs.refused(tx, by, "visit.auto_reject", "visit.rejected", &v, AutoRejected, "no_answer_in_time")
	case Confirmed:
		return vs.open(tx, v)
	case CheckingIn:
		o := Outcome{State: NoShow, Side: "facility_fault", Reason: "system_fault"}
		if vs.noShow != nil {
			if o, err = vs.noShow(tx, v); err != nil {
				return err
			}
		}
		if o.State == "" { // the call is about to begin: it will tell
			return tx.Exec(`UPDATE visits SET due = ? WHERE id = ?`, store.Ms(v.Due.Add(lookAgain)), string(v.ID))
		}
		_, err = vs.Finish(tx, by, v.ID, o)
		return err
	}
	return nil
}

// lookAgain is when a visit that is about to begin is looked at again.
const lookAgain = 30 * time.Second

// Happened answers to what happened to a person (rules.md, 6.1): planned visits are called off and credited, flagged or
// kept as policy has it, and open requests are refused. kind is the event, reason the code that goes with it.
func (vs *Visits) Happened(tx *store.Tx, kind string, inmate ident.Inmate, visitor ident.Visitor, reason string) error {
	who, args := `inmate = ?`, []any{string(inmate)}
	switch {
	case inmate == "":
		who, args = `visitor = ?`, []any{string(visitor)}
	case visitor != "":
		who, args = `inmate = ? AND visitor = ?`, []any{string(inmate), string(visitor)}
	}
	touched, err := vs.list(tx, who+` AND state IN ('held', 'suggested', 'awaiting_staff', 'confirmed', 'checking_in') ORDER BY starts`, args...)
	if err != nil {
		return err
	}
	for _, v := range touched {
		if err := vs.touch(tx, kind, reason, v); err != nil {
			return err
		}
	}
	return nil
}

// touch does for one visit what an event asks for. The act is the system's: whoever caused the event stands in its own
// audit row.
func (vs *Visits) touch(tx *store.Tx, kind, reason string, v Visit) error {
	r, err := vs.rules(tx, v)
	if err != nil {
		return err
	}
	do, reject := answerTo(kind, r)
	if kind == "restriction_changed" {
		f, err := vs.look(tx, ident.System(), v)
		if err != nil {
			return err
		}
		if !barred(f, v.request()) {
			return nil
		}
	}
	if reason == "" {
		reason = "other"
	}
	system := ident.System()
	switch {
	case do == "keep" && !reject:
		return nil
	case v.State == Held:
		return vs.drop(tx, system, v)
	case v.Open() && reject:
		return vs.refused(tx, system, "visit.auto_reject", "visit.rejected", &v, AutoRejected, "situation")
	case v.Open():
		return nil
	case do == "cancel_credit":
		return vs.cancel(tx, system, &v, reason)
	case v.State == Confirmed:
		return vs.Flag(tx, system, v.ID, kind)
	}
	return nil
}

// answerTo is the table of rules.md, 6.1: what becomes of planned visits, and whether open requests are refused.
func answerTo(kind string, r policy.Rules) (planned string, reject bool) {
	switch kind {
	case "released", "deceased":
		return policy.EventOnRelease.Of(r), true
	case "transferred_out":
		return policy.EventOnTransfer.Of(r), true
	case "escaped", "status_unknown":
		return "flag", true
	case "temp_out":
		return policy.EventOnTemporaryAbsence.Of(r), false
	case "housing_moved":
		return policy.EventOnHousingMove.Of(r), false
	case "level_changed", "classification_changed":
		return "flag", false
	case "privileges_suspended":
		return policy.EventOnPrivilegeSuspension.Of(r), true
	case "contact_lost", "visitor_lost", "restriction_changed":
		return policy.EventOnBanOrContactLost.Of(r), true
	}
	return "keep", false
}
