package people

import (
	"context"
	"slices"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// The states of the proof of who a visitor is.
const (
	IdentityNone      = "not_started"
	IdentitySubmitted = "submitted"
	IdentityInReview  = "in_review"
	IdentityVerified  = "verified"
	IdentityMoreInfo  = "more_info"
	IdentityRejected  = "rejected"
	IdentityBlocked   = "blocked"
	IdentityExpired   = "expired"
	IdentityRevoked   = "revoked"
)

// The kinds of documents.
const (
	IDFront = "id_front"
	IDBack  = "id_back"
	Selfie  = "selfie"
	Address = "address"
)

// identityMoves is the table of rules.md 3.2. A claim moves submitted to in review and back; a verdict may come from
// either, because it is the claim that is checked, not the word on the visitor's screen.
var identityMoves = []move{
	{"identity.submit", []string{IdentityNone, IdentityRejected, IdentityMoreInfo, IdentityExpired}, []string{IdentitySubmitted}},
	{"case.claim", []string{IdentitySubmitted}, []string{IdentityInReview}},
	{"case.release", []string{IdentityInReview}, []string{IdentitySubmitted}},
	{"identity.verify", []string{IdentitySubmitted, IdentityInReview}, []string{IdentityVerified}},
	{"identity.reject", []string{IdentitySubmitted, IdentityInReview}, []string{IdentityRejected, IdentityBlocked}},
	{"identity.ask", []string{IdentitySubmitted, IdentityInReview}, []string{IdentityMoreInfo}},
	{"identity.expire", []string{IdentityVerified}, []string{IdentityExpired}},
	{"identity.revoke", []string{IdentityVerified}, []string{IdentityRevoked}},
	{"identity.reopen", []string{IdentityRevoked, IdentityBlocked}, []string{IdentityNone}},
}

// MayProve tells whether an event takes an identity from one state to another.
func MayProve(event, from, to string) bool {
	for _, m := range identityMoves {
		if m.event == event && slices.Contains(m.from, from) && slices.Contains(m.to, to) {
			return true
		}
	}
	return false
}

// IdentityReasons lists the codes with which an identity may be refused.
func IdentityReasons() []string {
	return []string{
		"blurred", "edited", "face_mismatch", "not_government_id", "expired_id", "under_age", "name_mismatch", "address_missing",
		"duplicate_person", "incomplete", "other",
	}
}

// ContactReasons lists the codes with which the facility may refuse a contact.
func ContactReasons() []string {
	return []string{"details_wrong", "not_on_list", "id_needed", "restriction", "limit", "other"}
}

// Document is one stored picture of an identity document.
type Document struct {
	ID            ident.Image
	Kind          string
	Hash          string // name of the sealed file
	Width, Height int
	Bytes         int64
	Added         time.Time
}

func scanDocument(r *store.Rows) (d Document, err error) {
	var at int64
	err = r.Scan(&d.ID, &d.Kind, &d.Hash, &d.Width, &d.Height, &d.Bytes, &at)
	d.Added = store.Time(at)
	return d, err
}

// Documents lists a visitor's current documents.
func (p *People) Documents(tx *store.Tx, v ident.Visitor) ([]Document, error) {
	return store.All(tx, scanDocument, `SELECT id, kind, hash, width, height, bytes, created_at FROM document
		WHERE visitor = ? AND replaced_at IS NULL ORDER BY kind`, v)
}

// DocumentOf returns one picture of a visitor and its bytes, for the moderator who has claimed it.
func (p *People) DocumentOf(ctx context.Context, v ident.Visitor, kind string) (Document, []byte, error) {
	docs, err := view(ctx, p.DB, func(tx *store.Tx) ([]Document, error) { return p.Documents(tx, v) })
	if err != nil {
		return Document{}, nil, err
	}
	for _, d := range docs {
		if d.Kind == kind {
			body, err := p.Blobs.Get(ctx, d.Hash)
			return d, body, err
		}
	}
	return Document{}, nil, fault.New("people.DocumentOf", fault.NotFound, "There is no such picture.").WithCode("not_found")
}

// AddDocument takes a picture as it came from outside, brings it into the house's own form and stores it sealed. The
// picture of the same kind before it is replaced.
func (p *People) AddDocument(ctx context.Context, by ident.Actor, v ident.Visitor, kind string, raw []byte) (Document, error) {
	const op = "people.AddDocument"
	if !slices.Contains([]string{IDFront, IDBack, Selfie, Address}, kind) {
		return Document{}, fault.New(op, fault.Invalid, "This is not a picture that we ask for.").WithCode("form").WithField("kind", "unknown")
	}
	if _, err := view(ctx, p.DB, func(tx *store.Tx) (Visitor, error) { return p.mayAdd(tx, op, v) }); err != nil {
		return Document{}, err
	}
	pic, err := p.normalise(ctx, raw)
	if err != nil {
		return Document{}, err
	}
	hash, err := p.Blobs.Put(ctx, pic.jpeg)
	if err != nil {
		return Document{}, err
	}
	d := Document{ID: ident.New[ident.Image](), Kind: kind, Hash: hash, Width: pic.width, Height: pic.height, Bytes: int64(len(pic.jpeg))}
	err = p.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := p.mayAdd(tx, op, v); err != nil {
			return err
		}
		d.Added = tx.Now()
		if err := tx.Exec(`UPDATE document SET replaced_at = ? WHERE visitor = ? AND kind = ? AND replaced_at IS NULL`, store.Ms(tx.Now()), v, kind); err != nil {
			return err
		}
		if err := tx.Exec(`INSERT INTO document (id, visitor, kind, hash, width, height, bytes, created_at) VALUES (?,?,?,?,?,?,?,?)`,
			d.ID, v, kind, d.Hash, d.Width, d.Height, d.Bytes, store.Ms(d.Added)); err != nil {
			return err
		}
		return audit.Record(tx, by, "identity.document", string(v))
	})
	return d, err
}

