package doortest

import (
	"strings"
	"testing"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/ident"
)

// dig follows names and indexes into a JSON answer.
func dig(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("no %q in %v", p, v)
			}
			v = m[p]
		case int:
			l, ok := v.([]any)
			if !ok || len(l) <= p {
				t.Fatalf("no item %d in %v", p, v)
			}
			v = l[p]
		}
	}
	return v
}

// TestVisitThroughThreeDoors books, accepts, looks at and calls off one visit, each at the door of whoever does it.
func TestVisitThroughThreeDoors(t *testing.T) {
	h := Open(t)
	o := h.Seed()
	v := h.Enter("visitor", ident.ByVisitor, string(h.Visitor), access.StageFull)
	k := h.Enter("kiosk", ident.ByInmate, string(h.Inmate), access.StageFull)
	s := h.EnterStaff("staff", access.StageFull, access.Clerk)

	days := v.Must(t, 200, "GET", "/api/visitor/contacts/"+string(o.Contact)+"/starts?from=2027-03-08&to=2027-03-08&minutes=30", nil)
	start := dig(t, days.Body, "days", 0, "starts", 2, "start")
	hold := v.Must(t, 201, "POST", "/api/visitor/holds", map[string]any{"contact": o.Contact, "start": start, "minutes": 30})
	if modes := dig(t, hold.Body, "modes").([]any); len(modes) != 1 || modes[0] != "suggest" {
		t.Errorf("two who never met may %v", modes) // B30
	}
	ticked := []any{}
	for _, item := range dig(t, hold.Body, "rules", "items").([]any) {
		ticked = append(ticked, dig(t, item, "key"))
	}
	ask := map[string]any{"hold": hold.Body["id"], "mode": "confirm", "rules": map[string]any{"version": dig(t, hold.Body, "rules", "version"), "ticked": ticked}}
	if a := v.Ask(t, "POST", "/api/visitor/visits", ask, "Idempotency-Key", key); a.Status < 400 || a.Code() != "visit.suggestOnly" {
		t.Errorf("confirming the first visit: %d %s", a.Status, a.Raw)
	}
	ask["mode"] = "suggest"
	visit := v.Must(t, 201, "POST", "/api/visitor/visits", ask, "Idempotency-Key", key)
	id := visit.Body["id"].(string)
	if again := v.Must(t, 201, "POST", "/api/visitor/visits", ask, "Idempotency-Key", key); again.Body["id"] != id {
		t.Errorf("the same request again made %v", again.Body["id"])
	}
	if got := dig(t, k.Must(t, 200, "GET", "/api/kiosk/requests", nil).Body, "visits", 0, "id"); got != id {
		t.Errorf("the kiosk shows %v", got)
	}
	if got := k.Must(t, 200, "POST", "/api/kiosk/visits/"+id+"/answer", map[string]any{"answer": "accept"}).Body["state"]; got != "confirmed" {
		t.Errorf("after the yes it is %v", got)
	}
	if got := v.Must(t, 200, "GET", "/api/visitor/visits/"+id, nil).Body["state"]; got != "confirmed" {
		t.Errorf("the visitor sees %v", got)
	}
	if list := dig(t, s.Must(t, 200, "GET", "/api/staff/visits?state=confirmed", nil).Body, "visits").([]any); len(list) != 1 {
		t.Errorf("staff see %v", list)
	}
	if board := dig(t, s.Must(t, 200, "GET", "/api/staff/schedule?date=2027-03-08", nil).Body, "visits").([]any); len(board) != 1 {
		t.Errorf("the board shows %v", board)
	}
	calendar := v.Must(t, 200, "GET", "/api/visitor/visits/"+id+"/calendar", nil)
	if !strings.HasPrefix(string(calendar.Raw), "BEGIN:VCALENDAR") {
		t.Errorf("calendar %q", calendar.Raw)
	}
	if a := s.Must(t, 422, "POST", "/api/staff/visits/"+id+"/cancel", map[string]any{"reason": "mood"}); a.Code() == "" {
		t.Errorf("a reason of no list: %s", a.Raw)
	}
	if got := s.Must(t, 200, "POST", "/api/staff/visits/"+id+"/cancel", map[string]any{"reason": "lockdown"}).Body["state"]; got != "cancelled" {
		t.Errorf("called off it is %v", got)
	}
	if a := v.Must(t, 409, "POST", "/api/visitor/visits/"+id+"/cancel", nil); a.Code() == "" {
		t.Errorf("calling off twice: %s", a.Raw)
	}
}

