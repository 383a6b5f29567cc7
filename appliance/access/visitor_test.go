package access_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
)

func TestRegisterActivateSignIn(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	if err := h.Register(ctx, form()); err != nil {
		t.Fatal(err)
	}
	token := h.mail("account.activate")["token"].(string)
	if _, err := h.signIn(pin, ""); fault.CodeOf(err) != "auth.notActive" {
		t.Errorf("signed in before activation: %v", err)
	}
	browser, err := h.Activate(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Activate(ctx, token); fault.CodeOf(err) != "auth.linkOld" {
		t.Errorf("the link worked twice: %v", err)
	}
	e, err := h.signIn(pin, browser)
	if err != nil || e.Stage != access.StageAgreement {
		t.Fatalf("stage %q, %v", e.Stage, err)
	}
	if _, err := h.Agree(ctx, e.Session, access.Agreement("en").Version, []string{"me"}); fault.CodeOf(err) != "terms.notAll" {
		t.Errorf("went on with one box ticked: %v", err)
	}
	whole := h.agree(e.Session)
	if whole.Stage != access.StageFull || whole.Secret == e.Secret {
		t.Errorf("after the agreement: stage %q, new secret %v", whole.Stage, whole.Secret != e.Secret)
	}
	if _, err := h.Lookup(ctx, access.DoorVisitor, e.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the secret before the step still works: %v", err)
	}
	if s, err := h.Lookup(ctx, access.DoorVisitor, whole.Secret); err != nil || s.Actor.Kind != ident.ByVisitor || s.CSRF == "" {
		t.Errorf("Lookup = %+v, %v", s, err)
	}
	for _, door := range []string{access.DoorKiosk, access.DoorStaff, access.DoorSetup} {
		if _, err := h.Lookup(ctx, door, whole.Secret); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a visitor's session opens %s: %v", door, err)
		}
	}
	if _, err := h.Lookup(ctx, access.DoorVisitor, "planted"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a planted secret became a session: %v", err)
	}
}

func TestNewBrowserNeedsTheMailedCode(t *testing.T) {
	h := open(t)
	h.register(nil)
	ctx := context.Background()
	e, err := h.signIn(pin, "")
	if err != nil || e.Stage != access.StageDeviceCode || e.SentTo != "A…@Example.org" {
		t.Fatalf("stage %q, sent to %q, %v", e.Stage, e.SentTo, err)
	}
	code := h.mail("account.new_device")["code"].(string)
	wrong := "000000"
	if code == wrong {
		wrong = "111111"
	}
	if _, err := h.ConfirmBrowser(ctx, e.Session, wrong); fault.CodeOf(err) != "auth.codeWrong" {
		t.Errorf("a wrong code: %v", err)
	}
	next, err := h.ConfirmBrowser(ctx, e.Session, code)
	if err != nil || next.Stage != access.StageAgreement || next.Browser == "" {
		t.Fatalf("%+v, %v", next.Stage, err)
	}
	if again, err := h.signIn(pin, next.Browser); err != nil || again.Stage != access.StageAgreement {
		t.Errorf("the browser is known now: stage %q, %v", again.Stage, err)
	}
	// Another visitor's known browser is nobody's.
	h.register(func(r *access.Registration) { r.Phone, r.Email = "020 7946 0002", "bob@example.org" })
	if e, err := h.SignInVisitor(ctx, "020 7946 0002", pin, next.Browser); err != nil || e.Stage != access.StageDeviceCode {
		t.Errorf("somebody else's browser: stage %q, %v", e.Stage, err)
	}
}

