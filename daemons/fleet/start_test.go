package fleet

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/store"
)

// runs starts a program that must end by itself and returns its exit code and what it said.
func runs(t *testing.T, name string, args ...string) (code int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s did not end: %s", name, &out)
	}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// taken is a port that somebody else has.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestPortInUseNamesPortAndFlag(t *testing.T) {
	t.Parallel()
	port := taken(t)
	code, said := runs(t, "demo", "-state", t.TempDir(), "-staff-port", port)
	if code != 1 || !strings.Contains(said, "port "+port) || !strings.Contains(said, "-staff-port") {
		t.Errorf("demo ended with %d: %s", code, said)
	}
}

func TestUnknownKeyIsABadConfiguration(t *testing.T) {
	t.Parallel()
	for _, name := range daemons {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name+".toml")
			if err := os.WriteFile(path, []byte("frobnicate = true\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			code, said := runs(t, name, "-config", path)
			if code != 78 || !strings.Contains(said, "frobnicate") || !strings.Contains(said, path) {
				t.Errorf("%s ended with %d: %s", name, code, said)
			}
		})
	}
}

// bookingConfig writes a configuration of bookingd alone over a folder.
func bookingConfig(t *testing.T, state, visitor string) string {
	t.Helper()
	path := filepath.Join(state, "bookingd.toml")
	text := fmt.Sprintf("state = %q\nrecordings = %q\ncredentials = %q\nmake_secrets = true\n[link]\nlisten = %q\n[visitor]\nlisten = %q\n",
		filepath.Join(state, "booking"), filepath.Join(state, "recordings"), filepath.Join(state, "secrets"), "unix:"+filepath.Join(state, "link.sock"), visitor)
	for _, door := range []string{"kiosk", "staff", "setup"} {
		text += fmt.Sprintf("[%s]\nlisten = \"127.0.0.1:0\"\n", door)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBookingdRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	port := taken(t)
	for _, tt := range []struct {
		name    string
		visitor string
		file    func(t *testing.T, path string)
		want    []string // what to do
	}{
		{"port in use", "127.0.0.1:" + port, nil, []string{port}},
		{"not a database", "127.0.0.1:0", func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("not a database. "), 4096), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"sallyport.db", "damaged or not a database", "sallyportctl restore"}},
		{"corrupt", "127.0.0.1:0", func(t *testing.T, path string) {
			database(t, path)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for at := 4096; at < len(raw); at++ {
				raw[at] ^= 0x5a
			}
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"sallyport.db", "damaged or not a database", "sallyportctl restore"}},
		{"newer", "127.0.0.1:0", func(t *testing.T, path string) {
			database(t, path, "schema/9999_future.sql")
		}, []string{"newer program", "9999_future", "restore a backup"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state, err := os.MkdirTemp("", "fl")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(state) })
			if err := os.MkdirAll(filepath.Join(state, "booking"), 0o700); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(state, "booking", "sallyport.db")
			var before []byte
			if tt.file != nil {
				tt.file(t, file)
				if before, err = os.ReadFile(file); err != nil {
					t.Fatal(err)
				}
			}
			code, said := runs(t, "bookingd", "-config", bookingConfig(t, state, tt.visitor))
			if code != 1 {
				t.Errorf("bookingd ended with %d", code)
			}
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("bookingd does not say %q: %s", want, said)
				}
			}
			if tt.file == nil {
				return
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
				t.Errorf("a refused file was changed (%v)", err)
			}
		})
	}
}

// database makes an empty database with the tables of the house and more migrations, which no program before can work with.
func database(t *testing.T, path string, more ...string) {
	t.Helper()
	rooms := api.Schemas()
	for _, name := range more {
		rooms = append(rooms, fstest.MapFS{name: {Data: []byte("-- contract: reads 9999\nCREATE TABLE future (id TEXT PRIMARY KEY) STRICT;")}})
	}
	db, err := store.Open(t.Context(), store.Options{Path: path, Migrations: rooms})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
