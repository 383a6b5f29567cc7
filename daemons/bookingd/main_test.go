package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/logs"
	"sallyport/appliance/unit"
)

// running is a bookingd in this process.
type running struct {
	link *linkclient.Client
	base map[string]string // address of each door
	end  func() error
}

// start runs bookingd over a state folder, on sockets that are handed over as systemd does, with more lines at the end of
// its configuration.
func start(t *testing.T, state string, more ...string) running {
	t.Helper()
	r := running{base: map[string]string{}}
	path := filepath.Join(state, "bookingd.toml")
	socket := filepath.Join(state, linkspec.Socket)
	text := `
state = "` + state + `/booking"
recordings = "` + state + `/recordings"
credentials = "` + state + `/secrets"
make_secrets = true
[link]
listen = "unix:` + socket + `"
`
	env := unit.NewEnv("bookingd", []string{"--config", path}, logs.New(io.Discard))
	for _, door := range []string{"visitor", "kiosk", "staff", "setup"} {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		env.Give(door, ln)
		r.base[door] = "http://" + ln.Addr().String()
		text += "[" + door + "]\norigin = \"" + r.base[door] + "\"\n"
	}
	text += strings.Join(more, "\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, env) }()
	r.link = linkclient.Dial(socket)
	deadline := time.Now().Add(20 * time.Second)
	for {
		var s linkspec.Status
		err := r.link.Get(t.Context(), linkspec.RouteStatus, &s)
		if err == nil {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("bookingd ended at once: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("bookingd does not answer: %v", err)
		}
	}
	ended := false
	r.end = func() error {
		if ended {
			return nil
		}
		ended = true
		r.link.Close()
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Errorf("bookingd ended with %v", err)
		}
	})
	return r
}

func TestFirstStartWithoutFacilityAndStartAgain(t *testing.T) {
	state := t.TempDir()
	for range 2 {
		b := start(t, state)
		var s linkspec.Status
		if err := b.link.Get(t.Context(), linkspec.RouteStatus, &s); err != nil {
			t.Fatal(err)
		}
		states := map[string]string{}
		for _, p := range s.Parts {
			states[p.Name] = p.State
		}
		if states["database"] != "ok" || states["setup"] != "warn" || states["gatewayd"] != "down" {
			t.Errorf("parts: %v", states)
		}
		var report linkspec.AuditReport
		if err := b.link.Get(t.Context(), linkspec.RouteAuditVerify, &report); err != nil || !report.Whole {
			t.Errorf("audit: %+v, %v", report, err)
		}
		if err := b.end(); err != nil {
			t.Fatalf("end: %v", err)
		}
	}
}

func TestConfigurationNamesTheKey(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "[visitor]\nlissten = \"x\"", "visitor.lissten"},
		{"no port", "[visitor]\nlisten = \"localhost\"", "visitor.listen"},
		{"plain page on a network", "[staff]\norigin = \"http://visits.example.org\"", "staff.origin"},
		{"plain mail over a network", "[smtp]\nhost = \"mail.example.org\"", "smtp.tls"},
		{"relay is no relay", "[media]\nrelay = [\"https://x\"]", "media.relay"},
		{"nobody is the gateway", "[link]\ngateway_uids = []", "link.gateway_uids"},
		{"plain signaling on a network", "[media]\nvisitor = \"ws://media.example.org/signal\"", "media.visitor"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bookingd.toml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := run(t.Context(), unit.NewEnv("bookingd", []string{"--config", path}, logs.New(io.Discard)))
			if err == nil || !strings.HasPrefix(fault.CodeOf(err), "config.") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run = %v, want a refusal that names %s", err, tt.want)
			}
		})
	}
}
