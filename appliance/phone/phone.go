// Package phone owns telephone numbers: how people write them, how they are kept (E.164, "+442079460958") and shown.
//
// It must not know whose number it is. Numbers are never in an error or a log.
package phone

import (
	"strings"

	"github.com/nyaruka/phonenumbers"

	"sallyport/appliance/fault"
)

// E164 reads a number as people write it in a country ("GB", "US"), with or without the country's own code, and returns
// the form in which it is kept. It returns Invalid when it cannot be a number, and takes no extensions: an SMS has none.
func E164(number, country string) (string, error) {
	n, err := phonenumbers.Parse(number, strings.ToUpper(country))
	if err != nil || n.GetExtension() != "" || !phonenumbers.IsValidNumber(n) {
		return "", fault.New("phone.E164", fault.Invalid, "This is not a telephone number.").WithCode("phone.invalid")
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

// Display returns a kept number as people in a country write it: without the country's code for a number of their own.
// What is not a number comes back as it is.
func Display(e164, country string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return e164
	}
	form := phonenumbers.INTERNATIONAL
	if phonenumbers.GetRegionCodeForNumber(n) == strings.ToUpper(country) {
		form = phonenumbers.NATIONAL
	}
	return phonenumbers.Format(n, form)
}

// Masked shows the last two digits only, so that a person recognises the number and nobody else learns it.
func Masked(e164 string) string {
	if len(e164) < 6 {
		return "••"
	}
	return "••••" + e164[len(e164)-2:]
}
