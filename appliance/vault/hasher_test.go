package vault_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/vault"
)

func TestHashVerify(t *testing.T) {
	h := vault.NewHasher([]byte("pepper"))
	for _, tt := range []struct {
		name  string
		class vault.Class
		costs string
	}{
		{"pin", vault.PIN, "$argon2id$v=19$m=19456,t=2,p=1$"},
		{"password", vault.Password, "$argon2id$v=19$m=65536,t=3,p=1$"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := h.Hash(t.Context(), tt.class, "493817")
			if err != nil {
				t.Fatal(err)
			}
			b, err := h.Hash(t.Context(), tt.class, "493817")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(a, tt.costs) || a == b {
				t.Errorf("hashes %q and %q, want %s and two salts", a, b, tt.costs)
			}
			for secret, want := range map[string]bool{"493817": true, "493818": false, "": false} {
				if got, err := h.Verify(t.Context(), a, secret); err != nil || got != want {
					t.Errorf("Verify(%q) = %v, %v, want %v", secret, got, err, want)
				}
			}
			if ok, err := vault.NewHasher([]byte("other")).Verify(t.Context(), a, "493817"); err != nil || ok {
				t.Errorf("without the pepper Verify = %v, %v", ok, err)
			}
		})
	}
}

func TestVerifyRefusesWhatIsNoHash(t *testing.T) {
	h := vault.NewHasher(nil)
	sum := strings.Repeat("A", 43)
	for _, encoded := range []string{
		"", "plain", "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + sum,
		"$argon2id$v=19$m=999999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + sum,
		"$argon2id$v=19$m=19456,t=99,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + sum,
		"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
	} {
		if ok, err := h.Verify(t.Context(), encoded, "x"); ok || !fault.Is(err, fault.Internal) {
			t.Errorf("Verify(%q) = %v, %v, want Internal", encoded, ok, err)
		}
	}
}

func TestHashWaitsNoLongerThanItsContext(t *testing.T) {
	h := vault.NewHasher(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 4 {
		wg.Go(func() { _ = h.Decoy(context.Background(), vault.Password) })
	}
	// A cancelled caller may still find a free place; it must never wait for one.
	began := time.Now()
	for range 50 {
		if _, err := h.Hash(ctx, vault.PIN, "1"); err != nil && !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestDecoyCostsWhatVerifyCosts(t *testing.T) {
	h := vault.NewHasher([]byte("pepper"))
	encoded, err := h.Hash(t.Context(), vault.PIN, "493817")
	if err != nil {
		t.Fatal(err)
	}
	median := func(fn func()) time.Duration {
		var all []time.Duration
		for range 9 {
			began := time.Now()
			fn()
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	real := median(func() { _, _ = h.Verify(t.Context(), encoded, "000000") })
	decoy := median(func() { _ = h.Decoy(t.Context(), vault.PIN) })
	// Wide, because the machine is shared; without the work the ratio is far above a hundred.
	if r := float64(real) / float64(decoy); r > 4 || r < 0.25 {
		t.Errorf("a real check takes %v, a decoy %v", real, decoy)
	}
}
