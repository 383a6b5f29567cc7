// Package notices owns what people are told outside a page that is open: mails with their attempts, and the news that a
// visitor or inmate reads after signing in.
//
// It must not know the rules by which somebody is told: whoever acts queues a notice in the outbox, in the same
// transaction; this room takes it from there, writes it in the reader's language and time zone, and sends it until the
// mail server has it or it is of no use any more.
//
// A notice becomes at most one mail and one item of news. A mail is queued, then sent or failed; its body is emptied when
// it is done, because it may hold a link or a code.
package notices

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/locale"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// Schema holds the migrations of the room.
//
//go:embed schema/*.sql
var Schema embed.FS

// Calendar makes the calendar file of a visit for its visitor; a nil body is no file. method is REQUEST or CANCEL.
type Calendar func(tx *store.Tx, visit ident.Visit) (body []byte, method string, err error)

// Deps are the rooms that Notices works with.
type Deps struct {
	DB       *store.DB
	Clock    clock.Clock
	People   *people.People
	Facility *facility.Facilities
	Policy   *policy.Policy
	Words    *locale.Catalogue
	Calendar Calendar // nil: no files
	Site     string   // origin of the visitor door, "https://visits.example.org"
	Mail     *Post    // nil: mails stay queued
	Log      *slog.Logger
}

// Notices is the room. All its methods may be called at once.
type Notices struct{ Deps }

// New makes the room; Serve starts it.
func New(d Deps) *Notices {
	if d.Clock == nil {
		d.Clock = clock.Real{}
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Notices{d}
}

// takeAtOnce is how many notices one transaction takes over.
const takeAtOnce = 50

// Serve takes notices from the outbox and sends mails until ctx ends.
func (n *Notices) Serve(ctx context.Context) error {
	for {
		changed := n.DB.Changed()
		if err := n.takeAll(ctx); err != nil {
			return unlessEnded(ctx, err)
		}
		wait, err := n.sendDue(ctx)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-n.Clock.After(wait):
		}
	}
}

func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// takeAll takes over everything that waits in the outbox.
func (n *Notices) takeAll(ctx context.Context) error {
	for {
		var waiting int
		err := n.DB.View(ctx, func(tx *store.Tx) error {
			list, err := outbox.Notices(tx, 0, 1)
			waiting = len(list)
			return err
		})
		if err != nil || waiting == 0 {
			return err
		}
		if err := n.DB.Update(ctx, n.take); err != nil {
			return err
		}
	}
}

// take turns the oldest notices into mails and news. A notice that cannot be written is logged and goes; it must not hold
// up the others.
func (n *Notices) take(tx *store.Tx) error {
	list, err := outbox.Notices(tx, 0, takeAtOnce)
	if err != nil {
		return err
	}
	for _, q := range list {
		if err := n.takeOne(tx, q); err != nil {
			if f, ok := fault.Of(err); !ok || (f.Kind != fault.Internal && f.Kind != fault.NotFound) {
				return err
			}
			n.Log.Error("notice dropped", "op", "notices.take", "template", q.Template, "seq", q.Seq, "err", err)
		}
		if err := outbox.Taken(tx, q.Seq); err != nil {
			return err
		}
	}
	return nil
}

func (n *Notices) takeOne(tx *store.Tx, q outbox.Queued) error {
	if id, err := ident.Parse[ident.Visitor](q.To); err == nil {
		return n.toVisitor(tx, q, id)
	}
	if id, err := ident.Parse[ident.Inmate](q.To); err == nil {
		return n.toInmate(tx, q, id)
	}
	return nil // staff see their board change at once; there is nothing to write
}

// toVisitor writes the mail and the news of a visitor.
func (n *Notices) toVisitor(tx *store.Tx, q outbox.Queued, id ident.Visitor) error {
	v, err := n.People.Visitor(tx, id)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(q.Template, "account.") || q.Template == "account.active" {
		name := ""
		if i, ok := q.Params["inmate"].(string); ok {
			if inmate, err := n.People.Inmate(tx, ident.Inmate(i)); err == nil {
				name = inmate.First
			}
		}
		if err := n.addNews(tx, q, outbox.ToVisitor(id), name); err != nil {
			return err
		}
	}
	m, err := n.write(tx, q, v)
	if err != nil || m.title == "" {
		return err
	}
	return tx.Exec(`INSERT INTO mail (id, notice, who, template, about, address, title, body, calendar, method, state, next_at, late_at, queued_at)
		VALUES (?,?,?,?,?,?,?,?,?,?,'queued',?,?,?) ON CONFLICT (notice) DO NOTHING`, ident.New[ident.Notice](), q.Seq, q.To, q.Template, q.Subject,
		v.Email, m.title, m.body, m.calendar, m.method, store.Ms(tx.Now()), m.late, store.Ms(q.At))
}

