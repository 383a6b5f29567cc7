package authority_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning/authority"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func names(dns ...string) authority.Names {
	return authority.Names{DNS: dns, IP: []netip.Addr{netip.MustParseAddr("10.1.99.5")}}
}

func made(t *testing.T, n authority.Names) *authority.Authority {
	t.Helper()
	key, err := authority.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	a, err := authority.New(key, "Harbour", n, now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := authority.Open(a.PEM(), key)
	if err != nil || !again.Names().Equal(n) {
		t.Fatalf("from its files: %v, %v", again, err)
	}
	return a
}

// trusts asks as a browser does that has installed the authority.
func trusts(t *testing.T, a *authority.Authority, text []byte, name string) error {
	t.Helper()
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate)
	_, err = leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now})
	return err
}

func TestLeavesAreTrustedForTheirNames(t *testing.T) {
	a := made(t, names("kiosk.harbour.internal", "visits.harbour.example"))
	leaf, err := a.Leaf(names("kiosk.harbour.internal"), now)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"kiosk.harbour.internal": true, "10.1.99.5": true, "visits.harbour.example": false} {
		if err := trusts(t, a, leaf, name); (err == nil) != want {
			t.Errorf("%s: %v, want trusted %v", name, err, want)
		}
	}
}

// Whoever steals the key of the authority can pose as this box, and as nobody else.
func TestAuthorityVouchesForNobodyElse(t *testing.T) {
	a := made(t, authority.Names{DNS: []string{"kiosk.harbour.internal"}})
	for _, n := range []authority.Names{
		{DNS: []string{"bank.example"}}, {DNS: []string{"harbour.internal"}}, {IP: []netip.Addr{netip.MustParseAddr("10.1.99.5")}},
	} {
		leaf, err := a.Leaf(n, now)
		if err != nil {
			t.Fatal(err)
		}
		name := append(n.DNS, "10.1.99.5")[0]
		if err := trusts(t, a, leaf, name); err == nil {
			t.Errorf("%s is trusted", name)
		}
		if a.Signed(leaf, n, now) {
			t.Errorf("a leaf for %s passes for good", name)
		}
	}
}

func TestWhatIsGood(t *testing.T) {
	n := names("kiosk.harbour.internal")
	a := made(t, n)
	if !a.Good(n, now) || a.Good(names("other"), now) || a.Good(n, now.AddDate(10, 0, -30)) || a.Good(n, now.AddDate(0, 0, -2)) {
		t.Error("the authority does not know what it will do for")
	}
	leaf, err := a.Leaf(n, now)
	if err != nil {
		t.Fatal(err)
	}
	other := made(t, n)
	strange, err := other.Leaf(n, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		text []byte
		at   time.Time
		want bool
	}{
		{"fresh", leaf, now, true},
		{"a day before it is renewed", leaf, now.AddDate(0, 0, 59), true},
		{"due", leaf, now.AddDate(0, 0, 61), false},
		{"clock far behind", leaf, now.AddDate(0, 0, -3), false},
		{"of another authority", strange, now, false},
		{"half", leaf[:len(leaf)/2], now, false},
		{"without its key", leaf[:strings.Index(string(leaf), "-----BEGIN PRIVATE")], now, false},
		{"empty", nil, now, false},
	} {
		if got := a.Signed(tt.text, n, tt.at); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if a.Signed(leaf, names("kiosk.harbour.internal", "more"), now) {
		t.Error("a leaf without one of its names passes")
	}
}

func TestGivenCertificates(t *testing.T) {
	n := authority.Names{DNS: []string{"visit.harbour.example", "turn.harbour.example"}}
	leaf, err := made(t, n).Leaf(n, now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := made(t, n).Leaf(n, now)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Index(string(leaf), "-----BEGIN PRIVATE")
	for _, tt := range []struct {
		name  string
		text  string
		asked string
		at    time.Time
		want  string
	}{
		{"good", string(leaf), "visit.harbour.example", now, ""},
		{"another name", string(leaf), "media.harbour.example", now, "it is not for media.harbour.example; it is for turn.harbour.example"},
		{"ended", string(leaf), "visit.harbour.example", now.AddDate(1, 0, 0), "it ended on 2026-05-31"},
		{"not begun", string(leaf), "visit.harbour.example", now.AddDate(-1, 0, 0), "it begins on 2026-03-01"},
		{"no key", string(leaf[:key]), "visit.harbour.example", now, "no key"},
		{"two keys", string(leaf) + string(leaf[key:]), "visit.harbour.example", now, "more than one key"},
		{"another's key", string(leaf[:key]) + string(other[strings.Index(string(other), "-----BEGIN PRIVATE"):]), "visit.harbour.example", now, "do not belong together"},
		{"not one", "hello", "visit.harbour.example", now, "no certificate"},
	} {
		err := authority.Given([]byte(tt.text), []string{tt.asked}, tt.at)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestFingerprintIsReadAloud(t *testing.T) {
	f := authority.Fingerprint(made(t, names("a")).Certificate)
	if len(f) != 32*3-1 || strings.Count(f, ":") != 31 || strings.ToUpper(f) != f {
		t.Errorf("fingerprint %q", f)
	}
}
