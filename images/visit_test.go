package images_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/daemons/demo/mailbox"
	"sallyport/provisioning/roster"
)

// site is an appliance that nobody owns yet, as the people around it see it: four doors, the code on its screen, and the
// mail server of the facility. Its story is the same for processes on this machine and for a box in qemu.
type site struct {
	doors map[string]doortest.Door
	claim string // as the console shows it
	mails *mailbox.Mailbox

	admin, clerk doortest.Worker
	setup, staff *doortest.Browser
	kiosk        *doortest.Browser // the enrolled device
	self, inside *doortest.Browser // the visitor and the inmate, signed in
	inmate       map[string]any
	inmatePIN    string
	contact      string
	visit, ref   string
	start        time.Time
}

// The visitor of the story; the names are like nobody else's.
var visitor = struct{ First, Last, Born, Phone, Email, PIN string }{
	"Wilhelmina", "Quarterstaff", "1984-06-19", "+13125550188", "wilhelmina@families.example", "740913",
}

// firstVisit takes a fresh appliance to its first confirmed visit, through its doors alone.
func (s *site) firstVisit(t *testing.T) {
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"claim by the code on the console", s.claimIt},
		{"facility, unit, station and hours", s.furnish},
		{"staff come by invitation", s.hire},
		{"roster and the inmate's PIN", s.admit},
		{"station becomes a device, the inmate signs in", s.enrol},
		{"visitor registers and signs in", s.register},
		{"identity is verified", s.prove},
		{"contact is accepted", s.meet},
		{"visit is booked and confirmed", s.book},
	} {
		if !t.Run(step.name, step.do) {
			t.FailNow() // the later steps need this one
		}
	}
}

func (s *site) claimIt(t *testing.T) {
	b := s.doors["setup"].Browse()
	if state := b.Do(t, 200, "GET", "state", nil); state["claimed"] != false {
		t.Fatalf("a fresh appliance is owned by somebody: %v", state)
	}
	want := map[string]any{"code": "AAAA-BBBB-CCCC-DDDD", "name": "Alex Reed", "username": "alex.reed", "password": "a long enough passphrase"}
	if a := b.Ask(t, "POST", "claim", want); a.Status < 400 || a.Status > 499 {
		t.Fatalf("a wrong claim code: %d %s", a.Status, a.Raw)
	}
	want["code"] = s.claim
	made := b.Do(t, 201, "POST", "claim", want)
	s.admin = doortest.Worker{Username: "alex.reed", Password: "a long enough passphrase", Secret: doortest.Str(made, "totp_secret")}
	want["username"] = "eve.reed"
	if a := b.Ask(t, "POST", "claim", want); a.Status != 409 {
		t.Errorf("the claim code again: %d %s, want 409", a.Status, a.Raw)
	}
	s.setup = s.admin.Enter(t, s.doors["setup"])
}

func (s *site) furnish(t *testing.T) {
	state := s.setup.Do(t, 200, "GET", "state", nil)
	if _, there := state["facility"].(map[string]any); !there {
		s.setup.Do(t, 200, "PUT", "facility", map[string]any{
			"name": "Harbour County Jail", "kind": "jail", "zone": "America/Chicago", "country": "US", "currency": "USD", "preset": "county-jail",
			"support": map[string]any{"phone": "+1 312 555 0100", "hours": "Every day, 8:00am to 8:00pm"},
		})
	}
	unit := s.setup.Do(t, 201, "POST", "units", map[string]any{"name": "A Wing"})
	s.setup.Do(t, 201, "POST", "units", map[string]any{"name": "B Wing"})
	s.setup.Do(t, 201, "POST", "stations", map[string]any{"name": "Kiosk A1", "kind": "kiosk", "unit": unit["id"], "private": false})
	hours := s.setup.Do(t, 200, "GET", "hours", nil)
	s.setup.Do(t, 201, "POST", "templates", map[string]any{
		"name": "Every day", "class": "social", "weekdays": []int{0, 1, 2, 3, 4, 5, 6}, "starts": "08:00", "ends": "20:00", "pitch": 60,
		"lengths": []int{}, "capacity": 4, "every_weeks": 1, "from": hours["today"], "units": []string{}, "private": false,
	})
}

// hire makes one member of staff with all roles that the story needs: by invitation, so that nobody knows the password
// of somebody else.
func (s *site) hire(t *testing.T) {
	made := s.setup.Do(t, 201, "POST", "staff", map[string]any{"name": "Casey Hart", "username": "casey.hart", "roles": []string{"clerk", "moderator", "monitor", "investigator"}})
	b := s.doors["staff"].Browse()
	factor := b.Do(t, 201, "POST", "activation", map[string]any{"username": "casey.hart", "code": made["code"], "password": "another long passphrase"})
	s.clerk = doortest.Worker{Username: "casey.hart", Password: "another long passphrase", Secret: doortest.Str(factor, "totp_secret")}
	s.staff = s.clerk.Enter(t, s.doors["staff"])
}

