package doortest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/ident"
)

var update = flag.Bool("update", false, "write the matrix anew; read the difference before you commit it")

// key is that of a request which may be sent twice.
const key = "0123456789abcdef"

// role is somebody at a door. In a column that ends with "?" the same person asks for an object that does not exist, as
// one of another facility does not here.
type role struct {
	name  string
	enter func(h *House, o Objects) *Browser
}

// roles are the columns of a door.
func roles(door string) []role {
	nobody := role{"anon", func(h *House, _ Objects) *Browser { return h.Browse(door) }}
	// elsewhere holds a session of another door and shows it here.
	elsewhere := role{"elsewhere", func(h *House, o Objects) *Browser {
		other := h.EnterStaff("staff", access.StageFull, access.Administrator)
		if door == "staff" {
			other = h.Enter("visitor", ident.ByVisitor, string(h.Visitor), access.StageFull)
		}
		b := h.Browse(door)
		b.Resume(other.Session())
		return b
	}}
	who := func(name string, kind ident.ActorKind, stage string, id func(h *House, o Objects) string) role {
		return role{name, func(h *House, o Objects) *Browser {
			return h.Enter(door, kind, id(h, o), stage)
		}}
	}
	staff := func(stage, name string) role {
		return role{name, func(h *House, _ Objects) *Browser {
			if stage != access.StageFull {
				return h.EnterStaff(door, stage, access.Administrator)
			}
			return h.EnterStaff(door, stage, name)
		}}
	}
	visitor := func(h *House, _ Objects) string { return string(h.Visitor) }
	other := func(_ *House, o Objects) string { return string(o.Other) }
	inmate := func(h *House, _ Objects) string { return string(h.Inmate) }
	otherInmate := func(_ *House, o Objects) string { return string(o.OtherIn) }
	all := []role{nobody, elsewhere}
	switch door {
	case "visitor":
		return append(all, who("device_code", ident.ByVisitor, access.StageDeviceCode, visitor), who("agreement", ident.ByVisitor, access.StageAgreement, visitor),
			who("other", ident.ByVisitor, access.StageFull, other), who("visitor?", ident.ByVisitor, access.StageFull, visitor), who("visitor", ident.ByVisitor, access.StageFull, visitor))
	case "kiosk":
		return append(all, who("other", ident.ByInmate, access.StageFull, otherInmate), who("inmate?", ident.ByInmate, access.StageFull, inmate), who("inmate", ident.ByInmate, access.StageFull, inmate))
	default:
		all = append(all, staff(access.StageTOTP, "totp"))
		for _, r := range []string{access.Clerk, access.Moderator, access.Monitor, access.Investigator, access.Administrator, access.Installer} {
			some := staff(access.StageFull, r)
			some.name += "?"
			all = append(all, some, staff(access.StageFull, r))
		}
		return all
	}
}

