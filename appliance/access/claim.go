package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

const (
	claimTries = 5
	claimLock  = 10 * time.Minute
)

// Claimed tells whether the appliance has an administrator.
func (a *Access) Claimed(tx *store.Tx) (bool, error) {
	var n int
	err := tx.Row(`SELECT count(*) FROM staff WHERE ' ' || roles || ' ' LIKE '% administrator %'`).Scan(&n)
	return n > 0, err
}

// NewClaim makes the code that the appliance's own screen shows and with which the first administrator is made; codes made
// before end. Conflict when there is an administrator already.
func (a *Access) NewClaim(tx *store.Tx) (string, error) {
	code := ident.Code()
	return code, a.setClaim(tx, digest("claim", typed(code)))
}

// ExpectClaim lets a code count that somebody has in hand already, by the SHA-256 of its sixteen letters (capitals, without
// hyphens) in hex; codes made before end. Conflict when there is an administrator already. A code that was used up by wrong
// tries does not come back: false tells that only a new one helps.
func (a *Access) ExpectClaim(tx *store.Tx, sum string) (bool, error) {
	hash := digest("claim of the installer", sum)
	var spent int
	if err := tx.Row(`SELECT count(*) FROM claim WHERE hash = ? AND used_at IS NOT NULL`, hash).Scan(&spent); err != nil || spent > 0 {
		return false, err
	}
	return true, a.setClaim(tx, hash)
}

func (a *Access) setClaim(tx *store.Tx, hash string) error {
	claimed, err := a.Claimed(tx)
	if err != nil {
		return err
	}
	if claimed {
		return errClaimed()
	}
	if err := tx.Exec(`DELETE FROM claim WHERE used_at IS NULL`); err != nil {
		return err
	}
	if err := tx.Exec(`INSERT INTO claim (hash, created_at) VALUES (?,?)`, hash, store.Ms(tx.Now())); err != nil {
		return err
	}
	return audit.Record(tx, ident.System(), "setup.claim_code", "appliance")
}

// claimHashes are what a typed code may be stored as: our own one, or one that the installer had in hand.
func claimHashes(code string) (own, installer string) {
	sum := sha256.Sum256([]byte(typed(code)))
	return digest("claim", typed(code)), digest("claim of the installer", hex.EncodeToString(sum[:]))
}

// ClaimAppliance makes the first administrator by the code on the appliance's screen, once. Five wrong tries end the code:
// ten minutes later the screen's new one counts, so that nobody on the network gets on by trying.
func (a *Access) ClaimAppliance(ctx context.Context, code, name, username, password string) (Staff, Factor, error) {
	const op = "access.ClaimAppliance"
	g := gate{key: digest(DoorSetup, "claim"), max: claimTries, lock: claimLock}
	// An appliance that has its administrator has no code to try.
	if claimed, err := view(ctx, a.DB, a.Claimed); err != nil || claimed {
		return Staff{}, Factor{}, firstError(err, errClaimed())
	}
	t, err := a.take(ctx, g)
	if err != nil {
		return Staff{}, Factor{}, err
	}
	add, err := a.prepareStaff(ctx, Staff{Username: username, Name: name, Roles: []string{Administrator}}, password)
	if err != nil {
		// What is wrong with the name or the password costs no try at the code.
		return Staff{}, Factor{}, firstError(err, a.DB.Update(ctx, func(tx *store.Tx) error { return passed(tx, g) }))
	}
	own, installer := claimHashes(code)
	fresh := ""
	var wrong error
	err = a.DB.Update(ctx, func(tx *store.Tx) error {
		fresh, wrong = "", nil
		claimed, err := a.Claimed(tx)
		if err != nil {
			return err
		}
		if claimed {
			return errClaimed()
		}
		n, err := tx.ExecN(`UPDATE claim SET used_at = ? WHERE hash IN (?, ?) AND used_at IS NULL`, store.Ms(tx.Now()), own, installer)
		if err != nil {
			return err
		}
		if n == 0 {
			wrong = fault.New(op, fault.Invalid, "That code is not right. Look at the screen of the appliance.").WithCode("auth.codeWrong")
			if t.locked.IsZero() {
				return nil
			}
			wrong = errLocked(tx.Now(), t.locked)
			// The old one is spent, not removed: a code of the installer must not be expected again at the next start.
			if err := tx.Exec(`UPDATE claim SET used_at = ? WHERE used_at IS NULL`, store.Ms(tx.Now())); err != nil {
				return err
			}
			fresh, err = a.NewClaim(tx)
			return err
		}
		if err := passed(tx, g); err != nil {
			return err
		}
		return add.write(tx, ident.Actor{Kind: ident.BySystem, Door: DoorSetup})
	})
	if err == nil && a.ShowClaim != nil && (wrong == nil || fresh != "") {
		err = a.ShowClaim(fresh)
	}
	return add.staff, add.factor, firstError(wrong, err)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func errClaimed() error {
	return fault.New("access.Claim", fault.Conflict, "This claim code has been used. Make a new one on the screen of the appliance.").WithCode("setup.claimUsed")
}
