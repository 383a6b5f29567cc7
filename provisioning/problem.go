package provisioning

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/appliance/fault"
)

// Problem is one thing that is wrong in a site file.
type Problem struct {
	Line int    // 1 is the first; 0 when the file as a whole is meant
	Key  string // zone.kiosk.pool
	Say  string // what is wrong and what to write
}

// String is the problem for a terminal: line, key, words.
func (p Problem) String() string {
	at := p.Key
	if p.Line > 0 {
		at = strings.TrimSuffix(fmt.Sprintf("line %d: %s", p.Line, p.Key), ": ")
	}
	return strings.TrimPrefix(at+": "+p.Say, ": ")
}

// Problems are all that is wrong in one site file, in the order of its lines.
type Problems []Problem

// Fault is the refusal of a file with these problems, Invalid with the code "site.file"; nil when there are none.
func (ps Problems) Fault() error {
	if len(ps) == 0 {
		return nil
	}
	words := make([]string, len(ps))
	for i, p := range ps {
		words[i] = p.String()
	}
	return fault.New("provisioning.Read", fault.Invalid, "The site file is not correct.\n"+strings.Join(words, "\n")).WithCode("site.file").
		WithParam("lines", strings.Join(words, "\n"))
}

func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
	return ps
}
