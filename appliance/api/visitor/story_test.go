package visitor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/jpeg"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/api/visitor"
	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/locale"
	"sallyport/appliance/notices"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/vault"
)

const origin = "http://visits.test"

// browser is somebody at the visitor door, over real TCP and a real database.
type browser struct {
	t       *testing.T
	db      *store.DB
	people  *people.People
	base    string
	csrf    string
	cookies map[string]string
}

func open(t *testing.T) *browser {
	t.Helper()
	b := &browser{t: t, cookies: map[string]string{}}
	b.db = storetest.Open(t, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, access.Schema, notices.Schema)
	fs, rules := facility.New(), policy.New()
	unit := ident.New[ident.Unit]()
	if err := b.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := rules.Load(tx, "county-jail", ident.System()); err != nil {
			return err
		}
		if _, err := fs.PutUnit(tx, ident.System(), facility.Unit{ID: unit, Name: "A Wing"}); err != nil {
			return err
		}
		_, err := fs.Put(tx, ident.System(), facility.Facility{
			Name: "North", Zone: "Europe/London", Country: "GB", Currency: "GBP", BookingOpen: true,
			Support: facility.Support{Phone: "+442079460000", Hours: "9 to 5"},
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	blobs, err := vault.OpenBlobs(t.TempDir(), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	b.people = people.New(people.Deps{
		DB: b.db, Blobs: blobs, Facility: fs, Policy: rules,
		OpenCase: func(*store.Tx, people.CaseItem) (ident.Case, error) { return ident.New[ident.Case](), nil },
	})
	acc, err := access.New(access.Deps{DB: b.db, People: b.people, Policy: rules, Facility: fs, Hasher: vault.NewHasher([]byte("pepper")), Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	words, err := locale.Load()
	if err != nil {
		t.Fatal(err)
	}
	contract, err := api.Load()
	if err != nil {
		t.Fatal(err)
	}
	rooms := &api.Rooms{
		DB: b.db, Clock: clock.Real{}, Facility: fs, Policy: rules, People: b.people, Access: acc,
		Notices: notices.New(notices.Deps{DB: b.db, People: b.people, Facility: fs, Policy: rules, Words: words}),
	}
	ctx, cancel := context.WithCancel(t.Context())
	door, err := api.New(ctx, api.Options{
		Name: "visitor", Contract: contract, Access: acc, Feed: outbox.NewFeed(b.db), Origins: []string{origin},
		Handlers: func(r fiber.Router) { visitor.RegisterHandlers(r, visitor.NewStrictHandler(visitor.New(rooms), nil)) },
		Log:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.base = "http://" + ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- door.Listener(ln, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		if err := door.ShutdownWithContext(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return b
}

// do asks the door; body is JSON, or bytes as they are. It returns the answer and fails when the status is another one.
func (b *browser) do(want int, method, path string, body any) map[string]any {
	b.t.Helper()
	kind, raw := "application/json", []byte(nil)
	switch body := body.(type) {
	case nil:
	case []byte:
		kind, raw = "application/octet-stream", body
	default:
		var err error
		if raw, err = json.Marshal(body); err != nil {
			b.t.Fatal(err)
		}
	}
	r, err := http.NewRequest(method, b.base+"/api/visitor/"+path, bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Host = strings.TrimPrefix(origin, "http://")
	r.Header.Set("Origin", origin)
	r.Header.Set("X-CSRF-Token", b.csrf)
	if len(raw) > 0 {
		r.Header.Set("Content-Type", kind)
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		b.cookies[c.Name] = c.Value
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if res.StatusCode != want {
		b.t.Fatalf("%s %s: %d %s, want %d", method, path, res.StatusCode, text, want)
	}
	out := map[string]any{}
	if len(text) > 0 && text[0] == '{' {
		if err := json.Unmarshal(text, &out); err != nil {
			b.t.Fatal(err)
		}
	}
	if csrf, ok := out["csrf"].(string); ok {
		b.csrf = csrf
	}
	return out
}

func keys(s access.Statements) (list []string) {
	for _, i := range s.Items {
		list = append(list, i.Key)
	}
	return list
}

// TestFromFormToContact is the beginning of every visitor's story, through the door.
func TestFromFormToContact(t *testing.T) {
	b := open(t)
	clerk := ident.Actor{Kind: ident.ByStaff, ID: "sf_c"}
	if _, err := b.people.ImportRoster(t.Context(), clerk, "test", true, strings.NewReader("number,booking,first,last,dob,unit\nA1001,B1,Sam,Jones,1990-02-03,A Wing\n")); err != nil {
		t.Fatal(err)
	}
	terms := access.Terms("en")
	b.do(202, "POST", "accounts", map[string]any{
		"first_name": "Ann", "last_name": "Jones", "date_of_birth": "1980-05-05", "phone": "020 7946 0001", "email": "ann@example.org",
		"pin": "740913", "language": "en", "zone": "Europe/London", "terms": map[string]any{"version": terms.Version, "ticked": keys(terms)},
	})
	var token string
	if err := b.db.View(t.Context(), func(tx *store.Tx) error {
		list, err := outbox.Notices(tx, 0, 10)
		token, _ = list[0].Params["token"].(string)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if p := b.do(422, "POST", "accounts/activation", map[string]any{"token": strings.Repeat("0", 52)}); p["code"] != "auth.linkOld" {
		t.Errorf("a made-up link: %v", p)
	}
	b.do(204, "POST", "accounts/activation", map[string]any{"token": token})
	if p := b.do(401, "POST", "session", map[string]any{"phone": "020 7946 0001", "pin": "555123"}); p["code"] != "auth.wrong" || p["params"].(map[string]any)["left"] != 4.0 {
		t.Errorf("a wrong PIN: %v", p)
	}
	s := b.do(200, "POST", "session", map[string]any{"phone": "+44 20 7946 0001", "pin": "740913"})
	if s["stage"] != "agreement" {
		t.Fatalf("session %v", s)
	}
	b.do(401, "GET", "contacts", nil) // not wholly signed in
	agreement := access.Agreement("en")
	if s = b.do(200, "POST", "session/agreement", map[string]any{"version": agreement.Version, "ticked": keys(agreement)}); s["stage"] != "full" {
		t.Fatalf("session %v", s)
	}
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 80, 50)), nil); err != nil {
		t.Fatal(err)
	}
	if p := b.do(422, "PUT", "identity/documents/selfie", []byte("not a picture")); p["code"] != "file.type" {
		t.Errorf("not a picture: %v", p)
	}
	for _, kind := range []string{"id_front", "id_back", "selfie"} {
		b.do(200, "PUT", "identity/documents/"+kind, picture.Bytes())
	}
	if i := b.do(200, "POST", "identity/submit", nil); i["state"] != "submitted" || i["due"] == nil {
		t.Errorf("identity %v", i)
	}
	sam := map[string]any{"first_name": "Sam", "last_name": "Jones", "number": "A1001", "date_of_birth": "1990-02-03", "relationship": "sibling"}
	wrong := map[string]any{"first_name": "Sam", "last_name": "Jones", "number": "A1001", "date_of_birth": "1990-02-04", "relationship": "sibling"}
	if p := b.do(404, "POST", "contacts", wrong); p["code"] != "contact.cannotAdd" {
		t.Errorf("a wrong date: %v", p)
	}
	if c := b.do(201, "POST", "contacts", sam); c["state"] != "awaiting_inmate" || c["may_book"] != false {
		t.Errorf("contact %v", c)
	}
	if l := b.do(200, "GET", "contacts", nil); len(l["contacts"].([]any)) != 1 {
		t.Errorf("contacts %v", l)
	}
	if p := b.do(200, "PUT", "profile", map[string]any{"zone": "America/New_York"}); p["zone"] != "America/New_York" || p["language"] != "en" {
		t.Errorf("profile %v", p)
	}
	b.do(200, "GET", "news", nil)
	b.do(204, "DELETE", "session", nil)
	b.do(401, "GET", "contacts", nil)
}
