package grant

import (
	"crypto/hmac"
	"crypto/sha256"
	"strconv"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// TURN is who a relay credential was made for and when it holds.
type TURN struct {
	KID  string
	Call ident.Call
	Seat ident.Seat
	Door string
	NBF  time.Time
	EXP  time.Time
}

// Username returns "<kid>.<call>.<seat>.<door>.<nbf>.<exp>": ids and times only, because TURN sends it in clear.
func (t TURN) Username() string {
	return strings.Join([]string{
		t.KID, string(t.Call), string(t.Seat), t.Door,
		strconv.FormatInt(t.NBF.Unix(), 10), strconv.FormatInt(t.EXP.Unix(), 10),
	}, ".")
}

// Password returns base64url(HMAC-SHA256(secret, username)).
func Password(secret []byte, username string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(username))
	return enc.EncodeToString(mac.Sum(nil))
}

// Credential makes a username and password for a seat of a call at a door.
func Credential(key linkspec.TURNSecret, call ident.Call, seat ident.Seat, door string, nbf, exp time.Time) (username, password string) {
	t := TURN{KID: key.KID, Call: call, Seat: seat, Door: door, NBF: nbf, EXP: exp}
	username = t.Username()
	return username, Password(key.Secret, username)
}

// ParseTURN reads a username. It returns Invalid when it has another shape. It proves nothing: the password does.
func ParseTURN(username string) (TURN, error) {
	bad := fault.New("grant.ParseTURN", fault.Invalid, "This is not a relay user name of ours.").WithCode("turn_user")
	if len(username) > 256 {
		return TURN{}, bad
	}
	part := strings.Split(username, ".")
	if len(part) != 6 {
		return TURN{}, bad
	}
	nbf, err1 := strconv.ParseInt(part[4], 10, 64)
	exp, err2 := strconv.ParseInt(part[5], 10, 64)
	if err1 != nil || err2 != nil || part[0] == "" || part[2] == "" || part[3] == "" {
		return TURN{}, bad
	}
	call, err := ident.Parse[ident.Call](part[1])
	if err != nil {
		return TURN{}, bad
	}
	return TURN{KID: part[0], Call: call, Seat: ident.Seat(part[2]), Door: part[3], NBF: time.Unix(nbf, 0), EXP: time.Unix(exp, 0)}, nil
}

// Valid returns Unauthenticated when now lies outside the credential's time.
func (t TURN) Valid(now time.Time) error {
	if now.Before(t.NBF.Add(-leeway)) || now.After(t.EXP.Add(leeway)) {
		return fault.New("grant.TURN", fault.Unauthenticated, "This relay credential is not good now.").WithCode("turn_time")
	}
	return nil
}