// A party that is too early or too late reads why, in words and with a code that the page has words for.
func TestJoinOutsideOfTheWindow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		at     time.Duration // from the start
		status int
		code   string
	}{
		{"an hour early", -time.Hour, 425, "call.early"},
		{"in time", -5 * time.Minute, 200, ""},
		{"after the end", 31 * time.Minute, 409, "call_over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Open(t)
			h.Site.Clock.Step(h.Starts.Add(tt.at))
			v := h.Enter("visitor", ident.ByVisitor, string(h.Visitor), access.StageFull)
			k := h.Enter("kiosk", ident.ByInmate, string(h.Inmate), access.StageFull)
			for _, b := range []*Browser{v, k} {
				a := b.Ask(t, "POST", "visits/"+string(h.Visit)+"/join", Fingerprint())
				if words, _ := a.Body["detail"].(string); a.Status != tt.status || a.Code() != tt.code || tt.code != "" && words == "" {
					t.Errorf("at the %s door: %d %s, want %d %s", b.Name, a.Status, a.Raw, tt.status, tt.code)
				}
			}
		})
	}
}

// Who talks presses nothing: a session does not end in mid call, and ends as usual after it (B2).
func TestSessionOutlivesTheCall(t *testing.T) {
	h := Open(t)
	v := h.Enter("visitor", ident.ByVisitor, string(h.Visitor), access.StageFull)
	k := h.Enter("kiosk", ident.ByInmate, string(h.Inmate), access.StageFull)
	for _, b := range []*Browser{v, k} {
		b.Must(t, 200, "POST", "visits/"+string(h.Visit)+"/join", Fingerprint())
	}
	h.Site.Clock.Advance(34 * time.Minute) // a minute before the end
	for _, b := range []*Browser{v, k} {
		b.Must(t, 200, "GET", "session", nil)
	}
	h.Site.Clock.Advance(17 * time.Minute)
	for _, b := range []*Browser{v, k} {
		b.Must(t, 401, "GET", "session", nil)
	}
}

// TestStationFromCodeToConfig makes a browser a station and takes it away again by a second code.
func TestStationFromCodeToConfig(t *testing.T) {
	h := Open(t)
	admin := h.EnterStaff("setup", access.StageFull, access.Administrator)
	kiosk := h.Browse("kiosk")
	route := "/api/setup/stations/" + string(h.Site.Station) + "/enrolment"
	code := admin.Must(t, 201, "POST", route, nil).Body["code"]
	kiosk.Must(t, 204, "POST", "/api/kiosk/enrolment", map[string]any{"code": code})
	if again := h.Browse("kiosk").Ask(t, "POST", "/api/kiosk/enrolment", map[string]any{"code": code}); again.Status != 422 {
		t.Errorf("the code worked twice: %d %s", again.Status, again.Raw)
	}
	if got := kiosk.Must(t, 200, "GET", "/api/kiosk/config", nil); !strings.Contains(string(got.Raw), "Station 5") {
		t.Errorf("config %s", got.Raw)
	}
	late := admin.Must(t, 201, "POST", route, nil).Body["code"]
	h.Site.Clock.Advance(time.Hour)
	if a := h.Browse("kiosk").Ask(t, "POST", "/api/kiosk/enrolment", map[string]any{"code": late}); a.Status != 422 {
		t.Errorf("an old code: %d %s", a.Status, a.Raw)
	}
}

// A file that would release most of the house is refused with its figures, and nobody leaves.
func TestRosterThatEmptiesTheHouse(t *testing.T) {
	h := Open(t)
	h.Seed()
	s := h.EnterStaff("staff", access.StageFull, access.Clerk)
	a := s.Must(t, 200, "POST", "/api/staff/roster?full=true", []byte("number,booking,first,last,dob,unit\nA0178,B2,Lee,Bowen,1991-01-01,A\n"))
	if a.Body["state"] != "refused" {
		t.Errorf("roster %s", a.Raw)
	}
	if got := dig(t, s.Must(t, 200, "GET", "/api/staff/inmates?q=reed", nil).Body, "inmates", 0, "state"); got != "in_custody" {
		t.Errorf("the missing inmate is %v", got)
	}
}
