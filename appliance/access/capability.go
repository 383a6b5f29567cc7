package access

import (
	"slices"
	"strings"

	"sallyport/appliance/ident"
)

// The roles of staff.
const (
	Clerk         = "clerk"
	Moderator     = "moderator"
	Monitor       = "monitor"
	Investigator  = "investigator"
	Administrator = "administrator"
	Installer     = "installer"
)

// roles lists what staff may be given.
func roles() []string {
	return []string{Clerk, Moderator, Monitor, Investigator, Administrator, Installer}
}

// The kinds of actors as roles of the matrix.
const (
	anon    = "anon"
	visitor = "visitor"
	inmate  = "inmate"
)

// capabilities is the role matrix of the security design: one row a capability, each role that has it with its marks
// (y yes, o own only, q claimed items only, r with a reason, s with a fresh second factor, 2 with a second person).
// What is not here is refused.
const capabilities = `
accounts.create     anon:y
profile.own         visitor:o inmate:o clerk:o moderator:o monitor:o investigator:o administrator:o installer:o
contacts.ask        visitor:y clerk:y moderator:y
contacts.answer     inmate:o visitor:o
contacts.decide     clerk:y moderator:q
privilege.verify    moderator:q2
visits.book         visitor:o inmate:o clerk:y
visits.answer       inmate:o
visits.see          clerk:y monitor:y investigator:r administrator:y
visits.decide       clerk:r
schedule.edit       clerk:y administrator:y
calls.join          visitor:o inmate:o
calls.see           clerk:y monitor:y investigator:r administrator:y
calls.watch         monitor:y investigator:r
calls.pause         monitor:y
calls.end           monitor:r administrator:r
recordings.see      investigator:r
recordings.play     investigator:rs
recordings.export   investigator:rs2
identity.send       visitor:o
people.see          clerk:y moderator:y monitor:y investigator:r administrator:y
roster.import       clerk:y administrator:y
pins.issue          clerk:y administrator:y
cases.decide        moderator:q clerk:q
restrictions.add    clerk:r investigator:r administrator:r
restrictions.lift   administrator:rs2
policy.read         clerk:y moderator:y monitor:y investigator:y administrator:y
policy.edit         administrator:ys
staff.edit          administrator:s
facility.edit       administrator:y installer:y
devices.see         clerk:y monitor:y administrator:y installer:y
devices.disable     clerk:r administrator:y
devices.enrol       administrator:y installer:y
audit.own           clerk:o moderator:o monitor:o investigator:o administrator:y
audit.all           administrator:y
versions.install    administrator:s
health.see          clerk:y moderator:y monitor:y investigator:y administrator:y installer:y
`

// Marks returns how an actor has a capability, "" when not at all: the marks of the matrix, of all roles together.
func Marks(by ident.Actor, capability string) string {
	for line := range strings.Lines(capabilities) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != capability {
			continue
		}
		marks := ""
		for _, cell := range fields[1:] {
			role, mark, _ := strings.Cut(cell, ":")
			if slices.Contains(rolesOf(by), role) {
				marks += mark
			}
		}
		return marks
	}
	return ""
}

// Can tells whether an actor has a capability at all. Own, reason and step-up are checked by whoever does the thing.
func Can(by ident.Actor, capability string) bool { return Marks(by, capability) != "" }

// Capabilities lists what an actor can do, in the order of the matrix.
func Capabilities(by ident.Actor) []string {
	var can []string
	for line := range strings.Lines(capabilities) {
		if f := strings.Fields(line); len(f) > 0 && Can(by, f[0]) {
			can = append(can, f[0])
		}
	}
	return can
}

// MayDecide tells whether an actor may decide cases of a kind: clerks decide contacts, moderators everything.
func MayDecide(by ident.Actor, kind string) bool {
	if kind == "contact" || kind == "contact_minor" {
		return Can(by, "contacts.decide")
	}
	return by.Has(Moderator)
}

func rolesOf(by ident.Actor) []string {
	switch by.Kind {
	case ident.ByVisitor:
		return []string{visitor}
	case ident.ByInmate:
		return []string{inmate}
	case ident.ByStaff:
		return by.Roles
	case "":
		return []string{anon}
	}
	return nil
}
