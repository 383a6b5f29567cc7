package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/jpeg"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

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
	eventually(t, 30*time.Second, "a mail to "+address+" like "+pattern, func() bool {
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

func ticks(m map[string]any, key string) map[string]any {
	s, _ := m[key].(map[string]any)
	keys := []string{}
	for _, i := range list(s, "items") {
		keys = append(keys, str(i, "key"))
	}
	return map[string]any{"version": s["version"], "ticked": keys}
}

// register makes the newcomer's account and returns the browser and the secret of the mailed link.
func (h *house) register(t *testing.T) (*browser, string) {
	t.Helper()
	b := newBrowser("visitor", h.Addresses["visitor"])
	config := b.do(t, 200, "GET", "config", nil)
	b.do(t, 202, "POST", "accounts", map[string]any{
		"first_name": newcomer.First, "last_name": newcomer.Last, "date_of_birth": newcomer.Born, "phone": newcomer.Phone, "email": newcomer.Email,
		"pin": newcomer.PIN, "language": "en", "zone": "Europe/London", "terms": ticks(config, "terms"),
	})
	return b, h.mailTo(t, newcomer.Email, 0, `/activate#([0-9a-z]+)`)
}

// visitor signs a seeded visitor in on a new browser: PIN, the mailed code, the agreement.
func (h *house) visitor(t *testing.T, who seed.Visitor) *browser {
	t.Helper()
	b := newBrowser("visitor", h.Addresses["visitor"])
	before := h.lastMail(t)
	if s := b.do(t, 200, "POST", "session", map[string]any{"phone": who.Phone, "pin": who.PIN}); s["stage"] != "device_code" {
		t.Fatalf("a new browser is let in without a code: %v", s)
	}
	code := h.mailTo(t, who.Email, before, `\b([0-9]{6})\b`)
	b.agree(t, b.do(t, 200, "POST", "session/device-code", map[string]any{"code": code}))
	return b
}

// agree ticks the agreement of a session that waits for it.
func (b *browser) agree(t *testing.T, session map[string]any) {
	t.Helper()
	if session["stage"] == "agreement" {
		session = b.do(t, 200, "POST", "session/agreement", ticks(session, "agreement"))
	}
	if session["stage"] != "full" {
		t.Fatalf("signed in as far as %v", session["stage"])
	}
}

// inmate signs a seeded inmate in at the station of their unit.
func (h *house) inmate(t *testing.T, who seed.Inmate) *browser {
	t.Helper()
	b := h.station(t, who.Station).another()
	b.do(t, 200, "POST", "session", map[string]any{"number": who.Number, "pin": who.PIN, "language": "en"})
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
	b := newBrowser("kiosk", h.Addresses["kiosk"])
	b.do(t, 204, "POST", "enrolment", map[string]any{"code": h.People.Stations[at].Code})
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
	b := newBrowser("staff", h.Addresses["staff"])
	if s := b.do(t, 200, "POST", "session", map[string]any{"username": who.Username, "password": who.Password}); s["stage"] != "totp" {
		t.Fatalf("a password alone lets staff in: %v", s)
	}
	code, err := totp.GenerateCode(who.TOTP, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if s := b.do(t, 200, "POST", "session/totp", map[string]any{"code": code}); s["stage"] != "full" {
		t.Fatalf("signed in as far as %v", s)
	}
	h.staff[role] = b
	return b
}

// verified sends the newcomer's pictures and has a moderator accept them.
func (h *house) verified(t *testing.T, b *browser) {
	t.Helper()
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 640, 400)), nil); err != nil {
		t.Fatal(err)
	}
	b.refused(t, 422, "file.type", "PUT", "identity/documents/selfie", []byte("not a picture"))
	for _, kind := range []string{"id_front", "id_back", "selfie"} {
		b.do(t, 200, "PUT", "identity/documents/"+kind, picture.Bytes())
	}
	b.do(t, 200, "POST", "identity/submit", nil)
	m := h.worker(t, "moderator")
	for _, c := range list(m.do(t, 200, "GET", "cases?kind=identity&state=open", nil), "cases") {
		if !strings.Contains(str(c, "title"), newcomer.Last) {
			continue
		}
		path := "cases/" + str(c, "id")
		m.do(t, 200, "POST", path+"/claim", nil)
		if a := m.ask(t, "GET", path+"/documents/selfie", nil); a.status != 200 || http.DetectContentType(a.raw) != "image/jpeg" {
			t.Errorf("the selfie of the case: %d, %d bytes", a.status, len(a.raw))
		}
		m.do(t, 200, "POST", path+"/verdict", map[string]any{"verdict": "approve"})
	}
	if i := b.do(t, 200, "GET", "identity", nil); i["state"] != "verified" {
		t.Fatalf("identity %v", i)
	}
	h.mailTo(t, newcomer.Email, 0, `(Your identity is confirmed)`)
}

// contact returns the contact of a visitor with an inmate.
func (b *browser) contact(t *testing.T, with seed.Inmate) string {
	t.Helper()
	for _, c := range list(b.do(t, 200, "GET", "contacts", nil), "contacts") {
		if c["last_name"] == with.Last && c["first_name"] == with.First {
			return str(c, "id")
		}
	}
	t.Fatalf("%s is not among the contacts", with.Name)
	return ""
}

// book asks for a visit and returns it; mode is suggest or confirm.
func (b *browser) book(t *testing.T, contact string, start time.Time, minutes int, mode string) map[string]any {
	t.Helper()
	hold := b.do(t, 201, "POST", "holds", map[string]any{"contact": contact, "start": start.UTC().Format(time.RFC3339), "minutes": minutes})
	want := map[string]any{"hold": hold["id"], "mode": mode, "rules": ticks(hold, "rules")}
	key := "key-" + str(hold, "id")
	v := b.do(t, 201, "POST", "visits", want, "Idempotency-Key", key)
	if again := b.do(t, 201, "POST", "visits", want, "Idempotency-Key", key); again["id"] != v["id"] {
		t.Errorf("the same request again made another visit: %v, %v", v["id"], again["id"])
	}
	return v
}

// accept has the inmate accept what a visitor suggested.
func (b *browser) accept(t *testing.T, visit string) {
	t.Helper()
	var asked []string
	for _, v := range list(b.do(t, 200, "GET", "requests", nil), "visits") {
		asked = append(asked, str(v, "id"))
	}
	if !slices.Contains(asked, visit) {
		t.Fatalf("%s is not among the requests %v", visit, asked)
	}
	b.do(t, 200, "POST", "visits/"+visit+"/answer", map[string]any{"answer": "accept"})
}

// state is a visit's state as the visitor sees it.
func (b *browser) state(t *testing.T, visit string) string {
	t.Helper()
	return str(b.do(t, 200, "GET", "visits/"+visit, nil), "state")
}
