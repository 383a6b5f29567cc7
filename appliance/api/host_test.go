package api_test

import (
	"net/http"
	"strings"
	"testing"

	"sallyport/appliance/api"
)

// A door without a name yet answers to the very address that was reached, and to no other.
func TestBareAddress(t *testing.T) {
	rigs := map[bool]*rig{}
	for _, bare := range []bool{true, false} {
		rigs[bare] = newRig(t, func(o *api.Options) { o.Bare = bare })
	}
	for _, tt := range []struct {
		name         string
		bare         bool
		host, origin string // "" is the address reached
		want         int
	}{
		{"the address", true, "", "", 422},
		{"its own name still", true, "staff.test", origin, 422},
		{"a foreign name", true, "elsewhere.example", "https://elsewhere.example", 421},
		{"another address", true, "192.0.2.1", "https://192.0.2.1", 421},
		{"another port", true, "127.0.0.1", "https://127.0.0.1", 421},
		{"a page of another site", true, "", "https://elsewhere.example", 403},
		{"a page without TLS", true, "", "http", 403},
		{"a door with a name", false, "", "", 421},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := rigs[tt.bare]
			reached := strings.TrimPrefix(r.base, "http://")
			res, out := r.ask("POST", "/api/staff/session", `{"username":"x","password":""}`, func(q *http.Request) {
				q.Host = tt.host
				q.Header.Set("Origin", tt.origin)
				if tt.host == "" {
					q.Host = reached
				}
				switch tt.origin {
				case "":
					q.Header.Set("Origin", "https://"+reached)
				case "http":
					q.Header.Set("Origin", "http://"+reached)
				}
			})
			if res.StatusCode != tt.want {
				t.Errorf("answered %d %v, want %d", res.StatusCode, out, tt.want)
			}
		})
	}
}
