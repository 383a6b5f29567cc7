// Package ident owns the ids of Sallyport: their types, how they are made, printed and read, and who acts.
//
// It must not know what the ids stand for. An id is 128 random bits, printed as its kind's prefix, an underscore
// and 26 letters of Crockford's base 32 in lower case ("v_01h..."): safe in a URL, a file name, an etcd key, and
// never guessable. An id is a type, so that a visit cannot be looked up with a visitor's id.
package ident

import (
	"crypto/rand"
	"encoding/base32"
	"strings"

	"sallyport/appliance/fault"
)

var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Kind is satisfied by the id types of this package.
type Kind interface {
	~string
	prefix() string
}

// The id types. Seat is not random: it names a place in a call ("v1", "i1", "s1").
type (
	Facility  string // one site
	Unit      string // a housing unit
	Station   string // a kiosk, tablet or lobby place
	Inmate    string
	Visitor   string
	Staff     string
	Person    string // a party member without an account
	Contact   string
	Template  string // a session template
	Slot      string
	Hold      string
	Visit     string
	Case      string
	Call      string
	Recording string
	View      string // one opening of a recording
	Session   string // a signed-in session; its secret is another value
	Browser   string // a known browser of a visitor
	Image     string // a stored picture
	Notice    string
	Import    string // a roster import
	Check     string // a security check
	Command   string // a command of the central site
	Grant     string // a join grant
	Event     string // a fact reported by the gateway
	// Restriction is a dated limit on a person, an inmate or a pair.
	Restriction string
)

func (Facility) prefix() string  { return "f" }
func (Unit) prefix() string      { return "u" }
func (Station) prefix() string   { return "st" }
func (Inmate) prefix() string    { return "i" }
func (Visitor) prefix() string   { return "vr" }
func (Staff) prefix() string     { return "sf" }
func (Person) prefix() string    { return "p" }
func (Contact) prefix() string   { return "ct" }
func (Template) prefix() string  { return "t" }
func (Slot) prefix() string      { return "sl" }
func (Hold) prefix() string      { return "h" }
func (Visit) prefix() string     { return "v" }
func (Case) prefix() string      { return "cs" }
func (Call) prefix() string      { return "c" }
func (Recording) prefix() string { return "r" }
func (View) prefix() string      { return "vw" }
func (Session) prefix() string   { return "se" }
func (Browser) prefix() string   { return "br" }
func (Image) prefix() string     { return "im" }
func (Notice) prefix() string    { return "n" }
func (Import) prefix() string    { return "ri" }
func (Check) prefix() string     { return "ck" }
func (Command) prefix() string   { return "cmd" }
func (Grant) prefix() string     { return "g" }
func (Event) prefix() string     { return "ev" }

func (Restriction) prefix() string { return "rs" }

// Seat names a place in a call: "v1" to "v4" visitors, "i1" and "i2" inmates, "s1" support.
type Seat string

// New makes a fresh random id.
func New[T Kind]() T {
	var raw [16]byte
	rand.Read(raw[:]) // never fails: the runtime ends the process when the kernel has no randomness
	var zero T
	return T(zero.prefix() + "_" + crockford.EncodeToString(raw[:]))
}

// Parse reads an id of the kind T. It returns Invalid when s is not one, so that nothing of another shape reaches SQL,
// a path or a log.
func Parse[T Kind](s string) (T, error) {
	var zero T
	body, ok := strings.CutPrefix(s, zero.prefix()+"_")
	if !ok || len(body) != 26 {
		return zero, fault.New("ident.Parse", fault.Invalid, "This is not an id of the kind that is needed here.").WithCode("id.shape")
	}
	if _, err := crockford.DecodeString(body); err != nil {
		return zero, fault.New("ident.Parse", fault.Invalid, "This is not an id of the kind that is needed here.").WithCode("id.shape").Because(err)
	}
	return T(s), nil
}

// Secret returns 256 random bits as text, for session cookies, links in mails and codes that nobody types.
func Secret() string {
	var raw [32]byte
	rand.Read(raw[:])
	return crockford.EncodeToString(raw[:])
}

// letters of a reference that people read to each other on the telephone: no vowels, no look-alikes.
const referenceLetters = "23456789BCDFGHJKMNPQRSTVWXZ"

// Reference returns a short reference for people, "KX4-92Q": 27^6 values, unique only together with a UNIQUE index.
func Reference() string {
	var b strings.Builder
	for i := range 6 {
		if i == 3 {
			b.WriteByte('-')
		}
		b.WriteByte(referenceLetters[uniform(len(referenceLetters))])
	}
	return b.String()
}

// codeLetters of a code that people copy from a screen: nothing that looks like something else.
const codeLetters = "ABCDEFGHJKMNPQRSTVWXYZ234567"

// Code returns a code for people to type once, "7K2M-Q4XV-5TCB-R6NE": 28^16 values, more than 76 bits.
func Code() string {
	var b strings.Builder
	for i := range 16 {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(codeLetters[uniform(len(codeLetters))])
	}
	return b.String()
}

// Digits returns n random decimal digits, for codes that people type.
func Digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + uniform(10))
	}
	return string(b)
}

// uniform returns a random number in [0, n) without modulo bias, n <= 256.
func uniform(n int) int {
	limit := 256 - 256%n
	var one [1]byte
	for {
		rand.Read(one[:])
		if int(one[0]) < limit {
			return int(one[0]) % n
		}
	}
}
