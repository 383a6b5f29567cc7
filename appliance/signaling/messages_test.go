package signaling

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fromGateway are the types of the gateway's messages; token, tune and quality are described and not sent yet.
func fromGateway() map[string]any {
	return map[string]any{
		"welcome": welcome{}, "answer": answer{}, "done": done{}, "ping": ping{}, "problem": problem{}, "roster": roster{}, "state": state{},
		"time": timeLeft{}, "say": say{}, "muted": muted{}, "ended": ended{}, "token": nil, "tune": nil, "quality": nil,
	}
}

// The page that clients are written against must say what the code says.
func TestEveryExampleOfTheProtocol(t *testing.T) {
	page, err := os.ReadFile("protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, raw := range regexp.MustCompile(`\{"t":"[^`+"`"+`\n]*\}`).FindAllString(string(page), -1) {
		var head struct{ T string }
		if err := json.Unmarshal([]byte(raw), &head); err != nil {
			t.Errorf("%s is no JSON: %v", raw, err)
			continue
		}
		seen[head.T] = true
		if to, ok := fromGateway()[head.T]; ok {
			if to == nil {
				continue
			}
			v := reflect.New(reflect.TypeOf(to))
			d := json.NewDecoder(strings.NewReader(raw))
			d.DisallowUnknownFields()
			if err := d.Decode(v.Interface()); err != nil {
				t.Errorf("%s: %v", raw, err)
			}
			continue
		}
		if _, err := read([]byte(raw)); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for name := range fields() {
		if !seen[name] {
			t.Errorf("the page has no example of %s", name)
		}
	}
	for name := range fromGateway() {
		if !seen[name] {
			t.Errorf("the page has no example of %s", name)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, raw := range []string{
		``, `[]`, `"join"`, `{}`, `{"t":"join"}`, `{"t":"fly","n":1}`, `{"t":"ready","n":1,"grant":"x"}`, `{"t":"media","n":1,"mic":"yes"}`,
		`{"t":"ready","n":1,"notice":"x"}{"t":"ready"}`, `{"t":"ready","n":1,"says":"x"}`, `{"t":"pong","k":1,"n":1,"sdp":"x"}`, `{"t":"ready","n":-1,"notice":"x"}`,
		`{"t":"act","n":1,"do":"say","body":"` + strings.Repeat("x", 201) + `"}`,
	} {
		if _, err := read([]byte(raw)); fault.CodeOf(err) != "bad_message" {
			t.Errorf("read(%s) = %v", raw, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"t":"join","n":1,"grant":"SPG1.a.b","caps":{"video":["VP8"]}}`))
	f.Add([]byte(`{"t":"pong","k":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := read(raw)
		if err == nil && fields()[m.T] == nil {
			t.Errorf("%q passed as %q", raw, m.T)
		}
	})
}

func TestTokens(t *testing.T) {
	call := ident.New[ident.Call]()
	k := NewTokens([]byte("key"), "boot-1")
	token := k.Make(call, "v1", 3)
	c, s, g, err := k.Read(token)
	if err != nil || c != call || s != "v1" || g != 3 {
		t.Fatalf("Read = %s, %s, %d, %v", c, s, g, err)
	}
	for name, bad := range map[string]string{
		"another seat":       strings.Replace(token, ".v1.", ".i1.", 1),
		"another generation": strings.Replace(token, ".3.", ".4.", 1),
		"no MAC":             token[:strings.LastIndexByte(token, '.')+1],
		"nothing":            "",
		"long":               strings.Repeat("x.", 200),
	} {
		if _, _, _, err := k.Read(bad); fault.CodeOf(err) != "resume_bad" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, other := range map[string]*Tokens{"another boot": NewTokens([]byte("key"), "boot-2"), "another key": NewTokens([]byte("yek"), "boot-1")} {
		if _, _, _, err := other.Read(token); fault.CodeOf(err) != "resume_bad" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryProblemHasAStatus(t *testing.T) {
	for code, want := range map[string]int{
		"bad_message": 400, "offer_refused": 400, "grant_bad": 401, "grant_expired": 401, "grant_door": 401, "resume_bad": 401, "seat_removed": 403,
		"stopped": 403, "call_unknown": 404, "grant_used": 409, "elsewhere": 409, "not_now": 409, "call_over": 410, "too_early": 425, "too_fast": 429,
		"no_recorder": 503, "restarting": 503, "full": 503, "busy": 503, "": 503,
	} {
		p, _ := problemOf(code)
		if p.Status != want || p.Says == "" || code != "" && p.Code != code {
			t.Errorf("problemOf(%q) = %+v", code, p)
		}
	}
}
