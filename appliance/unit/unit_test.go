package unit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sallyport/appliance/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testEnv returns surroundings that note what systemd is told.
func testEnv(t *testing.T) (env *Env, log *bytes.Buffer, told func() []string) {
	t.Helper()
	log = &bytes.Buffer{}
	env = NewEnv("testd", nil, slog.New(slog.NewTextHandler(log, nil)))
	var mu sync.Mutex
	var states []string
	env.notify = func(s string) { mu.Lock(); defer mu.Unlock(); states = append(states, s) }
	return env, log, func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), states...) }
}

func TestExitCodes(t *testing.T) {
	wait := func(ctx context.Context, _ *Env) error { <-ctx.Done(); return nil }
	never := func(context.Context, *Env) error { select {} }
	for _, tt := range []struct {
		name    string
		run     func(context.Context, *Env) error
		signals int
		want    int
	}{
		{"stopped by itself", func(context.Context, *Env) error { return nil }, 0, Stopped},
		{"stopped by a signal", wait, 1, Stopped},
		{"context error after a signal", func(ctx context.Context, _ *Env) error { <-ctx.Done(); return ctx.Err() }, 1, Stopped},
		{"failed", func(context.Context, *Env) error { return errors.New("broken") }, 0, Failed},
		{"failed while stopping", func(ctx context.Context, _ *Env) error { <-ctx.Done(); return errors.New("broken") }, 1, Failed},
		{"panicked", func(context.Context, *Env) error { panic("oh") }, 0, Failed},
		{"misconfigured", func(context.Context, *Env) error { return fmt.Errorf("read: %w", BadSetting("x.y", "must be z")) }, 0, Misconfigured},
		{"second signal", never, 2, Interrupted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "second signal" {
				// It leaves its goroutine behind, as the process would; end it for the leak check.
				over := make(chan struct{})
				defer close(over)
				tt.run = func(context.Context, *Env) error { <-over; return nil }
			}
			env, log, told := testEnv(t)
			signals := make(chan os.Signal, 2)
			for range tt.signals {
				signals <- syscall.SIGTERM
			}
			if got := supervise(env, tt.run, signals); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
			if tt.signals > 0 && (len(told()) == 0 || told()[0] != "STOPPING=1") {
				t.Errorf("systemd was told %v", told())
			}
			if tt.want == Misconfigured && !strings.Contains(log.String(), "[x.y] must be z") {
				t.Errorf("the log does not name the key: %s", log)
			}
		})
	}
}

func TestWatchdogAsksProbesFirst(t *testing.T) {
	env, _, told := testEnv(t)
	var bad error
	env.Probe("database", func(context.Context) error { return bad })
	env.ping(t.Context(), time.Second)
	bad = errors.New("asleep")
	env.ping(t.Context(), time.Second)
	if diff := cmp.Diff([]string{"WATCHDOG=1", "STATUS=database does not answer"}, told()); diff != "" {
		t.Errorf("notifications mismatch (-want +got):\n%s", diff)
	}
}

func TestNotifySocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	env := NewEnv("testd", nil, slog.New(slog.DiscardHandler))
	env.Ready()
	env.Status("one\ntwo")
	for _, want := range []string{"READY=1", "STATUS=one two"} {
		b := make([]byte, 100)
		n, err := socket.Read(b)
		if err != nil || string(b[:n]) != want {
			t.Errorf("systemd hears %q, %v, want %q", b[:n], err, want)
		}
	}
}

func TestListener(t *testing.T) {
	env, _, _ := testEnv(t)
	given, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	env.Give("visitor", given)
	ln, err := env.Listener("visitor", "127.0.0.1:0")
	if err != nil || ln != given {
		t.Fatalf("the socket that was handed over is not used: %v, %v", ln, err)
	}
	_, err = env.Listener("visitor", given.Addr().String())
	want := "Address " + given.Addr().String() + " is in use; change [visitor] listen in testd.toml or stop the other program."
	if f, ok := fault.Of(err); !ok || f.Msg != want || f.Code != "unit.address_in_use" {
		t.Errorf("Listener = %v, want %q", err, want)
	}
	if _, err = env.Listener("visitor", "nonsense"); !strings.HasPrefix(fault.CodeOf(err), "config.") {
		t.Errorf("nonsense as an address: %v", err)
	}
}

