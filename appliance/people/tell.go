package people

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/proto"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

func (p *People) tellVisitor(tx *store.Tx, v ident.Visitor, template, subject string, params map[string]any) error {
	return outbox.Notify(tx, outbox.Notice{Template: template, To: string(v), Subject: subject, Params: params})
}

func (p *People) tellInmate(tx *store.Tx, i ident.Inmate, template, subject string, params map[string]any) error {
	return outbox.Notify(tx, outbox.Notice{Template: template, To: string(i), Subject: subject, Params: params})
}

func (p *People) tellBoth(tx *store.Tx, c Contact, template string) error {
	inmate, err := p.Inmate(tx, c.Inmate)
	if err != nil {
		return err
	}
	visitor, err := p.Visitor(tx, c.Visitor)
	if err != nil {
		return err
	}
	if err := p.tellVisitor(tx, c.Visitor, template, string(c.ID), map[string]any{"name": inmate.First}); err != nil {
		return err
	}
	return p.tellInmate(tx, c.Inmate, template, string(c.ID), map[string]any{"name": visitor.Name()})
}

// today is the facility's date; before the facility is set up it is the date in UTC.
func (p *People) today(tx *store.Tx) string {
	zone := time.UTC
	if f, err := p.Facility.Get(tx); err == nil {
		if loc, err := time.LoadLocation(f.Zone); err == nil {
			zone = loc
		}
	}
	return tx.Now().In(zone).Format(time.DateOnly)
}

func (p *People) openCase(tx *store.Tx, item CaseItem) error {
	if p.OpenCase == nil {
		return fault.New("people.openCase", fault.Internal, "Nobody opens cases.")
	}
	_, err := p.OpenCase(tx, item)
	return err
}

// hashOf names exactly what a verdict is about.
func hashOf(parts ...string) string {
	h := sha256.New()
	for _, s := range parts {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// replicate writes the version that the central site is to hold beside the fact. A contact with a privilege never leaves
// the site.
func (p *People) replicate(tx *store.Tx, what any) error {
	if p.Put == nil {
		return nil
	}
	switch n := what.(type) {
	case Inmate:
		return p.Put(tx, record.New(record.TypeInmate, n.ID, n.body()))
	case Visitor:
		if err := p.Put(tx, record.New(record.TypeVisitor, n.ID, n.body())); err != nil || n.Identity == IdentityNone {
			return err
		}
		return p.Put(tx, record.New(record.TypeVerdict, n.ID, &record.Verdict{
			Visitor: string(n.ID), Identity: n.Identity, Standing: n.State, Reason: n.IdentityWhy,
			DecidedMs: store.Ms(tx.Now()), UntilMs: msOrZero(n.IdentityUntil),
		}))
	case Contact:
		if n.Privilege != "none" {
			return nil
		}
		return p.Put(tx, record.New(record.TypeContact, n.ID, &record.Contact{
			Visitor: string(n.Visitor), Inmate: string(n.Inmate), Relationship: n.Relationship, State: n.State, Met: n.Met,
		}))
	case Restriction:
		return p.Put(tx, record.New(record.TypeRestriction, n.ID, &record.Restriction{
			Kind: n.Code, Inmate: string(n.Inmate), Visitor: string(n.Visitor), Starts: n.Starts, Ends: n.Ends, State: "in_force",
		}))
	}
	return fault.Newf("people.replicate", fault.Internal, "%T does not travel", what)
}

func (p *People) unreplicate(tx *store.Tx, t record.Type, id string) error {
	if p.Drop == nil {
		return nil
	}
	return p.Drop(tx, record.Key{Type: t, ID: id})
}

func (i Inmate) body() proto.Message {
	return &record.Inmate{
		Number: i.Number, Booking: i.Booking, First: i.First, Last: i.Last, Born: i.Born, Language: i.Language,
		Level: i.Level, Category: i.Category, Legal: i.Legal, Unit: string(i.Unit), State: i.State,
	}
}

func (v Visitor) body() proto.Message {
	return &record.Visitor{
		First: v.First, Last: v.Last, Born: v.Born, Phone: v.Phone, Email: v.Email, Zone: v.Zone, Language: v.Language,
		State: v.State, Identity: v.Identity, IdentityUntilMs: msOrZero(v.IdentityUntil),
	}
}

func msOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return store.Ms(t)
}
