package people

import (
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// AddVisitor writes a new account, pending. A phone number or address that is in use is a Conflict with the code
// visitor.used; the asker must not be told (access answers the same page and the owner gets a mail).
func (p *People) AddVisitor(tx *store.Tx, by ident.Actor, v Visitor) (Visitor, error) {
	const op = "people.AddVisitor"
	if err := checkNames(op, v.First, v.Last, v.Born, tx.Now()); err != nil {
		return Visitor{}, err
	}
	rules, err := p.Policy.At(tx, policy.Scope{})
	if err != nil {
		return Visitor{}, err
	}
	if Age(v.Born, p.today(tx)) < policy.AccountMinAge.Of(rules) {
		return Visitor{}, fault.New(op, fault.Invalid, "You are too young for an account.").WithCode("form").
			WithField("date_of_birth", "adult").WithParam("age", policy.AccountMinAge.Of(rules))
	}
	if _, err := time.LoadLocation(v.Zone); err != nil || v.Zone == "" || v.Zone == "Local" {
		v.Zone = "UTC"
		if f, err := p.Facility.Get(tx); err == nil {
			v.Zone = f.Zone
		}
	}
	v.ID, v.State, v.Identity, v.Version = ident.New[ident.Visitor](), Pending, IdentityNone, 1
	v.First, v.Last = clean(v.First), clean(v.Last)
	err = tx.Exec(`INSERT INTO visitor (id, first, last, folded, born, phone, email, email_key, zone, language, state, created_at, changed_at)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`, v.ID, v.First, v.Last, fold(v.Name()), v.Born, v.Phone, v.Email, emailKey(v.Email), v.Zone,
		v.Language, v.State, store.Ms(tx.Now()), store.Ms(tx.Now()))
	if fault.Is(err, fault.Conflict) {
		return Visitor{}, fault.New(op, fault.Conflict, "There is an account with this number or address already.").WithCode("visitor.used").Because(err)
	}
	if err != nil {
		return Visitor{}, err
	}
	return v, audit.Record(tx, by, "visitor.register", string(v.ID))
}

// visitorMoves is the table of rules.md 3.1 as far as accounts move without wallet and merge.
var visitorMoves = []move{
	{"visitor.activate", []string{Pending}, []string{Active}},
	{"visitor.expire", []string{Pending}, []string{Expired}},
	{"visitor.resend", []string{Expired}, []string{Pending}},
	{"visitor.suspend", []string{Active}, []string{Suspended}},
	{"visitor.restore", []string{Suspended}, []string{Active}},
	{"visitor.ban", []string{Active, Suspended}, []string{Banned}},
	{"visitor.unban", []string{Banned}, []string{Active}},
	{"visitor.close", []string{Active, Suspended, Banned}, []string{Closed}},
}

// MoveVisitor takes one move of the account's table. until is the end of a suspension or ban, zero for none.
func (p *People) MoveVisitor(tx *store.Tx, by ident.Actor, event string, id ident.Visitor, reason string, until time.Time) (Visitor, error) {
	const op = "people.MoveVisitor"
	v, err := p.Visitor(tx, id)
	if err != nil {
		return Visitor{}, err
	}
	to := ""
	for _, m := range visitorMoves {
		for _, from := range m.from {
			if m.event == event && from == v.State {
				to = m.to[0]
			}
		}
	}
	if to == "" {
		return Visitor{}, fault.New(op, fault.Conflict, "This cannot be done with this account now.").WithCode("account")
	}
	n, err := tx.ExecN(`UPDATE visitor SET state = ?, state_reason = ?, state_until = ?, version = version + 1, changed_at = ? WHERE id = ? AND state = ?`,
		to, reason, orNull(until), store.Ms(tx.Now()), id, v.State)
	if err != nil {
		return Visitor{}, err
	}
	if n == 0 {
		return Visitor{}, fault.New(op, fault.Conflict, "Somebody else was faster. Load the page again.").WithCode("account")
	}
	v.State, v.StateUntil, v.Version = to, until, v.Version+1
	if err := audit.Record(tx, by, event, string(id), audit.Reason(reason)); err != nil {
		return Visitor{}, err
	}
	if err := p.visitorChanged(tx, v); err != nil {
		return Visitor{}, err
	}
	if to == Suspended || to == Banned || to == Closed {
		why := map[string]string{Suspended: "visitor_suspended", Banned: "visitor_banned", Closed: "visitor_cancelled"}[to]
		return v, p.happened(tx, by, Event{Kind: "visitor_lost", Visitor: id, Reason: why})
	}
	return v, nil
}

// SetProfile changes what a visitor may change alone: language and time zone.
func (p *People) SetProfile(tx *store.Tx, by ident.Actor, id ident.Visitor, language, zone string) (Visitor, error) {
	const op = "people.SetProfile"
	v, err := p.Visitor(tx, id)
	if err != nil {
		return Visitor{}, err
	}
	rules, err := p.Policy.At(tx, policy.Scope{})
	if err != nil {
		return Visitor{}, err
	}
	f := fault.New(op, fault.Invalid, "Check the language and the time zone.").WithCode("form")
	if _, err := time.LoadLocation(zone); err != nil || zone == "" || zone == "Local" {
		f.WithField("zone", "unknown")
	}
	if !contains(policy.LanguageOffered.Of(rules), language) {
		f.WithField("language", "unknown")
	}
	if len(f.Fields) > 0 {
		return Visitor{}, f
	}
	v.Language, v.Zone, v.Version = language, zone, v.Version+1
	if err := tx.Exec(`UPDATE visitor SET language = ?, zone = ?, version = version + 1, changed_at = ? WHERE id = ?`,
		language, zone, store.Ms(tx.Now()), id); err != nil {
		return Visitor{}, err
	}
	if err := audit.Record(tx, by, "visitor.profile", string(id)); err != nil {
		return Visitor{}, err
	}
	return v, p.visitorChanged(tx, v)
}

// SetInmateLanguage changes the language in which an inmate reads the kiosk.
func (p *People) SetInmateLanguage(tx *store.Tx, by ident.Actor, id ident.Inmate, language string) error {
	rules, err := p.Policy.At(tx, policy.Scope{})
	if err != nil {
		return err
	}
	if !contains(policy.LanguageOffered.Of(rules), language) {
		return fault.New("people.SetInmateLanguage", fault.Invalid, "Choose one of the languages.").WithCode("form").WithField("language", "unknown")
	}
	n, err := tx.ExecN(`UPDATE inmate SET language = ?, version = version + 1, changed_at = ? WHERE id = ?`, language, store.Ms(tx.Now()), id)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New("people.SetInmateLanguage", fault.NotFound, "There is no such inmate.").WithCode("not_found")
	}
	return audit.Record(tx, by, "inmate.language", string(id))
}

// visitorChanged tells open screens and the central site.
func (p *People) visitorChanged(tx *store.Tx, v Visitor) error {
	if err := outbox.Tell(tx, outbox.ToVisitor(v.ID), "account", string(v.ID)); err != nil {
		return err
	}
	if err := outbox.Tell(tx, outbox.ToStaff(), "visitor", string(v.ID)); err != nil {
		return err
	}
	if v.State == Pending || v.State == Expired {
		return nil // an account that nobody has shown to be theirs does not travel
	}
	return p.replicate(tx, v)
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
