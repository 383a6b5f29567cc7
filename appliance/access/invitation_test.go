package access_test

import (
	"context"
	"testing"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// invite makes an account that waits for its owner.
func (h *house) invite(username string, roles ...string) (s access.Staff, code string) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		made, i, err := h.InviteStaff(tx, admin, access.Staff{Username: username, Name: "Kit Hale", Roles: roles})
		s, code = made, i.Code
		return err
	})
	return s, code
}

// activated makes an account whose owner has turned it on.
func (h *house) activated(username string, roles ...string) (access.Staff, access.Factor) {
	h.t.Helper()
	s, c := h.invite(username, roles...)
	f, err := h.ActivateStaff(context.Background(), access.DoorStaff, username, c, password)
	if err != nil {
		h.t.Fatal(err)
	}
	return s, f
}

func (h *house) attempt(fn func(tx *store.Tx) error) error {
	return h.db.Update(context.Background(), fn)
}

func TestInvitedStaffMakeTheirOwnSecrets(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	kit, c := h.invite("kit.hale", access.Clerk)
	if kit.Active || kit.Invited.IsZero() {
		t.Errorf("invited: %+v", kit)
	}
	if _, err := h.SignInStaff(ctx, access.DoorStaff, "kit.hale", ""); fault.CodeOf(err) != "auth.wrong" {
		t.Errorf("without a password: %v", err)
	}
	for name, try := range map[string]struct{ door, username, code, password, want string }{
		"a wrong code":            {access.DoorStaff, "kit.hale", "AAA-AAA-AAA-AAA", password, "auth.codeWrong"},
		"somebody else's name":    {access.DoorStaff, "kit.hall", c, password, "auth.codeWrong"},
		"a clerk at set-up":       {access.DoorSetup, "kit.hale", c, password, "auth.codeWrong"},
		"a password of two words": {access.DoorStaff, "kit.hale", c, "short", "form"},
	} {
		if _, err := h.ActivateStaff(ctx, try.door, try.username, try.code, try.password); fault.CodeOf(err) != try.want {
			t.Errorf("%s: %v, want %s", name, err, try.want)
		}
	}
	f, err := h.ActivateStaff(ctx, access.DoorStaff, " Kit.Hale", c, password)
	if err != nil || f.URL == "" {
		t.Fatal(err)
	}
	if _, err := h.ActivateStaff(ctx, access.DoorStaff, "kit.hale", c, password); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("the code worked twice: %v", err)
	}
	e, err := h.SignInStaff(ctx, access.DoorStaff, "kit.hale", password)
	if err != nil {
		t.Fatal(err)
	}
	if full, err := h.ConfirmTOTP(ctx, e.Session, code(t, f, h.clock.Now())); err != nil || full.Stage != access.StageFull {
		t.Errorf("stage %q, %v", full.Stage, err)
	}
	h.write(func(tx *store.Tx) error {
		now, err := h.Staff(tx, kit.ID)
		if !now.Active || !now.Invited.IsZero() || !now.Last.Equal(start) {
			t.Errorf("active: %+v", now)
		}
		return err
	})
}

func TestInvitationEnds(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	_, c := h.invite("kit.hale", access.Clerk)
	h.clock.Advance(48 * time.Hour)
	if _, err := h.ActivateStaff(ctx, access.DoorStaff, "kit.hale", c, password); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("after two days: %v", err)
	}
	lou, c := h.invite("lou.park", access.Monitor)
	h.write(func(tx *store.Tx) error { return h.DisableStaff(tx, admin, lou.ID, "left") })
	h.write(func(tx *store.Tx) error { return h.EnableStaff(tx, admin, lou.ID) })
	if _, err := h.ActivateStaff(ctx, access.DoorStaff, "lou.park", c, password); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("after the account was closed: %v", err)
	}
	_, c = h.invite("max.stone", access.Monitor)
	for range 5 {
		if _, err := h.ActivateStaff(ctx, access.DoorStaff, "max.stone", "AAA-AAA-AAA-AAA", password); err == nil {
			t.Fatal("a wrong code")
		}
	}
	if _, err := h.ActivateStaff(ctx, access.DoorStaff, "max.stone", c, password); fault.CodeOf(err) != "auth.locked" {
		t.Errorf("after five guesses: %v", err)
	}
}