// bodies are what a page would send; operations without one send nothing.
func bodies(o Objects) map[string]any {
	ticked := map[string]any{"version": "1", "ticked": []string{}}
	reason := map[string]any{"reason": "conduct"}
	// Each is tried once, so that no lock hides the answer.
	nobody, phone := strings.ToLower(ident.Reference()), fmt.Sprintf("+4420794%05d", rand.IntN(100_000))
	activation := map[string]any{"username": nobody, "code": "0000 0000", "password": "correct horse battery"}
	template := map[string]any{
		"name": "Mornings", "class": "social", "weekdays": []int{1, 2}, "starts": "09:00", "ends": "12:00", "pitch": 30, "lengths": []int{30}, "capacity": 2,
		"every_weeks": 1, "from": "2027-03-09", "units": []string{}, "private": false,
	}
	last := map[string]any{"last": "2027-03-09"}
	closure := map[string]any{"scope": "facility", "from": "2027-04-01T09:00", "to": "2027-04-01T12:00", "reason": "staffing"}
	return map[string]any{
		"registerVisitor": map[string]any{
			"first_name": "A", "last_name": "B", "date_of_birth": "1980-01-01", "phone": "+442079460003", "email": "c@example.org",
			"pin": "740913", "language": "en", "zone": "Europe/London", "terms": ticked,
		},
		"activateVisitor": map[string]any{"token": strings.Repeat("0", 52)}, "resendActivation": map[string]any{"email": "x@example.org"},
		"signInVisitor": map[string]any{"phone": phone, "pin": "740913"}, "confirmBrowser": map[string]any{"code": "000000"},
		"acceptAgreement": ticked, "putProfile": map[string]any{"language": "cy"}, "putIdentityDocument": Photo(),
		"requestContact":  map[string]any{"first_name": "X", "last_name": "Y", "number": "A9", "date_of_birth": "1990-01-01", "relationship": "friend"},
		"holdVisit":       map[string]any{"contact": o.Contact, "start": "2027-03-09T10:00:00Z", "minutes": 30},
		"requestVisit":    map[string]any{"hold": o.Hold, "mode": "suggest", "rules": ticked},
		"joinVisitorCall": Fingerprint(), "probeVisitor": Fingerprint(), "joinKioskCall": Fingerprint(),
		"enrolStation": map[string]any{"code": "0000 0000"}, "signInInmate": map[string]any{"number": "A9", "pin": "740913", "language": "en"},
		"answerContact": map[string]any{"answer": "accept"}, "answerVisit": map[string]any{"answer": "accept"},
		"signInStaff": map[string]any{"username": nobody, "password": "y"}, "confirmStaffTotp": map[string]any{"code": "000000"},
		"decideCase": map[string]any{"verdict": "approve"}, "importRoster": []byte("number,booking,first,last,dob,unit\n"),
		"decideVisit": map[string]any{"decision": "approve"}, "cancelStaffVisit": map[string]any{"reason": "staffing"},
		"monitorCall": map[string]any{"fingerprint": Fingerprint()["fingerprint"], "purpose": "duty"}, "pauseCall": reason, "endCall": reason,
		"resumeCall": map[string]any{"check": ident.New[ident.Check](), "steps": []any{}}, "sayToCall": map[string]any{"side": "all", "body": "Hello."},
		"viewRecording":  map[string]any{"purpose": "case 7"},
		"claimAppliance": map[string]any{"code": "0000 0000", "name": "Jo", "username": "jo.smith", "password": "correct horse battery"},
		"signInSetup":    map[string]any{"username": nobody, "password": "y"}, "confirmSetupTotp": map[string]any{"code": "000000"},
		"putFacility": map[string]any{
			"name": "N", "kind": "jail", "zone": "Europe/London", "country": "GB", "currency": "GBP", "preset": "county-jail",
			"support": map[string]any{"phone": "1", "hours": "9"},
		},
		"putOwnPin": map[string]any{"pin": "740913"},
		"addUnit":   map[string]any{"name": "Wing " + nobody}, "renameUnit": map[string]any{"name": "Wing " + nobody},
		"addStation":    map[string]any{"name": "Kiosk " + nobody, "kind": "kiosk", "unit": o.Unit, "private": false},
		"changeStation": map[string]any{"name": "Kiosk " + nobody, "private": true, "state": "disabled"},
		"putOpening":    map[string]any{"hours": []any{map[string]any{"weekday": 1, "opens": "09:00", "closes": "24:00"}}},
		"inviteStaff":   map[string]any{"name": "Lou Park", "username": "lou." + nobody, "roles": []string{"monitor"}},
		"changeStaff":   map[string]any{"name": "Kit Hale", "roles": []string{"clerk", "moderator"}},
		"activateStaff": activation, "activateSetup": activation,
		"addStaffTemplate": template, "addSetupTemplate": template, "endStaffTemplate": last, "endSetupTemplate": last,
		"addStaffClosure": closure, "addSetupClosure": closure,
	}
}