// admit takes the roster, unless the seed has brought it, and prints a PIN for the first inmate of A Wing.
func (s *site) admit(t *testing.T) {
	if len(s.inmates(t)) == 0 {
		s.staff.Do(t, 200, "POST", "roster?full=true", roster.Sample, "Content-Type", "text/csv")
	}
	all := s.inmates(t)
	if len(all) != 1 {
		t.Fatalf("the first inmate of the roster is there %d times", len(all))
	}
	s.inmate = all[0]
	issued := s.staff.Do(t, 201, "POST", "inmates/"+doortest.Str(s.inmate, "id")+"/pin", nil)
	s.inmatePIN = doortest.Str(issued, "pin")
}

// inmates are those with the number of the roster's first.
func (s *site) inmates(t *testing.T) []map[string]any {
	t.Helper()
	number, _, _ := strings.Cut(strings.Split(string(roster.Sample), "\n")[1], ",")
	all := doortest.List(s.staff.Do(t, 200, "GET", "inmates?q="+number, nil), "inmates")
	return slices.DeleteFunc(all, func(i map[string]any) bool { return i["number"] != number })
}

func (s *site) enrol(t *testing.T) {
	stations := doortest.List(s.setup.Do(t, 200, "GET", "stations", nil), "stations")
	if len(stations) == 0 {
		t.Fatal("there are no stations")
	}
	code := s.setup.Do(t, 201, "POST", "stations/"+doortest.Str(stations[0], "id")+"/enrolment", nil)
	s.kiosk = s.doors["kiosk"].Browse()
	s.kiosk.Do(t, 204, "POST", "enrolment", map[string]any{"code": code["code"]})
	s.inside = s.kiosk.Another()
	in := s.inside.Do(t, 200, "POST", "session", map[string]any{"number": s.inmate["number"], "pin": s.inmatePIN, "language": "en"})
	if in["stage"] != "new_pin" {
		t.Fatalf("an issued PIN lets the inmate in as far as %v", in["stage"])
	}
	s.inmatePIN = "482913"
	if in = s.inside.Do(t, 200, "PUT", "session/pin", map[string]any{"pin": s.inmatePIN}); in["stage"] != "full" {
		t.Fatalf("with an own PIN the inmate is in as far as %v", in["stage"])
	}
}

func (s *site) register(t *testing.T) {
	s.self = s.doors["visitor"].Browse()
	config := s.self.Do(t, 200, "GET", "config", nil)
	s.self.Do(t, 202, "POST", "accounts", map[string]any{
		"first_name": visitor.First, "last_name": visitor.Last, "date_of_birth": visitor.Born, "phone": visitor.Phone, "email": visitor.Email,
		"pin": visitor.PIN, "language": "en", "zone": "Europe/London", "terms": doortest.Ticks(config, "terms"),
	})
	s.self.Do(t, 204, "POST", "accounts/activation", map[string]any{"token": s.mailed(t, `/activate#([0-9a-z]+)`)})
	s.signIn(t)
}

// signIn signs the visitor in: PIN, the mailed code where the browser is new, and the agreement.
func (s *site) signIn(t *testing.T) {
	in := s.self.Do(t, 200, "POST", "session", map[string]any{"phone": visitor.Phone, "pin": visitor.PIN})
	if in["stage"] == "device_code" {
		in = s.self.Do(t, 200, "POST", "session/device-code", map[string]any{"code": s.mailed(t, `\b([0-9]{6})\b`)})
	}
	s.self.Agree(t, in)
}

// mailed waits for the newest mail to the visitor that matches, and returns the last group.
func (s *site) mailed(t *testing.T, pattern string) string {
	t.Helper()
	want := regexp.MustCompile(pattern)
	limit := time.After(patience)
	for {
		all, came := s.mails.Mails()
		for _, m := range all { // newest first
			if hit := want.FindStringSubmatch(m.Subject + "\n" + m.Body); hit != nil && slices.Contains(m.To, visitor.Email) {
				return hit[len(hit)-1]
			}
		}
		select {
		case <-came:
		case <-limit:
			t.Fatalf("no mail like %s among %d", pattern, len(all))
		}
	}
}

func (s *site) prove(t *testing.T) {
	for _, kind := range []string{"id_front", "id_back", "selfie"} {
		s.self.Do(t, 200, "PUT", "identity/documents/"+kind, doortest.Photo())
	}
	s.self.Do(t, 200, "POST", "identity/submit", nil)
	s.approve(t, "identity")
	if i := s.self.Do(t, 200, "GET", "identity", nil); i["state"] != "verified" {
		t.Fatalf("identity %v", i)
	}
}

