package access

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
)

// Staff is an account of somebody who works at the facility.
type Staff struct {
	ID       ident.Staff
	Username string
	Name     string
	Roles    []string
	Language string
	Disabled bool
	Invited  time.Time // until when its owner can turn it on; zero when it is on, or nobody can
	Active   bool      // has a password
	Last     time.Time // its last sign-in; zero when there was none
}

// Factor is the second factor of a new account, shown once.
type Factor struct{ Secret, URL string }

const totpPeriod = 30

var usernameShape = regexp.MustCompile(`^[a-z][a-z0-9._-]{2,59}$`)

const staffColumns = `id, username, name, roles, language, disabled_at IS NOT NULL, password <> '',
	coalesce((SELECT expires_at FROM invitation WHERE staff = id), 0), coalesce((SELECT max(created_at) FROM session WHERE who = staff.id AND stage = 'full'), 0)`

func scanStaff(r interface{ Scan(...any) error }) (s Staff, err error) {
	var words string
	var invited, last int64
	err = r.Scan(&s.ID, &s.Username, &s.Name, &words, &s.Language, &s.Disabled, &s.Active, &invited, &last)
	s.Roles = strings.Fields(words)
	if invited != 0 {
		s.Invited = store.Time(invited)
	}
	if last != 0 {
		s.Last = store.Time(last)
	}
	return s, err
}

// check notes on f what is wrong with an account's own words.
func (s *Staff) check(f *fault.Error) {
	if !usernameShape.MatchString(s.Username) {
		f.WithField("username", "username")
	}
	if s.Name = strings.TrimSpace(s.Name); s.Name == "" || len(s.Name) > 120 {
		f.WithField("name", "required")
	}
	if len(s.Roles) == 0 || slices.ContainsFunc(s.Roles, func(r string) bool { return !slices.Contains(roles(), r) }) {
		f.WithField("roles", "unknown")
	}
	if slices.Contains(s.Roles, Administrator) && slices.Contains(s.Roles, Investigator) {
		f.WithField("roles", "apart")
	}
}

// fill gives a new account what nobody typed.
func (s *Staff) fill() {
	s.ID = ident.New[ident.Staff]()
	if s.Language == "" {
		s.Language = "en"
	}
}

// Staff returns an account, NotFound when there is none.
func (a *Access) Staff(tx *store.Tx, id ident.Staff) (Staff, error) {
	s, err := scanStaff(tx.Row(`SELECT `+staffColumns+` FROM staff WHERE id = ?`, id))
	if fault.Is(err, fault.NotFound) {
		return Staff{}, fault.New("access.Staff", fault.NotFound, "There is no such person.").WithCode("not_found")
	}
	return s, err
}

// StaffList lists all accounts by name.
func (a *Access) StaffList(tx *store.Tx) ([]Staff, error) {
	return store.All(tx, func(r *store.Rows) (Staff, error) { return scanStaff(r) }, `SELECT `+staffColumns+` FROM staff ORDER BY name, id`)
}

// AddStaff makes an account. Nobody is administrator and investigator at once. The second factor is returned once.
func (a *Access) AddStaff(ctx context.Context, by ident.Actor, s Staff, password string) (Staff, Factor, error) {
	add, err := a.prepareStaff(ctx, s, password)
	if err != nil {
		return Staff{}, Factor{}, err
	}
	err = a.DB.Update(ctx, func(tx *store.Tx) error { return add.write(tx, by) })
	return add.staff, add.factor, err
}

type newStaff struct {
	staff  Staff
	factor Factor
	hash   string
	sealed []byte
}

// prepareStaff does everything of a new account that is slow or can be refused before the transaction.
func (a *Access) prepareStaff(ctx context.Context, s Staff, password string) (newStaff, error) {
	const op = "access.AddStaff"
	f := fault.New(op, fault.Invalid, "Check the form.").WithCode("form")
	s.check(f)
	rules, err := a.rules(ctx)
	if err != nil {
		return newStaff{}, err
	}
	if err := checkPassword(op, password, s.Username, policy.StaffPasswordMin.Of(rules)); err != nil {
		if bad, ok := fault.Of(err); ok {
			f.Fields, f.Params = append(f.Fields, bad.Fields...), bad.Params
		}
	}
	if len(f.Fields) > 0 {
		return newStaff{}, f
	}
	s.fill()
	n := newStaff{staff: s}
	if n.hash, err = a.Hasher.Hash(ctx, vault.Password, password); err != nil {
		return newStaff{}, err
	}
	n.factor = newFactor(a.Issuer, s.Username)
	n.sealed = a.close(n.factor.Secret, string(s.ID))
	return n, nil
}

func (n newStaff) write(tx *store.Tx, by ident.Actor) error {
	err := tx.Exec(`INSERT INTO staff (id, username, name, roles, password, totp, language, created_at) VALUES (?,?,?,?,?,?,?,?)`,
		n.staff.ID, n.staff.Username, n.staff.Name, strings.Join(n.staff.Roles, " "), n.hash, n.sealed, n.staff.Language, store.Ms(tx.Now()))
	if fault.Is(err, fault.Conflict) {
		return fault.New("access.AddStaff", fault.Conflict, "This user name is taken.").WithCode("form").WithField("username", "taken")
	}
	if err != nil {
		return err
	}
	return audit.Record(tx, by, "staff.add", n.staff.ID, audit.After(map[string]any{"roles": n.staff.Roles}))
}

