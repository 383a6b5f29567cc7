package policy

import (
	"slices"
	"time"
)

// Rules are the values in force for one scope at one moment. They are read through the rules' names:
//
//	days := policy.BookingWindowMaxDays.Of(rules)
//
// The zero Rules answer every question with the zero value: no, none, nothing.
type Rules struct {
	snap  *snapshot
	scope Scope
	at    time.Time
}

// Version is the policy version that these rules come from; a visit keeps the one of its confirmation.
func (r Rules) Version() int64 {
	if r.snap == nil {
		return 0
	}
	return r.snap.version
}

// value finds the narrowest value in force; rows are kept narrowest first.
func value[T any](r Rules, rule string) (v T) {
	if r.snap == nil {
		return v
	}
	for _, s := range r.snap.rules[rule] {
		if !r.scope.covers(s.kind, s.key) || r.at.Before(s.starts) || (!s.ends.IsZero() && !r.at.Before(s.ends)) {
			continue
		}
		v, _ = s.value.(T)
		return v
	}
	return v
}

// The types of rules. A rule's name is a constant of one of them.
type (
	Bool      string
	Int       string
	Duration  string
	Money     string // minor units of the facility's currency
	Decimal   string
	Enum      string
	Set       string
	Ints      string
	Durations string
	Map       string
	Hours     string
	Zone      string
	Text      string
)

// Of returns the value in force.
func (n Bool) Of(r Rules) bool { return value[bool](r, string(n)) }

// Of returns the value in force.
func (n Int) Of(r Rules) int { return value[int](r, string(n)) }

// Of returns the value in force.
func (n Duration) Of(r Rules) time.Duration { return value[time.Duration](r, string(n)) }

// Of returns the value in force, in minor units.
func (n Money) Of(r Rules) int64 { return value[int64](r, string(n)) }

// Of returns the value in force.
func (n Decimal) Of(r Rules) float64 { return value[float64](r, string(n)) }

// Of returns the value in force.
func (n Enum) Of(r Rules) string { return value[string](r, string(n)) }

// Of returns the members in force, in the table's order. The caller must not change them.
func (n Set) Of(r Rules) []string { return value[[]string](r, string(n)) }

// Has tells whether the set in force has the member.
func (n Set) Has(r Rules, member string) bool { return slices.Contains(n.Of(r), member) }

// Of returns the list in force. The caller must not change it.
func (n Ints) Of(r Rules) []int { return value[[]int](r, string(n)) }

// Of returns the list in force. The caller must not change it.
func (n Durations) Of(r Rules) []time.Duration { return value[[]time.Duration](r, string(n)) }

// Of returns the map in force. The caller must not change it.
func (n Map) Of(r Rules) map[string]string { return value[map[string]string](r, string(n)) }

// Of returns the span in force.
func (n Hours) Of(r Rules) Span { return value[Span](r, string(n)) }

// Of returns the zone in force, "" before set-up.
func (n Zone) Of(r Rules) string { return value[string](r, string(n)) }

// Of returns the text in force; "" means the words that come with the product.
func (n Text) Of(r Rules) string { return value[string](r, string(n)) }

// Span is a part of every day, in minutes after midnight; it may run over midnight.
type Span struct{ From, To int }

// Covers tells whether the minute of the day lies inside.
func (s Span) Covers(minute int) bool {
	if s.From <= s.To {
		return s.From <= minute && minute < s.To
	}
	return minute >= s.From || minute < s.To
}
