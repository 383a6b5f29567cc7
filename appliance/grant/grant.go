// Package grant owns join grants and TURN credentials: what bookingd signs and gatewayd checks without asking anybody.
//
// It must not know calls, people or the network. A grant is "SPG1." + base64url(JSON claims) + "." + base64url(Ed25519
// signature over everything before the last dot). It holds ids only, is bound to one seat, one door and one DTLS
// certificate, and limits joining, not staying. A TURN credential is the HMAC of a username that carries its own limits,
// so that the relay needs no state (draft-uberti-behave-turn-rest-00, with our fields).
package grant

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// Kind of a grant.
type Kind string

// The kinds. A Probe echoes the caller's own media for the device check.
const (
	Seat    Kind = "seat"
	Monitor Kind = "monitor"
	Wall    Kind = "wall"
	Probe   Kind = "probe"
)

// How long a grant may be used to join (media.md, 3.5).
const (
	SeatTTL    = 15 * time.Minute
	MonitorTTL = 2 * time.Minute
	ProbeTTL   = time.Minute
	leeway     = 30 * time.Second // wall clocks of two processes on one machine may be stepped between issue and use
)

// Claims is what a grant says.
type Claims struct {
	V     int            `json:"v"`
	KID   string         `json:"kid"`
	ID    ident.Grant    `json:"id"`
	Kind  Kind           `json:"kind"`
	Door  string         `json:"door"` // visitor, kiosk, staff
	Call  ident.Call     `json:"call,omitempty"`
	Seat  ident.Seat     `json:"seat,omitempty"`
	Role  string         `json:"role"` // visitor, inmate, support, monitor
	Who   string         `json:"who"`  // typed id
	Class linkspec.Class `json:"class,omitempty"`
	FP    string         `json:"fp"`  // SHA-256 of the client's DTLS certificate, "AB:CD:..." in upper case
	NBF   int64          `json:"nbf"` // unix seconds
	EXP   int64          `json:"exp"`
	Spec  *linkspec.Spec `json:"spec,omitempty"` // opens the call when bookingd is away
}

const prefix = "SPG1."

var enc = base64.RawURLEncoding

// Signer issues grants. Its key never leaves bookingd.
type Signer struct {
	kid string
	key ed25519.PrivateKey
}

// NewSigner returns a signer for a key and its name.
func NewSigner(kid string, key ed25519.PrivateKey) *Signer { return &Signer{kid: kid, key: key} }

// Public returns the half of the key that gatewayd gets.
func (s *Signer) Public() linkspec.PublicKey {
	return linkspec.PublicKey{KID: s.kid, Key: s.key.Public().(ed25519.PublicKey)}
}

// Sign issues a grant. It fills V and KID, and ID when it is empty. It returns Invalid for claims that no gateway
// would take: without fingerprint, door, person or end.
func (s *Signer) Sign(c Claims) (string, error) {
	c.V, c.KID = 1, s.kid
	if c.ID == "" {
		c.ID = ident.New[ident.Grant]()
	}
	if err := c.check(); err != nil {
		return "", err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return "", fault.New("grant.Sign", fault.Internal, "The grant could not be written.").Because(err)
	}
	head := prefix + enc.EncodeToString(body)
	return head + "." + enc.EncodeToString(ed25519.Sign(s.key, []byte(head))), nil
}

func (c Claims) check() error {
	bad := func(what string) error {
		return fault.Newf("grant.check", fault.Invalid, "The grant has no %s.", what).WithCode("grant_bad")
	}
	switch {
	case c.V != 1:
		return bad("known version")
	case c.Door == "" || c.Who == "" || c.Role == "":
		return bad("door, person and role")
	case !validFingerprint(c.FP):
		return bad("certificate fingerprint")
	case c.EXP <= c.NBF:
		return bad("end")
	case c.Kind != Seat && c.Kind != Monitor && c.Kind != Wall && c.Kind != Probe:
		return bad("known kind")
	case c.Kind == Seat && (c.Call == "" || c.Seat == "" || c.Class == ""):
		return bad("call, seat and class")
	case c.Kind == Monitor && (c.Call == "" || c.Class == linkspec.Privileged):
		return bad("call that may be watched")
	}
	return nil
}

// validFingerprint tells whether fp is 32 bytes as SDP prints them (RFC 8122): upper-case pairs parted by colons.
func validFingerprint(fp string) bool {
	if len(fp) != 95 {
		return false
	}
	for i, r := range fp {
		if i%3 == 2 {
			if r != ':' {
				return false
			}
			continue
		}
		if !strings.ContainsRune("0123456789ABCDEF", r) {
			return false
		}
	}
	return true
}

// Verifier checks grants with the public keys it was given. It is immutable: a rotation makes a new one.
type Verifier struct{ keys map[string]ed25519.PublicKey }

// NewVerifier returns a verifier for the present and previous keys.
func NewVerifier(keys []linkspec.PublicKey) *Verifier {
	v := &Verifier{keys: map[string]ed25519.PublicKey{}}
	for _, k := range keys {
		if len(k.Key) == ed25519.PublicKeySize {
			v.keys[k.KID] = ed25519.PublicKey(k.Key)
		}
	}
	return v
}

// maxText bounds a grant before anything of it is decoded.
const maxText = 8 << 10

// Verify reads a grant that came in at a door. It returns Unauthenticated with the code grant_bad (shape, key, signature),
// grant_expired (time) or grant_door (issued for another door).
func (v *Verifier) Verify(text, door string, now time.Time) (Claims, error) {
	refuse := func(code, msg string) (Claims, error) {
		return Claims{}, fault.New("grant.Verify", fault.Unauthenticated, msg).WithCode(code)
	}
	const bad = "This grant was not made by this appliance."
	dot := strings.LastIndexByte(text, '.')
	if len(text) > maxText || dot < len(prefix) || !strings.HasPrefix(text, prefix) {
		return refuse("grant_bad", bad)
	}
	head := text[:dot]
	sig, err := enc.DecodeString(text[dot+1:])
	if err != nil {
		return refuse("grant_bad", bad)
	}
	body, err := enc.DecodeString(head[len(prefix):])
	if err != nil {
		return refuse("grant_bad", bad)
	}
	var c Claims
	if err := json.Unmarshal(body, &c); err != nil {
		return refuse("grant_bad", bad)
	}
	key, ok := v.keys[c.KID]
	if !ok || !ed25519.Verify(key, []byte(head), sig) {
		return refuse("grant_bad", bad)
	}
	if err := c.check(); err != nil {
		return Claims{}, err
	}
	if c.Door != door {
		return refuse("grant_door", "This grant is for another door.")
	}
	if now.Before(time.Unix(c.NBF, 0).Add(-leeway)) || now.After(time.Unix(c.EXP, 0).Add(leeway)) {
		return refuse("grant_expired", "This grant is too old. Ask for a new one.")
	}
	return c, nil
}
