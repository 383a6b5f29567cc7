package visits

import (
	"slices"

	"sallyport/appliance/ident"
)

// ReasonFor is the reason code that a reader may see. Causes that lie in an inmate's situation read the same for the
// visitor, whatever they are, and what names or hints at other people reads the same for the inmate (rules.md, 7).
func (v Visit) ReasonFor(reader ident.ActorKind) string {
	switch reader {
	case ident.ByVisitor:
		switch {
		case slices.Contains([]string{"inmate_cancelled", "inmate_refused", "blocked", "not_wanted", "not_a_good_time"}, v.Reason):
			return "inmate_unable"
		case slices.Contains(situations(), v.Reason):
			return "situation"
		}
	case ident.ByInmate:
		switch {
		case slices.Contains([]string{"keep_separate", "child_protection", "restriction"}, v.Reason):
			return "ask_staff"
		case slices.Contains([]string{"visitor_banned", "visitor_suspended", "contact_lost", "id_expired"}, v.Reason):
			return "visitor_unable"
		}
	}
	return v.Reason
}

// situations are the codes that tell of an inmate's circumstances.
func situations() []string {
	return []string{
		"released", "deceased", "transferred", "court", "medical", "temporary_absence", "programme", "housing_move",
		"privileges_suspended", "keep_separate", "child_protection", "restriction", "situation", "inmate_not_brought", "inmate_removed",
	}
}