// mayAdd tells whether a visitor may send pictures now.
func (p *People) mayAdd(tx *store.Tx, op string, id ident.Visitor) (Visitor, error) {
	v, err := p.Visitor(tx, id)
	if err != nil {
		return Visitor{}, err
	}
	if !MayProve("identity.submit", v.Identity, IdentitySubmitted) {
		return Visitor{}, fault.New(op, fault.Conflict, "We are still checking your ID.").WithCode("id.pending")
	}
	return v, nil
}

// SubmitIdentity hands the documents to a moderator.
func (p *People) SubmitIdentity(tx *store.Tx, by ident.Actor, id ident.Visitor) (Visitor, error) {
	const op = "people.SubmitIdentity"
	v, err := p.mayAdd(tx, op, id)
	if err != nil {
		return Visitor{}, err
	}
	rules, err := p.Policy.At(tx, policy.Scope{})
	if err != nil {
		return Visitor{}, err
	}
	docs, err := p.Documents(tx, id)
	if err != nil {
		return Visitor{}, err
	}
	f := fault.New(op, fault.Invalid, "Some pictures are missing.").WithCode("id.incomplete")
	parts := []string{string(id), v.First, v.Last, v.Born}
	for _, want := range policy.IDRequiredDocs.Of(rules) {
		if want == "address_if_missing" {
			continue // the moderator asks for it where the ID shows none
		}
		if !slices.ContainsFunc(docs, func(d Document) bool { return d.Kind == want }) {
			f.WithField(want, "required")
		}
	}
	if len(f.Fields) > 0 {
		return Visitor{}, f
	}
	for _, d := range docs {
		parts = append(parts, d.Kind, d.Hash)
	}
	v.IdentityDue = tx.Now().Add(policy.IDSLA.Of(rules))
	if v, err = p.prove(tx, by, "identity.submit", v, IdentitySubmitted, ""); err != nil {
		return Visitor{}, err
	}
	if err := p.openCase(tx, CaseItem{Kind: "identity", Item: string(id), Hash: hashOf(parts...), Submitter: string(id), Due: v.IdentityDue}); err != nil {
		return Visitor{}, err
	}
	return v, p.tellVisitor(tx, id, "identity.received", string(id), nil)
}

// ReviewIdentity notes that a moderator has taken (or given back) the case of a visitor's identity.
func (p *People) ReviewIdentity(tx *store.Tx, by ident.Actor, id ident.Visitor, taken bool) error {
	v, err := p.Visitor(tx, id)
	if err != nil {
		return err
	}
	event, to := "case.claim", IdentityInReview
	if !taken {
		event, to = "case.release", IdentitySubmitted
	}
	if !MayProve(event, v.Identity, to) {
		return nil // decided meanwhile
	}
	_, err = p.prove(tx, by, event, v, to, "")
	return err
}

// VerifyIdentity says that the visitor is who they say. document is the date on which the document ends, "" when it shows none.
func (p *People) VerifyIdentity(tx *store.Tx, by ident.Actor, id ident.Visitor, document string) (Visitor, error) {
	const op = "people.VerifyIdentity"
	v, err := p.Visitor(tx, id)
	if err != nil {
		return Visitor{}, err
	}
	rules, err := p.Policy.At(tx, policy.Scope{})
	if err != nil {
		return Visitor{}, err
	}
	until := tx.Now().AddDate(policy.IDRecheckYears.Of(rules), 0, 0)
	if document != "" {
		end, err := time.Parse(time.DateOnly, document)
		if err != nil {
			return Visitor{}, fault.New(op, fault.Invalid, "Check the date.").WithCode("form").WithField("expires", "date")
		}
		if end = end.AddDate(0, 0, 1); !end.After(tx.Now()) {
			return Visitor{}, fault.New(op, fault.Invalid, "This document is out of date.").WithCode("form").WithField("expires", "past")
		}
		if policy.IDExpiresWithDocument.Of(rules) && end.Before(until) {
			until = end
		}
	}
	v.IdentityUntil, v.Refusals = until, 0
	if v, err = p.prove(tx, by, "identity.verify", v, IdentityVerified, ""); err != nil {
		return Visitor{}, err
	}
	return v, p.tellVisitor(tx, id, "identity.verified", string(id), nil)
}

