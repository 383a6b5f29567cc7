package access

import (
	"strings"
	"unicode/utf8"

	"sallyport/appliance/fault"
)

// checkPIN refuses PINs that are guessed first: wrong length, one digit, runs, pairs, years of birth and the like.
func checkPIN(op, pin string, length int, born string) error {
	bad := func(code string) error {
		return fault.New(op, fault.Invalid, "Choose another PIN.").WithCode("form").WithField("pin", code).WithParam("length", length)
	}
	if len(pin) != length || strings.Trim(pin, "0123456789") != "" {
		return bad("pin")
	}
	if easyPIN(pin) || (born != "" && fromDate(pin, born)) {
		return bad("pin")
	}
	return nil
}

// common are the six-digit PINs that lists of leaked ones begin with and that no pattern below catches.
const common = " 123123 121212 112233 131313 123321 654321 159753 147258 258456 789456 456789 102030 142536 147147 159357 "

func easyPIN(pin string) bool {
	if strings.Contains(common, " "+pin+" ") {
		return true
	}
	same, up, down := true, true, true
	for i := 1; i < len(pin); i++ {
		same = same && pin[i] == pin[i-1]
		up = up && pin[i] == '0'+(pin[i-1]-'0'+1)%10
		down = down && pin[i] == '0'+(pin[i-1]-'0'+9)%10
	}
	half := len(pin) / 2
	twice := len(pin)%2 == 0 && pin[:half] == pin[half:]
	return same || up || down || twice
}

// fromDate tells whether a PIN is made of a date of birth (YYYY-MM-DD) in one of the usual orders.
func fromDate(pin, born string) bool {
	if len(born) != 10 {
		return false
	}
	y, m, d := born[:4], born[5:7], born[8:]
	for _, s := range []string{y + m, m + y, y[2:] + m + d, d + m + y[2:], m + d + y[2:], y + m + d, d + m + y, m + d + y} {
		if pin == s {
			return true
		}
	}
	return false
}

// checkPassword refuses short passwords and those made of the name.
func checkPassword(op, password, username string, least int) error {
	if n := utf8.RuneCountInString(password); n < least || n > 200 {
		return fault.New(op, fault.Invalid, "The password is too short.").WithCode("form").WithField("password", "passwordLength").WithParam("least", least)
	}
	low := strings.ToLower(password)
	if strings.Contains(low, strings.ToLower(username)) || strings.Trim(low, low[:1]) == "" || strings.Contains(low, "password") {
		return fault.New(op, fault.Invalid, "This password is too easy to guess.").WithCode("form").WithField("password", "passwordEasy")
	}
	return nil
}

// mask hides an address but for its first letter and its host.
func mask(email string) string {
	name, host, ok := strings.Cut(email, "@")
	if !ok || name == "" {
		return "…"
	}
	_, n := utf8.DecodeRuneInString(name)
	return name[:n] + "…@" + host
}
