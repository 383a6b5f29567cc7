package access

import (
	"context"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
)

// The mailed code of a browser that is not known yet.
const (
	codeTTL   = 15 * time.Minute
	codeSends = 5
	codeTries = 5
)

// SignInVisitor lets a visitor in by phone number and PIN. browser is the secret of a known browser's cookie, "" when the
// browser has none. It returns Unauthenticated (auth.wrong, with the tries left) for a wrong number as for a wrong PIN,
// TooMany (auth.locked) while locked, and Forbidden (auth.notActive) only after a right PIN.
func (a *Access) SignInVisitor(ctx context.Context, number, pin, browser string) (Entry, error) {
	rules, err := a.rules(ctx)
	if err != nil {
		return Entry{}, err
	}
	phone, err := a.e164(ctx, number)
	if err != nil {
		phone = "?" + number // counted like any other
	}
	type account struct {
		v     people.Visitor
		hash  string
		known bool // the browser is known
	}
	acc, err := view(ctx, a.DB, func(tx *store.Tx) (account, error) {
		var acc account
		v, err := a.People.VisitorByPhone(tx, phone)
		if fault.Is(err, fault.NotFound) {
			return acc, nil
		}
		if err != nil {
			return acc, err
		}
		acc.v = v
		if err := tx.Row(`SELECT hash FROM visitor_pin WHERE visitor = ?`, v.ID).Scan(&acc.hash); err != nil && !fault.Is(err, fault.NotFound) {
			return acc, err
		}
		acc.known, err = knowsBrowser(tx, v.ID, browser)
		return acc, err
	})
	if err != nil {
		return Entry{}, err
	}
	// A known browser has a count of its own, so that a stranger cannot lock the owner out of it.
	whose := digest(DoorVisitor, phone)
	key := digest(whose, "new")
	if acc.known {
		key = digest(whose, digest(browser))
	}
	g := gate{key: key, account: whose, max: policy.PINMaxFailures.Of(rules), lock: policy.PINLockout.Of(rules), hard: policy.PINHardFailures.Of(rules)}
	t, err := a.take(ctx, g)
	if err != nil {
		return Entry{}, err
	}
	right := false
	if acc.hash == "" {
		if err := a.Hasher.Decoy(ctx, vault.PIN); err != nil {
			return Entry{}, err
		}
	} else if right, err = a.Hasher.Verify(ctx, acc.hash, pin); err != nil {
		return Entry{}, err
	}
	if !right {
		return Entry{}, a.wrongPIN(ctx, t, acc.v)
	}
	by := ident.Actor{Kind: ident.ByVisitor, ID: string(acc.v.ID), Door: DoorVisitor}
	return update(ctx, a.DB, func(tx *store.Tx) (Entry, error) {
		if err := passed(tx, g); err != nil {
			return Entry{}, err
		}
		v, err := a.People.Visitor(tx, acc.v.ID)
		if err != nil {
			return Entry{}, err
		}
		if v.State == people.Pending || v.State == people.Expired {
			return Entry{}, fault.New("access.SignIn", fault.Forbidden, "Turn on your account first.").WithCode("auth.notActive")
		}
		if policy.AccountNewDeviceCheck.Of(rules) && !acc.known {
			e, err := a.begin(tx, by, StageDeviceCode, "", time.Time{})
			if err != nil {
				return Entry{}, err
			}
			e.SentTo = mask(v.Email)
			if err := audit.Record(tx, by, "signin.code", v.ID); err != nil {
				return Entry{}, err
			}
			return e, a.sendCode(tx, e.ID, v.ID, 1)
		}
		stage, err := a.afterSecrets(tx, v.ID, rules)
		if err != nil {
			return Entry{}, err
		}
		if err := audit.Record(tx, by, "signin", v.ID); err != nil {
			return Entry{}, err
		}
		return a.begin(tx, by, stage, "", time.Time{})
	})
}

// wrongPIN answers a wrong try and tells the owner when it was the one that locked.
func (a *Access) wrongPIN(ctx context.Context, t tried, v people.Visitor) error {
	if v.ID != "" && !t.locked.IsZero() {
		err := a.DB.Update(ctx, func(tx *store.Tx) error {
			if err := audit.Record(tx, ident.System(), "signin.lock", v.ID); err != nil {
				return err
			}
			return outbox.Notify(tx, outbox.Notice{Template: "account.locked", To: string(v.ID), Subject: string(v.ID), Params: map[string]any{"until": store.Ms(t.locked)}})
		})
		if err != nil {
			return err
		}
	}
	return t.errWrong(a.Clock.Now(), "auth.wrong")
}

// afterSecrets says what stands between a visitor who has shown all secrets and the whole session.
func (a *Access) afterSecrets(tx *store.Tx, v ident.Visitor, rules policy.Rules) (string, error) {
	if policy.AccountSigninAgreement.Of(rules) == "every_sign_in" {
		return StageAgreement, nil
	}
	ok, err := a.agreed(tx, v, "agreement", Agreement("en").Version)
	if err != nil || !ok {
		return StageAgreement, err
	}
	return StageFull, nil
}

