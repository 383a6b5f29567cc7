package access

import (
	"context"
	"net/mail"
	"strings"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/phone"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
)

// resendsADay is how often an activation mail is sent to one account on one day.
const resendsADay = 5

// Registration is the form of a new account.
type Registration struct {
	First, Last  string
	Born         string // YYYY-MM-DD
	Phone, Email string
	PIN          string
	Language     string
	Zone         string
	TermsVersion string
	Ticked       []string // keys of the boxes that were ticked
}

// Register makes an account and sends the link that turns it on. Where the number or the address is in use the answer is
// the same, and the owner of that account gets a mail instead.
func (a *Access) Register(ctx context.Context, r Registration) error {
	const op = "access.Register"
	rules, err := a.rules(ctx)
	if err != nil {
		return err
	}
	f := fault.New(op, fault.Invalid, "Check the form.").WithCode("form")
	phone, err := a.e164(ctx, r.Phone)
	if err != nil {
		f.WithField("phone", "phone")
	}
	email, ok := address(r.Email)
	if !ok {
		f.WithField("email", "email")
	}
	if err := checkPIN(op, r.PIN, policy.PINVisitorLength.Of(rules), r.Born); err != nil {
		if bad, ok := fault.Of(err); ok {
			f.Fields = append(f.Fields, bad.Fields...)
			f.WithParam("length", policy.PINVisitorLength.Of(rules))
		}
	}
	if len(f.Fields) > 0 {
		return f
	}
	if err := ticked(op, Terms(r.Language), r.TermsVersion, r.Ticked); err != nil {
		return err
	}
	hash, err := a.Hasher.Hash(ctx, vault.PIN, r.PIN)
	if err != nil {
		return err
	}
	by := ident.Actor{Kind: ident.ByVisitor, Door: DoorVisitor}
	err = a.DB.Update(ctx, func(tx *store.Tx) error {
		v, err := a.People.AddVisitor(tx, by, people.Visitor{
			First: r.First, Last: r.Last, Born: r.Born, Phone: phone, Email: email, Zone: r.Zone, Language: r.Language,
		})
		if err != nil {
			return err
		}
		if err := tx.Exec(`INSERT INTO visitor_pin (visitor, hash, changed_at) VALUES (?,?,?)`, v.ID, hash, store.Ms(tx.Now())); err != nil {
			return err
		}
		if err := a.agree(tx, v.ID, "terms", r.TermsVersion); err != nil {
			return err
		}
		return a.sendActivation(tx, v, rules)
	})
	if fault.CodeOf(err) != "visitor.used" {
		return err
	}
	return a.DB.Update(ctx, func(tx *store.Tx) error { return a.tellOwner(tx, phone, email) })
}

// tellOwner writes to the owner of a number or address that somebody registered again, once a day at most.
func (a *Access) tellOwner(tx *store.Tx, phone, email string) error {
	v, err := a.People.VisitorByEmail(tx, email)
	if fault.Is(err, fault.NotFound) {
		v, err = a.People.VisitorByPhone(tx, phone)
	}
	if err != nil {
		return err
	}
	if v.State == people.Pending || v.State == people.Expired {
		rules, err := a.Policy.At(tx, policy.Scope{})
		if err != nil {
			return err
		}
		return a.sendAgain(tx, v, rules)
	}
	return outbox.Notify(tx, outbox.Notice{Template: "account.exists", To: string(v.ID), Subject: string(v.ID)})
}

func (a *Access) sendActivation(tx *store.Tx, v people.Visitor, rules policy.Rules) error {
	secret, ttl := ident.Secret(), policy.AccountActivationLinkTTL.Of(rules)
	if err := tx.Exec(`INSERT INTO activation (hash, visitor, sent_on, expires_at) VALUES (?,?,?,?)`,
		digest(secret), v.ID, tx.Now().Format(time.DateOnly), store.Ms(tx.Now().Add(ttl))); err != nil {
		return err
	}
	return outbox.Notify(tx, outbox.Notice{
		Template: "account.activate", To: string(v.ID), Subject: string(v.ID),
		Params: map[string]any{"token": secret, "hours": int(ttl.Hours())},
	})
}

// sendAgain sends another link while the day's number is not used up; beyond it nothing happens, silently.
func (a *Access) sendAgain(tx *store.Tx, v people.Visitor, rules policy.Rules) error {
	var sent int
	if err := tx.Row(`SELECT count(*) FROM activation WHERE visitor = ? AND sent_on = ?`, v.ID, tx.Now().Format(time.DateOnly)).Scan(&sent); err != nil {
		return err
	}
	if sent > resendsADay { // the first mail and five more
		return nil
	}
	if v.State == people.Expired {
		if _, err := a.People.MoveVisitor(tx, ident.System(), "visitor.resend", v.ID, "", time.Time{}); err != nil {
			return err
		}
	}
	return a.sendActivation(tx, v, rules)
}

// ResendActivation sends the activation mail again; the answer tells nothing about the address.
func (a *Access) ResendActivation(ctx context.Context, email string) error {
	return a.DB.Update(ctx, func(tx *store.Tx) error {
		v, err := a.People.VisitorByEmail(tx, email)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil || (v.State != people.Pending && v.State != people.Expired) {
			return err
		}
		rules, err := a.Policy.At(tx, policy.Scope{})
		if err != nil {
			return err
		}
		return a.sendAgain(tx, v, rules)
	})
}

