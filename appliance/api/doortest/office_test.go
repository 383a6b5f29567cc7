package doortest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"sallyport/appliance/access"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Whoever asks at whichever door is told the same facility, with all that helps to reach it.
func TestEachDoorTellsTheSameFacility(t *testing.T) {
	h := Open(t)
	h.Update(func(tx *store.Tx) error {
		f, err := h.Facility.Get(tx)
		if err != nil {
			return err
		}
		f.Support = facility.Support{Phone: "+442079460000", Hours: "9 to 5", Email: "help@example.org"}
		_, err = h.Facility.Put(tx, ident.System(), f)
		return err
	})
	want := map[string]any{
		"name": "Test", "kind": "jail", "zone": "Europe/London", "country": "GB", "currency": "GBP",
		"support": map[string]any{"phone": "+442079460000", "hours": "9 to 5", "email": "help@example.org"},
	}
	for door, path := range map[string]string{"visitor": "config", "kiosk": "config", "staff": "config", "setup": "state"} {
		if diff := cmp.Diff(want, h.Browse(door).Do(t, 200, "GET", path, nil)["facility"]); diff != "" {
			t.Errorf("the %s door tells another facility (-want +got):\n%s", door, diff)
		}
	}
}

// From an invitation at the set-up door to a clerk who makes the hours of visits, and the board that shows them.
func TestClerkIsInvitedAndMakesTheHours(t *testing.T) {
	h := Open(t)
	admin := h.EnterStaff("setup", access.StageFull, access.Administrator)
	unit := admin.Must(t, 201, "POST", "/api/setup/units", map[string]any{"name": "B Wing"}).Body["id"]
	station := admin.Must(t, 201, "POST", "/api/setup/stations", map[string]any{"name": "Kiosk B1", "kind": "kiosk", "unit": unit, "private": false}).Body
	if station["unit"] != "B Wing" || station["enrolled"] != false {
		t.Errorf("a new station: %v", station)
	}
	if a := admin.Must(t, 409, "DELETE", "/api/setup/units/"+unit.(string), nil); a.Code() != "unit.used" {
		t.Errorf("a unit with a station: %s", a.Raw)
	}
	invited := admin.Must(t, 201, "POST", "/api/setup/staff", map[string]any{"name": "Kit Hale", "username": "kit.hale", "roles": []string{"clerk"}})
	if dig(t, invited.Body, "staff", "state") != "invited" {
		t.Errorf("invited %s", invited.Raw)
	}
	clerk := h.Browse("staff")
	made := clerk.Must(t, 201, "POST", "/api/staff/activation", map[string]any{"username": "kit.hale", "code": invited.Body["code"], "password": "three old tin boats"})
	clerk.Must(t, 200, "POST", "/api/staff/session", map[string]any{"username": "kit.hale", "password": "three old tin boats"})
	code, err := totp.GenerateCode(made.Body["totp_secret"].(string), h.Site.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	clerk.Must(t, 200, "POST", "/api/staff/session/totp", map[string]any{"code": code})

	hours := map[string]any{
		"name": "Mornings", "class": "social", "weekdays": []int{1, 2, 3, 4, 5}, "starts": "08:00", "ends": "10:00", "pitch": 40, "lengths": []int{30},
		"capacity": 1, "every_weeks": 1, "from": "2027-03-09", "units": []any{unit}, "private": false,
	}
	if a := clerk.Must(t, 422, "POST", "/api/staff/templates", with(hours, "from", "2026-01-01")); dig(t, a.Body, "fields", 0, "code") != "past" {
		t.Errorf("a session of the past: %s", a.Raw)
	}
	if a := clerk.Must(t, 422, "POST", "/api/staff/templates", with(hours, "units", []any{ident.New[ident.Unit]()})); dig(t, a.Body, "fields", 0, "name") != "units" {
		t.Errorf("a unit that does not exist: %s", a.Raw)
	}
	template := clerk.Must(t, 201, "POST", "/api/staff/templates", hours).Body
	if template["state"] != "planned" || template["visits"] != 0.0 {
		t.Errorf("the new session: %v", template)
	}
	board := clerk.Must(t, 200, "GET", "/api/staff/schedule?date=2027-03-10", nil).Body
	found := false
	for _, s := range board["sessions"].([]any) {
		found = found || dig(t, s, "name") == "Mornings" && dig(t, s, "starts") == "08:00" && dig(t, s, "ends") == "10:00"
	}
	if !found {
		t.Errorf("the board shows the sessions %v", board["sessions"])
	}
	day := clerk.Must(t, 200, "GET", "/api/staff/hours", nil).Body
	if dig(t, day, "zone") != "Europe/London" || len(day["units"].([]any)) != 2 {
		t.Errorf("the hours: %v", day)
	}
	admin.Must(t, 200, "POST", "/api/setup/templates/"+template["id"].(string)+"/end", map[string]any{"last": "2027-03-08"})
	for _, one := range admin.Must(t, 200, "GET", "/api/setup/hours", nil).Body["templates"].([]any) {
		if dig(t, one, "name") == "Mornings" {
			t.Errorf("taken back before it began, and still listed: %v", one)
		}
	}
}

func with(m map[string]any, key string, value any) map[string]any {
	out := map[string]any{key: value}
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}

// A closure says how many visits stand in it, marks them on the board, and is lifted again.
func TestClosureMarksWhatStandsInIt(t *testing.T) {
	h := Open(t)
	h.Site.Clock.Step(h.Starts.Add(-24 * time.Hour)) // the visit is planned, not yet open
	o := h.Seed()
	h.Plan(o.Visit)
	s := h.EnterStaff("staff", access.StageFull, access.Clerk)
	date := h.Starts.Format(time.DateOnly)
	closed := s.Must(t, 201, "POST", "/api/staff/closures", map[string]any{
		"scope": "station", "key": o.Station, "from": date + "T00:00", "to": date + "T23:59", "reason": "device_maintenance",
	})
	if closed.Body["visits"] != 1.0 || closed.Body["name"] != "Station 5" {
		t.Errorf("closed %s", closed.Raw)
	}
	board := s.Must(t, 200, "GET", "/api/staff/schedule?date="+date, nil).Body
	if got := dig(t, board, "closures", 0, "stations", 0); got != string(o.Station) || dig(t, board, "closures", 0, "ends") != "23:59" {
		t.Errorf("the board shows the closures %v", board["closures"])
	}
	if got := dig(t, s.Must(t, 200, "GET", "/api/staff/visits/"+string(o.Visit), nil).Body, "flags", 0); got != "closed" {
		t.Errorf("the visit is marked %v", got)
	}
	id := strings.TrimSpace(string(closed.Raw[strings.Index(string(closed.Raw), `"id":`)+5:]))
	id, _, _ = strings.Cut(id, ",")
	s.Must(t, 204, "DELETE", "/api/staff/closures/"+id, nil)
	if left := s.Must(t, 200, "GET", "/api/staff/schedule?date="+date, nil).Body["closures"].([]any); len(left) != 0 {
		t.Errorf("lifted, and still on the board: %v", left)
	}
}

// Staff print a PIN; the inmate signs in with it once, chooses another, and sees nothing before.
func TestInmateChoosesAPINAfterTheIssuedOne(t *testing.T) {
	h := Open(t)
	s := h.EnterStaff("staff", access.StageFull, access.Clerk)
	path := "/api/staff/inmates/" + string(h.Inmate)
	if got := dig(t, s.Must(t, 200, "GET", path, nil).Body, "pin", "state"); got != "none" {
		t.Errorf("before: %v", got)
	}
	slip := s.Must(t, 201, "POST", path+"/pin", nil).Body
	if got := dig(t, s.Must(t, 200, "GET", path, nil).Body, "pin", "state"); got != "issued" {
		t.Errorf("issued: %v", got)
	}
	k := h.Browse("kiosk")
	k.Hold("device", h.enrolled())
	in := k.Must(t, 200, "POST", "/api/kiosk/session", map[string]any{"number": slip["number"], "pin": slip["pin"], "language": "en"})
	if in.Body["stage"] != "new_pin" {
		t.Errorf("signed in: %s", in.Raw)
	}
	if a := k.Must(t, 401, "GET", "/api/kiosk/home", nil); a.Code() != "auth.stage" {
		t.Errorf("before a PIN was chosen: %s", a.Raw)
	}
	if a := k.Must(t, 422, "PUT", "/api/kiosk/session/pin", map[string]any{"pin": slip["pin"]}); dig(t, a.Body, "fields", 0, "code") != "pinSame" {
		t.Errorf("the issued PIN again: %s", a.Raw)
	}
	if got := k.Must(t, 200, "PUT", "/api/kiosk/session/pin", map[string]any{"pin": "740913"}).Body["stage"]; got != "full" {
		t.Errorf("chosen: %v", got)
	}
	k.Must(t, 200, "GET", "/api/kiosk/home", nil)
	if got := dig(t, s.Must(t, 200, "GET", path, nil).Body, "pin", "state"); got != "own" {
		t.Errorf("after: %v", got)
	}
}

// A retired station is cut off at once, and its visit is marked.
func TestRetiredStationIsCutOff(t *testing.T) {
	h := Open(t)
	h.Site.Clock.Step(h.Starts.Add(-24 * time.Hour))
	o := h.Seed()
	h.Plan(o.Visit)
	admin := h.EnterStaff("setup", access.StageFull, access.Administrator)
	k := h.Enter("kiosk", ident.ByInmate, string(h.Inmate), access.StageFull)
	k.Must(t, 200, "GET", "/api/kiosk/home", nil)
	if got := admin.Must(t, 200, "DELETE", "/api/setup/stations/"+string(o.Station), nil).Body["visits"]; got != 1.0 {
		t.Errorf("%v visits stood on it", got)
	}
	k.Must(t, 401, "GET", "/api/kiosk/home", nil)
	if got := dig(t, h.EnterStaff("staff", access.StageFull, access.Clerk).Must(t, 200, "GET", "/api/staff/visits/"+string(o.Visit), nil).Body, "flags", 0); got != "device_disabled" {
		t.Errorf("the visit is marked %v", got)
	}
}

// Accounts of staff are changed by somebody whose second factor was shown a moment ago, not by whoever finds the page open.
func TestStaffAreChangedWithAFreshFactor(t *testing.T) {
	h := Open(t)
	admin := h.EnterStaff("setup", access.StageFull, access.Administrator)
	lou := map[string]any{"name": "Lou Park", "username": "lou.park", "roles": []string{"monitor"}}
	h.Site.Clock.Advance(5 * time.Minute)
	made := admin.Must(t, 201, "POST", "/api/setup/staff", lou)
	h.Site.Clock.Advance(time.Second)
	path := "/api/setup/staff/" + dig(t, made.Body, "staff", "id").(string)
	for _, act := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/api/setup/staff", with(lou, "username", "kit.hale")},
		{"PUT", path, map[string]any{"name": "Lou", "roles": []string{"clerk"}}},
		{"POST", path + "/reset", nil},
		{"POST", path + "/disable", nil},
		{"POST", path + "/enable", nil},
	} {
		if a := admin.Must(t, 401, act.method, act.path, act.body); a.Code() != "staff.stepUp" {
			t.Errorf("%s %s: %s", act.method, act.path, a.Raw)
		}
	}
	admin.Must(t, 200, "GET", "/api/setup/staff", nil)
	code, err := totp.GenerateCode("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", h.Site.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	admin.Must(t, 200, "POST", "/api/setup/session/totp", map[string]any{"code": code})
	if got := admin.Must(t, 200, "POST", path+"/disable", nil).Body["state"]; got != "disabled" {
		t.Errorf("after the code: %v", got)
	}
}