func TestUnixListenerAndPeer(t *testing.T) {
	env, _, _ := testEnv(t)
	path := filepath.Join(t.TempDir(), "link.sock")
	// A killed daemon leaves its socket file.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	ln, err := env.Listener("link", "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := env.Listener("link", "unix:"+path); fault.CodeOf(err) != "unit.address_in_use" {
		t.Errorf("a second daemon on the socket: %v", err)
	}
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept() // the second daemon's question or ours: both come from this process
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if uid, err := PeerUID(conn); err != nil || uid != os.Getuid() {
		t.Errorf("PeerUID = %d, %v, want %d", uid, err, os.Getuid())
	}
	if _, err := PeerUID(&net.TCPConn{}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a TCP peer: %v", err)
	}
	plain := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(plain, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Listener("link", "unix:"+plain); err == nil {
		t.Error("a plain file was taken for a socket")
	}
	if b, err := os.ReadFile(plain); err != nil || string(b) != "precious" {
		t.Error("a plain file was removed")
	}
}

func TestGroupEndsInReverse(t *testing.T) {
	var mu sync.Mutex
	var ended []string
	part := func(name string, err error) func(context.Context) error {
		return func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, name)
			return err
		}
	}
	var g Group
	g.Add("store", part("store", nil))
	g.Add("feed", part("feed", context.Canceled))
	g.Add("doors", part("doors", nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Serve(ctx); err != nil {
		t.Errorf("Serve = %v", err)
	}
	if diff := cmp.Diff([]string{"doors", "feed", "store"}, ended); diff != "" {
		t.Errorf("order mismatch (-want +got):\n%s", diff)
	}
}

func TestGroupEndsWithItsFirstFailure(t *testing.T) {
	wait := func(ctx context.Context) error { <-ctx.Done(); return nil }
	for name, fn := range map[string]func(context.Context) error{
		"fails":           func(context.Context) error { return errors.New("broken") },
		"ends by itself":  func(context.Context) error { return nil },
		"foreign context": func(context.Context) error { return context.Canceled },
	} {
		var g Group
		g.Add("store", wait)
		g.Add("bad", fn)
		g.Add("doors", wait)
		if err := g.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "bad") {
			t.Errorf("%s: Serve = %v, want an error that names the part", name, err)
		}
	}
}

func TestHTTPFinishesRepliesInFlight(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-goOn
		_, _ = w.Write([]byte("whole"))
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- HTTP(ln, srv.Serve, srv.Shutdown)(ctx) }()
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		var b bytes.Buffer
		_, _ = b.ReadFrom(res.Body)
		answer <- b.String()
	}()
	<-began
	cancel()
	select {
	case err := <-served:
		t.Errorf("it ended with a reply in flight: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(goOn)
	if got := <-answer; got != "whole" {
		t.Errorf("the reply is %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("HTTP = %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestHTTPEndsBeforeItBegan(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	listen := func(ln net.Listener) error {
		for {
			if _, err := ln.Accept(); err != nil {
				return err
			}
		}
	}
	if err := HTTP(ln, listen, func(context.Context) error { return nil })(ctx); err != nil {
		t.Errorf("HTTP = %v", err)
	}
}

type config struct {
	Visitor struct {
		Listen string `toml:"listen"`
	} `toml:"visitor"`
	Limit int `toml:"limit"`
}

func (c *config) Validate() error {
	if c.Limit < 1 {
		return BadSetting("limit", "must be at least 1, not %d", c.Limit)
	}
	return nil
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct{ name, text, code, says string }{
		{"good", "limit = 3\n[visitor]\nlisten = \"127.0.0.1:1\"", "", ""},
		{"defaults stay", "[visitor]\nlisten = \"127.0.0.1:1\"", "", ""},
		{"unknown key", "limit = 3\n[visitor]\nlissen = \"x\"", "config.unknown_key", "visitor.lissen"},
		{"unknown section", "[guest]\nlisten = \"x\"", "config.unknown_key", "guest"},
		{"wrong type", "limit = \"many\"", "config.syntax", "limit"},
		{"no TOML", "limit = = 3", "config.syntax", "line 1"},
		{"refused value", "limit = 0", "config.value", "[limit] must be at least 1, not 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "testd.toml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := config{Limit: 7}
			err := Config(path, &cfg)
			if tt.code == "" {
				if err != nil || cfg.Visitor.Listen != "127.0.0.1:1" || cfg.Limit < 3 {
					t.Errorf("Config = %+v, %v", cfg, err)
				}
				return
			}
			if fault.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("Config = %v, want %s with %q and the path", err, tt.code, tt.says)
			}
		})
	}
	if err := Config(filepath.Join(t.TempDir(), "absent.toml"), &config{}); fault.CodeOf(err) != "config.missing" {
		t.Errorf("absent: %v", err)
	}
}
