package notices

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wneessen/go-mail"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
)

// How long mails are tried, and how long Serve sleeps when nothing waits.
const (
	firstRetry = 10 * time.Second
	lastRetry  = time.Hour
	triesMax   = 30
	sendAtOnce = 20
	sleepMax   = time.Minute
)

// Post is the way to a mail server.
type Post struct {
	Host     string
	Port     int
	TLS      string // required, implicit, opportunistic, none (this machine, a private address, tests)
	Username string
	Password string
	From     string // address that mails come from
	Name     string // and the name beside it
	// Dial connects to the server where a firewall has to be asked first; nil: as the system does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Check refuses settings that cannot work, naming the setting.
func (p Post) Check() error {
	const op = "notices.Post"
	switch {
	case p.Host == "":
		return fault.New(op, fault.Invalid, "mail.host is empty")
	case p.Port < 1 || p.Port > 65535:
		return fault.New(op, fault.Invalid, "mail.port must be between 1 and 65535")
	case p.From == "":
		return fault.New(op, fault.Invalid, "mail.from is empty")
	}
	if _, err := p.policy(); err != nil {
		return err
	}
	if err := mail.NewMsg().From(p.From); err != nil {
		return fault.New(op, fault.Invalid, "mail.from is not an address").Because(err)
	}
	return nil
}

func (p Post) policy() (mail.TLSPolicy, error) {
	switch p.TLS {
	case "", "required", "implicit":
		return mail.TLSMandatory, nil
	case "opportunistic":
		return mail.TLSOpportunistic, nil
	case "none":
		return mail.NoTLS, nil
	}
	return 0, fault.New("notices.Post", fault.Invalid, "mail.tls must be required, implicit, opportunistic or none")
}

type outgoing struct {
	id       ident.Notice
	who      string
	address  string
	title    string
	body     string
	calendar []byte
	method   string
	tries    int
	late     int64
}

// sendDue sends the mails whose time has come and returns how long to wait for the next.
func (n *Notices) sendDue(ctx context.Context) (time.Duration, error) {
	if n.Mail == nil {
		return sleepMax, nil
	}
	var due []outgoing
	wait := sleepMax
	err := n.DB.View(ctx, func(tx *store.Tx) (err error) {
		due, err = store.All(tx, func(r *store.Rows) (o outgoing, err error) {
			err = r.Scan(&o.id, &o.who, &o.address, &o.title, &o.body, &o.calendar, &o.method, &o.tries, &o.late)
			return o, err
		}, `SELECT id, who, address, title, body, coalesce(calendar, x''), method, tries, coalesce(late_at, 0) FROM mail
			WHERE state = 'queued' AND next_at <= ? ORDER BY next_at, id LIMIT ?`, store.Ms(tx.Now()), sendAtOnce)
		if err != nil {
			return err
		}
		var next int64
		if err := tx.Row(`SELECT coalesce(min(next_at), 0) FROM mail WHERE state = 'queued' AND next_at > ?`, store.Ms(tx.Now())).Scan(&next); err != nil {
			return err
		}
		if next != 0 {
			wait = min(wait, store.Time(next).Sub(tx.Now()))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, o := range due {
		if err := n.sendOne(ctx, o); err != nil {
			return 0, err
		}
	}
	if len(due) == sendAtOnce {
		wait = 0
	}
	return wait, nil
}

// sendOne tries one mail once and writes how it went. A mail that was taken and then not written down is sent again: once
// too often is better than never.
func (n *Notices) sendOne(ctx context.Context, o outgoing) error {
	if o.late != 0 && store.Ms(n.Clock.Now()) > o.late {
		return n.done(ctx, o, "dropped", "late")
	}
	err := n.Mail.send(ctx, o)
	if err == nil {
		return n.done(ctx, o, "sent", "")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	cause, permanent := causeOf(err)
	n.Log.Warn("mail not sent", "op", "notices.send", "mail", string(o.id), "tries", o.tries+1, "cause", cause)
	if permanent || o.tries+1 >= triesMax {
		return n.done(ctx, o, "failed", cause)
	}
	return n.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.Exec(`UPDATE mail SET tries = tries + 1, cause = ?, next_at = ? WHERE id = ? AND state = 'queued'`,
			cause, store.Ms(tx.Now().Add(retryAfter(o.tries))), o.id)
	})
}

// retryAfter doubles the wait with every try, to an hour.
func retryAfter(tries int) time.Duration {
	d := firstRetry
	for range tries {
		if d *= 2; d >= lastRetry {
			return lastRetry
		}
	}
	return d
}

// done ends a mail; the body goes, because it may hold a link or a code.
func (n *Notices) done(ctx context.Context, o outgoing, state, cause string) error {
	return n.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Exec(`UPDATE mail SET state = ?, cause = ?, tries = tries + 1, body = '', calendar = NULL, done_at = ? WHERE id = ? AND state = 'queued'`,
			state, cause, store.Ms(tx.Now()), o.id); err != nil {
			return err
		}
		if state != "failed" {
			return nil
		}
		return outbox.Tell(tx, outbox.ToStaff(), "mail", o.id)
	})
}

// causeOf names a failure without any address in it, and says whether another try can help.
func causeOf(err error) (cause string, permanent bool) {
	var s *mail.SendError
	if errors.As(err, &s) {
		return fmt.Sprintf("refused_%s", s.Reason), !s.IsTemp() && s.Reason != mail.ErrConnCheck && s.Reason != mail.ErrSMTPReset
	}
	return "unreachable", false
}

// send hands one mail to the server.
func (p *Post) send(ctx context.Context, o outgoing) error {
	msg := mail.NewMsg()
	if err := msg.FromFormat(p.Name, p.From); err != nil {
		return err
	}
	if err := msg.To(o.address); err != nil {
		return &mail.SendError{Reason: mail.ErrGetRcpts}
	}
	msg.Subject(o.title)
	msg.SetDate()
	msg.SetMessageIDWithValue(string(o.id) + "@sallyport.invalid")
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(mail.TypeTextPlain, o.body)
	if len(o.calendar) > 0 {
		kind := mail.ContentType("text/calendar; charset=utf-8; method=" + o.method)
		if err := msg.AttachReader("visit.ics", bytes.NewReader(o.calendar), mail.WithFileContentType(kind)); err != nil {
			return err
		}
	}
	policy, err := p.policy()
	if err != nil {
		return err
	}
	opts := []mail.Option{mail.WithPort(p.Port), mail.WithTLSPolicy(policy), mail.WithTimeout(20 * time.Second), mail.WithHELO("localhost")}
	switch {
	case p.TLS == "implicit":
		// The client begins TLS by itself only where it dials by itself.
		opts = append(opts, mail.WithSSL(), mail.WithDialContextFunc(p.dialTLS))
	case p.Dial != nil:
		opts = append(opts, mail.WithDialContextFunc(p.Dial))
	}
	if p.Username != "" {
		opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(p.Username), mail.WithPassword(p.Password))
	}
	c, err := mail.NewClient(p.Host, opts...)
	if err != nil {
		return err
	}
	return c.DialAndSendWithContext(ctx, msg)
}

// dialTLS connects and begins TLS before anything is said.
func (p *Post) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	dial := p.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, &tls.Config{ServerName: p.Host, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}
