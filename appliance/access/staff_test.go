package access_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"sallyport/appliance/access"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

const password = "correct horse battery"

func code(t testing.TB, f access.Factor, at time.Time) string {
	t.Helper()
	c, err := totp.GenerateCode(f.Secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStaffNeedBothFactors(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	if _, _, err := h.AddStaff(ctx, admin, access.Staff{Username: "mo", Name: "Mo", Roles: []string{access.Moderator}}, password); fault.CodeOf(err) != "form" {
		t.Fatalf("a name of two letters: %v", err)
	}
	mo, factor, err := h.AddStaff(ctx, admin, access.Staff{Username: "moclark", Name: "Mo Clark", Roles: []string{access.Moderator}}, password)
	if err != nil {
		t.Fatal(err)
	}
	e, err := h.SignInStaff(ctx, access.DoorStaff, "MoClark", password)
	if err != nil || e.Stage != access.StageTOTP {
		t.Fatalf("stage %q, %v", e.Stage, err)
	}
	now := code(t, factor, h.clock.Now())
	full, err := h.ConfirmTOTP(ctx, e.Session, now[:3]+" "+now[3:])
	if err != nil || full.Stage != access.StageFull || !full.Factor.Equal(start) {
		t.Fatalf("stage %q, factor %v, %v", full.Stage, full.Factor, err)
	}
	s, err := h.Lookup(ctx, access.DoorStaff, full.Secret)
	if err != nil || !s.Actor.Has(access.Moderator) {
		t.Errorf("%+v, %v", s.Actor, err)
	}
	again, err := h.SignInStaff(ctx, access.DoorStaff, "moclark", password)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ConfirmTOTP(ctx, again.Session, now); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("a code worked twice: %v", err)
	}
	if _, err := h.SignInStaff(ctx, access.DoorSetup, "moclark", password); fault.CodeOf(err) != "auth.wrong" {
		t.Errorf("a moderator at the setup door: %v", err)
	}
	h.write(func(tx *store.Tx) error { return h.DisableStaff(tx, admin, mo.ID, "left") })
	if _, err := h.Lookup(ctx, access.DoorStaff, full.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("disabled, and still in: %v", err)
	}
}

func TestStaffRefused(t *testing.T) {
	h := open(t)
	for name, tt := range map[string]struct {
		s  access.Staff
		pw string
	}{
		"both powers":    {access.Staff{Username: "boss", Name: "B", Roles: []string{access.Administrator, access.Investigator}}, password},
		"unknown role":   {access.Staff{Username: "boss", Name: "B", Roles: []string{"king"}}, password},
		"no role":        {access.Staff{Username: "boss", Name: "B"}, password},
		"short password": {access.Staff{Username: "boss", Name: "B", Roles: []string{access.Clerk}}, "short"},
		"own name":       {access.Staff{Username: "bosses", Name: "B", Roles: []string{access.Clerk}}, "my name is bosses"},
	} {
		if _, _, err := h.AddStaff(context.Background(), admin, tt.s, tt.pw); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFirstAdministratorByClaim(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	var claim string
	var shown []string
	h.ShowClaim = func(code string) error { shown = append(shown, code); return nil }
	h.write(func(tx *store.Tx) (err error) { claim, err = h.NewClaim(tx); return err })
	if _, _, err := h.ClaimAppliance(ctx, "AAA-AAA-AAA-AAA", "Ada", "ada", password); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("a wrong code: %v", err)
	}
	ada, factor, err := h.ClaimAppliance(ctx, claim, "Ada Wells", "ada.wells", password)
	if err != nil || factor.URL == "" {
		t.Fatal(err)
	}
	if _, _, err := h.ClaimAppliance(ctx, claim, "Bob", "bob.wells", password); fault.CodeOf(err) != "setup.claimUsed" {
		t.Errorf("the code worked twice: %v", err)
	}
	if diff := cmp.Diff([]string{""}, shown); diff != "" {
		t.Errorf("what the screen was told mismatch (-want +got):\n%s", diff)
	}
	e, err := h.SignInStaff(ctx, access.DoorSetup, ada.Username, password)
	if err != nil {
		t.Fatal(err)
	}
	if full, err := h.ConfirmTOTP(ctx, e.Session, code(t, factor, h.clock.Now())); err != nil || !access.Can(full.Actor, "devices.enrol") {
		t.Errorf("%+v, %v", full.Actor, err)
	}
}

func TestFiveWrongTriesEndTheClaimCode(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	var claim string
	var shown []string
	h.ShowClaim = func(code string) error { shown = append(shown, code); return nil }
	h.write(func(tx *store.Tx) (err error) { claim, err = h.NewClaim(tx); return err })
	if _, _, err := h.ClaimAppliance(ctx, claim, "Ada", "ada.wells", "short"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a short password: %v", err)
	}
	for i := range 5 {
		_, _, err := h.ClaimAppliance(ctx, "AAAA-AAAA-AAAA-AAAA", "Ada", "ada.wells", password)
		if want := map[bool]fault.Kind{true: fault.TooMany, false: fault.Invalid}[i == 4]; !fault.Is(err, want) {
			t.Errorf("wrong try %d: %v, want %v", i+1, err, want)
		}
	}
	if len(shown) != 1 || shown[0] == claim || len(shown[0]) != 19 {
		t.Fatalf("the screen was told %q", shown)
	}
	if _, _, err := h.ClaimAppliance(ctx, shown[0], "Ada", "ada.wells", password); !fault.Is(err, fault.TooMany) {
		t.Errorf("the new code at once: %v", err)
	}
	h.clock.Advance(10*time.Minute + time.Second)
	if _, _, err := h.ClaimAppliance(ctx, claim, "Ada", "ada.wells", password); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("the spent code: %v", err)
	}
	mistyped := strings.ReplaceAll(strings.ToLower(shown[0]), "-", " ")
	if _, _, err := h.ClaimAppliance(ctx, mistyped, "Ada", "ada.wells", password); err != nil {
		t.Errorf("the new code after ten minutes: %v", err)
	}
}

func TestClaimCodeThatTheInstallerHas(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	sum := sha256.Sum256([]byte("7K2MQ9XV0T4BR8NE"))
	expect := func() (ok bool) {
		h.write(func(tx *store.Tx) (err error) { ok, err = h.ExpectClaim(tx, hex.EncodeToString(sum[:])); return err })
		return ok
	}
	for range 2 { // once at each start of the box
		if !expect() {
			t.Fatal("the installer's code is not expected")
		}
	}
	for range 5 {
		_, _, _ = h.ClaimAppliance(ctx, "AAAA-AAAA-AAAA-AAAA", "Ada", "ada.wells", password)
	}
	if expect() {
		t.Error("a code that was tried too often is expected again")
	}
	h = open(t)
	expect()
	if _, _, err := h.ClaimAppliance(ctx, "7k2m-q9xv-0t4b-r8ne", "Ada", "ada.wells", password); err != nil {
		t.Errorf("the installer's code: %v", err)
	}
}

func TestInmateSignsInOnOwnUnitsKiosk(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	sam := h.inmate("A1001", h.units[0])
	here, there := h.enrol(h.kiosks[0]), h.enrol(h.kiosks[2])
	if _, err := h.SignInInmate(ctx, "", "A1001", pin); fault.CodeOf(err) != "device.unknown" {
		t.Errorf("on a device that is no station: %v", err)
	}
	if _, err := h.SignInInmate(ctx, there, "A1001", pin); fault.CodeOf(err) != "kiosk.signin" {
		t.Errorf("in another unit: %v", err)
	}
	first, err := h.SignInInmate(ctx, here, "a-1001", pin)
	if err != nil || first.Station != h.kiosks[0] || first.Actor.ID != sam.ID || !first.Last.IsZero() {
		t.Fatalf("%+v, %v", first, err)
	}
	h.clock.Advance(time.Minute)
	second, err := h.SignInInmate(ctx, h.enrol(h.kiosks[1]), "A1001", pin)
	if err != nil || !second.Last.Equal(start) {
		t.Fatalf("last %v, %v", second.Last, err)
	}
	if _, err := h.Lookup(ctx, access.DoorKiosk, first.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("signed in at two kiosks: %v", err)
	}
	h.write(func(tx *store.Tx) error { return h.RevokeDevice(tx, admin, h.kiosks[1]) })
	if _, err := h.Lookup(ctx, access.DoorKiosk, second.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the device is cut off, and still in: %v", err)
	}
}

func TestLockStaysOnItsKiosk(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	h.inmate("A1001", h.units[0])
	a, b := h.enrol(h.kiosks[0]), h.enrol(h.kiosks[1])
	for range 6 {
		if _, err := h.SignInInmate(ctx, a, "A1001", "555123"); err == nil {
			t.Fatal("a wrong PIN")
		}
	}
	if _, err := h.SignInInmate(ctx, a, "A1001", pin); fault.CodeOf(err) != "auth.locked" {
		t.Errorf("not locked where it was tried: %v", err)
	}
	if _, err := h.SignInInmate(ctx, b, "A1001", pin); err != nil {
		t.Errorf("locked on another kiosk: %v", err)
	}
}

func TestSprayFromOneKioskIsStopped(t *testing.T) {
	h := open(t)
	h.inmate("A1001", h.units[0])
	device := h.enrol(h.kiosks[0])
	looked := 0
	for i := range 300 {
		_, err := h.SignInInmate(context.Background(), device, fmt.Sprintf("B%04d", i), "555123")
		if fault.CodeOf(err) == "kiosk.signin" {
			looked++
		}
	}
	if looked > 20 {
		t.Errorf("%d of 300 guesses over 300 numbers were looked at, want at most 20", looked)
	}
}

func TestEnrolmentCodeWorksOnceAndSoon(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	issue := func() (c string) {
		h.write(func(tx *store.Tx) (err error) { c, _, err = h.NewEnrolment(tx, admin, h.kiosks[0]); return err })
		return c
	}
	c := issue()
	if _, _, err := h.Enrol(ctx, c); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Enrol(ctx, c); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("twice: %v", err)
	}
	c = issue()
	h.clock.Advance(15 * time.Minute)
	if _, _, err := h.Enrol(ctx, c); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("after 15 minutes: %v", err)
	}
	old := issue()
	issue()
	if _, _, err := h.Enrol(ctx, old); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("a code that a newer one replaced: %v", err)
	}
}

func TestCapabilities(t *testing.T) {
	staff := func(roles ...string) ident.Actor { return ident.Actor{Kind: ident.ByStaff, Roles: roles} }
	for _, tt := range []struct {
		name string
		by   ident.Actor
		can  string
		want bool
	}{
		{"administrators see no recordings", staff(access.Administrator), "recordings.play", false},
		{"investigators do", staff(access.Investigator), "recordings.play", true},
		{"monitors watch", staff(access.Monitor), "calls.watch", true},
		{"clerks do not", staff(access.Clerk), "calls.watch", false},
		{"moderators decide", staff(access.Moderator), "cases.decide", true},
		{"a visitor with a staff role is none", ident.Actor{Kind: ident.ByVisitor, Roles: []string{access.Administrator}}, "policy.edit", false},
		{"nobody", ident.Actor{}, "visits.book", false},
		{"nobody may make an account", ident.Actor{}, "accounts.create", true},
		{"unknown capability", staff(access.Administrator), "everything", false},
		{"the system has no capabilities", ident.System(), "visits.decide", false},
	} {
		if got := access.Can(tt.by, tt.can); got != tt.want {
			t.Errorf("%s: Can(%s) = %v", tt.name, tt.can, got)
		}
	}
}
