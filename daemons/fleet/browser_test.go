package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is somebody at a door: it keeps cookies and sends what the door's pages send. Its methods may be called at once.
type browser struct {
	door string
	base string // origin

	mu      sync.Mutex // guards what follows
	csrf    string
	cookies map[string]string
}

func newBrowser(door, base string) *browser {
	return &browser{door: door, base: base, cookies: map[string]string{}}
}

// another is a second browser on the same device: it knows the device's cookies but is not signed in.
func (b *browser) another() *browser {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := newBrowser(b.door, b.base)
	maps.Copy(o.cookies, b.cookies)
	delete(o.cookies, "__Host-"+b.door)
	return o
}

// answer is what a door said.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (a answer) code() any { return a.body["code"] }

// try asks the door. body is JSON, or bytes as they are. It returns an error when the door does not answer.
func (b *browser) try(ctx context.Context, method, path string, body any, headers ...string) (answer, error) {
	kind, raw := "application/json", []byte(nil)
	switch body := body.(type) {
	case nil:
	case []byte:
		kind, raw = "application/octet-stream", body
	default:
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	if !strings.HasPrefix(path, "/") {
		path = "/api/" + b.door + "/" + path
	}
	r, err := http.NewRequestWithContext(ctx, method, b.base+path, bytes.NewReader(raw))
	if err != nil {
		return answer{}, err
	}
	b.mu.Lock()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	if method != http.MethodGet {
		r.Header.Set("Origin", b.base)
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
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if a.raw, err = io.ReadAll(res.Body); err != nil {
		return answer{}, err
	}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && len(a.raw) > 0 {
		if err := json.Unmarshal(a.raw, &a.body); err != nil {
			return answer{}, err
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
	if csrf, ok := a.body["csrf"].(string); ok {
		b.csrf = csrf
	}
	return a, nil
}

// ask asks the door and returns whatever it answers.
func (b *browser) ask(t *testing.T, method, path string, body any, headers ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := b.try(ctx, method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// do asks the door and returns the answer's body; another status than want ends the test.
func (b *browser) do(t *testing.T, want int, method, path string, body any, headers ...string) map[string]any {
	t.Helper()
	a := b.ask(t, method, path, body, headers...)
	if a.status != want {
		t.Fatalf("%s: %s %s: %d %s, want %d", b.door, method, path, a.status, a.raw, want)
	}
	return a.body
}

// refused asks for something that must be refused, with a status and a code.
func (b *browser) refused(t *testing.T, status int, code, method, path string, body any) answer {
	t.Helper()
	a := b.ask(t, method, path, body)
	if a.status != status || a.code() != code {
		t.Errorf("%s: %s %s: %d %s, want %d %s", b.door, method, path, a.status, a.raw, status, code)
	}
	return a
}

// list returns the objects of a list in an answer.
func list(m map[string]any, key string) []map[string]any {
	var out []map[string]any
	items, _ := m[key].([]any)
	for _, i := range items {
		if o, ok := i.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

// str is a text of an answer, "" when it is not there.
func str(m map[string]any, key string) string { s, _ := m[key].(string); return s }
