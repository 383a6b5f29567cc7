// Package doortest owns the browser of tests: somebody at a door, who keeps cookies and sends what the door's pages send.
// Whoever tests an appliance through its doors uses this one, be the doors in the same process, in daemons or in a box.
//
// It must not know the rooms behind the doors. Its own tests are a whole house behind its four doors: real listeners, real
// rooms, a real database and a clock that the test moves, and every answer is compared with the contract. No room may see all
// doors at once, so that house stands in test files only.
package doortest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/appliance/api"
)

// Door is one door of an appliance as its zone sees it.
type Door struct {
	Name     string                            // visitor, kiosk, staff or setup
	Origin   string                            // of its pages: https://visit.harbour.example
	At       string                            // where it is reached when that is not the origin: http://127.0.0.1:8080
	Client   *http.Client                      // nil is the default one
	Patience time.Duration                     // how long one answer may take; 0 is a minute
	Check    func(*http.Request, Answer) error // what else must hold for each answer; nil is nothing
}

// Browse opens a page at the door; nobody is signed in.
func (d Door) Browse() *Browser { return &Browser{Door: d, cookies: map[string]string{}} }

// Browser is somebody at one door: the cookies and the session's token that its page would hold. Its methods may be called
// at once.
type Browser struct {
	Door

	mu      sync.Mutex // guards what follows
	csrf    string
	cookies map[string]string
}

// Answer is what a door answered.
type Answer struct {
	Status int
	Header http.Header
	Raw    []byte         // nothing of a live stream
	Body   map[string]any // nil unless it was a JSON object
}

// Code is the code of a problem, "" when there was none.
func (a Answer) Code() string { return Str(a.Body, "code") }

// Moved is the same browser at a door that may be reached elsewhere now, as after a restart: it has kept its cookies.
func (b *Browser) Moved(to Door) *Browser {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &Browser{Door: to, csrf: b.csrf, cookies: maps.Clone(b.cookies)}
}

// Another is a second browser on the same device: it knows the device, but nobody is signed in.
func (b *Browser) Another() *Browser {
	o := b.Moved(b.Door)
	o.csrf = ""
	delete(o.cookies, api.CookieName(b.Name, ""))
	return o
}

// Hold gives the browser a secret that a door would give it as a cookie; part is "" for the session, "device" for a device.
func (b *Browser) Hold(part, secret string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cookies[api.CookieName(b.Name, part)] = secret
}

// Resume makes the browser one that was signed in with a session's secret and token.
func (b *Browser) Resume(secret, csrf string) {
	b.Hold("", secret)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.csrf = csrf
}

// Session shows the session's secret and token, to try them elsewhere.
func (b *Browser) Session() (secret, csrf string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cookies[api.CookieName(b.Name, "")], b.csrf
}

// Try sends a request as the door's page would. body is JSON, or bytes as they are, or nil; headers are names and values in
// turn. A path without a slash begins at the door's routes. It returns an error when the door does not answer, and does not
// hold the answer to anything, so that it may be asked beside the test's goroutine.
func (b *Browser) Try(ctx context.Context, method, path string, body any, headers ...string) (Answer, error) {
	r, err := b.request(ctx, method, path, body, headers)
	if err != nil {
		return Answer{}, err
	}
	return b.send(r)
}

func (b *Browser) request(ctx context.Context, method, path string, body any, headers []string) (*http.Request, error) {
	kind, raw := "application/json", []byte(nil)
	switch body := body.(type) {
	case nil:
	case []byte:
		kind, raw = "application/octet-stream", body
	default:
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	if !strings.HasPrefix(path, "/") {
		path = "/api/" + b.Name + "/" + path
	}
	at := b.At
	if at == "" {
		at = b.Origin
	}
	r, err := http.NewRequestWithContext(ctx, method, at+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	origin, err := url.Parse(b.Origin)
	if err != nil {
		return nil, err
	}
	r.Host = origin.Host
	b.mu.Lock()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	if method != http.MethodGet {
		r.Header.Set("Origin", b.Origin)
		r.Header.Set("X-CSRF-Token", b.csrf)
	}
	b.mu.Unlock()
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if len(raw) > 0 {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r, nil
}

func (b *Browser) send(r *http.Request) (Answer, error) {
	client := b.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	a := Answer{Status: res.StatusCode, Header: res.Header}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return a, nil
	}
	if a.Raw, err = io.ReadAll(res.Body); err != nil {
		return Answer{}, err
	}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && bytes.HasPrefix(a.Raw, []byte("{")) {
		if err := json.Unmarshal(a.Raw, &a.Body); err != nil {
			return Answer{}, fmt.Errorf("answer %d: %w", a.Status, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	if csrf, ok := a.Body["csrf"].(string); ok {
		b.csrf = csrf
	}
	return a, nil
}

// Ask is [Browser.Try] for what must be answered, with whatever status. An answer that does not hold to the door's check
// fails the test.
func (b *Browser) Ask(t testing.TB, method, path string, body any, headers ...string) Answer {
	t.Helper()
	patience := b.Patience
	if patience == 0 {
		patience = time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := b.request(ctx, method, path, body, headers)
	if err != nil {
		t.Fatalf("%s: %s %s: %v", b.Name, method, path, err)
	}
	a, err := b.send(r)
	if err != nil {
		t.Fatalf("%s: %s %s: %v", b.Name, method, path, err)
	}
	if b.Check != nil {
		if err := b.Check(r, a); err != nil {
			t.Errorf("%s: %s %s: %d %s: %v", b.Name, method, path, a.Status, a.Raw, err)
		}
	}
	return a
}

// Must is [Browser.Ask] for what has to be answered with a status; another one ends the test.
func (b *Browser) Must(t testing.TB, status int, method, path string, body any, headers ...string) Answer {
	t.Helper()
	a := b.Ask(t, method, path, body, headers...)
	if a.Status != status {
		t.Fatalf("%s: %s %s: %d %s, want %d", b.Name, method, path, a.Status, a.Raw, status)
	}
	return a
}

// Do is [Browser.Must] for whoever wants the answer's body.
func (b *Browser) Do(t testing.TB, status int, method, path string, body any, headers ...string) map[string]any {
	t.Helper()
	return b.Must(t, status, method, path, body, headers...).Body
}

// Refused asks for what must be refused, with a status and a code.
func (b *Browser) Refused(t testing.TB, status int, code, method, path string, body any, headers ...string) Answer {
	t.Helper()
	a := b.Ask(t, method, path, body, headers...)
	if a.Status != status || a.Code() != code {
		t.Errorf("%s: %s %s: %d %s, want %d %s", b.Name, method, path, a.Status, a.Raw, status, code)
	}
	return a
}

// List returns the objects of a list in an answer.
func List(m map[string]any, key string) (out []map[string]any) {
	items, _ := m[key].([]any)
	for _, i := range items {
		if o, ok := i.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

// Str is a text of an answer, "" when it is not there.
func Str(m map[string]any, key string) string { s, _ := m[key].(string); return s }
