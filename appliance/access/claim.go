package access

import (
	"context"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
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
	claimed, err := a.Claimed(tx)
	if err != nil {
		return "", err
	}
	if claimed {
		return "", errClaimed()
	}
	code := ident.Reference() + "-" + ident.Reference()
	if err := tx.Exec(`DELETE FROM claim WHERE used_at IS NULL`); err != nil {
		return "", err
	}
	if err := tx.Exec(`INSERT INTO claim (hash, created_at) VALUES (?,?)`, digest("claim", typed(code)), store.Ms(tx.Now())); err != nil {
		return "", err
	}
	return code, audit.Record(tx, ident.System(), "setup.claim_code", "appliance")
}

// ClaimAppliance makes the first administrator by the code on the appliance's screen, once.
func (a *Access) ClaimAppliance(ctx context.Context, code, name, username, password string) (Staff, Factor, error) {
	const op = "access.ClaimAppliance"
	g := gate{key: digest(DoorSetup, "claim"), max: 10, lock: triesWindow}
	if _, err := a.take(ctx, g); err != nil {
		return Staff{}, Factor{}, err
	}
	add, err := a.prepareStaff(ctx, Staff{Username: username, Name: name, Roles: []string{Administrator}}, password)
	if err != nil {
		return Staff{}, Factor{}, err
	}
	err = a.DB.Update(ctx, func(tx *store.Tx) error {
		claimed, err := a.Claimed(tx)
		if err != nil {
			return err
		}
		if claimed {
			return errClaimed()
		}
		n, err := tx.ExecN(`UPDATE claim SET used_at = ? WHERE hash = ? AND used_at IS NULL`, store.Ms(tx.Now()), digest("claim", typed(code)))
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(op, fault.Invalid, "That code is not right. Look at the screen of the appliance.").WithCode("auth.codeWrong")
		}
		if err := passed(tx, g); err != nil {
			return err
		}
		return add.write(tx, ident.Actor{Kind: ident.BySystem, Door: DoorSetup})
	})
	return add.staff, add.factor, err
}

func errClaimed() error {
	return fault.New("access.Claim", fault.Conflict, "This claim code has been used. Make a new one on the screen of the appliance.").WithCode("setup.claimUsed")
}
