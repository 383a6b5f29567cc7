package people

import (
	"slices"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// Lookup is what a visitor knows of the person to be added.
type Lookup struct {
	First, Last  string
	Number       string
	Born         string
	Relationship string
}

// errCannotAdd is the one answer to every miss: a wrong name, number or date, somebody released, a no-contact, a limit of
// the inmate's list. Whoever asks must not learn which.
func errCannotAdd() error {
	return fault.New("people.RequestContact", fault.NotFound,
		"You cannot add this person yet. Check the name and number. If they are right, ask them to add you to their list.").
		WithCode("contact.cannotAdd")
}

// RequestContact asks for a contact on behalf of a visitor. Every reason to refuse that lies with the inmate gives the same
// answer; limits of the visitor's own are told.
func (p *People) RequestContact(tx *store.Tx, by ident.Actor, v ident.Visitor, l Lookup) (Contact, error) {
	const op = "people.RequestContact"
	asker, err := p.Visitor(tx, v)
	if err != nil {
		return Contact{}, err
	}
	if asker.State != Active {
		return Contact{}, fault.New(op, fault.Forbidden, "Turn on your account first.").WithCode("account")
	}
	relationship := clean(l.Relationship)
	if relationship == "" || len([]rune(relationship)) > nameMax {
		return Contact{}, fault.New(op, fault.Invalid, "Say who this person is to you.").WithCode("form").WithField("relationship", "required")
	}
	rules, err := p.Policy.At(tx, policy.Scope{})
	if err != nil {
		return Contact{}, err
	}
	var open, have int
	if err := tx.Row(`SELECT count(*) FILTER (WHERE state IN ('requested','awaiting_inmate','awaiting_visitor','awaiting_facility')),
		count(*) FILTER (WHERE state IN ('approved','suspended','awaiting_inmate','awaiting_visitor','awaiting_facility'))
		FROM contact WHERE visitor = ?`, v).Scan(&open, &have); err != nil {
		return Contact{}, err
	}
	if open >= policy.LimitOpenContactRequests.Of(rules) || have >= policy.LimitInmatesPerVisitor.Of(rules) {
		return Contact{}, fault.New(op, fault.Full, "You have asked to add too many people. Wait for an answer first.").WithCode("contact.limit")
	}
	if policy.IDRequiredBefore.Of(rules) == "contact" && asker.Identity != IdentityVerified {
		return Contact{}, fault.New(op, fault.Forbidden, "Send your ID first.").WithCode("id_needed")
	}
	// What follows reads the same rows whether it fits or not, so that the time tells nothing.
	inmate, err := p.InmateByNumber(tx, l.Number)
	known := err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Contact{}, err
	}
	restrictions, err := p.Restrictions(tx, inmate.ID, v)
	if err != nil {
		return Contact{}, err
	}
	old, had, err := p.ContactOf(tx, v, inmate.ID)
	if err != nil {
		return Contact{}, err
	}
	var listed int
	if err := tx.Row(`SELECT count(*) FROM contact WHERE inmate = ? AND state IN ('approved','suspended','awaiting_facility')`, inmate.ID).Scan(&listed); err != nil {
		return Contact{}, err
	}
	today := p.today(tx)
	fits := known && inmate.State != Released && inmate.State != Deceased && inmate.State != TransferredOut &&
		fold(l.First+" "+l.Last) == fold(inmate.Name()) && l.Born == inmate.Born && listed < policy.LimitContactsPerInmate.Of(rules)
	for _, r := range restrictions {
		fits = fits && !(r.Code == NoContact && r.On(today))
	}
	if fits && had && old.State == Ended { // the inmate is here again: the facility looks once more, nobody else is asked
		c, err := p.step(tx, by, "contact.reopen", old, AwaitingFacility, "")
		if err != nil {
			return Contact{}, err
		}
		return c, p.openContactCase(tx, c)
	}
	if fits && had && old.State != Declined && old.State != Rejected && old.State != Unanswered {
		// Only somebody who knows the inmate's details gets this far, and the contact is on the asker's own list.
		return Contact{}, fault.New(op, fault.Conflict, "This person is on your list already.").WithCode("contact.exists")
	}
	if !fits {
		return Contact{}, errCannotAdd()
	}
	return p.openRequest(tx, by, old, had, asker, inmate, relationship, "visitor", rules)
}

