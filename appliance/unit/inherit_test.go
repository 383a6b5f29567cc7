package unit

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/appliance/fault"
)

// A daemon gets its sockets by name, streams and datagrams, from whoever started it as systemd does: this test starts
// itself so.
func TestSocketsOfSystemd(t *testing.T) {
	if os.Getenv("UNIT_TEST_CHILD") != "" {
		inherits(t)
		return
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	door, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	names, err := pc.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), "/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" -test.v -test.run='^TestSocketsOfSystemd$'`, me)
	child.Env = append(os.Environ(), "UNIT_TEST_CHILD="+ln.Addr().String()+" "+pc.LocalAddr().String(), "LISTEN_FDS=2", "LISTEN_FDNAMES=https-visitor:names-kiosk")
	child.ExtraFiles = []*os.File{door, names}
	if out, err := child.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Errorf("the child: %v\n%s", err, out)
	}
}

func inherits(t *testing.T) {
	addr := strings.Fields(os.Getenv("UNIT_TEST_CHILD"))
	env := NewEnv("testd", nil, slog.New(slog.DiscardHandler))
	ln, err := env.Given("https-visitor")
	if err != nil || ln == nil || ln.Addr().String() != addr[0] {
		t.Fatalf("Given = %v, %v, want %s", ln, err, addr[0])
	}
	defer ln.Close()
	pc, err := env.PacketConn("names-kiosk", "127.0.0.1:0")
	if err != nil || pc.LocalAddr().String() != addr[1] {
		t.Fatalf("PacketConn = %v, %v, want %s", pc, err, addr[1])
	}
	defer pc.Close()
	for _, name := range []string{"https-visitor", "names-kiosk", "other"} { // each is given once
		again, err := env.Given(name)
		packets, perr := env.GivenPacket(name)
		if again != nil || packets != nil || err != nil || perr != nil {
			t.Errorf("%s again: %v, %v, %v, %v", name, again, packets, err, perr)
		}
	}
}

type settings struct {
	Port int `toml:"port"`
}

func (s settings) Validate() error {
	if s.Port > 65535 {
		return BadSetting("port", "must be a port")
	}
	return nil
}

func TestConfigureChecks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "testd.toml")
	for _, tt := range []struct {
		name, text string
		args       []string
		serve      bool
		code       string
	}{
		{"serve", "port = 1\n", []string{"--config", path}, true, ""},
		{"check", "port = 1\n", []string{"--check", "--config", path}, false, ""},
		{"check of a wrong value", "port = 70000\n", []string{"--check", "--config", path}, false, "config.value"},
		{"check of an unknown key", "prot = 1\n", []string{"--check", "--config", path}, false, "config.unknown_key"},
		{"unknown flag", "port = 1\n", []string{"--chek"}, false, "config.flags"},
		{"a word too many", "port = 1\n", []string{"--config", path, "check"}, false, "config.flags"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			env, _, _ := testEnv(t)
			env.Args = tt.args
			serve, err := env.Configure("/nowhere", &settings{})
			if serve != tt.serve || fault.CodeOf(err) != tt.code {
				t.Errorf("Configure = %v, %v, want %v, %q", serve, err, tt.serve, tt.code)
			}
		})
	}
}

// Nothing waits for a network: a socket may be bound before its address is there.
func TestAddressThatComesLater(t *testing.T) {
	const later = "192.0.2.10:0" // nobody has it (RFC 5737)
	env, _, _ := testEnv(t)
	if pc, err := env.PacketConn("media", later); fault.CodeOf(err) != "config.value" {
		t.Errorf("PacketConn = %v, %v, want a refusal that names the key", pc, err)
	}
	pc, err := env.PacketConn("media", later, Early)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	taken := pc.LocalAddr().String()
	if _, err := env.PacketConn("media", taken, Early); fault.CodeOf(err) != "unit.address_in_use" {
		t.Errorf("the same port again: %v", err)
	}
}
