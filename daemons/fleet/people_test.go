package fleet

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/daemons/demo/seed"
)

// newcomer is who registers in the tests; the names are like nobody else's, so that a search for them finds nobody else.
var newcomer = struct{ First, Last, Born, Phone, Email, PIN string }{
	"Wilhelmina", "Quarterstaff", "1984-06-19", "+13125550188", "wilhelmina@families.example", "740913",
}

// mail is one mail of the mailbox page.
type mail struct {
	ID      int      `json:"id"`
	To      []string `json:"to"`
	Subject string   `json:"subject"`
	Body    string   `json:"body"`
}

// mailTo waits for a mail to somebody whose body matches, newer than after, and returns the match's first group.
func (h *house) mailTo(t *testing.T, address string, after int, pattern string) (found string) {
	t.Helper()
	want := regexp.MustCompile(pattern)
	doortest.Eventually(t, 30*time.Second, "a mail to "+address+" like "+pattern, func() bool {
		for _, m := range h.mails(t) { // newest first
			if m.ID <= after || !slices.Contains(m.To, address) {
				continue
			}
			if hit := want.FindStringSubmatch(m.Subject + "\n" + m.Body); hit != nil {
				found = hit[len(hit)-1]
				return true
			}
		}
		return false
	})
	return found
}

func (h *house) mails(t *testing.T) (all []mail) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Addresses["mailbox"]+"/mails.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// lastMail is the number of the newest mail.
func (h *house) lastMail(t *testing.T) int {
	t.Helper()
	if all := h.mails(t); len(all) > 0 {
		return all[0].ID
	}
	return 0
}

// browser is somebody at a door of a house, with what people do there.
type browser struct{ *doortest.Browser }

// door is a door where it listens now.
func (h *house) door(name string) doortest.Door {
	return doortest.Door{Name: name, Origin: h.Addresses[name]}
}

func (h *house) browse(door string) *browser { return &browser{h.door(door).Browse()} }

// register makes the newcomer's account and returns the browser and the secret of the mailed link.
func (h *house) register(t *testing.T) (*browser, string) {
	t.Helper()
	b := h.browse("visitor")
	config := b.Do(t, 200, "GET", "config", nil)
	b.Do(t, 202, "POST", "accounts", map[string]any{
		"first_name": newcomer.First, "last_name": newcomer.Last, "date_of_birth": newcomer.Born, "phone": newcomer.Phone, "email": newcomer.Email,
		"pin": newcomer.PIN, "language": "en", "zone": "Europe/London", "terms": doortest.Ticks(config, "terms"),
	})
	return b, h.mailTo(t, newcomer.Email, 0, `/activate#([0-9a-z]+)`)
}

// visitor signs a seeded visitor in on a new browser: PIN, the mailed code, the agreement.
func (h *house) visitor(t *testing.T, who seed.Visitor) *browser {
	t.Helper()
	b := h.browse("visitor")
	before := h.lastMail(t)
	if s := b.Do(t, 200, "POST", "session", map[string]any{"phone": who.Phone, "pin": who.PIN}); s["stage"] != "device_code" {
		t.Fatalf("a new browser is let in without a code: %v", s)
	}
	code := h.mailTo(t, who.Email, before, `\b([0-9]{6})\b`)
	b.Agree(t, b.Do(t, 200, "POST", "session/device-code", map[string]any{"code": code}))
	return b
}

// inmate signs a seeded inmate in at the station of their unit.
func (h *house) inmate(t *testing.T, who seed.Inmate) *browser {
	t.Helper()
	b := &browser{h.station(t, who.Station).Another()}
	b.Do(t, 200, "POST", "session", map[string]any{"number": who.Number, "pin": who.PIN, "language": "en"})
	return b
}

// station is the device that is a station; it is enrolled once.
func (h *house) station(t *testing.T, name string) *browser {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if b := h.stations[name]; b != nil {
		return b
	}
	at := slices.IndexFunc(h.People.Stations, func(s seed.Station) bool { return s.Name == name })
	b := h.browse("kiosk")
	b.Do(t, 204, "POST", "enrolment", map[string]any{"code": h.People.Stations[at].Code})
	h.stations[name] = b
	return b
}