// approve has staff claim and approve the open case of a kind.
func (s *site) approve(t *testing.T, kind string) {
	t.Helper()
	cases := doortest.List(s.staff.Do(t, 200, "GET", "cases?kind="+kind+"&state=open", nil), "cases")
	if len(cases) != 1 {
		t.Fatalf("the open cases of %s are %v", kind, cases)
	}
	path := "cases/" + doortest.Str(cases[0], "id")
	s.staff.Do(t, 200, "POST", path+"/claim", nil)
	s.staff.Do(t, 200, "POST", path+"/verdict", map[string]any{"verdict": "approve"})
}

func (s *site) meet(t *testing.T) {
	row := strings.Split(strings.Split(string(roster.Sample), "\n")[1], ",")
	made := s.self.Do(t, 201, "POST", "contacts", map[string]any{
		"first_name": row[2], "last_name": row[3], "number": row[0], "date_of_birth": row[4], "relationship": "sibling",
	})
	s.contact = doortest.Str(made, "id")
	if made["state"] == "awaiting_inmate" {
		s.inside.Do(t, 204, "POST", "contacts/"+s.contact+"/answer", map[string]any{"answer": "accept"})
	}
	state := func() string {
		all := doortest.List(s.self.Do(t, 200, "GET", "contacts", nil), "contacts")
		if len(all) != 1 {
			t.Fatalf("the contacts are %v", all)
		}
		return doortest.Str(all[0], "state")
	}
	if state() == "awaiting_facility" {
		s.approve(t, "contact")
	}
	if got := state(); got != "approved" {
		t.Fatalf("the contact is %s", got)
	}
}

func (s *site) book(t *testing.T) {
	config := s.self.Do(t, 200, "GET", "config", nil)
	facility, _ := config["facility"].(map[string]any)
	zone, err := time.LoadLocation(doortest.Str(facility, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	now, err := time.Parse(time.RFC3339, doortest.Str(config, "now"))
	if err != nil {
		t.Fatal(err)
	}
	from, to := now.In(zone).AddDate(0, 0, 2).Format(time.DateOnly), now.In(zone).AddDate(0, 0, 5).Format(time.DateOnly)
	start := ""
	for _, day := range doortest.List(s.self.Do(t, 200, "GET", "contacts/"+s.contact+"/starts?from="+from+"&to="+to+"&minutes=30", nil), "days") {
		for _, one := range doortest.List(day, "starts") {
			if start == "" {
				start = doortest.Str(one, "start")
			}
		}
	}
	if start == "" {
		t.Fatalf("no start from %s to %s", from, to)
	}
	if s.start, err = time.Parse(time.RFC3339, start); err != nil {
		t.Fatal(err)
	}
	hold := s.self.Do(t, 201, "POST", "holds", map[string]any{"contact": s.contact, "start": start, "minutes": 30})
	v := s.self.Do(t, 201, "POST", "visits", map[string]any{"hold": hold["id"], "mode": "suggest", "rules": doortest.Ticks(hold, "rules")}, "Idempotency-Key", "key-"+doortest.Str(hold, "id"))
	s.visit, s.ref = doortest.Str(v, "id"), doortest.Str(v, "ref")
	s.inside.Do(t, 200, "POST", "visits/"+s.visit+"/answer", map[string]any{"answer": "accept"})
	if s.state(t) == "awaiting_staff" {
		s.staff.Do(t, 200, "POST", "visits/"+s.visit+"/decision", map[string]any{"decision": "approve"})
	}
	s.stands(t)
	s.mailed(t, `(`+regexp.QuoteMeta(s.ref)+`)`)
}

// state is the visit's state as the visitor sees it.
func (s *site) state(t *testing.T) string {
	t.Helper()
	return doortest.Str(s.self.Do(t, 200, "GET", "visits/"+s.visit, nil), "state")
}

// stands holds that the visit is confirmed.
func (s *site) stands(t *testing.T) {
	t.Helper()
	if got := s.state(t); got != "confirmed" {
		t.Fatalf("the visit %s is %s, want confirmed", s.ref, got)
	}
}

// still looks after a restart: everybody may come back, and the visit stands.
func (s *site) still(t *testing.T) {
	s.comeBack(t)
	s.stands(t)
}

// comeBack signs everybody in again after a restart, with what they know and have.
func (s *site) comeBack(t *testing.T) {
	if state := s.doors["setup"].Browse().Do(t, 200, "GET", "state", nil); state["claimed"] != true {
		t.Fatalf("the appliance has forgotten its owner: %v", state)
	}
	s.setup = s.admin.Enter(t, s.doors["setup"])
	s.staff = s.clerk.Enter(t, s.doors["staff"])
	s.kiosk = s.kiosk.Moved(s.doors["kiosk"])
	s.inside = s.kiosk.Another()
	s.inside.Do(t, 200, "POST", "session", map[string]any{"number": s.inmate["number"], "pin": s.inmatePIN, "language": "en"})
	s.self = s.self.Moved(s.doors["visitor"])
	s.signIn(t)
}
