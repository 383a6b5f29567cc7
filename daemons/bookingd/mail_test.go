package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/unit"
)

// TestWayOutDialsWhatWasOpened has the root daemon open two addresses, of which the second answers, for a name that nobody
// resolves here.
func TestWayOutDialsWhatWasOpened(t *testing.T) {
	relay, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	_, port, _ := net.SplitHostPort(relay.Addr().String())
	asked := make(chan linkspec.EgressOpen, 1)
	socket := filepath.Join(t.TempDir(), "host.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var open linkspec.EgressOpen
		if err := json.NewDecoder(r.Body).Decode(&open); err != nil || r.URL.Path != linkspec.RouteEgressOpen {
			t.Errorf("asked %s %v", r.URL.Path, err)
		}
		asked <- open
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(linkspec.Egress{Addresses: []string{"127.255.255.1", "127.0.0.1"}, Seconds: 600})
	})}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })
	client := linkclient.Dial(socket)
	t.Cleanup(client.Close)

	conn, err := linkclient.WayOut(client)(t.Context(), "tcp", net.JoinHostPort("mail.harbour.example", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.RemoteAddr().String(); got != relay.Addr().String() {
		t.Errorf("dialled %s, want %s", got, relay.Addr())
	}
	if got := <-asked; got.Host != "mail.harbour.example" || strconv.Itoa(got.Port) != port {
		t.Errorf("asked for the way to %v", got)
	}
	server.Close()
	if _, err := linkclient.WayOut(client)(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
		t.Error("without the root daemon there is a way out")
	}
}

func TestMailSettings(t *testing.T) {
	good := smtpConfig{Host: "mail.harbour.example", Port: 587, TLS: "required", From: "visits@harbour.example"}
	for _, tt := range []struct {
		name   string
		change func(*smtpConfig)
		want   string // the key that is refused
	}{
		{"as it should be", func(*smtpConfig) {}, ""},
		{"no relay", func(s *smtpConfig) { *s = smtpConfig{} }, ""},
		{"implicit", func(s *smtpConfig) { s.TLS, s.Port = "implicit", 465 }, ""},
		{"plain to a private address", func(s *smtpConfig) { s.TLS, s.Host = "none", "10.1.0.25" }, ""},
		{"plain to a name", func(s *smtpConfig) { s.TLS = "none" }, "smtp.tls"},
		{"plain to the world", func(s *smtpConfig) { s.TLS, s.Host = "none", "203.0.113.25" }, "smtp.tls"},
		{"plain with a password", func(s *smtpConfig) { s.TLS, s.Host, s.Login = "none", "10.1.0.25", "visits" }, "smtp.login"},
		{"unknown encryption", func(s *smtpConfig) { s.TLS = "starttls" }, "smtp.tls"},
		{"no port", func(s *smtpConfig) { s.Port = 0 }, "smtp.port"},
		{"no sender", func(s *smtpConfig) { s.From = "" }, "smtp.from"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := good
			tt.change(&s)
			err := s.validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), "["+tt.want+"]") {
				t.Errorf("validate says %v, want %q", err, tt.want)
			}
		})
	}
}

// A password that is not there yet costs the mails, not the visits: systemd gives an empty line in its place.
func TestMailsWaitForTheirPassword(t *testing.T) {
	dir := t.TempDir()
	h := &house{cfg: config{Credentials: dir, SMTP: smtpConfig{Host: "mail.example", Port: 587, TLS: "required", From: "a@mail.example", Login: "visits"}}}
	env := unit.NewEnv("bookingd", nil, slog.New(slog.DiscardHandler))
	for _, content := range []string{"", "\n", "secret\n"} {
		if content != "" {
			if err := os.WriteFile(filepath.Join(dir, mailPassword), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p, err := h.post(env)
		if err != nil || (p != nil) != (content == "secret\n") || p != nil && p.Password != "secret" {
			t.Errorf("with %q: %+v, %v", content, p, err)
		}
	}
}
