package doortest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"sallyport/appliance/api"
)

// Browser is somebody at one door: the cookies and the session's token that its page would hold.
type Browser struct {
	Door    string
	CSRF    string
	Cookies map[string]string

	t      *testing.T
	base   string
	origin string
	check  *checker
	client *http.Client
}

// Answer is what a door answered.
type Answer struct {
	Status int
	Header http.Header
	Body   map[string]any // nil unless it was a JSON object
	Raw    []byte
}

// Code is the code of a problem, "" when there was none.
func (a Answer) Code() string { code, _ := a.Body["code"].(string); return code }

// Browse opens a page at a door; nobody is signed in.
func (h *House) Browse(door string) *Browser {
	h.t.Helper()
	return &Browser{
		Door: door, Cookies: map[string]string{}, t: h.t, base: h.base[door], origin: h.origin[door], check: h.check, client: h.client,
	}
}

// Ask sends a request as the door's page would: body is JSON, or bytes as they are, or nil. An answer that the contract
// does not know fails the test. Of a live stream only the beginning is read.
func (b *Browser) Ask(method, path string, body any) Answer {
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
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Host = strings.TrimPrefix(b.origin, "http://")
	req.Header.Set("Origin", b.origin)
	req.Header.Set("X-CSRF-Token", b.CSRF)
	req.Header.Set("Idempotency-Key", "0123456789abcdef")
	if len(raw) > 0 {
		req.Header.Set("Content-Type", kind)
	}
	for name, value := range b.Cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	a := Answer{Status: res.StatusCode, Header: res.Header}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return a
	}
	if a.Raw, err = io.ReadAll(res.Body); err != nil {
		b.t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		b.Cookies[c.Name] = c.Value
	}
	if err := b.check.answer(req, a); err != nil {
		b.t.Errorf("%s %s answered %d with what the contract does not know: %v\n%s", method, path, a.Status, err, a.Raw)
	}
	if len(a.Raw) > 0 && a.Raw[0] == '{' {
		if err := json.Unmarshal(a.Raw, &a.Body); err != nil {
			b.t.Fatal(err)
		}
	}
	if token, ok := a.Body["csrf"].(string); ok {
		b.CSRF = token
	}
	return a
}

// Must is [Browser.Ask] for what has to be answered with a status.
func (b *Browser) Must(status int, method, path string, body any) Answer {
	b.t.Helper()
	a := b.Ask(method, path, body)
	if a.Status != status {
		b.t.Fatalf("%s %s = %d %s, want %d", method, path, a.Status, a.Raw, status)
	}
	return a
}

// Session shows the session's secret, to try it elsewhere.
func (b *Browser) Session() string { return b.Cookies[api.CookieName(b.Door, "")] }
