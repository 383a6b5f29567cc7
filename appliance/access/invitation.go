package access

import (
	"context"
	"slices"
	"strings"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
)

// Invitation lets a member of staff make their own password and second factor, once.
type Invitation struct {
	Code    string // shown once, to whoever made it
	Expires time.Time
}

// InviteStaff makes an account without a password and the code with which its owner turns it on. Nobody is administrator
// and investigator at once.
func (a *Access) InviteStaff(tx *store.Tx, by ident.Actor, s Staff) (Staff, Invitation, error) {
	f := fault.New("access.InviteStaff", fault.Invalid, "Check the form.").WithCode("form")
	s.check(f)
	if len(f.Fields) > 0 {
		return Staff{}, Invitation{}, f
	}
	s.fill()
	if err := (newStaff{staff: s, sealed: []byte{}}).write(tx, by); err != nil {
		return Staff{}, Invitation{}, err
	}
	i, err := a.invite(tx, s.ID)
	if err != nil {
		return Staff{}, Invitation{}, err
	}
	s, err = a.Staff(tx, s.ID)
	return s, i, err
}

// ResetStaff makes the password and the second factor of an account void and returns the code that makes new ones, as
// after a lost phone. Its sessions end. Nobody resets the own account, nor that of the last administrator, whose lost
// code would lock everybody out: Conflict.
func (a *Access) ResetStaff(tx *store.Tx, by ident.Actor, id ident.Staff) (Staff, Invitation, error) {
	const op = "access.ResetStaff"
	was, err := a.others(tx, op, by, id)
	if err != nil {
		return Staff{}, Invitation{}, err
	}
	if was.Disabled {
		return Staff{}, Invitation{}, fault.New(op, fault.Conflict, "This account is out of use. Let the person in again first.").WithCode("staff.disabled")
	}
	if err := a.keepAdministrator(tx, op, was, nil); err != nil {
		return Staff{}, Invitation{}, err
	}
	if err := tx.Exec(`UPDATE staff SET password = '', totp = x'', totp_step = 0 WHERE id = ?`, id); err != nil {
		return Staff{}, Invitation{}, err
	}
	if err := a.End(tx, string(id)); err != nil {
		return Staff{}, Invitation{}, err
	}
	if err := audit.Record(tx, by, "staff.reset", id); err != nil {
		return Staff{}, Invitation{}, err
	}
	i, err := a.invite(tx, id)
	if err != nil {
		return Staff{}, Invitation{}, err
	}
	now, err := a.Staff(tx, id)
	return now, i, err
}

// invite makes a new code for an account; one made before ends.
func (a *Access) invite(tx *store.Tx, id ident.Staff) (Invitation, error) {
	rules, err := a.rulesIn(tx)
	if err != nil {
		return Invitation{}, err
	}
	i := Invitation{Code: ident.Reference() + "-" + ident.Reference(), Expires: tx.Now().Add(policy.AccountActivationLinkTTL.Of(rules))}
	return i, tx.Exec(`INSERT INTO invitation (staff, hash, expires_at) VALUES (?,?,?)
		ON CONFLICT (staff) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at`, id, digest(string(id), typed(i.Code)), store.Ms(i.Expires))
}

// ActivateStaff gives an account its password by the code of its invitation, once, and returns the second factor that
// its owner adds to an authenticator. Every wrong pair of name and code answers the same and is counted.
func (a *Access) ActivateStaff(ctx context.Context, door, username, code, password string) (Factor, error) {
	const op = "access.ActivateStaff"
	rules, err := a.rules(ctx)
	if err != nil {
		return Factor{}, err
	}
	username = strings.ToLower(strings.TrimSpace(username))
	if err := checkPassword(op, password, username, policy.StaffPasswordMin.Of(rules)); err != nil {
		return Factor{}, err
	}
	whose := digest("invitation", username)
	g := gate{key: whose, account: whose, max: policy.PINMaxFailures.Of(rules), lock: policy.PINLockout.Of(rules)}
	t, err := a.take(ctx, g)
	if err != nil {
		return Factor{}, err
	}
	hash, err := a.Hasher.Hash(ctx, vault.Password, password)
	if err != nil {
		return Factor{}, err
	}
	factor := newFactor(a.Issuer, username)
	return factor, a.DB.Update(ctx, func(tx *store.Tx) error {
		wrong := t.errWrong(tx.Now(), "auth.codeWrong")
		var id ident.Staff
		var want string
		var words string
		err := tx.Row(`SELECT s.id, s.roles, i.hash FROM staff s JOIN invitation i ON i.staff = s.id
			WHERE s.username = ? AND s.disabled_at IS NULL AND i.expires_at > ?`, username, store.Ms(tx.Now())).Scan(&id, &words, &want)
		if fault.Is(err, fault.NotFound) {
			return wrong
		}
		if err != nil {
			return err
		}
		roles := strings.Fields(words)
		if want != digest(string(id), typed(code)) || door == DoorSetup && !maySetUp(roles) {
			return wrong
		}
		if err := tx.Exec(`DELETE FROM invitation WHERE staff = ?`, id); err != nil {
			return err
		}
		if err := tx.Exec(`UPDATE staff SET password = ?, totp = ?, totp_step = 0 WHERE id = ?`, hash, a.close(factor.Secret, string(id)), id); err != nil {
			return err
		}
		for _, account := range []string{whose, digest(DoorStaff, username), digest(DoorSetup, username), digest(DoorStaff, "totp", string(id)), digest(DoorSetup, "totp", string(id))} {
			if err := forgive(tx, account); err != nil {
				return err
			}
		}
		return audit.Record(tx, ident.Actor{Kind: ident.ByStaff, ID: string(id), Door: door, Roles: roles}, "staff.activate", id)
	})
}

