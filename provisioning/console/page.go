// Package console owns what the screen and the serial line of the box show: what it is, where it can be reached, what it
// waits for, and the two secrets that only somebody in front of it may see.
//
// It must not offer a login. It takes one kind of input, what proves that somebody has written the recovery key down. The
// page is a value ([Page]); a screen is drawn anew, a serial line is told what has changed.
package console

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/provisioning/phases"
)

// Page is everything that is shown at one moment.
type Page struct {
	Version   string
	Slot      string
	Host      string
	Facility  string // "" before there is a site file
	Addresses []string
	Authority string // fingerprint
	Door      string // where the setup door is; "" before there is a site file
	Claim     string // code; "" when there is none to show
	Claimed   bool
	Recovery  string // key that nobody has written down yet
	Ask       bool   // somebody may still say that the key is written down
	Phases    []phases.Result
	Verdict   string   // of the health of the box; "" before it was asked
	Versions  []string // on trial, or given up
	Blank     bool     // the site file wants nothing shown once the box is claimed
	Said      string   // the answer to what was typed last
}

// Lines are the page for a person, from the top.
func (p Page) Lines() []string {
	if p.Blank && p.Claimed && p.Recovery == "" {
		return []string{"Sallyport. This screen shows nothing by order of the site file."}
	}
	lines := []string{fmt.Sprintf("Sallyport %s, slot %s", p.Version, p.Slot)}
	if p.Facility != "" {
		lines = append(lines, "Facility: "+p.Facility)
	} else {
		lines = append(lines, "Waiting: there is no site file. Only the setup door answers.")
	}
	lines = append(lines, "Name: "+p.Host)
	for _, a := range p.Addresses {
		lines = append(lines, "Address: "+a)
	}
	if p.Authority != "" {
		lines = append(lines, "Local authority: "+p.Authority)
	}
	lines = append(lines, p.phases()...)
	if p.Verdict != "" {
		lines = append(lines, p.Verdict)
	}
	lines = append(lines, p.Versions...)
	if p.Recovery != "" {
		lines = append(lines, "Recovery key: "+p.Recovery,
			"It opens the disk when this machine no longer can, and is stored nowhere. Write it down now.",
			"Then type its first and its last group, with a space between, and press Enter.")
	} else if p.Ask {
		lines = append(lines, "The recovery key is not confirmed: type the whole key once and press Enter.")
	}
	if p.Claim != "" {
		where := "With it the first administrator is made, on the setup door."
		if p.Door != "" {
			where = "With it the first administrator is made, on the setup door: " + p.Door
		}
		lines = append(lines, "Claim code: "+p.Claim, where)
	}
	if p.Said != "" {
		lines = append(lines, p.Said)
	}
	return lines
}

// phases are those that are not done, each with what to do; when all are, that.
func (p Page) phases() []string {
	if len(p.Phases) == 0 {
		return []string{"First boot has not begun."}
	}
	var lines []string
	for _, r := range p.Phases {
		if r.State == phases.Done {
			continue
		}
		for i, line := range strings.Split(r.Says, "\n") {
			if i == 0 {
				line = fmt.Sprintf("Phase %s %s: %s", r.Phase, r.State, line)
			} else {
				line = "  " + line
			}
			lines = append(lines, line)
		}
	}
	if lines == nil {
		return []string{fmt.Sprintf("First boot: all %d phases are done.", len(p.Phases))}
	}
	return lines
}

// Changed are the lines of a page that the one before did not have: what a serial line, which scrolls, is told.
func Changed(before, now []string) []string {
	var lines []string
	for _, line := range now {
		if !slices.Contains(before, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// Printable takes out what a terminal would obey instead of showing: some lines hold words from a site file.
func Printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, line)
}