// sendCode mails a new code for a session that waits for one.
func (a *Access) sendCode(tx *store.Tx, s ident.Session, v ident.Visitor, sent int) error {
	code := ident.Digits(6)
	if err := tx.Exec(`INSERT INTO browser_code (session, hash, sent, expires_at) VALUES (?,?,?,?)
		ON CONFLICT (session) DO UPDATE SET hash = excluded.hash, sent = excluded.sent, expires_at = excluded.expires_at`,
		s, digest(string(s), code), sent, store.Ms(tx.Now().Add(codeTTL))); err != nil {
		return err
	}
	return outbox.Notify(tx, outbox.Notice{Template: "account.new_device", To: string(v), Subject: string(v), Params: map[string]any{"code": code}})
}

func waits(op string, s Session, stage string) error {
	if s.Stage != stage {
		return fault.New(op, fault.Conflict, "This step is not needed now.").WithCode("auth.stage")
	}
	return nil
}

// ResendCode mails a new code to a visitor who waits for one. It returns where it was sent.
func (a *Access) ResendCode(ctx context.Context, s Session) (string, error) {
	const op = "access.ResendCode"
	if err := waits(op, s, StageDeviceCode); err != nil {
		return "", err
	}
	return update(ctx, a.DB, func(tx *store.Tx) (string, error) {
		var sent int
		if err := tx.Row(`SELECT sent FROM browser_code WHERE session = ?`, s.ID).Scan(&sent); err != nil && !fault.Is(err, fault.NotFound) {
			return "", err
		}
		if sent >= codeSends {
			return "", fault.New(op, fault.TooMany, "We have sent too many codes. Sign in again.").WithCode("auth.codeMany")
		}
		v, err := a.People.Visitor(tx, ident.Visitor(s.Actor.ID))
		if err != nil {
			return "", err
		}
		return mask(v.Email), a.sendCode(tx, s.ID, v.ID, sent+1)
	})
}

// SentTo says where the code of a session was sent, with all but a few letters hidden.
func (a *Access) SentTo(tx *store.Tx, s Session) (string, error) {
	v, err := a.People.Visitor(tx, ident.Visitor(s.Actor.ID))
	return mask(v.Email), err
}

// ConfirmBrowser takes the mailed code; the browser is known from then on. Wrong codes are counted like PINs.
func (a *Access) ConfirmBrowser(ctx context.Context, s Session, code string) (Entry, error) {
	const op = "access.ConfirmBrowser"
	if err := waits(op, s, StageDeviceCode); err != nil {
		return Entry{}, err
	}
	rules, err := a.rules(ctx)
	if err != nil {
		return Entry{}, err
	}
	whose := digest(DoorVisitor, "code", s.Actor.ID)
	g := gate{key: whose, account: whose, max: codeTries, lock: policy.PINLockout.Of(rules), hard: policy.PINHardFailures.Of(rules)}
	t, err := a.take(ctx, g)
	if err != nil {
		return Entry{}, err
	}
	return update(ctx, a.DB, func(tx *store.Tx) (Entry, error) {
		var n int
		if err := tx.Row(`SELECT count(*) FROM browser_code WHERE session = ? AND hash = ? AND expires_at > ?`,
			s.ID, digest(string(s.ID), code), store.Ms(tx.Now())).Scan(&n); err != nil {
			return Entry{}, err
		}
		if n == 0 {
			return Entry{}, t.errWrong(tx.Now(), "auth.codeWrong")
		}
		if err := passed(tx, g); err != nil {
			return Entry{}, err
		}
		if err := tx.Exec(`DELETE FROM browser_code WHERE session = ?`, s.ID); err != nil {
			return Entry{}, err
		}
		v := ident.Visitor(s.Actor.ID)
		browser, err := knowBrowser(tx, v)
		if err != nil {
			return Entry{}, err
		}
		stage, err := a.afterSecrets(tx, v, rules)
		if err != nil {
			return Entry{}, err
		}
		if err := audit.Record(tx, s.Actor, "signin", v); err != nil {
			return Entry{}, err
		}
		e, err := a.forward(tx, s, stage, tx.Now())
		e.Browser = browser
		return e, err
	})
}

// Agree takes the ticked boxes of the agreement; the session is whole from then on.
func (a *Access) Agree(ctx context.Context, s Session, version string, keys []string) (Entry, error) {
	const op = "access.Agree"
	if err := waits(op, s, StageAgreement); err != nil {
		return Entry{}, err
	}
	if err := ticked(op, Agreement("en"), version, keys); err != nil {
		return Entry{}, err
	}
	return update(ctx, a.DB, func(tx *store.Tx) (Entry, error) {
		if err := a.agree(tx, ident.Visitor(s.Actor.ID), "agreement", version); err != nil {
			return Entry{}, err
		}
		if err := audit.Record(tx, s.Actor, "signin.agree", s.Actor.ID, audit.Policy(version)); err != nil {
			return Entry{}, err
		}
		return a.forward(tx, s, StageFull, s.Factor)
	})
}

func knowBrowser(tx *store.Tx, v ident.Visitor) (string, error) {
	secret := ident.Secret()
	return secret, tx.Exec(`INSERT INTO browser (id, hash, visitor, created_at) VALUES (?,?,?,?)`,
		ident.New[ident.Browser](), digest(secret), v, store.Ms(tx.Now()))
}

func knowsBrowser(tx *store.Tx, v ident.Visitor, secret string) (bool, error) {
	if secret == "" {
		return false, nil
	}
	var n int
	err := tx.Row(`SELECT count(*) FROM browser WHERE hash = ? AND visitor = ? AND revoked_at IS NULL`, digest(secret), v).Scan(&n)
	return n > 0, err
}