// ChangeStaff gives an account another name or other roles; its sessions go on with the new roles. Nobody changes the
// own roles, and one administrator remains: Conflict.
func (a *Access) ChangeStaff(tx *store.Tx, by ident.Actor, id ident.Staff, name string, roles []string) (Staff, error) {
	const op = "access.ChangeStaff"
	was, err := a.Staff(tx, id)
	if err != nil {
		return Staff{}, err
	}
	n := was
	n.Name, n.Roles = name, roles
	f := fault.New(op, fault.Invalid, "Check the form.").WithCode("form")
	n.check(f)
	if len(f.Fields) > 0 {
		return Staff{}, f
	}
	if !sameWords(was.Roles, n.Roles) {
		if _, err := a.others(tx, op, by, id); err != nil {
			return Staff{}, err
		}
		if err := a.keepAdministrator(tx, op, was, n.Roles); err != nil {
			return Staff{}, err
		}
	}
	if err := tx.Exec(`UPDATE staff SET name = ?, roles = ? WHERE id = ?`, n.Name, strings.Join(n.Roles, " "), id); err != nil {
		return Staff{}, err
	}
	return n, audit.Record(tx, by, "staff.change", id, audit.Before(map[string]any{"roles": was.Roles}), audit.After(map[string]any{"roles": n.Roles}))
}

// DisableStaff closes an account; its sessions end at once and an open invitation is void. Nobody closes the own account
// nor that of the last administrator: Conflict.
func (a *Access) DisableStaff(tx *store.Tx, by ident.Actor, id ident.Staff, reason string) error {
	const op = "access.DisableStaff"
	was, err := a.others(tx, op, by, id)
	if err != nil {
		return err
	}
	if err := a.keepAdministrator(tx, op, was, nil); err != nil {
		return err
	}
	n, err := tx.ExecN(`UPDATE staff SET disabled_at = ? WHERE id = ? AND disabled_at IS NULL`, store.Ms(tx.Now()), id)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New(op, fault.Conflict, "This account is out of use already.").WithCode("staff.disabled")
	}
	if err := tx.Exec(`DELETE FROM invitation WHERE staff = ?`, id); err != nil {
		return err
	}
	if err := a.End(tx, string(id)); err != nil {
		return err
	}
	return audit.Record(tx, by, "staff.disable", id, audit.Reason(reason))
}

// EnableStaff opens an account that was closed: with the password and second factor that it had.
func (a *Access) EnableStaff(tx *store.Tx, by ident.Actor, id ident.Staff) error {
	if _, err := a.Staff(tx, id); err != nil {
		return err
	}
	n, err := tx.ExecN(`UPDATE staff SET disabled_at = NULL WHERE id = ? AND disabled_at IS NOT NULL`, id)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New("access.EnableStaff", fault.Conflict, "This account is in use.").WithCode("staff.enabled")
	}
	return audit.Record(tx, by, "staff.enable", id)
}

// others returns an account that is not the actor's own.
func (a *Access) others(tx *store.Tx, op string, by ident.Actor, id ident.Staff) (Staff, error) {
	s, err := a.Staff(tx, id)
	if err == nil && by.ID == string(id) {
		return Staff{}, fault.New(op, fault.Conflict, "This is your own account. Another administrator does this.").WithCode("staff.own")
	}
	return s, err
}

// keepAdministrator refuses what would leave the appliance without an administrator who can sign in. roles are those that
// the account has afterwards.
func (a *Access) keepAdministrator(tx *store.Tx, op string, was Staff, roles []string) error {
	if !slices.Contains(was.Roles, Administrator) || slices.Contains(roles, Administrator) {
		return nil
	}
	var left int
	err := tx.Row(`SELECT count(*) FROM staff WHERE ' ' || roles || ' ' LIKE '% administrator %' AND disabled_at IS NULL AND password <> '' AND id <> ?`, was.ID).Scan(&left)
	if err == nil && left == 0 {
		return fault.New(op, fault.Conflict, "This is the last administrator. Make another one first.").WithCode("staff.lastAdministrator")
	}
	return err
}

func sameWords(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// maySetUp tells whether the setup door lets these roles in.
func maySetUp(roles []string) bool {
	return slices.Contains(roles, Administrator) || slices.Contains(roles, Installer)
}
