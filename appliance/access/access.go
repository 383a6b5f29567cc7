// Package access owns who may enter and what they may do there: secrets of visitors, inmates, staff and devices, tries and
// lock-outs, sessions, roles and capabilities.
//
// It must not know HTTP: a door keeps the cookie, access keeps only the hash of what is in it. It reads people and never
// decides about them.
//
// Somebody signs in with a secret that is counted before it is looked at; a session begins at a stage (a code from a mail,
// a second factor, the agreement) and is whole at [StageFull]. Each step makes a new session secret. A session ends when it
// was idle too long, when its time is over, or when somebody ends it.
package access

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"strings"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
)

// Schema holds the migrations of the room.
//
//go:embed schema/*.sql
var Schema embed.FS

// The doors.
const (
	DoorVisitor = "visitor"
	DoorKiosk   = "kiosk"
	DoorStaff   = "staff"
	DoorSetup   = "setup"
)

// The stages of a session.
const (
	StageFull           = "full"
	StageAgreement      = "agreement"
	StageDeviceCode     = "device_code"
	StageTOTP           = "totp"
	StagePasswordChange = "password_change"
	StageNewPIN         = StagePasswordChange // of an inmate who came with an issued PIN
)

// Session is somebody who is signed in, perhaps not wholly yet.
type Session struct {
	ID      ident.Session
	Actor   ident.Actor
	Door    string
	Stage   string
	CSRF    string
	Station ident.Station // of an inmate
	Idle    time.Duration // ends after this long without a request
	Expires time.Time     // ends then in any case
	Factor  time.Time     // when a second factor was shown; zero when never
}

// Entry is what a door gets when somebody steps forward: the session, the secret for its cookie, and what else to keep.
type Entry struct {
	Session
	Secret  string    // for the session's cookie
	Browser string    // for the cookie of the known browser; "" when there is nothing to keep
	Last    time.Time // the sign-in before this one; zero when it is the first
	SentTo  string    // where a code was sent, with all but a few letters hidden
}

// Deps are the rooms that Access works with.
type Deps struct {
	DB       *store.DB
	Clock    clock.Clock
	People   *people.People
	Policy   *policy.Policy
	Facility *facility.Facilities
	Hasher   *vault.Hasher
	Key      []byte // 32 bytes; seals the secrets of second factors
	Issuer   string // name in an authenticator

	// ShowClaim shows a new claim code on the appliance's own screen, and with "" that none counts any more because there is
	// an administrator. It is called after the transaction; nil shows nothing.
	ShowClaim func(code string) error
}

// Access is the room. All its methods may be called at once.
type Access struct {
	Deps
	seal cipher.AEAD
}

// New makes the room; it starts nothing. It fails when the key is not 32 bytes.
func New(d Deps) (*Access, error) {
	if d.Clock == nil {
		d.Clock = clock.Real{}
	}
	if d.Issuer == "" {
		d.Issuer = "Sallyport"
	}
	block, err := aes.NewCipher(d.Key)
	if err != nil || len(d.Key) != 32 {
		return nil, fault.New("access.New", fault.Internal, "The key for second factors must have 32 bytes.").Because(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Access{Deps: d, seal: aead}, nil
}

// close seals a small secret under the room's key, bound to whose it is.
func (a *Access) close(secret, whose string) []byte {
	nonce := make([]byte, a.seal.NonceSize())
	rand.Read(nonce)
	return a.seal.Seal(nonce, nonce, []byte(secret), []byte(whose))
}

func (a *Access) open(sealed []byte, whose string) (string, error) {
	n := a.seal.NonceSize()
	if len(sealed) < n {
		return "", fault.New("access.open", fault.Internal, "A sealed secret is too short.")
	}
	plain, err := a.seal.Open(nil, sealed[:n], sealed[n:], []byte(whose))
	if err != nil {
		return "", fault.New("access.open", fault.Internal, "A sealed secret does not open with this key.").Because(err)
	}
	return string(plain), nil
}

// digest is what is stored of a random secret. A secret of 256 random bits needs no slow hash.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// view is a read that returns one value.
func view[T any](ctx context.Context, db *store.DB, read func(tx *store.Tx) (T, error)) (T, error) {
	var v T
	err := db.View(ctx, func(tx *store.Tx) (err error) { v, err = read(tx); return err })
	return v, err
}

// update is a write that returns one value.
func update[T any](ctx context.Context, db *store.DB, write func(tx *store.Tx) (T, error)) (T, error) {
	var v T
	err := db.Update(ctx, func(tx *store.Tx) (err error) { v, err = write(tx); return err })
	return v, err
}

func (a *Access) rules(ctx context.Context) (policy.Rules, error) {
	return view(ctx, a.DB, a.rulesIn)
}

// rulesIn returns the facility's rules, and those of a preset while nobody has set the facility up: its first
// administrator must be able to sign in to do so.
func (a *Access) rulesIn(tx *store.Tx) (policy.Rules, error) {
	rules, err := a.Policy.At(tx, policy.Scope{})
	if fault.CodeOf(err) == "policy.not_loaded" {
		return a.Policy.Preset(policy.CountyJail)
	}
	return rules, err
}
