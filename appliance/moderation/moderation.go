// Package moderation owns cases: something that a person must look at, the lease of whoever looks, and the verdict.
//
// It must not know what is looked at. A room opens a case with the typed id of its item and the hash of exactly what is to
// be shown, and registers what happens on a verdict; who may decide a kind and how long a lease and a kind's clock run are
// functions given by the daemon.
//
// A case is open, claimed by one person for the time of a lease, and decided; where two people must agree the first
// verdict is kept from the second person's eyes, and disagreement is escalated.
package moderation

import (
	"embed"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
)

// Schema holds the migrations of the room.
//
//go:embed schema/*.sql
var Schema embed.FS

// The states of a case.
const (
	Open             = "open"
	Claimed          = "claimed"
	Second           = "second"
	Escalated        = "escalated"
	WaitingSubmitter = "waiting_submitter"
	Decided          = "decided"
	Closed           = "closed"
)

// The decisions of a verdict.
const (
	Approve = "approve"
	Reject  = "reject"
	Ask     = "ask"
)

// Item is what a room wants looked at.
type Item struct {
	Kind      string
	Item      string    // typed id
	Hash      string    // of exactly what is shown; a verdict on another hash is refused
	Submitter string    // typed id of whose it is; may not decide it
	Due       time.Time // zero: by the kind's own clock
	Two       bool      // two people must agree
}

// Case is one item on its way to a verdict.
type Case struct {
	ID         ident.Case
	Kind       string
	Item       string
	Hash       string
	Submitter  string
	State      string
	Two        bool
	Opened     time.Time
	Due        time.Time
	ClaimedBy  ident.Staff
	ClaimUntil time.Time
	Verdict    string
	Reason     string
	Note       string
	DecidedBy  ident.Staff
	FirstBy    ident.Staff // of two people, who decided first
	Decided    time.Time
}

// Verdict is a decision on a case.
type Verdict struct {
	By       ident.Actor
	Decision string // approve, reject, ask
	Reason   string // code of rules.md section 7; required unless approve
	Note     string // internal; required with the reason "other"
	Hash     string // of what was seen; "" stands for what the case was opened with
}

// Event is one line of a case's history.
type Event struct {
	At     time.Time
	What   string
	Who    string // typed id, "" for the appliance
	Reason string
}

// Deps are what the daemon gives.
type Deps struct {
	May   func(by ident.Actor, kind string) bool                 // who may decide a kind
	Lease func(tx *store.Tx) (time.Duration, error)              // how long a claim holds
	Clock func(tx *store.Tx, kind string) (time.Duration, error) // a kind's time to a verdict
}

type handler struct {
	verdict func(tx *store.Tx, c Case, v Verdict) error
	claimed func(tx *store.Tx, c Case, by ident.Actor, taken bool) error
}

// Cases is the room. Kinds are registered before anything is served; afterwards all methods may be called at once.
type Cases struct {
	Deps
	kinds map[string]handler
}

// New makes the room; it starts nothing.
func New(d Deps) *Cases { return &Cases{Deps: d, kinds: map[string]handler{}} }

// Register says what a verdict on a kind does, in the same transaction.
func (c *Cases) Register(kind string, onVerdict func(tx *store.Tx, c Case, v Verdict) error) {
	h := c.kinds[kind]
	h.verdict = onVerdict
	c.kinds[kind] = h
}

// OnClaim says what a claim (and its end without a verdict) of a kind does, in the same transaction.
func (c *Cases) OnClaim(kind string, do func(tx *store.Tx, c Case, by ident.Actor, taken bool) error) {
	h := c.kinds[kind]
	h.claimed = do
	c.kinds[kind] = h
}

// Open opens a case. One that is open for the same item already is closed first: a changed item is a new item.
func (c *Cases) Open(tx *store.Tx, i Item) (ident.Case, error) {
	const op = "moderation.Open"
	if _, ok := c.kinds[i.Kind]; !ok || i.Item == "" || i.Hash == "" {
		return "", fault.New(op, fault.Internal, "Nobody decides cases of this kind.")
	}
	if i.Due.IsZero() {
		clock, err := c.Clock(tx, i.Kind)
		if err != nil {
			return "", err
		}
		i.Due = tx.Now().Add(clock)
	}
	if err := c.Void(tx, i.Kind, i.Item); err != nil {
		return "", err
	}
	id := ident.New[ident.Case]()
	if err := tx.Exec(`INSERT INTO mod_case (id, kind, item, hash, submitter, state, two, opened_at, due_at) VALUES (?,?,?,?,?,?,?,?,?)`,
		id, i.Kind, i.Item, i.Hash, i.Submitter, Open, i.Two, store.Ms(tx.Now()), store.Ms(i.Due)); err != nil {
		return "", err
	}
	return id, c.note(tx, ident.System(), id, "case.open", "")
}

// Void closes the open case of an item without a verdict; none is no error.
func (c *Cases) Void(tx *store.Tx, kind, item string) error {
	ids, err := store.All(tx, func(r *store.Rows) (id ident.Case, err error) { err = r.Scan(&id); return id, err },
		`SELECT id FROM mod_case WHERE kind = ? AND item = ? AND state NOT IN ('decided','closed')`, kind, item)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := tx.Exec(`UPDATE mod_case SET state = 'closed', claimed_by = NULL, claimed_until = NULL WHERE id = ?`, id); err != nil {
			return err
		}
		if err := c.note(tx, ident.System(), id, "case.void", ""); err != nil {
			return err
		}
	}
	return nil
}

// note writes the history line, the audit row and the word to open screens.
func (c *Cases) note(tx *store.Tx, by ident.Actor, id ident.Case, what, reason string) error {
	if err := tx.Exec(`INSERT INTO mod_case_event (case_id, at, what, who, reason) VALUES (?,?,?,?,?)`, id, store.Ms(tx.Now()), what, by.ID, reason); err != nil {
		return err
	}
	if err := audit.Record(tx, by, what, id, audit.Reason(reason)); err != nil {
		return err
	}
	return outbox.Tell(tx, outbox.ToStaff(), "case", id)
}