// Activate turns an account on by the secret of its mail and makes the browser that did it a known one; it returns the
// secret for that browser's cookie. Invalid with auth.linkOld when the link is used or too old.
func (a *Access) Activate(ctx context.Context, secret string) (browser string, err error) {
	const op = "access.Activate"
	old := fault.New(op, fault.Invalid, "This link is too old to use. Send a new link.").WithCode("auth.linkOld")
	var expired bool
	browser, err = update(ctx, a.DB, func(tx *store.Tx) (string, error) {
		expired = false
		var id ident.Visitor
		var until int64
		err := tx.Row(`SELECT visitor, expires_at FROM activation WHERE hash = ? AND used_at IS NULL`, digest(secret)).Scan(&id, &until)
		if fault.Is(err, fault.NotFound) {
			return "", old
		}
		if err != nil {
			return "", err
		}
		v, err := a.People.Visitor(tx, id)
		if err != nil {
			return "", err
		}
		if until <= store.Ms(tx.Now()) {
			expired = true
			if v.State == people.Pending {
				_, err = a.People.MoveVisitor(tx, ident.System(), "visitor.expire", id, "", time.Time{})
			}
			return "", err
		}
		if v.State != people.Pending {
			return "", old
		}
		if err := tx.Exec(`UPDATE activation SET used_at = ? WHERE visitor = ? AND used_at IS NULL`, store.Ms(tx.Now()), id); err != nil {
			return "", err
		}
		by := ident.Actor{Kind: ident.ByVisitor, ID: string(id), Door: DoorVisitor}
		if _, err := a.People.MoveVisitor(tx, by, "visitor.activate", id, "", time.Time{}); err != nil {
			return "", err
		}
		if err := outbox.Notify(tx, outbox.Notice{Template: "account.active", To: string(id), Subject: string(id)}); err != nil {
			return "", err
		}
		return knowBrowser(tx, id)
	})
	if err == nil && expired {
		return "", old
	}
	return browser, err
}

// SetVisitorPIN gives a visitor a new PIN and opens the locks; every session of theirs ends.
func (a *Access) SetVisitorPIN(ctx context.Context, by ident.Actor, id ident.Visitor, pin string) error {
	const op = "access.SetVisitorPIN"
	rules, err := a.rules(ctx)
	if err != nil {
		return err
	}
	v, err := view(ctx, a.DB, func(tx *store.Tx) (people.Visitor, error) { return a.People.Visitor(tx, id) })
	if err != nil {
		return err
	}
	if err := checkPIN(op, pin, policy.PINVisitorLength.Of(rules), v.Born); err != nil {
		return err
	}
	hash, err := a.Hasher.Hash(ctx, vault.PIN, pin)
	if err != nil {
		return err
	}
	return a.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Exec(`INSERT INTO visitor_pin (visitor, hash, changed_at) VALUES (?,?,?)
			ON CONFLICT (visitor) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at`, id, hash, store.Ms(tx.Now())); err != nil {
			return err
		}
		if err := forgive(tx, digest(DoorVisitor, v.Phone)); err != nil {
			return err
		}
		if err := a.End(tx, string(id)); err != nil {
			return err
		}
		return audit.Record(tx, by, "signin.pin", id)
	})
}

// agree notes that a visitor ticked a version of the terms or the agreement.
func (a *Access) agree(tx *store.Tx, v ident.Visitor, what, version string) error {
	return tx.Exec(`INSERT INTO agreed (visitor, what, version, at) VALUES (?,?,?,?) ON CONFLICT DO NOTHING`, v, what, version, store.Ms(tx.Now()))
}

// TermsCurrent tells whether a visitor has ticked the present terms, or need not.
func (a *Access) TermsCurrent(tx *store.Tx, v ident.Visitor) (bool, error) {
	rules, err := a.Policy.At(tx, policy.Scope{})
	if err != nil {
		return false, err
	}
	if !policy.AccountTermsReaccept.Of(rules) {
		return true, nil
	}
	return a.agreed(tx, v, "terms", Terms("en").Version)
}

func (a *Access) agreed(tx *store.Tx, v ident.Visitor, what, version string) (bool, error) {
	var n int
	err := tx.Row(`SELECT count(*) FROM agreed WHERE visitor = ? AND what = ? AND version = ?`, v, what, version).Scan(&n)
	return n > 0, err
}

// address reads one plain e-mail address.
func address(s string) (string, bool) {
	s = strings.TrimSpace(s)
	m, err := mail.ParseAddress(s)
	if err != nil || m.Address != s || len(s) > 200 || strings.ContainsAny(s, "\r\n\" ") {
		return "", false
	}
	_, host, _ := strings.Cut(s, "@")
	return s, strings.Contains(host, ".") || host == "localhost"
}

// phone reads a telephone number as somebody in the facility's country would type it.
func (a *Access) e164(ctx context.Context, s string) (string, error) {
	country, err := view(ctx, a.DB, func(tx *store.Tx) (string, error) {
		f, err := a.Facility.Get(tx)
		return f.Country, err
	})
	if err != nil {
		return "", err
	}
	return phone.E164(s, country)
}