func newFactor(issuer, username string) Factor {
	raw := make([]byte, 20)
	rand.Read(raw)
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: username, Secret: raw, Period: totpPeriod, Digits: otp.DigitsSix})
	if err != nil {
		return Factor{Secret: secret} // an issuer or name that has no URL form; the secret can still be typed
	}
	return Factor{Secret: secret, URL: key.URL()}
}

// SignInStaff looks at a user name and password at the staff or the setup door; the second factor is the next step. At the
// setup door only administrators and installers get in. Everything that does not fit answers the same.
func (a *Access) SignInStaff(ctx context.Context, door, username, password string) (Entry, error) {
	rules, err := a.rules(ctx)
	if err != nil {
		return Entry{}, err
	}
	username = strings.ToLower(strings.TrimSpace(username))
	type account struct {
		s    Staff
		hash string
	}
	acc, err := view(ctx, a.DB, func(tx *store.Tx) (account, error) {
		var acc account
		var words string
		err := tx.Row(`SELECT id, roles, password FROM staff WHERE username = ? AND disabled_at IS NULL`, username).Scan(&acc.s.ID, &words, &acc.hash)
		if fault.Is(err, fault.NotFound) {
			return account{}, nil
		}
		acc.s.Roles = strings.Fields(words)
		return acc, err
	})
	if err != nil {
		return Entry{}, err
	}
	if door == DoorSetup && !maySetUp(acc.s.Roles) {
		acc = account{}
	}
	whose := digest(door, username)
	g := gate{key: whose, account: whose, max: policy.PINMaxFailures.Of(rules), lock: policy.PINLockout.Of(rules), hard: policy.PINHardFailures.Of(rules)}
	t, err := a.take(ctx, g)
	if err != nil {
		return Entry{}, err
	}
	right := false
	if acc.hash == "" {
		if err := a.Hasher.Decoy(ctx, vault.Password); err != nil {
			return Entry{}, err
		}
	} else if right, err = a.Hasher.Verify(ctx, acc.hash, password); err != nil {
		return Entry{}, err
	}
	if !right {
		return Entry{}, t.errWrong(a.Clock.Now(), "auth.wrong")
	}
	by := ident.Actor{Kind: ident.ByStaff, ID: string(acc.s.ID), Door: door, Roles: acc.s.Roles}
	return update(ctx, a.DB, func(tx *store.Tx) (Entry, error) {
		if err := passed(tx, g); err != nil {
			return Entry{}, err
		}
		if err := audit.Record(tx, by, "signin.password", acc.s.ID); err != nil {
			return Entry{}, err
		}
		return a.begin(tx, by, StageTOTP, "", time.Time{})
	})
}

// ConfirmTOTP takes the code of the authenticator; the session is whole from then on. Each code counts once, and wrong
// ones are counted like passwords.
func (a *Access) ConfirmTOTP(ctx context.Context, s Session, code string) (Entry, error) {
	const op = "access.ConfirmTOTP"
	if s.Stage != StageTOTP && s.Stage != StageFull { // a whole session may show it again: step-up
		return Entry{}, waits(op, s, StageTOTP)
	}
	rules, err := a.rules(ctx)
	if err != nil {
		return Entry{}, err
	}
	whose := digest(s.Door, "totp", s.Actor.ID)
	g := gate{key: whose, account: whose, max: policy.PINMaxFailures.Of(rules), lock: policy.PINLockout.Of(rules), hard: policy.PINHardFailures.Of(rules)}
	t, err := a.take(ctx, g)
	if err != nil {
		return Entry{}, err
	}
	return update(ctx, a.DB, func(tx *store.Tx) (Entry, error) {
		var sealed []byte
		var used int64
		if err := tx.Row(`SELECT totp, totp_step FROM staff WHERE id = ? AND disabled_at IS NULL`, s.Actor.ID).Scan(&sealed, &used); err != nil {
			return Entry{}, err
		}
		secret, err := a.open(sealed, s.Actor.ID)
		if err != nil {
			return Entry{}, err
		}
		step, ok := totpStep(secret, typed(code), tx.Now())
		if !ok || step <= used {
			return Entry{}, t.errWrong(tx.Now(), "auth.codeWrong")
		}
		if err := tx.Exec(`UPDATE staff SET totp_step = ? WHERE id = ?`, step, s.Actor.ID); err != nil {
			return Entry{}, err
		}
		if err := passed(tx, g); err != nil {
			return Entry{}, err
		}
		if err := audit.Record(tx, s.Actor, "signin", s.Actor.ID); err != nil {
			return Entry{}, err
		}
		return a.forward(tx, s, StageFull, tx.Now())
	})
}

// totpStep finds the step, of this one and its two neighbours, that a code belongs to.
func totpStep(secret, code string, now time.Time) (int64, bool) {
	opts := totp.ValidateOpts{Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
	for _, d := range []int64{0, -1, 1} {
		at := now.Add(time.Duration(d) * totpPeriod * time.Second)
		if ok, err := totp.ValidateCustom(code, secret, at, opts); err == nil && ok {
			return at.Unix() / totpPeriod, true
		}
	}
	return 0, false
}
