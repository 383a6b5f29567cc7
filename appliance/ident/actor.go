package ident

// ActorKind says what kind of person or machine acts.
type ActorKind string

// The kinds of actors. System is the appliance itself: a sweep, a timer, a rule.
const (
	ByVisitor  ActorKind = "visitor"
	ByInmate   ActorKind = "inmate"
	ByStaff    ActorKind = "staff"
	BySystem   ActorKind = "system"
	ByGateway  ActorKind = "gateway"
	ByCentral  ActorKind = "central"
	ByOperator ActorKind = "operator" // somebody on the box, through sallyportctl
)

// Actor is whoever does something: every rule is asked with one and every audit row names one.
type Actor struct {
	Kind  ActorKind
	ID    string   // the typed id as text; the OS user for an operator; "" for the system
	Door  string   // visitor, kiosk, staff, setup, link; "" for the system
	Roles []string // of staff only
}

// System is the appliance acting by itself.
func System() Actor { return Actor{Kind: BySystem} }

// Is tells whether the actor is of this kind.
func (a Actor) Is(kind ActorKind) bool { return a.Kind == kind }

// Has tells whether the actor is staff with this role.
func (a Actor) Has(role string) bool {
	for _, r := range a.Roles {
		if r == role {
			return a.Kind == ByStaff
		}
	}
	return false
}
