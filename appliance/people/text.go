package people

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sallyport/appliance/fault"
)

// nameMax is the longest first or last name, in code points.
const nameMax = 80

// clean brings typed text into the stored form: NFC, one space between words, no control or direction characters.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, norm.NFC.String(s))
	return strings.Join(strings.Fields(s), " ")
}

func nameFits(s string) bool {
	s = clean(s)
	return s != "" && utf8.RuneCountInString(s) <= nameMax && fold(s) != ""
}

// checkNames checks what every person has: two names and a date of birth within the last 120 years.
func checkNames(op, first, last, born string, now time.Time) error {
	f := fault.New(op, fault.Invalid, "Check the names and the date of birth.").WithCode("form")
	if !nameFits(first) {
		f.WithField("first_name", "name")
	}
	if !nameFits(last) {
		f.WithField("last_name", "name")
	}
	if d, err := time.Parse(time.DateOnly, born); err != nil || d.After(now) || d.Before(now.AddDate(-120, 0, 0)) {
		f.WithField("date_of_birth", "date")
	}
	if len(f.Fields) > 0 {
		return f
	}
	return nil
}
