// Package audit owns the record of who did what: rows that are only ever added, each bound to the one before by a hash.
//
// It must not know what the acts mean. Whoever acts records it in the same transaction as the act itself, so that
// neither exists without the other: an act that cannot be recorded is not done.
//
// A row's hash covers all of its columns and the hash before. [Verify] walks the chain and names the first row that was
// altered, deleted, inserted or moved; what was cut off at the end is found with an [Anchor] that was noted elsewhere.
package audit

import (
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Schema is the room's tables.
//
//go:embed schema/*.sql
var Schema embed.FS

// Row is one act.
type Row struct {
	Seq     int64
	At      time.Time
	By      ident.Actor
	Verb    string // "visit.accept": the event's name in rules.md
	Subject string // typed id
	Reason  string // reason code
	Before  json.RawMessage
	After   json.RawMessage
	Policy  string // version of the rules that decided
	Hash    string // hex
}

// Detail adds something to a row.
type Detail func(*Row) error

// Reason adds the reason code.
func Reason(code string) Detail { return func(r *Row) error { r.Reason = code; return nil } }

// Policy adds the version of the rules that decided.
func Policy(version string) Detail { return func(r *Row) error { r.Policy = version; return nil } }

// Before adds what was, as JSON: ids, states and numbers, not bodies.
func Before(v any) Detail {
	return func(r *Row) (err error) { r.Before, err = json.Marshal(v); return err }
}

// After adds what is now, as JSON.
func After(v any) Detail {
	return func(r *Row) (err error) { r.After, err = json.Marshal(v); return err }
}

const columns = "seq, at, actor_kind, actor_id, door, roles, verb, subject, reason, before, after, policy, prev, hash"

// Record adds a row about an act on subject, which may be any typed id. The end of the chain is read in the caller's own
// savepoint and never remembered: a group of callers shares a commit, and one of them may be rolled back.
func Record[S ~string](tx *store.Tx, by ident.Actor, verb string, subject S, details ...Detail) error {
	r := Row{At: tx.Now(), By: by, Verb: verb, Subject: string(subject)}
	for _, d := range details {
		if err := d(&r); err != nil {
			return fmt.Errorf("audit %s: %w", verb, err)
		}
	}
	prev := make([]byte, sha256.Size)
	err := tx.Row("SELECT seq, hash FROM audit_row ORDER BY seq DESC LIMIT 1").Scan(&r.Seq, &prev)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("audit %s: %w", verb, err)
	}
	r.Seq++
	roles := by.Roles
	if roles == nil {
		roles = []string{}
	}
	list, err := json.Marshal(roles)
	if err != nil {
		return fmt.Errorf("audit %s: %w", verb, err)
	}
	err = tx.Exec("INSERT INTO audit_row ("+columns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		r.Seq, store.Ms(r.At), by.Kind, by.ID, by.Door, string(list), r.Verb, r.Subject, r.Reason, string(r.Before), string(r.After), r.Policy,
		prev, r.sum(string(list), prev))
	if err != nil {
		return fmt.Errorf("audit %s: %w", verb, err)
	}
	return nil
}

// sum is the hash of a row. Every part goes in with its length, so that moving a letter from one column to the next
// changes the hash.
func (r *Row) sum(roles string, prev []byte) []byte {
	h := sha256.New()
	part(h, "sallyport audit row 1")
	number(h, r.Seq)
	number(h, store.Ms(r.At))
	for _, s := range []string{
		string(r.By.Kind), r.By.ID, r.By.Door, roles, r.Verb, r.Subject, r.Reason, string(r.Before), string(r.After), r.Policy, string(prev),
	} {
		part(h, s)
	}
	return h.Sum(nil)
}

func number(h hash.Hash, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}

func part(h hash.Hash, s string) {
	number(h, int64(len(s)))
	h.Write([]byte(s))
}

// stored is a row with what is needed to check it.
type stored struct {
	Row
	roles      string
	prev, hash []byte
}

func scanRow(rows *store.Rows) (s stored, err error) {
	var before, after string
	err = rows.Scan(&s.Seq, &s.At, &s.By.Kind, &s.By.ID, &s.By.Door, &s.roles, &s.Verb, &s.Subject, &s.Reason, &before, &after, &s.Policy,
		&s.prev, &s.hash)
	s.Hash = hex.EncodeToString(s.hash)
	if before != "" {
		s.Before = json.RawMessage(before)
	}
	if after != "" {
		s.After = json.RawMessage(after)
	}
	return s, err
}
