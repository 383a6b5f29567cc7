package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/pquerna/otp/totp"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/api/staff"
	"sallyport/appliance/audit"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/vault"
)

const origin = "http://staff.test"

// rig is a staff door on a real listener over a real database, with a monitor who is signed in.
type rig struct {
	t      *testing.T
	db     *store.DB
	access *access.Access
	base   string
	cookie string
	csrf   string
	log    *bytes.Buffer
}

// handlers answers a few operations with what the test wants to see of the frame.
type handlers struct{ *staff.Door }

func (h handlers) GetLive(ctx context.Context, _ staff.GetLiveRequestObject) (staff.GetLiveResponseObject, error) {
	panic("planted: the number is 4711")
}

func (h handlers) GetStaffConfig(context.Context, staff.GetStaffConfigRequestObject) (staff.GetStaffConfigResponseObject, error) {
	return nil, io.ErrUnexpectedEOF
}

func (h handlers) PauseCall(ctx context.Context, r staff.PauseCallRequestObject) (staff.PauseCallResponseObject, error) {
	return nil, fault.New("test", fault.Conflict, "reached").WithCode("reached").WithParam("who", api.From(ctx).Actor().ID)
}

// newRig opens the door; change makes another door of it.
func newRig(t *testing.T, change ...func(*api.Options)) *rig {
	t.Helper()
	db := storetest.Open(t, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, access.Schema)
	houses, rules := facility.New(), policy.New()
	err := db.Update(t.Context(), func(tx *store.Tx) error { return rules.Load(tx, "county-jail", ident.System()) })
	if err != nil {
		t.Fatal(err)
	}
	folk := people.New(people.Deps{DB: db, Facility: houses, Policy: rules})
	acc, err := access.New(access.Deps{DB: db, People: folk, Policy: rules, Facility: houses, Hasher: vault.NewHasher([]byte("pepper")), Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	feed := outbox.NewFeed(db)
	fed := make(chan error, 1)
	go func() { fed <- feed.Serve(ctx) }()
	contract, err := api.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, db: db, access: acc, log: &bytes.Buffer{}}
	r.signIn()
	var door *api.Door
	o := api.Options{
		Name: "staff", Contract: contract, Access: acc, Feed: feed, Origins: []string{origin}, CallURL: "wss://media.test/signal",
		Pages:  fstest.MapFS{"index.html": {Data: []byte("<!doctype html>staff")}, "assets/a.js": {Data: []byte("1")}},
		Routes: []string{"/", "/recordings/:id"},
		Handlers: func(router fiber.Router) {
			staff.RegisterHandlers(router, staff.NewStrictHandler(handlers{staff.New(&api.Rooms{DB: db})}, nil))
		},
		Streams: map[string]fiber.Handler{"streamStaffEvents": func(c fiber.Ctx) error { return door.Events(c) }},
		Log:     slog.New(slog.NewTextHandler(r.log, nil)),
	}
	for _, c := range change {
		c(&o)
	}
	door, err = api.New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- door.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		<-fed
	})
	r.base = "http://" + ln.Addr().String()
	return r
}

// A daemon may be told to stop before its doors have begun to answer; Fiber alone would then answer without end.
func TestDoorEndsBeforeItBegan(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	door := &api.Door{App: fiber.New()}
	if err := door.Serve(ctx, ln); err != nil {
		t.Errorf("Serve = %v", err)
	}
}

func (r *rig) signIn() {
	_, factor, err := r.access.AddStaff(r.t.Context(), ident.System(), access.Staff{Name: "Jo Smith", Username: "jo.smith", Roles: []string{access.Monitor}}, "a long pass phrase")
	if err != nil {
		r.t.Fatal(err)
	}
	half, err := r.access.SignInStaff(r.t.Context(), "staff", "jo.smith", "a long pass phrase")
	if err != nil {
		r.t.Fatal(err)
	}
	code, err := totp.GenerateCode(factor.Secret, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	whole, err := r.access.ConfirmTOTP(r.t.Context(), half.Session, code)
	if err != nil {
		r.t.Fatal(err)
	}
	r.cookie, r.csrf = whole.Secret, whole.CSRF
}

// ask sends a request as the signed-in page would; change spoils it.
func (r *rig) ask(method, path, body string, change func(*http.Request)) (*http.Response, map[string]any) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = "staff.test"
	req.Header.Set("Cookie", api.CookieName("staff", "")+"="+r.cookie)
	if method != http.MethodGet {
		req.Header.Set("Origin", origin)
		req.Header.Set("X-CSRF-Token", r.csrf)
		req.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		r.t.Fatal(err)
	}
	var out map[string]any
	if strings.Contains(res.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &out); err != nil {
			r.t.Fatalf("%s: %v", raw, err)
		}
	} else {
		out = map[string]any{"text": string(raw)}
	}
	return res, out
}

