package record

import (
	"time"

	"google.golang.org/protobuf/proto"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// Type says what a record is. The list is an allow-list: nothing else leaves a site.
type Type string

// The types that a site owns (sync.md, section 3).
const (
	TypeFacility    Type = "facility"
	TypeInmate      Type = "inmate"
	TypeVisitor     Type = "visitor"
	TypeVerdict     Type = "verdict" // its id is the visitor's
	TypeContact     Type = "contact"
	TypeRestriction Type = "restriction"
	TypeVisit       Type = "visit"
	TypeSlot        Type = "slot"
	TypeTemplate    Type = "template"
	TypeEntitlement Type = "entitlement"
	TypeHead        Type = "head"
)

// The types of messages and markers, which have places of their own beside rec/.
const (
	TypeCommand Type = "cmd"  // in a feed's mailbox
	TypeResult  Type = "res"  // outcome of a command, written by its executor
	TypeKey     Type = "_key" // a wrapped data key
)

// Major and Minor are the schema that this program writes; a reader parks what has another Major.
const (
	Major = 1
	Minor = 0
)

// Limits of both sides, checked before anything that they bound is allocated.
const (
	MaxKey       = 128       // bytes of a key path
	MaxSealed    = 32 << 10  // bytes of a sealed body
	MaxEnvelope  = 40 << 10  // bytes of a whole value
	MaxNesting   = 8         // messages within messages
	MaxLocal     = 100       // records of one local transaction
	MaxLocalSize = 1 << 20   // bytes of one local transaction
	MaxBatch     = 126       // records of one push; etcd's 128 operations less the cursor and the canary
	MaxBatchSize = 1 << 20   // bytes of one push
	Central      = "central" // owner of what the centre writes
)

// Key names a record within its site.
type Key struct {
	Type Type
	ID   string
}

// KeyOf makes a key of any typed id.
func KeyOf[I ~string](t Type, id I) Key { return Key{Type: t, ID: string(id)} }

// Record is the new state of one fact, as its room gives it to the outbox.
type Record struct {
	Key
	Body    proto.Message
	By      ident.Actor
	Cmd     ident.Command // the command that caused it, if any
	Custody uint64        // custody epoch of what is bound to an inmate; 0 = 1, never moved
}

// New makes a record of a room's fact: New(record.TypeVisit, v.ID, &record.Visit{...}).
func New[I ~string](t Type, id I, body proto.Message) Record {
	return Record{Key: KeyOf(t, id), Body: body}
}

// ByActor says who caused this version; it travels sealed.
func (r Record) ByActor(by ident.Actor) Record { r.By = by; return r }

// For says which command caused this version.
func (r Record) For(cmd ident.Command) Record { r.Cmd = cmd; return r }

// Copy is an opened record of another owner, as the room that owns its type sees it.
type Copy struct {
	Key
	Owner      string
	Epoch, Ver uint64
	Deleted    bool
	Body       proto.Message // nil when deleted
}

// Command is an opened order of the centre, as its handler sees it.
type Command struct {
	ID      ident.Command
	Kind    string // CmdVisitCancel
	Subject string // typed id of what it is about
	BaseVer uint64
	Body    []byte // the message of its kind
	Expires time.Time
	Issuer  string
}

// The kinds of commands (sync.md, section 11).
const CmdVisitCancel = "visit.cancel" // body VisitCancel; outcomes Cancelled, TooLate, Gone

// Result is the outcome of a command.
type Result struct {
	Outcome string
	Reason  string // code, when refused
}

// The outcomes of commands.
const (
	Done      = "done"
	Cancelled = "cancelled"
	TooLate   = "too_late"
	Gone      = "gone"
	Refused   = "refused"
	Expired   = "expired"
)

// Travels tells whether a visit of this class may leave the site: social ones do, official and privileged ones never.
func Travels(class string) bool { return class == "social" || class == "onsite" }

// Custodial tells whether the type is bound to an inmate and so carries the custody epoch.
func (t Type) Custodial() bool {
	switch t {
	case TypeInmate, TypeRestriction, TypeContact, TypeEntitlement:
		return true
	}
	return false
}

// Known tells whether the type is on the allow-list of what a site writes below rec/.
func (t Type) Known() bool { return blank(t) != nil }

// blank returns an empty body of a type, nil for one that is not allowed to travel.
func blank(t Type) proto.Message {
	switch t {
	case TypeFacility:
		return &Facility{}
	case TypeInmate:
		return &Inmate{}
	case TypeVisitor:
		return &Visitor{}
	case TypeVerdict:
		return &Verdict{}
	case TypeContact:
		return &Contact{}
	case TypeRestriction:
		return &Restriction{}
	case TypeVisit:
		return &Visit{}
	case TypeSlot:
		return &Slot{}
	case TypeTemplate:
		return &Template{}
	case TypeEntitlement:
		return &Entitlement{}
	case TypeHead:
		return &Head{}
	case TypeCommand:
		return &CommandBody{}
	case TypeResult:
		return &ResultBody{}
	}
	return nil
}

// Check refuses with Invalid what may not leave the site: a type that is not on the list, a body of another type, a
// privileged visit or contact, an id that is none.
func (r Record) Check() error {
	want := blank(r.Type)
	if want == nil {
		return invalid("record.Check", "A record of this type does not replicate.")
	}
	if r.Body == nil || r.Body.ProtoReflect().Descriptor() != want.ProtoReflect().Descriptor() {
		return invalid("record.Check", "The record's body is not of its type.")
	}
	if !plainID(r.ID) {
		return invalid("record.Check", "The record's id is not one.")
	}
	switch b := r.Body.(type) {
	case *Visit:
		if !Travels(b.GetClass()) {
			return invalid("record.Check", "A visit of this class never leaves the site.")
		}
	case *Contact:
		if b.GetPrivilege() != "" {
			return invalid("record.Check", "A privileged contact never leaves the site.")
		}
	}
	return nil
}

// Body reads the body of a type out of an opened record. It returns Invalid when it is not one.
func Body(t Type, raw []byte) (proto.Message, error) {
	m := blank(t)
	if m == nil {
		return nil, invalid("record.Body", "A record of this type does not replicate.")
	}
	if err := decode(raw, m); err != nil {
		return nil, err
	}
	return m, nil
}

func invalid(op, msg string) *fault.Error { return fault.New(op, fault.Invalid, msg) }