// toInmate writes the news on the kiosk.
func (n *Notices) toInmate(tx *store.Tx, q outbox.Queued, id ident.Inmate) error {
	name := ""
	if v, ok := q.Params["visitor"].(string); ok {
		if visitor, err := n.People.Visitor(tx, ident.Visitor(v)); err == nil {
			name = visitor.Name()
		}
	}
	return n.addNews(tx, q, outbox.ToInmate(id), name)
}

// newsParams are what the words on a screen may need; nothing else is kept.
var newsParams = []string{"name", "ref", "starts", "ends", "minutes", "reason", "credited", "state", "funding"}

func (n *Notices) addNews(tx *store.Tx, q outbox.Queued, to outbox.Audience, name string) error {
	params := map[string]any{}
	for _, k := range newsParams {
		if v, ok := q.Params[k]; ok {
			params[k] = v
		}
	}
	if name != "" {
		params["name"] = name
	}
	text, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("write news: %w", err)
	}
	id := ident.New[ident.Notice]()
	if err := tx.Exec(`INSERT INTO news (id, notice, who, template, about, params, at) VALUES (?,?,?,?,?,?,?) ON CONFLICT (notice) DO NOTHING`,
		id, q.Seq, q.To, q.Template, q.Subject, string(text), store.Ms(q.At)); err != nil {
		return err
	}
	return outbox.Tell(tx, to, "news", id)
}

// News is one item that a visitor or inmate reads on the screen, in words that the screen has.
type News struct {
	ID       ident.Notice
	At       time.Time
	Template string
	About    string // typed id
	Params   map[string]any
	Read     bool
}

// newsMax is how much news a screen gets.
const newsMax = 100

// News lists the news of a visitor or inmate (typed id), newest first, and how many are unread.
func (n *Notices) News(tx *store.Tx, who string) ([]News, int, error) {
	list, err := store.All(tx, func(r *store.Rows) (w News, err error) {
		var at int64
		var params string
		if err := r.Scan(&w.ID, &at, &w.Template, &w.About, &params, &w.Read); err != nil {
			return w, err
		}
		w.At = store.Time(at)
		return w, json.Unmarshal([]byte(params), &w.Params)
	}, `SELECT id, at, template, about, params, read_at IS NOT NULL FROM news WHERE who = ? ORDER BY at DESC, notice DESC LIMIT ?`, who, newsMax)
	if err != nil {
		return nil, 0, err
	}
	unread, err := n.Unread(tx, who)
	return list, unread, err
}

// Unread counts the news of a visitor or inmate (typed id) that were not read yet.
func (n *Notices) Unread(tx *store.Tx, who string) (unread int, err error) {
	err = tx.Row(`SELECT count(*) FROM news WHERE who = ? AND read_at IS NULL`, who).Scan(&unread)
	return unread, err
}

// Read marks all news of a visitor or inmate as read.
func (n *Notices) Read(tx *store.Tx, who string) error {
	return tx.Exec(`UPDATE news SET read_at = ? WHERE who = ? AND read_at IS NULL`, store.Ms(tx.Now()), who)
}

// Failed counts mails of a person (typed id) that could not be sent, for the clerk.
func (n *Notices) Failed(tx *store.Tx, who string) (failed int, err error) {
	err = tx.Row(`SELECT count(*) FROM mail WHERE who = ? AND state = 'failed'`, who).Scan(&failed)
	return failed, err
}

// Probe says how mail stands: an error when one has waited for more than ten minutes.
func (n *Notices) Probe(ctx context.Context) error {
	return n.DB.View(ctx, func(tx *store.Tx) error {
		var oldest int64
		if err := tx.Row(`SELECT coalesce(min(queued_at), 0) FROM mail WHERE state = 'queued'`).Scan(&oldest); err != nil || oldest == 0 {
			return err
		}
		if tx.Now().Sub(store.Time(oldest)) > 10*time.Minute {
			return errors.New("mails wait: the mail server does not take them")
		}
		return nil
	})
}
