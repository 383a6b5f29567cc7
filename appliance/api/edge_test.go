package api_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/clock"
)

// B7: an address that a client writes into a header is not its address.
func TestSpoofedAddressesShareOneBudget(t *testing.T) {
	c := clock.NewFake(time.Now())
	r := newRig(t, func(o *api.Options) { o.Limit, o.Clock = 50, c })
	spoof := func(n int) func(*http.Request) {
		return func(q *http.Request) {
			address := fmt.Sprintf("203.0.113.%d", n)
			for _, h := range []string{"X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP"} {
				q.Header.Set(h, address)
			}
			q.Header.Set("Forwarded", "for="+address)
		}
	}
	for n := range 50 {
		if res, out := r.ask("GET", "/api/staff/nothing", "", spoof(n)); res.StatusCode != 404 {
			t.Fatalf("request %d: %d %v", n+1, res.StatusCode, out)
		}
	}
	res, out := r.ask("GET", "/api/staff/policy", "", spoof(99))
	if res.StatusCode != 429 || out["code"] != "too_many" || res.Header.Get("Retry-After") != "60" {
		t.Errorf("request 51: %d %v, Retry-After %q", res.StatusCode, out, res.Header.Get("Retry-After"))
	}
	if res, _ := r.ask("GET", "/", "", nil); res.StatusCode != 200 {
		t.Errorf("the page that says so: %d", res.StatusCode)
	}
	c.Advance(time.Minute)
	if res, _ := r.ask("GET", "/api/staff/nothing", "", nil); res.StatusCode != 404 {
		t.Errorf("a minute later: %d", res.StatusCode)
	}
}

// Where guessing pays, the contract's own limit holds, also at a door without one.
func TestSignInHasATighterLimit(t *testing.T) {
	r := newRig(t, func(o *api.Options) { o.Clock = clock.NewFake(time.Now()) })
	limits := map[string]int{}
	c, err := api.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range c.Operations {
		limits[o.ID] = o.Limit
		if o.Method == "POST" && o.Stage == "public" && o.Limit == 0 {
			t.Errorf("anybody may ask %s as often as they like", o.ID)
		}
	}
	for n := range limits["signInStaff"] {
		if res, out := r.ask("POST", "/api/staff/session", `{"username":"x","password":""}`, nil); res.StatusCode != 422 {
			t.Fatalf("try %d: %d %v", n+1, res.StatusCode, out)
		}
	}
	if res, out := r.ask("POST", "/api/staff/session", `{"username":"x","password":"y"}`, nil); res.StatusCode != 429 {
		t.Errorf("one try more: %d %v", res.StatusCode, out)
	}
	if res, out := r.ask("GET", "/api/staff/session", "", nil); res.StatusCode == 429 {
		t.Errorf("who is signed in already: %d %v", res.StatusCode, out)
	}
}

// B27: what a client sends slowly, twice or in pieces neither stops the door nor slips a second request past it.
func TestHTTPEdge(t *testing.T) {
	r := newRig(t)
	head := "GET /api/staff/nothing HTTP/1.1\r\nHost: staff.test\r\n"
	post := "POST /api/staff/session HTTP/1.1\r\nHost: staff.test\r\nOrigin: " + origin + "\r\nContent-Type: application/json\r\n"
	flash := func(raw string) string { return "Cookie: fiber_flash=" + hex.EncodeToString([]byte(raw)) + "\r\n\r\n" }
	for _, tt := range []struct {
		name, send string
		want       []int // the answers on the connection before it closes; a refused one closes it
	}{
		{"plain", head + "Connection: close\r\n\r\n", []int{404}},
		{"length and chunks", post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: staff.test\r\n\r\n", []int{411}},
		{"chunks and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGET /smuggled HTTP/1.1\r\n\r\n0\r\n\r\n", []int{411}},
		{"two lengths", post + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}GET /smuggled HTTP/1.1\r\nHost: staff.test\r\n\r\n", []int{400}},
		{"a length with a sign", post + "Content-Length: +2\r\n\r\n{}", []int{400}},
		{"a folded line", head + "Connection: close\r\nX-A: b\r\n c\r\n\r\n", []int{404}},
		{"a space before the colon", head + "X-A : b\r\n\r\n", []int{400}},
		{"a header of a megabyte", head + "X-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", []int{431}},
		{"no host", "GET / HTTP/1.1\r\n\r\n", []int{400}},
		{"no host in an old request", "GET / HTTP/1.0\r\n\r\n", []int{404}},
		{"flash of nothing", head + "Connection: close\r\n" + flash("x"), []int{404}},
		{"flash of four thousand million", head + "Connection: close\r\n" + flash("\xdd\xff\xff\xff\xff"), []int{404}},
		{"flash of nested lists", head + "Connection: close\r\n" + flash(strings.Repeat("\x91", 1000)), []int{404}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := r.raw(t, tt.send)
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("answers %v, want %v", got, tt.want)
			}
			if res, _ := r.ask("GET", "/api/staff/nothing", "", nil); res.StatusCode != 404 {
				t.Errorf("afterwards the door answers %d", res.StatusCode)
			}
		})
	}
}

// raw sends bytes and returns the status of each answer until the door closes the connection or waits for more.
func (r *rig) raw(t *testing.T, send string) []int {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, send) }() // the door may close before it has read all
	var got []int
	for in := bufio.NewReader(c); ; {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return got
		}
		_, _ = io.Copy(io.Discard, res.Body)
		got = append(got, res.StatusCode)
	}
}

// B27: connections that never finish a request are cut, and nobody else waits for them.
func TestSlowClientsAreCut(t *testing.T) {
	r := newRig(t, func(o *api.Options) { o.Patience = time.Second })
	slow := make([]net.Conn, 300)
	for i := range slow {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST /api/staff/session HTTP/1.1\r\nHost: staff.test\r\nContent-Len"); err != nil {
			t.Fatal(err)
		}
		slow[i] = c
	}
	began := time.Now()
	if res, _ := r.ask("GET", "/api/staff/nothing", "", nil); res.StatusCode != 404 || time.Since(began) > 500*time.Millisecond {
		t.Errorf("a good client among them: %d after %v", res.StatusCode, time.Since(began))
	}
	for i, c := range slow {
		if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, c); err != nil {
			t.Fatalf("connection %d is still open after %v and %d bytes: %v", i, time.Since(began), n, err)
		}
	}
}
