package staff_test

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
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/pquerna/otp/totp"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/api/staff"
	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/moderation"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/vault"
)

const origin = "http://staff.test"

// browser is somebody at the staff door, over real TCP and a real database.
type browser struct {
	t       *testing.T
	db      *store.DB
	people  *people.People
	access  *access.Access
	base    string
	csrf    string
	cookies map[string]string
}

func open(t *testing.T) *browser {
	t.Helper()
	b := &browser{t: t, cookies: map[string]string{}}
	b.db = storetest.Open(t, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, access.Schema, moderation.Schema)
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
	cases := moderation.New(moderation.Deps{
		May:   access.MayDecide,
		Lease: func(*store.Tx) (time.Duration, error) { return time.Minute, nil },
		Clock: func(*store.Tx, string) (time.Duration, error) { return time.Hour, nil },
	})
	b.people = people.New(people.Deps{
		DB: b.db, Blobs: blobs, Facility: fs, Policy: rules,
		OpenCase: func(tx *store.Tx, i people.CaseItem) (ident.Case, error) {
			return cases.Open(tx, moderation.Item{Kind: i.Kind, Item: i.Item, Hash: i.Hash, Submitter: i.Submitter, Due: i.Due})
		},
	})
	cases.Register("identity", func(tx *store.Tx, c moderation.Case, v moderation.Verdict) error {
		_, err := b.people.VerifyIdentity(tx, v.By, ident.Visitor(c.Item), "")
		return err
	})
	acc, err := access.New(access.Deps{DB: b.db, People: b.people, Policy: rules, Facility: fs, Hasher: vault.NewHasher([]byte("pepper")), Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	b.access = acc
	contract, err := api.Load()
	if err != nil {
		t.Fatal(err)
	}
	rooms := &api.Rooms{
		DB: b.db, Clock: clock.Real{}, Facility: fs, Policy: rules, People: b.people, Access: acc,
		Cases: cases, RosterSample: []byte("number\n"),
	}
	ctx, cancel := context.WithCancel(t.Context())
	door, err := api.New(ctx, api.Options{
		Name: "staff", Contract: contract, Access: acc, Feed: outbox.NewFeed(b.db), Origins: []string{origin},
		Handlers: func(r fiber.Router) { staff.RegisterHandlers(r, staff.NewStrictHandler(staff.New(rooms), nil)) },
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
		kind, raw = "text/csv", body
	default:
		var err error
		if raw, err = json.Marshal(body); err != nil {
			b.t.Fatal(err)
		}
	}
	r, err := http.NewRequest(method, b.base+"/api/staff/"+path, bytes.NewReader(raw))
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

// TestFromPasswordToVerdict is a moderator's first case, and what a clerk may not see of it, through the door.
func TestFromPasswordToVerdict(t *testing.T) {
	b := open(t)
	const password = "correct horse battery"
	enter := func(username, role string) {
		t.Helper()
		_, factor, err := b.access.AddStaff(t.Context(), ident.System(), access.Staff{Username: username, Name: "Mo Clark", Roles: []string{role}}, password)
		if err != nil {
			t.Fatal(err)
		}
		b.cookies, b.csrf = map[string]string{}, ""
		if s := b.do(200, "POST", "session", map[string]any{"username": username, "password": password}); s["stage"] != "totp" || s["name"] != nil {
			t.Fatalf("session %v", s)
		}
		b.do(401, "GET", "cases", nil)
		code, err := totp.GenerateCode(factor.Secret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if s := b.do(200, "POST", "session/totp", map[string]any{"code": code}); s["stage"] != "full" || s["name"] != "Mo Clark" {
			t.Fatalf("session %v", s)
		}
	}
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 80, 50)), nil); err != nil {
		t.Fatal(err)
	}
	var ann people.Visitor
	change := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := b.db.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx *store.Tx) (err error) {
		if ann, err = b.people.AddVisitor(tx, ident.System(), people.Visitor{
			First: "Ann", Last: "Jones", Born: "1980-05-05", Phone: "+442079460001", Email: "ann@example.org", Zone: "Europe/London", Language: "en",
		}); err != nil {
			return err
		}
		_, err = b.people.MoveVisitor(tx, ident.System(), "visitor.activate", ann.ID, "", time.Time{})
		return err
	})
	for _, kind := range []string{people.IDFront, people.IDBack, people.Selfie} {
		if _, err := b.people.AddDocument(t.Context(), ident.System(), ann.ID, kind, picture.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx *store.Tx) error { _, err := b.people.SubmitIdentity(tx, ident.System(), ann.ID); return err })

	enter("clerk", access.Clerk)
	if l := b.do(200, "GET", "cases", nil); len(l["cases"].([]any)) != 0 {
		t.Errorf("a clerk sees %v", l)
	}
	m := b.do(200, "POST", "roster?full=true", []byte("number,booking,first,last,dob,unit\nA1001,B1,Sam,Jones,1990-02-03,A Wing\nA1002,B2,Lee,Bowen,soon,A Wing\n"))
	if m["added"] != 1.0 || len(m["quarantined"].([]any)) != 1 || m["by"] != "Mo Clark" {
		t.Errorf("roster %v", m)
	}
	if l := b.do(200, "GET", "inmates?q=jones", nil); l["total"] != 1.0 {
		t.Errorf("inmates %v", l)
	}

	enter("moderator", access.Moderator)
	list := b.do(200, "GET", "cases?kind=identity", nil)["cases"].([]any)
	if len(list) != 1 {
		t.Fatalf("cases %v", list)
	}
	id := list[0].(map[string]any)["id"].(string)
	b.do(403, "GET", "cases/"+id+"/documents/selfie", nil)
	if c := b.do(200, "POST", "cases/"+id+"/claim", nil); c["claimed_by_me"] != true || len(c["documents"].([]any)) != 3 || c["title"] != "Ann Jones" {
		t.Errorf("case %v", c)
	}
	b.do(200, "GET", "cases/"+id+"/documents/selfie", nil)
	if c := b.do(200, "POST", "cases/"+id+"/verdict", map[string]any{"verdict": "approve"}); c["state"] != "decided" || c["verdict"] != "approve" {
		t.Errorf("case %v", c)
	}
	if l := b.do(200, "GET", "visitors?q=ann", nil); l["visitors"].([]any)[0].(map[string]any)["identity"] != "verified" {
		t.Errorf("visitors %v", l)
	}
}
