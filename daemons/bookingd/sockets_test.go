package main

import (
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/unit"
)

func TestDoorsAreChecked(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"behind the split", "[visitor]\nlisten = \"\"\nproxy = true\ntls = true\nlimit = 10\norigin = \"https://a.example\"\norigins = [\"https://b.example\"]\n", ""},
		{"address told by anybody", "[kiosk]\nproxy = true\n", "[kiosk.proxy]"},
		{"internet without a limit", "[visitor]\nlisten = \"\"\nproxy = true\nlimit = 0\n", "[visitor.limit]"},
		{"plain origin over TLS", "[staff]\ntls = true\n", "[staff.origin]"},
		{"plain further origin", "[kiosk]\norigins = [\"http://tablet.example\"]\n", "[kiosk.origin]"},
		{"bare address of another door", "[visitor]\nby_address = true\n", "[visitor.by_address]"},
		{"bare address in the clear", "[setup]\nby_address = true\n", "[setup.by_address]"},
		{"no port", "[setup]\nlisten = \"localhost\"\n", "[setup.listen]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bookingd.toml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := defaults()
			err := unit.Config(path, &cfg)
			if tt.want == "" && err != nil || tt.want != "" && (fault.CodeOf(err) != "config.value" || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Config = %v, want %q", err, tt.want)
			}
		})
	}
}

// A network that is not there costs its own door: the others are served.
func TestDoorThatNobodyOpened(t *testing.T) {
	cfg := defaults()
	dir := t.TempDir()
	cfg.Link.Listen = "unix:" + filepath.Join(dir, "l")
	cfg.Setup.Listen = ""
	for _, d := range []*doorConfig{&cfg.Visitor, &cfg.Kiosk, &cfg.Staff} {
		d.Listen = "127.0.0.1:0"
	}
	env := unit.NewEnv("bookingd", nil, slog.New(slog.NewTextHandler(io.Discard, nil)))
	all, err := (&house{cfg: cfg, clock: clock.Real{}}).sockets(env, []string{"visitor", "kiosk", "staff", "setup"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(all)
	if all["setup"] != nil || all["visitor"] == nil || all["staff"] == nil || len(all) != 4 {
		t.Errorf("the sockets are %v", all)
	}
}

// A door whose certificate is missing says which, and leaves no socket behind.
func TestDoorWithoutItsCertificate(t *testing.T) {
	dir := t.TempDir()
	cfg := defaults()
	cfg.Credentials, cfg.Link.Listen = dir, "unix:"+filepath.Join(dir, "l")
	cfg.Visitor.Listen, cfg.Kiosk.Listen, cfg.Kiosk.TLS = "127.0.0.1:0", "", true
	env := unit.NewEnv("bookingd", nil, slog.New(slog.DiscardHandler))
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	env.Give("kiosk", ln)
	_, err = (&house{cfg: cfg, clock: clock.Real{}}).sockets(env, []string{"visitor", "kiosk"})
	if fault.CodeOf(err) != "config.credential" || !strings.Contains(err.Error(), "tls-kiosk") {
		t.Errorf("sockets: %v", err)
	}
	if c, err := net.Dial("tcp4", ln.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("the door's socket is still open")
	}
}