// AddContact asks for a contact on behalf of an inmate or staff; the side that did not ask is asked.
func (p *People) AddContact(tx *store.Tx, by ident.Actor, v ident.Visitor, i ident.Inmate, relationship string) (Contact, error) {
	const op = "people.AddContact"
	visitor, err := p.Visitor(tx, v)
	if err != nil {
		return Contact{}, err
	}
	inmate, err := p.Inmate(tx, i)
	if err != nil {
		return Contact{}, err
	}
	old, had, err := p.ContactOf(tx, v, i)
	if err != nil {
		return Contact{}, err
	}
	if had && !MayMove("contact.request", old.State, Requested) {
		return Contact{}, fault.New(op, fault.Conflict, "This person is on the list already.").WithCode("contact.exists")
	}
	restrictions, err := p.Restrictions(tx, i, v)
	if err != nil {
		return Contact{}, err
	}
	for _, r := range restrictions {
		if r.Code == NoContact && r.On(p.today(tx)) {
			return Contact{}, errCannotAdd()
		}
	}
	rules, err := p.Policy.At(tx, policy.Scope{Inmate: i})
	if err != nil {
		return Contact{}, err
	}
	side := "staff"
	if by.Is(ident.ByInmate) {
		side = "inmate"
	}
	return p.openRequest(tx, by, old, had, visitor, inmate, clean(relationship), side, rules)
}

func (p *People) openRequest(tx *store.Tx, by ident.Actor, old Contact, had bool, v Visitor, i Inmate, relationship, side string, rules policy.Rules) (Contact, error) {
	now := tx.Now()
	c := Contact{
		ID: ident.New[ident.Contact](), Visitor: v.ID, Inmate: i.ID, Relationship: relationship, State: Requested,
		Privilege: "none", AskedBy: side, Until: now.Add(policy.ContactRequestTTL.Of(rules)), Asked: now, Version: 1,
	}
	if had {
		c.ID, c.Met, c.Privilege, c.Version = old.ID, old.Met, old.Privilege, old.Version+1
		if err := tx.Exec(`UPDATE contact SET relationship = ?, state = ?, asked_by = ?, reason = '', until = ?, created_at = ?, changed_at = ?, version = ? WHERE id = ?`,
			relationship, c.State, side, store.Ms(c.Until), store.Ms(now), store.Ms(now), c.Version, c.ID); err != nil {
			return Contact{}, err
		}
	} else if err := tx.Exec(`INSERT INTO contact (id, visitor, inmate, relationship, state, asked_by, until, created_at, changed_at) VALUES (?,?,?,?,?,?,?,?,?)`,
		c.ID, v.ID, i.ID, relationship, c.State, side, store.Ms(c.Until), store.Ms(now), store.Ms(now)); err != nil {
		return Contact{}, err
	}
	if err := audit.Record(tx, by, "contact.request", string(c.ID)); err != nil {
		return Contact{}, err
	}
	if side == "visitor" {
		if err := p.tellVisitor(tx, v.ID, "contact.received", string(c.ID), nil); err != nil {
			return Contact{}, err
		}
	}
	switch {
	case side == "inmate":
		if err := p.tellVisitor(tx, v.ID, "contact.asked", string(c.ID), nil); err != nil {
			return Contact{}, err
		}
		return p.step(tx, ident.System(), "contact.route", c, AwaitingVisitor, "")
	case policy.ContactInmateAccept.Of(rules):
		if err := p.tellInmate(tx, i.ID, "contact.asked", string(c.ID), map[string]any{"visitor": v.Name()}); err != nil {
			return Contact{}, err
		}
		return p.step(tx, ident.System(), "contact.route", c, AwaitingInmate, "")
	}
	return p.toFacility(tx, ident.System(), "contact.route", c, rules)
}

// toFacility moves a contact that both sides want to the facility, or straight to approved where policy asks nobody.
func (p *People) toFacility(tx *store.Tx, by ident.Actor, event string, c Contact, rules policy.Rules) (Contact, error) {
	look := policy.ContactFacilityApproval.Of(rules) == "always"
	if policy.ContactFacilityApproval.Of(rules) == "flagged" {
		flagged, err := p.Flagged(tx, c.Inmate, c.Visitor, p.today(tx))
		if err != nil {
			return Contact{}, err
		}
		look = flagged
	}
	if !look {
		c, err := p.step(tx, by, event, c, Approved, "")
		if err != nil {
			return Contact{}, err
		}
		return c, p.tellBoth(tx, c, "contact.approved")
	}
	c, err := p.step(tx, by, event, c, AwaitingFacility, "")
	if err != nil {
		return Contact{}, err
	}
	return c, p.openContactCase(tx, c)
}

