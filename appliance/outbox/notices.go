package outbox

import (
	"encoding/json"
	"fmt"
	"time"

	"sallyport/appliance/store"
)

// Notice is something that a person is to be told.
type Notice struct {
	Template string         // "visit.confirmed": a name of rules.md, 8.2
	To       string         // typed id of a visitor or an inmate, or "staff:<role>"
	Subject  string         // typed id of what it is about
	Params   map[string]any // what the words need: times, money, names
}

// Queued is a notice that waits.
type Queued struct {
	Seq int64
	At  time.Time
	Notice
}

// Notify queues a notice; it is sent after the commit. It returns Invalid when the template or the recipient is missing.
func Notify(tx *store.Tx, n Notice) error { return NotifyEach(tx, n, n.To) }

// NotifyEach is [Notify] of the same notice to several.
func NotifyEach(tx *store.Tx, n Notice, to ...string) error {
	params := []byte("{}")
	if len(n.Params) > 0 {
		var err error
		if params, err = json.Marshal(n.Params); err != nil {
			return fmt.Errorf("notify %s: %w", n.Template, err)
		}
	}
	if len(to) == 0 {
		return nil
	}
	args := make([]any, 0, 5*len(to))
	for _, who := range to {
		args = append(args, n.Template, who, n.Subject, string(params), tx.Now())
	}
	err := tx.Exec("INSERT INTO outbox_notice (template, recipient, subject, params, at) VALUES "+values(len(to), "(?, ?, ?, ?, ?)"), args...)
	if err != nil {
		return fmt.Errorf("notify %s: %w", n.Template, err)
	}
	return nil
}

// Notices returns the oldest notices after a sequence number, at most limit. Numbers in Params come back as float64.
func Notices(tx *store.Tx, after int64, limit int) ([]Queued, error) {
	all, err := store.All(tx, func(r *store.Rows) (q Queued, err error) {
		var params []byte
		if err := r.Scan(&q.Seq, &q.At, &q.Template, &q.To, &q.Subject, &params); err != nil {
			return q, err
		}
		return q, json.Unmarshal(params, &q.Params)
	}, "SELECT seq, at, template, recipient, subject, params FROM outbox_notice WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the notices: %w", err)
	}
	return all, nil
}

// Taken removes a notice that the sending room has taken over in this transaction. Taking it twice is harmless.
func Taken(tx *store.Tx, seq int64) error {
	if err := tx.Exec("DELETE FROM outbox_notice WHERE seq = ?", seq); err != nil {
		return fmt.Errorf("take notice %d: %w", seq, err)
	}
	return nil
}
