package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sallyport/appliance/store"
)

// Filter chooses rows; zero values choose all.
type Filter struct {
	Subject string    // typed id
	Actor   string    // typed id
	Verb    string    // a whole verb, or its beginning with a dot: "visit."
	From    time.Time // first instant
	Until   time.Time // first instant after
	Before  int64     // rows with a smaller number, to go on from a page
	Limit   int       // 100 when 0, at most 1000
}

// List returns the rows that fit, the newest first.
func List(tx *store.Tx, f Filter) ([]Row, error) {
	where, args := []string{"1"}, []any{}
	add := func(cond string, arg any) { where, args = append(where, cond), append(args, arg) }
	if f.Subject != "" {
		add("subject = ?", f.Subject)
	}
	if f.Actor != "" {
		add("actor_id = ?", f.Actor)
	}
	switch {
	case strings.HasSuffix(f.Verb, "."):
		add("substr(verb, 1, length(?)) = ?", f.Verb)
		args = append(args, f.Verb)
	case f.Verb != "":
		add("verb = ?", f.Verb)
	}
	if !f.From.IsZero() {
		add("at >= ?", store.Ms(f.From))
	}
	if !f.Until.IsZero() {
		add("at < ?", store.Ms(f.Until))
	}
	if f.Before > 0 {
		add("seq < ?", f.Before)
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	args = append(args, min(f.Limit, 1000))
	rows, err := store.All(tx, func(r *store.Rows) (Row, error) {
		s, err := scanRow(r)
		if err != nil {
			return Row{}, err
		}
		if err := json.Unmarshal([]byte(s.roles), &s.By.Roles); err != nil {
			return Row{}, fmt.Errorf("roles of row %d: %w", s.Seq, err)
		}
		return s.Row, nil
	}, "SELECT "+columns+" FROM audit_row WHERE "+strings.Join(where, " AND ")+" ORDER BY seq DESC LIMIT ?", args...)
	if err != nil {
		return nil, fmt.Errorf("list the audit: %w", err)
	}
	return rows, nil
}