// RejectIdentity refuses the documents with a reason code; the last permitted refusal blocks.
func (p *People) RejectIdentity(tx *store.Tx, by ident.Actor, id ident.Visitor, reason string, ask bool) (Visitor, error) {
	if !slices.Contains(IdentityReasons(), reason) {
		return Visitor{}, fault.New("people.RejectIdentity", fault.Invalid, "Choose a reason.").WithCode("form").WithField("reason", "unknown")
	}
	v, err := p.Visitor(tx, id)
	if err != nil {
		return Visitor{}, err
	}
	rules, err := p.Policy.At(tx, policy.Scope{})
	if err != nil {
		return Visitor{}, err
	}
	event, to, notice := "identity.reject", IdentityRejected, "identity.rejected"
	switch {
	case ask:
		event, to, notice = "identity.ask", IdentityMoreInfo, "identity.more_info"
	default:
		if v.Refusals++; v.Refusals >= policy.IDMaxAttempts.Of(rules) {
			to, notice = IdentityBlocked, "identity.blocked"
		}
	}
	if v, err = p.prove(tx, by, event, v, to, reason); err != nil {
		return Visitor{}, err
	}
	return v, p.tellVisitor(tx, id, notice, string(id), map[string]any{"reason": reason})
}

// ReopenIdentity lets a blocked or revoked visitor send documents again.
func (p *People) ReopenIdentity(tx *store.Tx, by ident.Actor, id ident.Visitor, reason string) (Visitor, error) {
	v, err := p.Visitor(tx, id)
	if err != nil {
		return Visitor{}, err
	}
	v.Refusals = 0
	return p.prove(tx, by, "identity.reopen", v, IdentityNone, reason)
}

// ExpireIdentities ends proofs whose time is over; at most limit in one transaction. It returns how many.
func (p *People) ExpireIdentities(tx *store.Tx, limit int) (int, error) {
	late, err := store.All(tx, rowsVisitor, `SELECT `+visitorColumns+` FROM visitor WHERE identity = 'verified' AND identity_until <= ? LIMIT ?`,
		store.Ms(tx.Now()), limit)
	if err != nil {
		return 0, err
	}
	for _, v := range late {
		if v, err = p.prove(tx, ident.System(), "identity.expire", v, IdentityExpired, "expired_id"); err != nil {
			return 0, err
		}
		if err := p.tellVisitor(tx, v.ID, "identity.expiring", string(v.ID), nil); err != nil {
			return 0, err
		}
	}
	return len(late), nil
}

// prove takes one move of the identity's table, guarded by the state read.
func (p *People) prove(tx *store.Tx, by ident.Actor, event string, v Visitor, to, reason string) (Visitor, error) {
	const op = "people.Identity"
	from := v.Identity
	if !MayProve(event, from, to) {
		return Visitor{}, fault.New(op, fault.Conflict, "This cannot be done now. Load the page again.").WithCode("identity.state")
	}
	if to != IdentitySubmitted && to != IdentityInReview {
		v.IdentityDue = time.Time{}
	}
	if to != IdentityVerified {
		v.IdentityUntil = time.Time{}
	}
	n, err := tx.ExecN(`UPDATE visitor SET identity = ?, identity_until = ?, identity_due = ?, identity_reason = ?, refusals = ?,
		version = version + 1, changed_at = ? WHERE id = ? AND identity = ?`,
		to, orNull(v.IdentityUntil), orNull(v.IdentityDue), reason, v.Refusals, store.Ms(tx.Now()), v.ID, from)
	if err != nil {
		return Visitor{}, err
	}
	if n == 0 {
		return Visitor{}, fault.New(op, fault.Conflict, "Somebody else was faster. Load the page again.").WithCode("identity.state")
	}
	v.Identity, v.IdentityWhy, v.Version = to, reason, v.Version+1
	if err := audit.Record(tx, by, event, string(v.ID), audit.Reason(reason), audit.Before(map[string]string{"identity": from}), audit.After(map[string]string{"identity": to})); err != nil {
		return Visitor{}, err
	}
	if err := outbox.Tell(tx, outbox.ToVisitor(v.ID), "identity", string(v.ID)); err != nil {
		return Visitor{}, err
	}
	return v, p.visitorChanged(tx, v)
}