func TestFrameRefuses(t *testing.T) {
	r := newRig(t)
	call := string(ident.New[ident.Call]())
	pause := "/api/staff/calls/" + call + "/pause"
	for _, tt := range []struct {
		name, method, path, body string
		change                   func(*http.Request)
		status                   int
		code                     string
	}{
		{"all in order", "POST", pause, `{"reason":"conduct"}`, nil, 409, "reached"},
		{"foreign origin", "POST", pause, `{"reason":"conduct"}`, func(q *http.Request) { q.Header.Set("Origin", "https://evil.test") }, 403, "auth.origin"},
		{"null origin", "POST", pause, `{"reason":"conduct"}`, func(q *http.Request) { q.Header.Set("Origin", "null") }, 403, "auth.origin"},
		{"no origin", "POST", pause, `{"reason":"conduct"}`, func(q *http.Request) { q.Header.Del("Origin") }, 403, "auth.origin"},
		{"fetch metadata", "POST", pause, `{"reason":"conduct"}`, func(q *http.Request) { q.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "auth.origin"},
		{"no token", "POST", pause, `{"reason":"conduct"}`, func(q *http.Request) { q.Header.Del("X-CSRF-Token") }, 403, "auth.csrf"},
		{"text as JSON", "POST", pause, `{"reason":"conduct"}`, func(q *http.Request) { q.Header.Set("Content-Type", "text/plain") }, 422, "body.json"},
		{"signed out", "POST", pause, `{"reason":"conduct"}`, func(q *http.Request) { q.Header.Del("Cookie") }, 401, "auth.needed"},
		{"planted session", "GET", "/api/staff/policy", "", func(q *http.Request) { q.Header.Set("Cookie", "__Host-staff="+strings.Repeat("a", 52)) }, 401, "auth.needed"},
		{"cookie of another door", "GET", "/api/staff/policy", "", func(q *http.Request) { q.Header.Set("Cookie", "__Host-setup="+r.cookie) }, 401, "auth.needed"},
		{"without the capability", "GET", "/api/staff/recordings", "", nil, 404, "not_found"},
		{"route of another door", "GET", "/api/visitor/config", "", nil, 404, "not_found"},
		{"unlisted route", "GET", "/api/staff/everything", "", nil, 404, "not_found"},
		{"unlisted method", "DELETE", pause, "", nil, 404, "not_found"},
		{"trailing slash", "GET", "/api/staff/policy/", "", nil, 404, "not_found"},
		{"upper case", "GET", "/API/staff/policy", "", nil, 404, "not_found"},
		{"foreign host", "GET", "/api/staff/policy", "", func(q *http.Request) { q.Host = "127.0.0.1" }, 421, "bad_request"},
		{"id of another kind's shape", "POST", "/api/staff/calls/..%2f..%2fetc/pause", `{"reason":"conduct"}`, nil, 404, "not_found"},
		{"missing field", "POST", pause, `{}`, nil, 422, "fields"},
		{"unknown field", "POST", pause, `{"reason":"conduct","force":true}`, nil, 422, "fields"},
		{"wrong type", "POST", pause, `{"reason":7}`, nil, 422, "fields"},
		{"too long", "POST", pause, `{"reason":"` + strings.Repeat("x", 61) + `"}`, nil, 422, "fields"},
		{"name twice", "POST", pause, `{"reason":"conduct","reason":"dress"}`, nil, 422, "body.json"},
		{"two bodies", "POST", pause, `{"reason":"conduct"}{}`, nil, 422, "body.json"},
		{"not JSON", "POST", pause, `reason=conduct`, nil, 422, "body.json"},
		{"nested deeply", "POST", pause, `{"reason":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, nil, 422, "body.json"},
		{"body too large", "POST", pause, `{"reason":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 422, "file.tooBig"},
		{"bad query", "GET", "/api/staff/audit?before=minus", "", nil, 422, "fields"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, out := r.ask(tt.method, tt.path, tt.body, tt.change)
			if res.StatusCode != tt.status || out["code"] != tt.code {
				t.Errorf("%d %v, want %d %s", res.StatusCode, out, tt.status, tt.code)
			}
			if got := res.Header.Get("Content-Security-Policy"); got != api.Policy("staff", "wss://media.test/signal") {
				t.Errorf("policy %q", got)
			}
			for _, h := range []string{"X-Content-Type-Options", "Cross-Origin-Opener-Policy", "Permissions-Policy", "Strict-Transport-Security", "Referrer-Policy"} {
				if res.Header.Get(h) == "" {
					t.Errorf("%d has no %s", res.StatusCode, h)
				}
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("the answer is open to other origins")
			}
		})
	}
}

func TestWrongFieldsAreNamed(t *testing.T) {
	r := newRig(t)
	_, out := r.ask("POST", "/api/staff/calls/"+string(ident.New[ident.Call]())+"/say", `{"side":"moon","body":"","x":1}`, nil)
	got, err := json.Marshal(out["fields"])
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"code":"field.required","name":"body"},{"code":"field.choice","name":"side"},{"code":"field.unknown","name":"x"}]`
	if string(got) != want {
		t.Errorf("fields %s, want %s", got, want)
	}
}

// B25: a panic and an error of ours leave a number for the person and the cause in the log only.
func TestInternalSaysNothingInside(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/api/staff/live", "/api/staff/config"} {
		res, out := r.ask("GET", path, "", nil)
		raw, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != 500 || out["code"] != "fault" || bytes.Contains(raw, []byte("4711")) || bytes.Contains(raw, []byte("EOF")) {
			t.Errorf("%s: %d %s", path, res.StatusCode, raw)
		}
		id, ok := out["instance"].(string)
		if !ok || !strings.Contains(r.log.String(), id) {
			t.Errorf("%s: the number %q is not in the log", path, id)
		}
	}
	if !strings.Contains(r.log.String(), "4711") {
		t.Error("the log has lost the cause")
	}
	if res, _ := r.ask("GET", "/api/staff/audit?before=minus", "", nil); res.StatusCode != 422 {
		t.Errorf("after a panic the door answers %d", res.StatusCode)
	}
}

func TestPages(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		path   string
		status int
		cache  string
	}{
		{"/", 200, "no-cache"},
		{"/recordings/r_1", 200, "no-cache"},
		{"/assets/a.js", 200, "public, max-age=31536000, immutable"},
		{"/assets/b.js", 404, "no-store"},
		{"/assets", 404, "no-store"},
		{"/index.html", 404, "no-store"},
		{"/recordings", 404, "no-store"},
		{"/..%2f..%2fetc%2fpasswd", 404, "no-store"},
	} {
		res, _ := r.ask("GET", tt.path, "", nil)
		if res.StatusCode != tt.status || res.Header.Get("Cache-Control") != tt.cache {
			t.Errorf("%s: %d %q, want %d %q", tt.path, res.StatusCode, res.Header.Get("Cache-Control"), tt.status, tt.cache)
		}
	}
}

func TestEventsReachThePage(t *testing.T) {
	r := newRig(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.base+"/api/staff/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "staff.test"
	req.Header.Set("Cookie", api.CookieName("staff", "")+"="+r.cookie)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "retry:") {
		t.Fatalf("the stream begins with %q", lines.Text())
	}
	visit := string(ident.New[ident.Visit]())
	err = r.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := outbox.Tell(tx, outbox.ToVisitor(ident.New[ident.Visitor]()), "visit", "v_not_for_staff"); err != nil {
			return err
		}
		return outbox.Tell(tx, outbox.ToStaff(), "visit", visit)
	})
	if err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if want := `{"id":"` + visit + `","kind":"visit"}`; data != want {
				t.Errorf("event %s, want %s", data, want)
			}
			return
		}
	}
	t.Fatalf("the stream ended: %v", lines.Err())
}
