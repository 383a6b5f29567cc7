package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"sallyport/appliance/fault"
)

// Class says how much work a hash must cost.
type Class uint8

// The classes. A PIN is short, and protected by the pepper and by lock-outs; a staff password opens much more.
const (
	PIN      Class = iota // visitors and inmates: 19 MiB, 2 passes
	Password              // staff: 64 MiB, 3 passes
)

// cost of one Argon2id hash.
type cost struct {
	kib     uint32
	passes  uint32
	threads uint8
}

func (c Class) cost() cost {
	if c == PIN {
		return cost{kib: 19 << 10, passes: 2, threads: 1}
	}
	return cost{kib: 64 << 10, passes: 3, threads: 1}
}

const (
	atOnce   = 4 // hashes computed at the same time: 4 x 64 MiB
	saltSize = 16
	sumSize  = 32
)

// Hasher hashes and checks secrets that people type.
type Hasher struct {
	pepper []byte
	places chan struct{}
}

// NewHasher returns a hasher. The pepper is a key outside the database: who steals the database alone cannot try PINs.
func NewHasher(pepper []byte) *Hasher {
	return &Hasher{pepper: pepper, places: make(chan struct{}, atOnce)}
}

// Hash returns a PHC string with a fresh salt. It returns Unavailable when ctx ends before a place was free.
func (h *Hasher) Hash(ctx context.Context, class Class, secret string) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	c := class.cost()
	sum, err := h.sum(ctx, c, salt, secret)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.kib, c.passes, c.threads, b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

// Verify tells whether secret is the one that was hashed, in a time that does not depend on how much of it is right. It
// returns Unavailable when ctx ends before a place was free and Internal when encoded is not a hash.
func (h *Hasher) Verify(ctx context.Context, encoded, secret string) (bool, error) {
	c, salt, want, err := parsePHC(encoded)
	if err != nil {
		return false, fault.New("vault.Verify", fault.Internal, "A stored hash cannot be read.").Because(err)
	}
	got, err := h.sum(ctx, c, salt, secret)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// Decoy costs what [Hasher.Verify] costs, for a person who does not exist, so that the time of an answer does not tell.
func (h *Hasher) Decoy(ctx context.Context, class Class) error {
	_, err := h.sum(ctx, class.cost(), make([]byte, saltSize), "decoy")
	return err
}

func (h *Hasher) sum(ctx context.Context, c cost, salt []byte, secret string) ([]byte, error) {
	select {
	case h.places <- struct{}{}:
	case <-ctx.Done():
		return nil, fault.New("vault.Hash", fault.Unavailable, "Too many people are signing in at once. Try again.").WithCode("auth.busy").Because(ctx.Err())
	}
	defer func() { <-h.places }()
	mac := hmac.New(sha256.New, h.pepper)
	mac.Write([]byte(secret))
	return argon2.IDKey(mac.Sum(nil), salt, c.passes, c.kib, c.threads, sumSize), nil
}

var errPHC = errors.New("not an argon2id hash in PHC form")

// parsePHC reads a stored hash. Its costs are bounded, so that a damaged row cannot eat the machine's memory.
func parsePHC(s string) (c cost, salt, sum []byte, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.kib, &c.passes, &c.threads); err != nil {
		return c, nil, nil, errPHC
	}
	if c.kib < 8 || c.kib > 256<<10 || c.passes < 1 || c.passes > 10 || c.threads < 1 || c.threads > 4 {
		return c, nil, nil, errPHC
	}
	b64 := base64.RawStdEncoding.Strict()
	if salt, err = b64.DecodeString(parts[4]); err != nil || len(salt) < 8 {
		return c, nil, nil, errPHC
	}
	if sum, err = b64.DecodeString(parts[5]); err != nil || len(sum) != sumSize {
		return c, nil, nil, errPHC
	}
	return c, salt, sum, nil
}
