package ident_test

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

func TestParseOfNew(t *testing.T) {
	id := ident.New[ident.Visit]()
	got, err := ident.Parse[ident.Visit](string(id))
	if err != nil || got != id {
		t.Fatalf("Parse(%q) = %q, %v", id, got, err)
	}
	if _, err := ident.Parse[ident.Visitor](string(id)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a visit's id passed as a visitor's: %v", err)
	}
}

func TestParseNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if id, err := ident.Parse[ident.Visit](s); err == nil && string(id) != s {
			t.Fatalf("Parse(%q) changed it to %q", s, id)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", "v_", "v", "v_../../etc/passwd", "V_00000000000000000000000000", "v_0000000000000000000000000u"} {
		if _, err := ident.Parse[ident.Visit](s); !fault.Is(err, fault.Invalid) {
			t.Errorf("Parse(%q) passed", s)
		}
	}
}

func TestCodeShape(t *testing.T) {
	shape := regexp.MustCompile(`^([A-HJKMNP-TV-Z2-7]{4}-){3}[A-HJKMNP-TV-Z2-7]{4}$`)
	seen := map[string]bool{}
	for range 1000 {
		c := ident.Code()
		if !shape.MatchString(c) || seen[c] {
			t.Fatalf("Code() = %q, seen before: %v", c, seen[c])
		}
		seen[c] = true
	}
}

func TestReferenceShape(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		r := ident.Reference()
		if len(r) != 7 || r[3] != '-' {
			t.Fatalf("reference %q", r)
		}
		seen[r] = true
	}
	if len(seen) < 990 {
		t.Errorf("1000 references, only %d distinct", len(seen))
	}
}

func TestDigits(t *testing.T) {
	count := map[rune]int{}
	for _, r := range ident.Digits(10000) {
		if r < '0' || r > '9' {
			t.Fatalf("digit %q", r)
		}
		count[r]++
	}
	for d, n := range count {
		if n < 800 || n > 1200 {
			t.Errorf("digit %c came %d times of 10000", d, n)
		}
	}
}

func TestActorRoles(t *testing.T) {
	a := ident.Actor{Kind: ident.ByVisitor, Roles: []string{"monitor"}}
	if a.Has("monitor") {
		t.Error("a visitor has a staff role")
	}
}
