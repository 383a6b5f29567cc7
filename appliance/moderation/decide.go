package moderation

import (
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

const caseColumns = `id, kind, item, hash, submitter, state, two, opened_at, due_at, coalesce(claimed_by, ''), coalesce(claimed_until, 0),
	coalesce(verdict, ''), reason, note, coalesce(decided_by, ''), coalesce(decided_at, 0), coalesce(first_by, '')`

func scanCase(r interface{ Scan(...any) error }) (c Case, err error) {
	var opened, due, until, decided int64
	err = r.Scan(&c.ID, &c.Kind, &c.Item, &c.Hash, &c.Submitter, &c.State, &c.Two, &opened, &due, &c.ClaimedBy, &until,
		&c.Verdict, &c.Reason, &c.Note, &c.DecidedBy, &decided, &c.FirstBy)
	c.Opened, c.Due = store.Time(opened), store.Time(due)
	if until != 0 {
		c.ClaimUntil = store.Time(until)
	}
	if decided != 0 {
		c.Decided = store.Time(decided)
	}
	return c, err
}

// Get returns a case, NotFound when there is none. A claim whose lease has ended shows as open.
func (c *Cases) Get(tx *store.Tx, id ident.Case) (Case, error) {
	k, err := scanCase(tx.Row(`SELECT `+caseColumns+` FROM mod_case WHERE id = ?`, id))
	if fault.Is(err, fault.NotFound) {
		return Case{}, fault.New("moderation.Get", fault.NotFound, "There is no such case.").WithCode("not_found")
	}
	return lapsed(k, tx.Now()), err
}

func lapsed(k Case, now time.Time) Case {
	if k.State == Claimed && !now.Before(k.ClaimUntil) {
		k.State, k.ClaimedBy, k.ClaimUntil = Open, "", time.Time{}
		if k.FirstBy != "" {
			k.State = Second
		}
	}
	return k
}

// Filter chooses cases of a list.
type Filter struct {
	Kinds   []string // none: every kind
	Decided bool     // decided ones, newest first; otherwise those to do, oldest due first
	Offset  int
	Limit   int
}

// List returns the cases that fit and how many there are in all.
func (c *Cases) List(tx *store.Tx, f Filter) ([]Case, int, error) {
	where, order, args := `state NOT IN ('decided','closed')`, `due_at, opened_at, id`, []any{}
	if f.Decided {
		where, order = `state = 'decided'`, `decided_at DESC, id`
	}
	if len(f.Kinds) > 0 {
		where += ` AND kind IN (?` + strings.Repeat(`,?`, len(f.Kinds)-1) + `)`
		for _, k := range f.Kinds {
			args = append(args, k)
		}
	}
	var total int
	if err := tx.Row(`SELECT count(*) FROM mod_case WHERE `+where, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	now := tx.Now()
	list, err := store.All(tx, func(r *store.Rows) (Case, error) { k, err := scanCase(r); return lapsed(k, now), err },
		`SELECT `+caseColumns+` FROM mod_case WHERE `+where+` ORDER BY `+order+` LIMIT ? OFFSET ?`, append(args, f.Limit, f.Offset)...)
	return list, total, err
}

// Counts returns how many cases of each kind are to do.
func (c *Cases) Counts(tx *store.Tx) (map[string]int, error) {
	counts := map[string]int{}
	_, err := store.All(tx, func(r *store.Rows) (n int, err error) {
		var kind string
		err = r.Scan(&kind, &n)
		counts[kind] = n
		return n, err
	}, `SELECT kind, count(*) FROM mod_case WHERE state NOT IN ('decided','closed') GROUP BY kind`)
	return counts, err
}

// History returns what happened to a case, oldest first.
func (c *Cases) History(tx *store.Tx, id ident.Case) ([]Event, error) {
	return store.All(tx, func(r *store.Rows) (e Event, err error) {
		var at int64
		err = r.Scan(&at, &e.What, &e.Who, &e.Reason)
		e.At = store.Time(at)
		return e, err
	}, `SELECT at, what, who, reason FROM mod_case_event WHERE case_id = ? ORDER BY seq`, id)
}

// Claim takes a case for the time of the lease. A claim of one's own on another case of the kind is given back first, and
// claiming again lengthens the lease. Conflict with staff.claimed when somebody else has it.
func (c *Cases) Claim(tx *store.Tx, by ident.Actor, id ident.Case) (Case, error) {
	const op = "moderation.Claim"
	k, err := c.Get(tx, id)
	if err != nil {
		return Case{}, err
	}
	if err := c.allowed(op, by, k); err != nil {
		return Case{}, err
	}
	if k.State == Decided || k.State == Closed || (k.State == Claimed && string(k.ClaimedBy) != by.ID) {
		return Case{}, errTaken(op)
	}
	if k.State == WaitingSubmitter {
		return Case{}, fault.New(op, fault.Conflict, "This case waits for an answer.").WithCode("case.waiting")
	}
	lease, err := c.Lease(tx)
	if err != nil {
		return Case{}, err
	}
	others, err := store.All(tx, func(r *store.Rows) (Case, error) { return scanCase(r) },
		`SELECT `+caseColumns+` FROM mod_case WHERE claimed_by = ? AND kind = ? AND id <> ? AND state = 'claimed'`, by.ID, k.Kind, id)
	if err != nil {
		return Case{}, err
	}
	for _, o := range others {
		if err := c.giveBack(tx, by, o); err != nil {
			return Case{}, err
		}
	}
	again := k.State == Claimed
	k.State, k.ClaimedBy, k.ClaimUntil = Claimed, ident.Staff(by.ID), tx.Now().Add(lease)
	if err := tx.Exec(`UPDATE mod_case SET state = 'claimed', claimed_by = ?, claimed_until = ? WHERE id = ?`, by.ID, store.Ms(k.ClaimUntil), id); err != nil {
		return Case{}, err
	}
	if again {
		return k, nil
	}
	if do := c.kinds[k.Kind].claimed; do != nil {
		if err := do(tx, k, by, true); err != nil {
			return Case{}, err
		}
	}
	return k, c.note(tx, by, id, "case.claim", "")
}

// Release gives a claimed case back. Conflict when the actor has not claimed it.
func (c *Cases) Release(tx *store.Tx, by ident.Actor, id ident.Case) error {
	k, err := c.mine(tx, "moderation.Release", by, id)
	if err != nil {
		return err
	}
	return c.giveBack(tx, by, k)
}

func (c *Cases) giveBack(tx *store.Tx, by ident.Actor, k Case) error {
	if err := tx.Exec(`UPDATE mod_case SET state = CASE WHEN first_by IS NULL THEN 'open' ELSE 'second' END, claimed_by = NULL, claimed_until = NULL
		WHERE id = ? AND state = 'claimed'`, k.ID); err != nil {
		return err
	}
	if do := c.kinds[k.Kind].claimed; do != nil {
		if err := do(tx, k, by, false); err != nil {
			return err
		}
	}
	return c.note(tx, by, k.ID, "case.release", "")
}

// Decide gives a verdict on a claimed case and does what its room registered. Where two people must agree the first
// verdict only waits.
func (c *Cases) Decide(tx *store.Tx, id ident.Case, v Verdict) (Case, error) {
	const op = "moderation.Decide"
	k, err := c.mine(tx, op, v.By, id)
	if err != nil {
		return Case{}, err
	}
	v.Note = strings.TrimSpace(v.Note)
	switch {
	case v.Decision != Approve && v.Decision != Reject && v.Decision != Ask:
		return Case{}, fault.New(op, fault.Invalid, "Choose a verdict.").WithCode("form").WithField("verdict", "unknown")
	case v.Decision != Approve && v.Reason == "":
		return Case{}, fault.New(op, fault.Invalid, "Give a reason.").WithCode("form").WithField("reason", "required")
	case v.Reason == "other" && v.Note == "":
		return Case{}, fault.New(op, fault.Invalid, "Write a note.").WithCode("form").WithField("note", "required")
	case v.Hash != "" && v.Hash != k.Hash:
		return Case{}, fault.New(op, fault.Conflict, "This item has changed. Look at it again.").WithCode("case.changed")
	}
	if k.Two {
		var first, by string
		if err := tx.Row(`SELECT coalesce(first_verdict, ''), coalesce(first_by, '') FROM mod_case WHERE id = ?`, id).Scan(&first, &by); err != nil {
			return Case{}, err
		}
		switch {
		case by == "":
			return c.park(tx, k, v, Second, "case.second")
		case first != v.Decision:
			return c.park(tx, k, v, Escalated, "case.escalate")
		}
	}
	k.State, k.Verdict, k.Reason, k.Note = Decided, v.Decision, v.Reason, v.Note
	k.DecidedBy, k.Decided, k.ClaimedBy, k.ClaimUntil = ident.Staff(v.By.ID), tx.Now(), "", time.Time{}
	if err := tx.Exec(`UPDATE mod_case SET state = 'decided', verdict = ?, reason = ?, note = ?, decided_by = ?, decided_at = ?,
		claimed_by = NULL, claimed_until = NULL WHERE id = ?`, v.Decision, v.Reason, v.Note, v.By.ID, store.Ms(tx.Now()), id); err != nil {
		return Case{}, err
	}
	if err := c.kinds[k.Kind].verdict(tx, k, v); err != nil {
		return Case{}, err
	}
	return k, c.note(tx, v.By, id, "case.verdict", v.Reason)
}

func (c *Cases) park(tx *store.Tx, k Case, v Verdict, state, what string) (Case, error) {
	k.State, k.ClaimedBy, k.ClaimUntil = state, "", time.Time{}
	if err := tx.Exec(`UPDATE mod_case SET state = ?, claimed_by = NULL, claimed_until = NULL, first_by = coalesce(first_by, ?),
		first_verdict = coalesce(first_verdict, ?) WHERE id = ?`, state, v.By.ID, v.Decision, k.ID); err != nil {
		return Case{}, err
	}
	return k, c.note(tx, v.By, k.ID, what, "")
}

// mine loads a case that the actor has claimed.
func (c *Cases) mine(tx *store.Tx, op string, by ident.Actor, id ident.Case) (Case, error) {
	k, err := c.Get(tx, id)
	if err != nil {
		return Case{}, err
	}
	if err := c.allowed(op, by, k); err != nil {
		return Case{}, err
	}
	if k.State == Decided || k.State == Closed || (k.State == Claimed && string(k.ClaimedBy) != by.ID) {
		return Case{}, errTaken(op)
	}
	if k.State != Claimed {
		return Case{}, fault.New(op, fault.Conflict, "Claim this case first.").WithCode("case.notClaimed")
	}
	return k, nil
}

// allowed refuses who may not decide the kind, own items, and the same person twice. A case of another's kind does not exist for them.
func (c *Cases) allowed(op string, by ident.Actor, k Case) error {
	if !by.Is(ident.ByStaff) || !c.May(by, k.Kind) {
		return fault.New(op, fault.NotFound, "There is no such case.").WithCode("not_found")
	}
	if k.Submitter == by.ID || (k.State != Decided && string(k.FirstBy) == by.ID) {
		return fault.New(op, fault.Forbidden, "Somebody else must decide this.").WithCode("case.own")
	}
	return nil
}

func errTaken(op string) error {
	return fault.New(op, fault.Conflict, "Somebody else has this item.").WithCode("staff.claimed")
}