func (p *People) openContactCase(tx *store.Tx, c Contact) error {
	return p.openCase(tx, CaseItem{
		Kind: "contact", Item: string(c.ID), Submitter: string(c.Visitor),
		Hash: hashOf(string(c.ID), string(c.Visitor), string(c.Inmate), c.Relationship),
	})
}

// AcceptContact accepts a request on behalf of the side that was asked; NotFound when it is not theirs.
func (p *People) AcceptContact(tx *store.Tx, by ident.Actor, id ident.Contact) (Contact, error) {
	c, err := p.own(tx, "people.AcceptContact", by, id)
	if err != nil {
		return Contact{}, err
	}
	rules, err := p.Policy.At(tx, policy.Scope{Inmate: c.Inmate})
	if err != nil {
		return Contact{}, err
	}
	return p.toFacility(tx, by, "contact.accept", c, rules)
}

// DeclineContact declines a request on behalf of the side that was asked.
func (p *People) DeclineContact(tx *store.Tx, by ident.Actor, id ident.Contact) (Contact, error) {
	c, err := p.own(tx, "people.DeclineContact", by, id)
	if err != nil {
		return Contact{}, err
	}
	if c, err = p.step(tx, by, "contact.decline", c, Declined, "declined"); err != nil {
		return Contact{}, err
	}
	return c, p.tellVisitor(tx, c.Visitor, "contact.not_approved", string(c.ID), nil)
}

// own loads a contact whose answer is awaited from the actor.
func (p *People) own(tx *store.Tx, op string, by ident.Actor, id ident.Contact) (Contact, error) {
	c, err := p.Contact(tx, id)
	if err != nil {
		return Contact{}, err
	}
	inmates := by.Is(ident.ByInmate) && by.ID == string(c.Inmate)
	visitors := by.Is(ident.ByVisitor) && by.ID == string(c.Visitor)
	if !inmates && !visitors {
		return Contact{}, fault.New(op, fault.NotFound, "There is no such contact.").WithCode("not_found")
	}
	if (inmates && c.State != AwaitingInmate) || (visitors && c.State != AwaitingVisitor) {
		return Contact{}, fault.New(op, fault.Conflict, "This has been answered already.").WithCode("contact.answered")
	}
	return c, nil
}

// ApproveContact approves a contact for the facility.
func (p *People) ApproveContact(tx *store.Tx, by ident.Actor, id ident.Contact) (Contact, error) {
	return p.decide(tx, by, id, "contact.approve", Approved, "", "contact.approved")
}

// RejectContact refuses a contact for the facility, with a reason code of rules.md section 7.
func (p *People) RejectContact(tx *store.Tx, by ident.Actor, id ident.Contact, reason string) (Contact, error) {
	if !slices.Contains(ContactReasons(), reason) {
		return Contact{}, fault.New("people.RejectContact", fault.Invalid, "Choose a reason.").WithCode("form").WithField("reason", "unknown")
	}
	return p.decide(tx, by, id, "contact.reject", Rejected, reason, "contact.not_approved")
}

func (p *People) decide(tx *store.Tx, by ident.Actor, id ident.Contact, event, to, reason, notice string) (Contact, error) {
	c, err := p.Contact(tx, id)
	if err != nil {
		return Contact{}, err
	}
	if c, err = p.step(tx, by, event, c, to, reason); err != nil {
		return Contact{}, err
	}
	if to == Approved {
		return c, p.tellBoth(tx, c, notice)
	}
	return c, p.tellVisitor(tx, c.Visitor, notice, string(c.ID), nil)
}

// BlockContact closes an approved contact from the actor's side until the same side opens it again.
func (p *People) BlockContact(tx *store.Tx, by ident.Actor, id ident.Contact) (Contact, error) {
	c, to, err := p.side(tx, "people.BlockContact", by, id)
	if err != nil {
		return Contact{}, err
	}
	return p.step(tx, by, "contact.block", c, to, "blocked")
}