// worker is a member of staff with a role, signed in once: a code of the authenticator counts once.
func (h *house) worker(t *testing.T, role string) *browser {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if b := h.staff[role]; b != nil {
		return b
	}
	at := slices.IndexFunc(h.People.Staff, func(s seed.Staff) bool { return s.Role == role })
	who := h.People.Staff[at]
	in := doortest.Worker{Username: who.Username, Password: who.Password, Secret: who.TOTP}
	b := &browser{in.Enter(t, h.door("staff"))}
	h.staff[role] = b
	return b
}

// verified sends the newcomer's pictures and has a moderator accept them.
func (h *house) verified(t *testing.T, b *browser) {
	t.Helper()
	b.Refused(t, 422, "file.type", "PUT", "identity/documents/selfie", []byte("not a picture"))
	for _, kind := range []string{"id_front", "id_back", "selfie"} {
		b.Do(t, 200, "PUT", "identity/documents/"+kind, doortest.Photo())
	}
	b.Do(t, 200, "POST", "identity/submit", nil)
	m := h.worker(t, "moderator")
	for _, c := range doortest.List(m.Do(t, 200, "GET", "cases?kind=identity&state=open", nil), "cases") {
		if !strings.Contains(doortest.Str(c, "title"), newcomer.Last) {
			continue
		}
		path := "cases/" + doortest.Str(c, "id")
		m.Do(t, 200, "POST", path+"/claim", nil)
		if a := m.Ask(t, "GET", path+"/documents/selfie", nil); a.Status != 200 || http.DetectContentType(a.Raw) != "image/jpeg" {
			t.Errorf("the selfie of the case: %d, %d bytes", a.Status, len(a.Raw))
		}
		m.Do(t, 200, "POST", path+"/verdict", map[string]any{"verdict": "approve"})
	}
	if i := b.Do(t, 200, "GET", "identity", nil); i["state"] != "verified" {
		t.Fatalf("identity %v", i)
	}
	h.mailTo(t, newcomer.Email, 0, `(Your identity is confirmed)`)
}

// contact returns the contact of a visitor with an inmate.
func (b *browser) contact(t *testing.T, with seed.Inmate) string {
	t.Helper()
	for _, c := range doortest.List(b.Do(t, 200, "GET", "contacts", nil), "contacts") {
		if c["last_name"] == with.Last && c["first_name"] == with.First {
			return doortest.Str(c, "id")
		}
	}
	t.Fatalf("%s is not among the contacts", with.Name)
	return ""
}

// book asks for a visit and returns it; mode is suggest or confirm.
func (b *browser) book(t *testing.T, contact string, start time.Time, minutes int, mode string) map[string]any {
	t.Helper()
	hold := b.Do(t, 201, "POST", "holds", map[string]any{"contact": contact, "start": start.UTC().Format(time.RFC3339), "minutes": minutes})
	want := map[string]any{"hold": hold["id"], "mode": mode, "rules": doortest.Ticks(hold, "rules")}
	key := "key-" + doortest.Str(hold, "id")
	v := b.Do(t, 201, "POST", "visits", want, "Idempotency-Key", key)
	if again := b.Do(t, 201, "POST", "visits", want, "Idempotency-Key", key); again["id"] != v["id"] {
		t.Errorf("the same request again made another visit: %v, %v", v["id"], again["id"])
	}
	return v
}

// accept has the inmate accept what a visitor suggested.
func (b *browser) accept(t *testing.T, visit string) {
	t.Helper()
	var asked []string
	for _, v := range doortest.List(b.Do(t, 200, "GET", "requests", nil), "visits") {
		asked = append(asked, doortest.Str(v, "id"))
	}
	if !slices.Contains(asked, visit) {
		t.Fatalf("%s is not among the requests %v", visit, asked)
	}
	b.Do(t, 200, "POST", "visits/"+visit+"/answer", map[string]any{"answer": "accept"})
}

// state is a visit's state as the visitor sees it.
func (b *browser) state(t *testing.T, visit string) string {
	t.Helper()
	return doortest.Str(b.Do(t, 200, "GET", "visits/"+visit, nil), "state")
}