func TestResetMakesOldSecretsVoid(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	kit, f := h.activated("kit.hale", access.Clerk)
	e, err := h.SignInStaff(ctx, access.DoorStaff, "kit.hale", password)
	if err != nil {
		t.Fatal(err)
	}
	in, err := h.ConfirmTOTP(ctx, e.Session, code(t, f, h.clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	var again access.Invitation
	h.write(func(tx *store.Tx) (err error) { _, again, err = h.ResetStaff(tx, admin, kit.ID); return err })
	if _, err := h.Lookup(ctx, access.DoorStaff, in.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("reset, and still in: %v", err)
	}
	if _, err := h.SignInStaff(ctx, access.DoorStaff, "kit.hale", password); fault.CodeOf(err) != "auth.wrong" {
		t.Errorf("the old password: %v", err)
	}
	n, err := h.ActivateStaff(ctx, access.DoorStaff, "kit.hale", again.Code, "another good passphrase")
	if err != nil || n.Secret == f.Secret {
		t.Errorf("a new factor: %v", err)
	}
}

func TestOneAdministratorRemains(t *testing.T) {
	h := open(t)
	ada, _ := h.activated("ada.wells", access.Administrator)
	h.invite("bo.hill", access.Administrator) // cannot sign in yet, so does not count
	self := ident.Actor{Kind: ident.ByStaff, ID: string(ada.ID), Door: "setup", Roles: ada.Roles}
	acts := map[string]func(tx *store.Tx, by ident.Actor) error{
		"disable": func(tx *store.Tx, by ident.Actor) error { return h.DisableStaff(tx, by, ada.ID, "") },
		"reset":   func(tx *store.Tx, by ident.Actor) error { _, _, err := h.ResetStaff(tx, by, ada.ID); return err },
		"demote": func(tx *store.Tx, by ident.Actor) error {
			_, err := h.ChangeStaff(tx, by, ada.ID, "Ada Wells", []string{access.Clerk})
			return err
		},
	}
	for name, act := range acts {
		if err := h.attempt(func(tx *store.Tx) error { return act(tx, self) }); fault.CodeOf(err) != "staff.own" {
			t.Errorf("%s the own account: %v", name, err)
		}
		if err := h.attempt(func(tx *store.Tx) error { return act(tx, admin) }); fault.CodeOf(err) != "staff.lastAdministrator" {
			t.Errorf("%s the last administrator: %v", name, err)
		}
	}
	h.write(func(tx *store.Tx) error {
		_, err := h.ChangeStaff(tx, self, ada.ID, "Ada Wells-Hill", []string{access.Administrator})
		return err
	})
	h.activated("cy.moss", access.Administrator, access.Clerk)
	h.write(func(tx *store.Tx) error { return acts["demote"](tx, admin) })
	if err := h.attempt(func(tx *store.Tx) error {
		_, err := h.ChangeStaff(tx, admin, ada.ID, "Ada", []string{access.Administrator, access.Investigator})
		return err
	}); !fault.Is(err, fault.Invalid) {
		t.Errorf("administrator and investigator at once: %v", err)
	}
}

func TestIssuedPINIsGoodForOneSignIn(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	sam := h.inmate("A1001", h.units[0])
	device := h.enrol(h.kiosks[0])
	issued, until, err := h.IssueInmatePIN(ctx, admin, ident.Inmate(sam.ID))
	if err != nil || len(issued) != 6 || !until.Equal(start.Add(7*24*time.Hour)) {
		t.Fatalf("%d digits until %v, %v", len(issued), until, err)
	}
	if _, err := h.SignInInmate(ctx, device, "A1001", pin); fault.CodeOf(err) != "kiosk.signin" {
		t.Errorf("the PIN before: %v", err)
	}
	e, err := h.SignInInmate(ctx, device, "A1001", issued)
	if err != nil || e.Stage != access.StageNewPIN {
		t.Fatalf("stage %q, %v", e.Stage, err)
	}
	for want, choice := range map[string]string{"pinSame": issued, "pin": "123456"} {
		_, err := h.ChooseInmatePIN(ctx, e.Session, choice)
		if f, ok := fault.Of(err); !ok || len(f.Fields) != 1 || f.Fields[0].Code != want {
			t.Errorf("a choice that is refused as %s: %v", want, err)
		}
	}
	full, err := h.ChooseInmatePIN(ctx, e.Session, pin)
	if err != nil || full.Stage != access.StageFull || full.Station != h.kiosks[0] {
		t.Fatalf("stage %q, %v", full.Stage, err)
	}
	if _, err := h.ChooseInmatePIN(ctx, full.Session, "740914"); fault.CodeOf(err) != "auth.stage" {
		t.Errorf("choosing twice: %v", err)
	}
	if _, err := h.SignInInmate(ctx, device, "A1001", issued); fault.CodeOf(err) != "kiosk.signin" {
		t.Errorf("the issued PIN again: %v", err)
	}
	if e, err := h.SignInInmate(ctx, device, "A1001", pin); err != nil || e.Stage != access.StageFull {
		t.Errorf("the own PIN: stage %q, %v", e.Stage, err)
	}
}

func TestIssuedPINLapses(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	sam := h.inmate("A1001", h.units[0])
	device := h.enrol(h.kiosks[0])
	issued, until, err := h.IssueInmatePIN(ctx, admin, ident.Inmate(sam.ID))
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(until.Sub(h.clock.Now()))
	if _, err := h.SignInInmate(ctx, device, "A1001", issued); fault.CodeOf(err) != "kiosk.signin" {
		t.Errorf("after a week: %v", err)
	}
	h.write(func(tx *store.Tx) error {
		p, err := h.InmatePIN(tx, ident.Inmate(sam.ID))
		if p.Until.After(h.clock.Now()) || p.Since.IsZero() {
			t.Errorf("PIN %+v", p)
		}
		return err
	})
	h.write(func(tx *store.Tx) error { return tx.Exec(`UPDATE inmate SET state = 'released' WHERE id = ?`, sam.ID) })
	if _, _, err := h.IssueInmatePIN(ctx, admin, ident.Inmate(sam.ID)); fault.CodeOf(err) != "pin.notInCustody" {
		t.Errorf("for somebody who has left: %v", err)
	}
}
