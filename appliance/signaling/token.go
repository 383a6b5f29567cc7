package signaling

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// Tokens makes and reads resume tokens: "SPR1.<call>.<seat>.<generation>.<MAC>". A token names a seat's generation of this
// boot of the machine; the call knows whether it is the present one.
type Tokens struct {
	key  []byte
	boot string
}

// NewTokens returns the tokens of a key and a boot of the machine.
func NewTokens(key []byte, boot string) *Tokens { return &Tokens{key: key, boot: boot} }

// Make returns the token of a seat.
func (t *Tokens) Make(call ident.Call, seat ident.Seat, gen int) string {
	body := strings.Join([]string{"SPR1", string(call), string(seat), strconv.Itoa(gen)}, ".")
	return body + "." + t.mac(body)
}

func (t *Tokens) mac(body string) string {
	h := hmac.New(sha256.New, t.key)
	h.Write([]byte(t.boot + "\n" + body))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Read returns what a token says. It returns Unauthenticated (resume_bad) for one that was not made here.
func (t *Tokens) Read(text string) (call ident.Call, seat ident.Seat, gen int, err error) {
	bad := fault.New("signaling.Resume", fault.Unauthenticated, "This connection cannot be resumed.").WithCode("resume_bad")
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 || len(text) > 256 || !hmac.Equal([]byte(text[dot+1:]), []byte(t.mac(text[:dot]))) {
		return "", "", 0, bad
	}
	part := strings.Split(text[:dot], ".")
	if len(part) != 4 || part[0] != "SPR1" {
		return "", "", 0, bad
	}
	gen, err = strconv.Atoi(part[3])
	if err != nil {
		return "", "", 0, bad
	}
	return ident.Call(part[1]), ident.Seat(part[2]), gen, nil
}
