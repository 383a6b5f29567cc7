package policy

import (
	"fmt"
	"strconv"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Change is a new value of one rule.
type Change struct {
	Rule     string
	Value    string // as in the table: "48h", "true", "a,b"
	Scope    ScopeKind
	Key      string      // of the scope; "" for the facility. A pair's key is made by [Pair]
	From     time.Time   // zero: now
	To       time.Time   // zero: until further notice; else the value before comes back
	Approver ident.Actor // the second person, where the rule needs one
	Reason   string
}

// Stored is a row as it stands in the database.
type Stored struct {
	ID               int64
	Rule, Value      string
	Scope            ScopeKind
	Key              string
	From, To         time.Time // To is zero until further notice
	Author, Approver string
	Reason           string
	Version          int64
}

const storedQuery = `SELECT id, rule, value, scope, scope_key, starts, coalesce(ends, 0), author, approver, reason, version FROM policy_rules`

func scanStored(r *store.Rows) (s Stored, err error) {
	var starts, ends int64
	err = r.Scan(&s.ID, &s.Rule, &s.Value, &s.Scope, &s.Key, &starts, &ends, &s.Author, &s.Approver, &s.Reason, &s.Version)
	s.From = store.Time(starts)
	if ends != 0 {
		s.To = store.Time(ends)
	}
	return s, err
}

// History returns every row that a rule ever had, the newest first.
func (p *Policy) History(tx *store.Tx, rule string) ([]Stored, error) {
	return store.All(tx, scanStored, storedQuery+` WHERE rule = ? ORDER BY starts DESC, id DESC`, rule)
}

// Set gives a rule a value in a scope from a moment on and returns the new policy version. It returns Invalid for an
// unknown rule, a value of the wrong type or out of range, a scope that does not fit or a beginning in the past;
// Forbidden when the rule needs a second person and there is none; Conflict when the scope already has another value
// planned for that time.
func (p *Policy) Set(tx *store.Tx, by ident.Actor, c Change) (int64, error) {
	row, err := p.validate(tx, &c)
	if err != nil {
		return 0, err
	}
	before, found, err := p.current(tx, c)
	if err != nil {
		return 0, err
	}
	if err := p.second(tx, by, row, c, before.Value); err != nil {
		return 0, err
	}
	var version int64
	if err := tx.Row(`UPDATE policy_head SET version = version + 1, stamp = hex(randomblob(16)) WHERE one = 1 RETURNING version`).Scan(&version); err != nil {
		return 0, fmt.Errorf("step the policy's version: %w", err)
	}
	if found {
		if err := tx.Exec(`UPDATE policy_rules SET ends = ? WHERE id = ?`, store.Ms(c.From), before.ID); err != nil {
			return 0, fmt.Errorf("end the value before: %w", err)
		}
	}
	if err := p.insert(tx, by, c, version); err != nil {
		return 0, err
	}
	if found && !c.To.IsZero() && (before.To.IsZero() || c.To.Before(before.To)) {
		back := c
		back.Value, back.From, back.To, back.Reason = before.Value, c.To, before.To, "value before comes back"
		if err := p.insert(tx, by, back, version); err != nil {
			return 0, err
		}
	}
	return version, audit.Record(tx, by, "policy.set", c.Rule, audit.Before(before), audit.After(c), audit.Policy(strconv.FormatInt(version, 10)))
}

// validate checks the change by itself and fills in what was left out.
func (p *Policy) validate(tx *store.Tx, c *Change) (Row, error) {
	row, ok := p.table.find(c.Rule)
	if !ok {
		return Row{}, fault.New("policy.Set", fault.Invalid, "There is no such rule.").WithField("rule", "unknown")
	}
	switch c.Rule {
	case string(FacilityTimezone), string(FacilityCurrency), string(FacilitySupport):
		return Row{}, fault.New("policy.Set", fault.Invalid, "Change this in the facility's own settings.").WithField("rule", "facility")
	}
	if _, err := row.parse(c.Value); err != nil {
		return Row{}, fault.New("policy.Set", fault.Invalid, "The value does not fit this rule.").WithField("value", "range").WithParam("range", row.Range).Because(err)
	}
	if c.Scope == "" {
		c.Scope = ForFacility
	}
	if !c.Scope.known() || (c.Scope == ForFacility) != (c.Key == "") {
		return Row{}, fault.New("policy.Set", fault.Invalid, "Name what the rule is for.").WithField("scope", "does_not_fit")
	}
	if c.From.IsZero() {
		c.From = tx.Now()
	}
	if c.From.Before(tx.Now()) {
		return Row{}, fault.New("policy.Set", fault.Invalid, "A rule cannot be changed for the past.").WithField("from", "past")
	}
	if !c.To.IsZero() && !c.To.After(c.From) {
		return Row{}, fault.New("policy.Set", fault.Invalid, "The end must be after the beginning.").WithField("to", "order")
	}
	if c.Rule == string(EntitlementMode) && c.Value == "free_then_paid" || c.Rule == string(WalletEnabled) && c.Value == "false" {
		return row, p.paid(tx, *c)
	}
	return row, nil
}

// paid refuses "free, then paid" where nobody can pay.
func (p *Policy) paid(tx *store.Tx, c Change) error {
	rules, err := p.AtTime(tx, Scope{}, c.From)
	if err != nil {
		return err
	}
	if c.Rule == string(EntitlementMode) && !WalletEnabled.Of(rules) || c.Rule == string(WalletEnabled) && EntitlementMode.Of(rules) == "free_then_paid" {
		return fault.New("policy.Set", fault.Invalid, "Free, then paid needs the wallet.").WithField("value", "needs_wallet")
	}
	return nil
}

// second asks for a second person where the rule needs one: somebody else, with authority.
func (p *Policy) second(tx *store.Tx, by ident.Actor, row Row, c Change, before string) error {
	switch row.Second {
	case SecondNever:
		return nil
	case SecondShorter:
		was, err1 := parseDuration(before)
		is, err2 := parseDuration(c.Value)
		if err1 == nil && err2 == nil && is >= was {
			return nil
		}
	}
	a := c.Approver
	if !a.Has("administrator") && !a.Has("governor") || a.ID == "" || a.ID == by.ID {
		return fault.New("policy.Set", fault.Forbidden, "A second administrator must approve a change of this rule.").WithCode("policy.second_person")
	}
	return nil
}

// current finds the row of the change's own scope that is in force when it begins.
func (p *Policy) current(tx *store.Tx, c Change) (Stored, bool, error) {
	from := store.Ms(c.From)
	rows, err := store.All(tx, scanStored, storedQuery+` WHERE rule = ? AND scope = ? AND scope_key = ? AND starts <= ? AND (ends IS NULL OR ends > ?)`,
		c.Rule, string(c.Scope), c.Key, from, from)
	if err != nil || len(rows) == 0 {
		return Stored{}, false, err
	}
	return rows[0], true, nil
}

func (p *Policy) insert(tx *store.Tx, by ident.Actor, c Change, version int64) error {
	var ends any
	if !c.To.IsZero() {
		ends = store.Ms(c.To)
	}
	var clash int
	if err := tx.Row(`SELECT count(*) FROM policy_rules WHERE rule = ? AND scope = ? AND scope_key = ? AND starts < coalesce(?, 9223372036854775807)
		AND ? < coalesce(ends, 9223372036854775807)`, c.Rule, string(c.Scope), c.Key, ends, store.Ms(c.From)).Scan(&clash); err != nil {
		return fmt.Errorf("look for other values: %w", err)
	}
	if clash > 0 {
		return fault.New("policy.Set", fault.Conflict, "Another value is planned for this time. End it first.").WithCode("policy.overlap")
	}
	approver := ""
	if c.Approver.ID != "" {
		approver = c.Approver.ID
	}
	err := tx.Exec(`INSERT INTO policy_rules (rule, value, scope, scope_key, starts, ends, author, approver, reason, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Rule, c.Value, string(c.Scope), c.Key, store.Ms(c.From), ends, actorText(by), approver, c.Reason, version)
	if err != nil {
		return fmt.Errorf("write rule %s: %w", c.Rule, err)
	}
	return nil
}

func (k ScopeKind) known() bool {
	switch k {
	case ForFacility, ForUnit, ForLevel, ForClass, ForInmate, ForPair:
		return true
	}
	return false
}
