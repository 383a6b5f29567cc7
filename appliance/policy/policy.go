// Package policy owns the rule table: what a facility may want otherwise, as typed, dated, scoped and audited rows.
//
// It knows the facility and no people: who asks is an [ident.Actor], what for is a [Scope] of ids. A rule is a typed
// name ([BookingWindowMaxDays]); its type, range and the two presets stand in table.tsv. [Policy.At] returns the
// [Rules] in force for a scope, the narrowest row first; [Policy.Set] adds a value from a moment on. Rows are never
// changed, so the policy of a past moment, and of the version that a visit was confirmed under, can always be told.
package policy

import (
	"embed"
	"fmt"
	"sync/atomic"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Schema holds the room's migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// The presets.
const (
	CountyJail = "county-jail"
	Prison     = "prison"
)

// Policy reads and changes the rules. It may be shared: the only thing it keeps is a parsed copy of the rows, keyed by
// the stamp that each transaction reads for itself.
type Policy struct {
	table      *table
	facilities *facility.Facilities
	last       atomic.Pointer[snapshot]
}

// New returns the room. It panics when the built-in table does not parse, which a test rules out.
func New() *Policy {
	t, err := parseTable(tableText)
	if err != nil {
		panic("policy: " + err.Error())
	}
	return &Policy{table: t, facilities: facility.New()}
}

// snapshot is the parsed rows of one stamp. It is never changed.
type snapshot struct {
	stamp   string
	version int64
	rules   map[string][]span // narrowest first
}

// span is one parsed row.
type span struct {
	kind         ScopeKind
	key          string
	starts, ends time.Time // ends is zero until further notice
	value        any
}

// At returns the rules in force for the scope at the transaction's time. Unavailable before a preset was loaded:
// without rules nothing is allowed.
func (p *Policy) At(tx *store.Tx, s Scope) (Rules, error) {
	return p.AtTime(tx, s, tx.Now())
}

// AtTime is At for another moment: the day of a visit, or a moment in the past.
func (p *Policy) AtTime(tx *store.Tx, s Scope, at time.Time) (Rules, error) {
	var version int64
	var stamp string
	err := tx.Row(`SELECT version, stamp FROM policy_head WHERE one = 1`).Scan(&version, &stamp)
	if fault.Is(err, fault.NotFound) {
		return Rules{}, fault.New("policy.At", fault.Unavailable, "The facility has no rules yet. Finish the set-up first.").WithCode("policy.not_loaded")
	}
	if err != nil {
		return Rules{}, fmt.Errorf("read the policy's head: %w", err)
	}
	snap := p.last.Load()
	if snap == nil || snap.stamp != stamp {
		if snap, err = p.parse(tx, version, stamp); err != nil {
			return Rules{}, err
		}
		p.last.Store(snap)
	}
	return Rules{snap: snap, scope: s, at: at}, nil
}

// Preset returns a preset's own rules, facility wide. Before set-up they are what the first administrator signs in under.
func (p *Policy) Preset(name string) (Rules, error) {
	snap := &snapshot{rules: make(map[string][]span, len(p.table.rows))}
	for _, row := range p.table.rows {
		v, err := row.parse(row.Preset(name))
		if err != nil {
			return Rules{}, fmt.Errorf("preset %s of rule %s: %w", name, row.Rule, err)
		}
		snap.rules[row.Rule] = []span{{kind: ForFacility, value: v}}
	}
	return Rules{snap: snap}, nil
}

// parse reads all rows. A value that does not parse is a database that somebody else wrote: Internal.
func (p *Policy) parse(tx *store.Tx, version int64, stamp string) (*snapshot, error) {
	snap := &snapshot{stamp: stamp, version: version, rules: make(map[string][]span, len(p.table.rows))}
	rows, err := store.All(tx, scanStored, storedQuery+` ORDER BY rule,
		CASE scope WHEN 'pair' THEN 0 WHEN 'inmate' THEN 1 WHEN 'class' THEN 2 WHEN 'level' THEN 3 WHEN 'unit' THEN 4 ELSE 5 END, starts DESC`)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	for _, r := range rows {
		row, ok := p.table.find(r.Rule)
		if !ok {
			continue // a rule that a newer program had, and this one does not know
		}
		v, err := row.parse(r.Value)
		if err != nil {
			return nil, fault.New("policy.At", fault.Internal, "The rules cannot be read.").Because(fmt.Errorf("%s: %w", r.Rule, err))
		}
		snap.rules[r.Rule] = append(snap.rules[r.Rule], span{kind: r.Scope, key: r.Key, starts: r.From, ends: r.To, value: v})
	}
	f, err := p.facilities.Get(tx)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err == nil {
		snap.rules[string(FacilityTimezone)] = []span{{kind: ForFacility, value: f.Zone}}
		snap.rules[string(FacilityCurrency)] = []span{{kind: ForFacility, value: f.Currency}}
		snap.rules[string(FacilitySupport)] = []span{{kind: ForFacility, value: f.Support.Phone}}
	}
	return snap, nil
}

// Loaded returns the preset that was loaded; NotFound before.
func (p *Policy) Loaded(tx *store.Tx) (preset string, err error) {
	if err := tx.Row(`SELECT preset FROM policy_head WHERE one = 1`).Scan(&preset); err != nil {
		return "", fmt.Errorf("read the policy's preset: %w", err)
	}
	return preset, nil
}

// Load writes a preset's rows facility wide, once. Invalid for an unknown preset; Conflict when rules are loaded
// already, because a preset is a beginning and would silently undo what administrators decided since.
func (p *Policy) Load(tx *store.Tx, preset string, by ident.Actor) error {
	if preset != CountyJail && preset != Prison {
		return fault.New("policy.Load", fault.Invalid, "There is no such preset. Choose county-jail or prison.").WithField("preset", "unknown")
	}
	n, err := tx.ExecN(`INSERT INTO policy_head (one, preset, version, stamp) VALUES (1, ?, 1, hex(randomblob(16))) ON CONFLICT DO NOTHING`, preset)
	if err != nil {
		return fmt.Errorf("write the policy's head: %w", err)
	}
	if n == 0 {
		return fault.New("policy.Load", fault.Conflict, "The facility has its rules already. Change single rules instead.").WithCode("policy.loaded")
	}
	now := store.Ms(tx.Now())
	for _, r := range p.table.rows {
		err := tx.Exec(`INSERT INTO policy_rules (rule, value, scope, scope_key, starts, author, reason, version) VALUES (?, ?, 'facility', '', ?, ?, 'preset', 1)`,
			r.Rule, r.Preset(preset), now, actorText(by))
		if err != nil {
			return fmt.Errorf("load rule %s: %w", r.Rule, err)
		}
	}
	return audit.Record(tx, by, "policy.load", preset, audit.Policy("1"))
}

func actorText(a ident.Actor) string {
	if a.ID == "" {
		return string(a.Kind)
	}
	return a.ID
}