// UnblockContact opens a contact that the same side had blocked.
func (p *People) UnblockContact(tx *store.Tx, by ident.Actor, id ident.Contact) (Contact, error) {
	const op = "people.UnblockContact"
	c, mine, err := p.side(tx, op, by, id)
	if err != nil {
		return Contact{}, err
	}
	if c.State != mine {
		return Contact{}, fault.New(op, fault.Conflict, "You have not blocked this person.").WithCode("contact.state")
	}
	return p.step(tx, by, "contact.unblock", c, Approved, "")
}

func (p *People) side(tx *store.Tx, op string, by ident.Actor, id ident.Contact) (Contact, string, error) {
	c, err := p.Contact(tx, id)
	if err != nil {
		return Contact{}, "", err
	}
	switch {
	case by.Is(ident.ByInmate) && by.ID == string(c.Inmate):
		return c, BlockedByInmate, nil
	case by.Is(ident.ByVisitor) && by.ID == string(c.Visitor):
		return c, BlockedByVisitor, nil
	}
	return Contact{}, "", fault.New(op, fault.NotFound, "There is no such contact.").WithCode("not_found")
}

// EndContact ends a contact in any open state, with a reason code.
func (p *People) EndContact(tx *store.Tx, by ident.Actor, id ident.Contact, reason string) (Contact, error) {
	c, err := p.Contact(tx, id)
	if err != nil {
		return Contact{}, err
	}
	if c, err = p.step(tx, by, "contact.end", c, Ended, reason); err != nil {
		return Contact{}, err
	}
	return c, p.tellVisitor(tx, c.Visitor, "contact.ended", string(c.ID), nil)
}

// ExpireContacts lets requests go that nobody answered in time; at most limit in one transaction. It returns how many.
func (p *People) ExpireContacts(tx *store.Tx, limit int) (int, error) {
	late, err := store.All(tx, rowsContact, `SELECT `+contactColumns+` FROM contact
		WHERE state IN ('awaiting_inmate','awaiting_visitor') AND until <= ? ORDER BY until LIMIT ?`, store.Ms(tx.Now()), limit)
	if err != nil {
		return 0, err
	}
	for _, c := range late {
		if c, err = p.step(tx, ident.System(), "contact.expire", c, Unanswered, "no_answer_in_time"); err != nil {
			return 0, err
		}
		if err := p.tellVisitor(tx, c.Visitor, "contact.not_approved", string(c.ID), nil); err != nil {
			return 0, err
		}
	}
	return len(late), nil
}

// step takes one move of the table, guarded by the version read; with the audit row, the screens told and replication.
func (p *People) step(tx *store.Tx, by ident.Actor, event string, c Contact, to, reason string) (Contact, error) {
	if !MayMove(event, c.State, to) {
		return Contact{}, fault.New("people.Contact", fault.Conflict, "This cannot be done now. Load the page again.").WithCode("contact.state")
	}
	from := c.State
	n, err := tx.ExecN(`UPDATE contact SET state = ?, reason = ?, version = version + 1, changed_at = ?,
		until = CASE WHEN ?1 IN ('awaiting_inmate','awaiting_visitor') THEN until END WHERE id = ? AND state = ?`,
		to, reason, store.Ms(tx.Now()), c.ID, from)
	if err != nil {
		return Contact{}, err
	}
	if n == 0 {
		return Contact{}, fault.New("people.Contact", fault.Conflict, "Somebody else was faster. Load the page again.").WithCode("contact.state")
	}
	c.State, c.Reason, c.Version = to, reason, c.Version+1
	if to != AwaitingInmate && to != AwaitingVisitor {
		c.Until = time.Time{}
	}
	if err := audit.Record(tx, by, event, string(c.ID), audit.Reason(reason), audit.Before(map[string]string{"state": from}), audit.After(map[string]string{"state": to})); err != nil {
		return Contact{}, err
	}
	for _, who := range []outbox.Audience{outbox.ToVisitor(c.Visitor), outbox.ToInmate(c.Inmate), outbox.ToStaff()} {
		if err := outbox.Tell(tx, who, "contact", string(c.ID)); err != nil {
			return Contact{}, err
		}
	}
	if err := p.replicate(tx, c); err != nil {
		return Contact{}, err
	}
	if from == Approved {
		why := "contact_lost"
		if to == BlockedByInmate {
			why = "blocked"
		}
		return c, p.happened(tx, by, Event{Kind: "contact_lost", Contact: c.ID, Inmate: c.Inmate, Visitor: c.Visitor, Reason: why})
	}
	return c, nil
}
