package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// page is a browser at one door: its cookies and the token of its session.
type page struct {
	t       *testing.T
	base    string
	cookies map[string]string
	csrf    string
}

func open(t *testing.T, base string) *page {
	return &page{t: t, base: base, cookies: map[string]string{}}
}

// ask sends a request as the door's own page would, and reads the answer.
func (p *page) ask(method, path string, body any) (int, map[string]any) {
	p.t.Helper()
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		sent = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, sent)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", p.base)
	req.Header.Set("X-CSRF-Token", p.csrf)
	for name, value := range p.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		p.cookies[c.Name] = c.Value
	}
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var out map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			p.t.Fatalf("%s %s answered %d %q", method, path, res.StatusCode, raw)
		}
	}
	if token, ok := out["csrf"].(string); ok {
		p.csrf = token
	}
	return res.StatusCode, out
}

// must is ask for what has to work.
func (p *page) must(want int, method, path string, body any) map[string]any {
	p.t.Helper()
	got, out := p.ask(method, path, body)
	if got != want {
		p.t.Fatalf("%s %s = %d %v, want %d", method, path, got, out, want)
	}
	return out
}

func TestSetUpFromAnEmptyMachine(t *testing.T) {
	state := t.TempDir()
	b := start(t, state)
	p := open(t, b.base["setup"])
	if s := p.must(200, "GET", "/api/setup/state", nil); s["claimed"] != false || s["facility"] != nil || len(s["zones"].([]any)) < 300 {
		t.Errorf("state of an empty machine: claimed %v, facility %v", s["claimed"], s["facility"])
	}
	code, err := os.ReadFile(filepath.Join(state, "booking", "claim-code"))
	if err != nil {
		t.Fatal(err)
	}
	const password = "correct horse battery staple"
	claimed := p.must(201, "POST", "/api/setup/claim", map[string]any{
		"code": strings.TrimSpace(string(code)), "name": "Jo Smith", "username": "jo.smith", "password": password,
	})
	p.must(200, "POST", "/api/setup/session", map[string]any{"username": "jo.smith", "password": password})
	totpCode, err := totp.GenerateCode(claimed["totp_secret"].(string), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p.must(200, "POST", "/api/setup/session/totp", map[string]any{"code": totpCode})
	setUp := map[string]any{
		"name": "HMP Test", "kind": "prison", "zone": "Europe/London", "country": "GB", "currency": "GBP", "preset": "county-jail",
		"support": map[string]any{"phone": "+442079460000", "hours": "9-5"},
	}
	s := p.must(200, "PUT", "/api/setup/facility", setUp)
	if f := s["facility"].(map[string]any); s["claimed"] != true || s["preset"] != "county-jail" || f["kind"] != "prison" || f["name"] != "HMP Test" {
		t.Errorf("state after the set-up: %v", s)
	}
	setUp["name"] = "HMP Other"
	if f := p.must(200, "PUT", "/api/setup/facility", setUp)["facility"].(map[string]any); f["name"] != "HMP Other" {
		t.Errorf("renamed: %v", f)
	}
	if parts := p.must(200, "GET", "/api/setup/health", nil)["parts"].([]any); len(parts) < 4 {
		t.Errorf("health: %v", parts)
	}
	for range 2 {
		if _, err := os.Stat(filepath.Join(state, "booking", "claim-code")); !os.IsNotExist(err) {
			t.Errorf("the claim code outlived its use: %v", err)
		}
		if _, err := os.Stat(filepath.Join(state, "booking", "claimed")); err != nil {
			t.Errorf("the console does not learn of the administrator: %v", err)
		}
		if err := b.end(); err != nil {
			t.Fatal(err)
		}
		b = start(t, state)
	}
	// The account of one door is nobody at another, and staff of no role see no calls.
	other := open(t, b.base["staff"])
	if got, out := other.ask("GET", "/api/staff/live", nil); got != 401 {
		t.Errorf("live without a session: %d %v", got, out)
	}
	other.signIn("jo.smith", password, claimed["totp_secret"].(string))
	live := other.must(200, "GET", "/api/staff/live", nil)
	if live["gateway"] != "down" || len(live["calls"].([]any)) != 0 {
		t.Errorf("live: %v", live)
	}
	audited := other.must(200, "GET", "/api/staff/audit", nil)
	if chain := audited["chain"].(map[string]any); chain["whole"] != true || len(audited["rows"].([]any)) == 0 {
		t.Errorf("audit: %v", chain)
	}
	if rules := other.must(200, "GET", "/api/staff/policy", nil)["rules"].([]any); len(rules) < 100 {
		t.Errorf("%d rules", len(rules))
	}
	if card := other.must(200, "GET", "/api/staff/sync", nil); card["enabled"] != false {
		t.Errorf("sync card: %v", card)
	}
	if got, _ := other.ask("GET", "/api/staff/recordings", nil); got != 404 {
		t.Errorf("an administrator lists recordings: %d", got)
	}
}

// signIn waits for the code's next half minute when this one was used already.
func (p *page) signIn(username, password, secret string) {
	p.t.Helper()
	p.must(200, "POST", "/api/staff/session", map[string]any{"username": username, "password": password})
	for _, at := range []time.Time{time.Now(), time.Now().Add(30 * time.Second)} { // the next code is good within its leeway
		code, err := totp.GenerateCode(secret, at)
		if err != nil {
			p.t.Fatal(err)
		}
		if got, _ := p.ask("POST", "/api/staff/session/totp", map[string]any{"code": code}); got == 200 {
			return
		}
	}
	p.t.Fatal("no code was taken")
}

func TestDoorsKeepToThemselves(t *testing.T) {
	b := start(t, t.TempDir())
	for door, base := range b.base {
		for other := range b.base {
			if other == door {
				continue
			}
			if got, out := open(t, base).ask("GET", "/api/"+other+"/session", nil); got != 404 {
				t.Errorf("the %s door knows a route of %s: %d %v", door, other, got, out)
			}
		}
	}
}
