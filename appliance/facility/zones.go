package facility

import (
	_ "embed" // for the list of zones
	"strings"
)

// zoneLines are the IANA names that pages offer, one a line, each with the country that it lies in.
//
//go:embed zones.txt
var zoneLines string

// Zones returns the IANA names of time zones that a person may choose from.
func Zones() []string {
	fields := strings.Fields(zoneLines)
	names := make([]string, 0, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		names = append(names, fields[i])
	}
	return names
}

// CountryOf returns the country (ISO 3166) that a zone lies in; false for a zone that is not offered.
func CountryOf(zone string) (string, bool) {
	for line := range strings.Lines(zoneLines) {
		if name, country, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == zone {
			return country, true
		}
	}
	return "", false
}