func TestUsedAddressLooksLikeANewOne(t *testing.T) {
	h := open(t)
	h.register(nil)
	for name, change := range map[string]func(*access.Registration){
		"same number":     func(r *access.Registration) { r.Email = "other@example.org" },
		"same address":    func(r *access.Registration) { r.Phone = "020 7946 0009" },
		"another writing": func(r *access.Registration) { r.Phone, r.Email = "020 7946 0009", "a.n.n+x@example.ORG" },
	} {
		r := form()
		change(&r)
		if err := h.Register(context.Background(), r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if h.mail("account.activate") != nil {
			t.Errorf("%s: a second account was made", name)
		}
		if h.mail("account.exists") == nil {
			t.Errorf("%s: the owner was not told", name)
		}
	}
}

func TestOldLink(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	if err := h.Register(ctx, form()); err != nil {
		t.Fatal(err)
	}
	token := h.mail("account.activate")["token"].(string)
	h.clock.Advance(48 * time.Hour)
	if _, err := h.Activate(ctx, token); fault.CodeOf(err) != "auth.linkOld" {
		t.Errorf("a link of two days ago: %v", err)
	}
	h.write(func(tx *store.Tx) error {
		v, err := h.people.VisitorByPhone(tx, "+442079460001")
		if v.State != people.Expired {
			t.Errorf("state %s", v.State)
		}
		return err
	})
	sent := 0
	for range 9 {
		if err := h.ResendActivation(ctx, "ann@example.org"); err != nil {
			t.Fatal(err)
		}
		if m := h.mail("account.activate"); m != nil {
			sent++
			token = m["token"].(string)
		}
	}
	if sent < 5 || sent > 6 {
		t.Errorf("%d mails on one day", sent)
	}
	if err := h.ResendActivation(ctx, "nobody@example.org"); err != nil {
		t.Errorf("an unknown address can be told apart: %v", err)
	}
	if _, err := h.Activate(ctx, token); err != nil {
		t.Errorf("the new link: %v", err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	h := open(t)
	for _, tt := range []struct {
		name   string
		change func(*access.Registration)
		code   string
		field  string
	}{
		{"easy PIN", func(r *access.Registration) { r.PIN = "123456" }, "form", "pin"},
		{"one digit", func(r *access.Registration) { r.PIN = "777777" }, "form", "pin"},
		{"own birthday", func(r *access.Registration) { r.PIN = "050580" }, "form", "pin"},
		{"short PIN", func(r *access.Registration) { r.PIN = "7409" }, "form", "pin"},
		{"no number", func(r *access.Registration) { r.Phone = "12" }, "form", "phone"},
		{"no address", func(r *access.Registration) { r.Email = "ann" }, "form", "email"},
		{"line in address", func(r *access.Registration) { r.Email = "a@b.c\r\nBcc: d@e.f" }, "form", "email"},
		{"child", func(r *access.Registration) { r.Born = "2009-03-02" }, "form", "date_of_birth"},
		{"box left empty", func(r *access.Registration) { r.Ticked = r.Ticked[1:] }, "terms.notAll", ""},
		{"old terms", func(r *access.Registration) { r.TermsVersion = "2001" }, "terms.changed", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := form()
			tt.change(&r)
			err := h.Register(context.Background(), r)
			f, ok := fault.Of(err)
			if !ok || f.Code != tt.code || (tt.field != "" && (len(f.Fields) == 0 || f.Fields[0].Name != tt.field)) {
				t.Errorf("got %v (%+v)", err, f)
			}
		})
	}
}

func TestLockAfterFiveThenDoubling(t *testing.T) {
	h := open(t)
	browser := h.register(nil)
	for _, tt := range []struct {
		name, number string
	}{{"known", "020 7946 0001"}, {"unknown", "020 7946 0777"}} {
		t.Run(tt.name, func(t *testing.T) {
			try := func(pin, browser string) error {
				_, err := h.SignInVisitor(context.Background(), tt.number, pin, browser)
				return err
			}
			for left := 4; left >= 1; left-- {
				err := try("555123", "")
				if f, _ := fault.Of(err); f == nil || f.Code != "auth.wrong" || f.Params["left"] != left {
					t.Fatalf("want %d left: %v", left, err)
				}
			}
			if err := try("555123", ""); fault.CodeOf(err) != "auth.locked" {
				t.Fatalf("fifth: %v", err)
			}
			h.restart() // the count is in the database
			if err := try(pin, ""); fault.CodeOf(err) != "auth.locked" || !fault.Is(err, fault.TooMany) {
				t.Errorf("sixth, with the right PIN: %v", err)
			}
			h.clock.Advance(15 * time.Minute)
			for range 4 {
				if err := try("555123", ""); fault.CodeOf(err) != "auth.wrong" {
					t.Fatalf("after the lock: %v", err)
				}
			}
			if err := try("555123", ""); fault.CodeOf(err) != "auth.locked" {
				t.Fatalf("fifth again: %v", err)
			}
			h.clock.Advance(29 * time.Minute)
			if err := try(pin, ""); fault.CodeOf(err) != "auth.locked" {
				t.Errorf("the second lock is as short as the first: %v", err)
			}
		})
	}
	if e, err := h.signIn(pin, browser); err != nil || e.Stage != access.StageAgreement {
		t.Errorf("a stranger locked the owner's own browser: %v", err)
	}
	if h.mail("account.locked") == nil {
		t.Error("the owner was not told")
	}
}

func TestParallelTriesAreCountedBeforeTheyAreLookedAt(t *testing.T) {
	h := open(t)
	h.register(nil)
	var all sync.WaitGroup
	var mu sync.Mutex
	looked := 0
	for range 60 {
		all.Go(func() {
			_, err := h.signIn("555123", "")
			f, ok := fault.Of(err)
			mu.Lock()
			defer mu.Unlock()
			// The fifth try is looked at and answers "locked" with the same time as those that were not; it is in the count.
			if ok && f.Code == "auth.wrong" {
				looked++
			}
		})
	}
	all.Wait()
	if looked != 4 {
		t.Errorf("%d tries were answered as wrong, want 4 and the one that locks", looked)
	}
}

func TestSessionEnds(t *testing.T) {
	h := open(t)
	browser := h.register(nil)
	ctx := context.Background()
	enter := func() access.Entry {
		e, err := h.signIn(pin, browser)
		if err != nil {
			t.Fatal(err)
		}
		return h.agree(e.Session)
	}
	gone := func(what string, e access.Entry) {
		t.Helper()
		if _, err := h.Lookup(ctx, access.DoorVisitor, e.Secret); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", what, err)
		}
	}
	e := enter()
	h.clock.Advance(19 * time.Minute)
	if _, err := h.Lookup(ctx, access.DoorVisitor, e.Secret); err != nil {
		t.Fatalf("idle for 19 minutes: %v", err)
	}
	h.clock.Advance(19 * time.Minute)
	if _, err := h.Lookup(ctx, access.DoorVisitor, e.Secret); err != nil {
		t.Fatalf("used 19 minutes ago: %v", err)
	}
	h.clock.Advance(20 * time.Minute)
	gone("idle for 20 minutes", e)

	e = enter()
	for range 12*4 - 1 {
		h.clock.Advance(15 * time.Minute)
		if _, err := h.Lookup(ctx, access.DoorVisitor, e.Secret); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.Advance(15 * time.Minute)
	gone("in use for 12 hours", e)

	e = enter()
	if err := h.Busy(ctx, e.Session, h.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(79 * time.Minute)
	if _, err := h.Lookup(ctx, access.DoorVisitor, e.Secret); err != nil {
		t.Errorf("an hour in a call and 19 minutes after: %v", err)
	}

	e = enter()
	if err := h.SignOut(ctx, e.Session); err != nil {
		t.Fatal(err)
	}
	gone("signed out", e)

	e = enter()
	h.write(func(tx *store.Tx) error { return h.End(tx, e.Actor.ID) })
	gone("ended by somebody", e)
}

// TestSessionOnAFullDisk: the use of a session cannot be noted, and who is signed in reads on until it would have ended unused.
func TestSessionOnAFullDisk(t *testing.T) {
	h := open(t)
	ctx := context.Background()
	browser := h.register(nil)
	e, err := h.signIn(pin, browser)
	if err != nil {
		t.Fatal(err)
	}
	e = h.agree(e.Session)
	// Noting it takes room that is not there.
	h.write(func(tx *store.Tx) error {
		var pages int
		return errors.Join(
			tx.Exec(`CREATE TABLE ballast (raw BLOB)`),
			tx.Exec(`CREATE TRIGGER ballast AFTER UPDATE ON session BEGIN INSERT INTO ballast VALUES (zeroblob(4000000)); END`),
			tx.Row(`PRAGMA page_count`).Scan(&pages),
			tx.Row(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+10)).Scan(&pages),
		)
	})
	if err := h.Busy(ctx, e.Session, h.clock.Now().Add(time.Hour)); fault.CodeOf(err) != "disk.full" {
		t.Fatalf("the disk is not full: %v", err)
	}
	h.clock.Advance(19 * time.Minute)
	if s, err := h.Lookup(ctx, access.DoorVisitor, e.Secret); err != nil || s.ID != e.ID {
		t.Errorf("on a full disk: %v", err)
	}
	h.clock.Advance(time.Minute)
	if _, err := h.Lookup(ctx, access.DoorVisitor, e.Secret); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("20 minutes after the last use that was noted: %v", err)
	}
}