// address is an operation's path with the objects in it, or with ids that nobody has.
func address(op api.Operation, o Objects, exists bool) string {
	if !exists {
		o = Objects{
			Visit: ident.New[ident.Visit](), Contact: ident.New[ident.Contact](), Case: ident.New[ident.Case](), Call: ident.New[ident.Call](),
			Recording: ident.New[ident.Recording](), Inmate: ident.New[ident.Inmate](), Station: ident.New[ident.Station](),
			View: ident.New[ident.View](), Hold: ident.New[ident.Visit](), Template: ident.New[ident.Template](), Closure: 1 << 40,
			Unit: ident.New[ident.Unit](), Staff: ident.New[ident.Staff](),
		}
	}
	version := "9.9.9"
	if exists {
		version = map[string]string{"installVersion": "1.5.0", "clearVersion": "1.4.5"}[op.ID]
	}
	path := strings.NewReplacer("{version}", version, "{visit}", string(o.Visit), "{contact}", string(o.Contact), "{case}", string(o.Case), "{call}", string(o.Call),
		"{recording}", string(o.Recording), "{inmate}", string(o.Inmate), "{station}", string(o.Station), "{view}", string(o.View),
		"{hold}", string(o.Hold), "{template}", string(o.Template), "{closure}", fmt.Sprint(o.Closure), "{unit}", string(o.Unit), "{staff}", string(o.Staff),
		"{kind}", "selfie", "{seat}", "v1").Replace(op.Path)
	return path + map[string]string{
		"listStarts": "?from=2027-03-05&to=2027-03-08&minutes=30", "importRoster": "?full=false", "listStaffVisits": "?state=confirmed",
		"countStaffStanding": "?after=2027-03-01", "countSetupStanding": "?after=2027-03-01",
	}[op.ID]
}

// B22: every operation of the contract x every role x own and other's objects, against the matrix that people have read.
// An operation without a row fails, and so does a row without an operation.
func TestRouteRoleWalk(t *testing.T) {
	contract, err := api.Load()
	if err != nil {
		t.Fatal(err)
	}
	ops := slices.SortedFunc(slices.Values(contract.Operations), func(a, b api.Operation) int {
		return strings.Compare(a.Door+" "+a.Path+" "+a.Method, b.Door+" "+b.Path+" "+b.Method)
	})
	rows := make([]string, len(ops))
	seeded := map[string]Objects{}
	reads := map[string]*House{} // of each door: reading changes nothing, so one house serves all of it
	t.Run("walk", func(t *testing.T) {
		for i, op := range ops {
			if op.Method == "GET" {
				if reads[op.Door] == nil {
					reads[op.Door] = Open(t)
					seeded[op.Door] = reads[op.Door].Seed()
				}
				rows[i] = walk(t, reads[op.Door], seeded[op.Door], op)
				continue
			}
			t.Run(op.ID, func(t *testing.T) {
				t.Parallel()
				h := Open(t)
				rows[i] = walk(t, h, h.Seed(), op)
			})
		}
	})
	got := strings.Join(rows, "")
	file := filepath.Join("testdata", "matrix.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("who may do what is not what the matrix says (-want +got); if it should be, run with -update:\n%s", diff)
	}
}

// walk asks for one operation as everybody and returns its row.
func walk(t *testing.T, h *House, o Objects, op api.Operation) string {
	t.Helper()
	row := op.Method + " " + op.Path + " " + op.ID + "\n\t"
	var cells []string
	for _, r := range roles(op.Door) {
		missing := strings.HasSuffix(r.name, "?")
		if missing && !strings.Contains(op.Path, "{") {
			continue
		}
		a := r.enter(h, o).Ask(t, op.Method, address(op, o, !missing), bodies(o)[op.ID], "Idempotency-Key", key)
		cells = append(cells, fmt.Sprintf("%s=%d", r.name, a.Status))
		if a.Status == 500 {
			t.Errorf("%s asked by %s: %s", op.ID, r.name, a.Raw)
		}
	}
	return row + strings.Join(cells, " ") + "\n"
}

// A route of another door is not there, whoever asks: 404, never 403.
func TestRoutesOfOtherDoorsAreNotThere(t *testing.T) {
	h := Open(t)
	o := h.Seed()
	for _, door := range Doors() {
		rs := roles(door)
		for _, r := range []role{rs[0], rs[len(rs)-1]} {
			b := r.enter(h, o)
			for _, op := range h.Contract.Operations {
				if op.Door == door {
					continue
				}
				if a := b.Ask(t, op.Method, address(op, o, true), bodies(o)[op.ID], "Idempotency-Key", key); a.Status != 404 || a.Code() != "not_found" {
					t.Errorf("%s of the %s door at the %s door, asked by %s: %d %s", op.ID, op.Door, door, r.name, a.Status, a.Raw)
				}
			}
		}
	}
}
