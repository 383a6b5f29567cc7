package images_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// door is one door of an appliance as its zone sees it.
type door struct {
	name   string
	origin string // https://visit.harbour.example
	client *http.Client
}

// dialer reaches a door, whatever its name resolves to here.
type dialer func(ctx context.Context) (net.Conn, error)

// newDoor makes a door that is reached by dial and believed only when the appliance's own authority says who it is.
func newDoor(t *testing.T, name, origin string, dial dialer, roots *x509.CertPool) door {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return door{name: name, origin: origin, client: &http.Client{Transport: transport}}
}

// at dials an address of this machine that is asked for at each connection: after a restart it may be another.
func at(address func() string) dialer {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address())
	}
}

// browser is somebody at a door: it keeps cookies and sends what the door's pages send.
type browser struct {
	door

	mu      sync.Mutex // guards what follows
	csrf    string
	cookies map[string]string
}

func (d door) browser() *browser { return &browser{door: d, cookies: map[string]string{}} }

// another is a second browser on the same device: it knows the device but is not signed in.
func (b *browser) another() *browser {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.browser()
	maps.Copy(o.cookies, b.cookies)
	delete(o.cookies, "__Host-"+b.name)
	return o
}

// answer is what a door said.
type answer struct {
	status int
	raw    []byte
	body   map[string]any
}

// ask asks the door. body is JSON, or bytes of a kind that headers name. It returns an error when the door does not answer.
func (b *browser) ask(ctx context.Context, method, path string, body any, headers ...string) (answer, error) {
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
	r, err := http.NewRequestWithContext(ctx, method, b.origin+"/api/"+b.name+"/"+path, bytes.NewReader(raw))
	if err != nil {
		return answer{}, err
	}
	b.mu.Lock()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	if method != http.MethodGet {
		r.Header.Set("Origin", b.origin)
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
	res, err := b.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode}
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

// patience is how long one answer may take on an emulated processor.
const patience = 2 * time.Minute

// do asks the door and returns the answer's body; another status than want ends the test.
func (b *browser) do(t *testing.T, want int, method, path string, body any, headers ...string) map[string]any {
	t.Helper()
	a := b.try(t, method, path, body, headers...)
	if a.status != want {
		t.Fatalf("%s: %s %s: %d %s, want %d", b.name, method, path, a.status, a.raw, want)
	}
	return a.body
}

// try asks the door and returns whatever it answers.
func (b *browser) try(t *testing.T, method, path string, body any, headers ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := b.ask(ctx, method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s: %s %s: %v", b.name, method, path, err)
	}
	return a
}

// worker is a member of staff with an authenticator.
type worker struct {
	username, password string
	secret             string // base 32
	counted            int64  // the last period whose code was used: a code counts once
}

// enter signs somebody of staff in at the staff's or the setup door.
func (w *worker) enter(t *testing.T, d door) *browser {
	t.Helper()
	b := d.browser()
	if s := b.do(t, 200, "POST", "session", map[string]any{"username": w.username, "password": w.password}); s["stage"] != "totp" {
		t.Fatalf("a password alone lets staff in: %v", s)
	}
	if s := b.do(t, 200, "POST", "session/totp", map[string]any{"code": w.code(t)}); s["stage"] != "full" {
		t.Fatalf("signed in as far as %v", s["stage"])
	}
	return b
}

// code is one that has not been used. The next period's is taken early by the doors, as clocks of telephones go wrong.
func (w *worker) code(t *testing.T) string {
	t.Helper()
	const period = 30
	at := time.Now().Unix() / period
	for at <= w.counted {
		at++
	}
	if early := time.Until(time.Unix((at-1)*period, 0)); early > 0 {
		wait(t, early+time.Minute, "the next code", func() bool { return time.Now().Unix()/period >= at-1 })
	}
	w.counted = at
	code, err := totp.GenerateCode(w.secret, time.Unix(at*period, 0))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// wait asks again until cond holds: what it waits for is in another process.
func wait(t *testing.T, within time.Duration, what string, cond func() bool) {
	t.Helper()
	end := time.After(within)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-end:
			t.Fatalf("waited %v for %s", within, what)
		case <-tick.C:
		}
	}
}

// list returns the objects of a list in an answer.
func list(m map[string]any, key string) (out []map[string]any) {
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
