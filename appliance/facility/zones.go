package facility

import (
	_ "embed" // for the list of zones
	"strings"
)

// zoneNames are the IANA names that pages offer, one a line.
//
//go:embed zones.txt
var zoneNames string

// Zones returns the IANA names of time zones that a person may choose from.
func Zones() []string { return strings.Fields(zoneNames) }
