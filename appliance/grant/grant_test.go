package grant_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

var now = time.Date(2027, 3, 4, 13, 50, 0, 0, time.UTC)

func fingerprint() string { return strings.TrimSuffix(strings.Repeat("AB:", 32), ":") }

func seatClaims() grant.Claims {
	return grant.Claims{
		Kind: grant.Seat, Door: "visitor", Call: ident.New[ident.Call](), Seat: "v1", Role: "visitor", Who: "vr_1",
		Class: linkspec.Social, FP: fingerprint(), NBF: now.Unix(), EXP: now.Add(grant.SeatTTL).Unix(),
	}
}

func pair(t *testing.T) (*grant.Signer, *grant.Verifier) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := grant.NewSigner("k1", key)
	return s, grant.NewVerifier([]linkspec.PublicKey{s.Public()})
}

func TestVerify(t *testing.T) {
	signer, verifier := pair(t)
	stranger, _ := pair(t)
	text, err := signer.Sign(seatClaims())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := stranger.Sign(seatClaims())
	if err != nil {
		t.Fatal(err)
	}
	flip := []byte(text)
	flip[20] ^= 1
	for _, tt := range []struct {
		name, text, door string
		at               time.Time
		code             string
	}{
		{"good", text, "visitor", now, ""},
		{"within leeway", text, "visitor", now.Add(grant.SeatTTL + 20*time.Second), ""},
		{"too old", text, "visitor", now.Add(grant.SeatTTL + time.Minute), "grant_expired"},
		{"too early", text, "visitor", now.Add(-time.Minute), "grant_expired"},
		{"other door", text, "kiosk", now, "grant_door"},
		{"signed by a stranger with our key's name", foreign, "visitor", now, "grant_bad"},
		{"one bit changed", string(flip), "visitor", now, "grant_bad"},
		{"cut", text[:len(text)-1], "visitor", now, "grant_bad"},
		{"empty", "", "visitor", now, "grant_bad"},
		{"huge", "SPG1." + strings.Repeat("a", 1<<20) + ".x", "visitor", now, "grant_bad"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := verifier.Verify(tt.text, tt.door, tt.at)
			if tt.code == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if !fault.Is(err, fault.Unauthenticated) || fault.CodeOf(err) != tt.code {
				t.Errorf("got %v, want code %s", err, tt.code)
			}
		})
	}
}

func TestNoMonitorGrantForAPrivilegedCall(t *testing.T) {
	signer, _ := pair(t)
	c := seatClaims()
	c.Kind, c.Role, c.Class, c.Door = grant.Monitor, "monitor", linkspec.Privileged, "staff"
	if _, err := signer.Sign(c); !fault.Is(err, fault.Invalid) {
		t.Fatalf("a monitor's grant for a privileged call was signed: %v", err)
	}
}

func TestSignRefusesUnboundClaims(t *testing.T) {
	signer, _ := pair(t)
	for name, change := range map[string]func(*grant.Claims){
		"no fingerprint": func(c *grant.Claims) { c.FP = "" },
		"lower case":     func(c *grant.Claims) { c.FP = strings.ToLower(c.FP) },
		"no end":         func(c *grant.Claims) { c.EXP = 0 },
		"no call":        func(c *grant.Claims) { c.Call = "" },
		"unknown kind":   func(c *grant.Claims) { c.Kind = "root" },
	} {
		c := seatClaims()
		change(&c)
		if _, err := signer.Sign(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: signed, %v", name, err)
		}
	}
}

func TestTURNCredential(t *testing.T) {
	key := linkspec.TURNSecret{KID: "t1", Secret: []byte("0123456789abcdef0123456789abcdef")}
	call := ident.New[ident.Call]()
	user, pass := grant.Credential(key, call, "v1", "visitor", now, now.Add(time.Hour))
	got, err := grant.ParseTURN(user)
	if err != nil {
		t.Fatal(err)
	}
	if got.Call != call || got.Seat != "v1" || got.Door != "visitor" || got.KID != "t1" {
		t.Errorf("ParseTURN(%q) = %+v", user, got)
	}
	if pass != grant.Password(key.Secret, user) || pass == grant.Password(key.Secret, strings.Replace(user, ".v1.", ".v2.", 1)) {
		t.Error("the password does not bind the seat")
	}
	if err := got.Valid(now.Add(30 * time.Minute)); err != nil {
		t.Error(err)
	}
	for _, at := range []time.Time{now.Add(-time.Minute), now.Add(2 * time.Hour)} {
		if err := got.Valid(at); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("good at %v: %v", at, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	_, key, _ := ed25519.GenerateKey(nil)
	s := grant.NewSigner("k1", key)
	v := grant.NewVerifier([]linkspec.PublicKey{s.Public()})
	text, _ := s.Sign(seatClaims())
	f.Add(text)
	f.Add("SPG1.e30.AA")
	f.Fuzz(func(t *testing.T, in string) {
		if c, err := v.Verify(in, "visitor", now); err == nil && in != text {
			t.Fatalf("a grant that was never signed passed: %+v", c)
		}
	})
}

func FuzzParseTURN(f *testing.F) {
	f.Add("t1.c_00000000000000000000000000.v1.visitor.1.2")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := grant.ParseTURN(in)
		if err == nil && got.Username() != in {
			// Leading zeros and plus signs make another spelling of the same time: the password still binds the text.
			if _, err := grant.ParseTURN(got.Username()); err != nil {
				t.Fatalf("%q parsed to something that does not: %v", in, err)
			}
		}
	})
}
