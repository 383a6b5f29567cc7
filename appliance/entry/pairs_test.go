package entry

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"
)

// made is a certificate in PEM and its key.
type made struct{ cert, key []byte }

// issue makes a certificate that signs itself: how a chain hangs together is not looked at here.
func issue(t *testing.T, name string) made {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return made{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})}
}

// What a facility brings has its key before or behind its chain; what the box makes follows in the same file.
func TestPairs(t *testing.T) {
	brought, issuer, own, authority, stranger := issue(t, "visit.example"), issue(t, "issuer"), issue(t, "kiosk.internal"), issue(t, "authority"), issue(t, "stranger")
	for _, tt := range []struct {
		name  string
		parts [][]byte
		want  [][]string // names in the order of each chain
	}{
		{"alone", [][]byte{own.cert, own.key}, [][]string{{"kiosk.internal"}}},
		{"with its chain", [][]byte{own.cert, authority.cert, own.key}, [][]string{{"kiosk.internal", "authority"}}},
		{"key first", [][]byte{own.key, own.cert, authority.cert}, [][]string{{"kiosk.internal", "authority"}}},
		{"key amidst", [][]byte{own.cert, own.key, authority.cert}, [][]string{{"kiosk.internal", "authority"}}},
		{
			"brought and own",
			[][]byte{brought.cert, issuer.cert, brought.key, own.cert, authority.cert, own.key},
			[][]string{{"visit.example", "issuer"}, {"kiosk.internal", "authority"}},
		},
		{
			"brought with the key first, and own",
			[][]byte{brought.key, brought.cert, issuer.cert, own.cert, authority.cert, own.key},
			[][]string{{"visit.example", "issuer"}, {"kiosk.internal", "authority"}},
		},
		{"words between", [][]byte{[]byte("subject: box\n"), own.cert, []byte("its key\n"), own.key}, [][]string{{"kiosk.internal"}}},
		{"no key", [][]byte{own.cert}, nil},
		{"no certificate", [][]byte{own.key}, nil},
		{"key of another", [][]byte{own.cert, stranger.key}, nil},
		{"a key too many", [][]byte{own.cert, own.key, stranger.key}, nil},
		{"chain upside down", [][]byte{authority.cert, own.cert, own.key}, nil},
		{"nothing", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all, err := pairs(bytes.Join(tt.parts, nil))
			if (err == nil) != (tt.want != nil) {
				t.Fatalf("pairs: %v", err)
			}
			var got [][]string
			for _, pair := range all {
				var chain []string
				for _, der := range pair.Certificate {
					c, err := x509.ParseCertificate(der)
					if err != nil {
						t.Fatal(err)
					}
					chain = append(chain, c.DNSNames...)
				}
				got = append(got, chain)
			}
			if !slices.EqualFunc(got, tt.want, slices.Equal) {
				t.Errorf("pairs = %v, want %v", got, tt.want)
			}
		})
	}
}
