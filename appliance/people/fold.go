package people

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// fold brings a name into the form in which names are compared: no case, no marks, no punctuation, one space.
func fold(s string) string {
	plain, _, err := transform.String(transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), norm.NFKC), s)
	if err != nil {
		plain = s
	}
	var b strings.Builder
	for _, r := range strings.ToLower(plain) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		case r == '\'' || r == '’' || r == 'ʼ':
			// O'Neill and ONeill are one name.
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// FoldNumber brings an inmate's number into the form in which it is kept: upper case, no spaces and dashes.
func FoldNumber(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '.' {
			return -1
		}
		return unicode.ToUpper(r)
	}, s)
}

// emailKey is the canonical form of an address for comparing: case, a "+tag", and dots in the name do not make another
// person (B10).
func emailKey(s string) string {
	name, host, ok := strings.Cut(strings.ToLower(strings.TrimSpace(s)), "@")
	if !ok {
		return name
	}
	name, _, _ = strings.Cut(name, "+")
	return strings.ReplaceAll(name, ".", "") + "@" + host
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// Age is the number of completed years on a date (YYYY-MM-DD); who is born on 29 February has the birthday on 1 March in
// other years. An unreadable date has the age 0, which nothing is allowed to.
func Age(born, on string) int {
	b, err := time.Parse(time.DateOnly, born)
	if err != nil {
		return 0
	}
	d, err := time.Parse(time.DateOnly, on)
	if err != nil || d.Before(b) {
		return 0
	}
	years := d.Year() - b.Year()
	// time.Date turns 29 February of a common year into 1 March, which is the rule.
	if d.Before(time.Date(d.Year(), b.Month(), b.Day(), 0, 0, 0, 0, time.UTC)) {
		years--
	}
	return years
}
