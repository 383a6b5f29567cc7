package policy

import "sallyport/appliance/ident"

// ScopeKind says how narrow a row is.
type ScopeKind string

// The kinds of scope, from wide to narrow.
const (
	ForFacility ScopeKind = "facility"
	ForUnit     ScopeKind = "unit"
	ForLevel    ScopeKind = "level" // custody or privilege level
	ForClass    ScopeKind = "class"
	ForInmate   ScopeKind = "inmate"
	ForPair     ScopeKind = "pair"
)

// Scope is what is asked about. What is empty is matched by no narrower row; the zero Scope is the facility at large.
type Scope struct {
	Unit    ident.Unit
	Level   string
	Class   string // social, onsite, in_person, official, privileged
	Inmate  ident.Inmate
	Visitor ident.Visitor // with Inmate: the pair
}

// Pair is the key of a row for one visitor with one inmate.
func Pair(inmate ident.Inmate, visitor ident.Visitor) string {
	return string(inmate) + "+" + string(visitor)
}

// covers tells whether a row of this kind and key speaks about the scope.
func (s Scope) covers(kind ScopeKind, key string) bool {
	switch kind {
	case ForFacility:
		return true
	case ForUnit:
		return string(s.Unit) == key
	case ForLevel:
		return s.Level == key
	case ForClass:
		return s.Class == key
	case ForInmate:
		return string(s.Inmate) == key
	case ForPair:
		return s.Inmate != "" && s.Visitor != "" && Pair(s.Inmate, s.Visitor) == key
	}
	return false
}
