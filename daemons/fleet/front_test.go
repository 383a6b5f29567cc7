package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"sallyport/appliance/entry/entrytest"
	"sallyport/appliance/vault"
)

// box is the three daemons of the appliance as systemd runs them: it holds their sockets, and they have no others.
type box struct {
	t       *testing.T
	dir     string
	trust   *entrytest.Authority
	names   []string // of sockets, in the order of files
	files   []*os.File
	tcp     map[string]string // address of a network's socket
	running map[string]*exec.Cmd
}

// keep holds a socket for the daemons. It stays when they end.
func (b *box) keep(name string, socket interface {
	io.Closer
	File() (*os.File, error)
},
) {
	b.t.Helper()
	file, err := socket.File()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _, _ = socket.Close(), file.Close() })
	b.names, b.files = append(b.names, name), append(b.files, file)
}

func (b *box) stream(name, at string) {
	b.t.Helper()
	ln, err := net.Listen("tcp4", at+":0")
	if err != nil {
		b.t.Fatal(err)
	}
	b.tcp[name] = ln.Addr().String()
	b.keep(name, ln.(*net.TCPListener))
}

func (b *box) path(name string) string { return filepath.Join(b.dir, name) }

// run starts a daemon with those of the sockets that are its own.
func (b *box) run(name string, sockets []string, args ...string) {
	b.t.Helper()
	var fds []string
	cmd := exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, filepath.Join(bin, strings.TrimSuffix(name, "-split"))}, args...)...)
	for i, n := range b.names {
		for _, s := range sockets {
			if n == s {
				fds = append(fds, n)
				cmd.ExtraFiles = append(cmd.ExtraFiles, b.files[i])
			}
		}
	}
	cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(fds)), "LISTEN_FDNAMES="+strings.Join(fds, ":"), "CREDENTIALS_DIRECTORY="+b.path("secrets"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = b.t.Output()
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.running[name] = cmd
}

// end ends a daemon; by SIGTERM it must end well.
func (b *box) end(name string, how syscall.Signal) {
	cmd := b.running[name]
	if cmd == nil {
		return
	}
	delete(b.running, name)
	_ = cmd.Process.Signal(how)
	if err := cmd.Wait(); how == syscall.SIGTERM && err != nil {
		b.t.Errorf("%s ended with %v", name, err)
	}
}

// The names of the box, and the sockets of each daemon, as the socket units name them.
const (
	siteName   = "visit.harbour.example"
	kioskName  = "kiosk.harbour.internal"
	tabletName = "tablet.harbour.internal"
	staffName  = "visits.harbour.example"
	setupName  = "sallyport.harbour.example"
	mediaName  = "media.harbour.example"
)

func (b *box) startBookingd() {
	b.run("bookingd", []string{"visitor", "kiosk", "staff", "setup"}, "--config", b.path("bookingd.toml"))
}

func (b *box) startSplit() {
	b.run("gatewayd-split", []string{"https-visitor", "https-kiosk", "https-kiosk-tablet", "https-staff", "names-kiosk"}, "split", "--config", b.path("split.toml"))
}

// openBox starts the box with an empty database.
func openBox(t *testing.T) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "bx") // a socket's path may be 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &box{t: t, dir: dir, trust: entrytest.New(t), tcp: map[string]string{}, running: map[string]*exec.Cmd{}}
	if _, err := vault.CreateCredentials(b.path("secrets"), append(vault.AllCredentials(), "recorder-key", "token-key")...); err != nil {
		t.Fatal(err)
	}
	for name, hosts := range map[string][]string{
		"visitor": {siteName}, "kiosk": {kioskName, tabletName}, "staff": {staffName}, "setup": {setupName}, "media": {mediaName}, "turn": {"turn.harbour.example"},
	} {
		b.trust.Write(b.path("secrets/tls-"+name), hosts...)
	}
	for _, name := range []string{"visitor", "kiosk", "staff", "signal-visitor", "signal-kiosk", "signal-staff", "turn-tls"} {
		ln, err := net.Listen("unix", b.path(name+".sock"))
		if err != nil {
			t.Fatal(err)
		}
		unix := ln.(*net.UnixListener)
		unix.SetUnlinkOnClose(false)
		b.keep(name, unix)
	}
	for name, at := range map[string]string{"https-visitor": "127.0.0.1", "https-kiosk": "127.0.0.2", "https-kiosk-tablet": "127.0.0.3", "https-staff": "127.0.0.4", "setup": "127.0.0.5"} {
		b.stream(name, at)
	}
	pc, err := net.ListenPacket("udp4", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	b.tcp["names-kiosk"] = pc.LocalAddr().String()
	b.keep("names-kiosk", pc.(*net.UDPConn))
	b.stream("turn-tcp", "127.0.0.1")
	both, err := net.ListenPacket("udp", "[::]:0") // of both kinds, as a socket unit with a port alone
	if err != nil {
		t.Fatal(err)
	}
	b.tcp["turn-udp"] = fmt.Sprintf("127.0.0.1:%d", both.LocalAddr().(*net.UDPAddr).Port)
	b.keep("turn-udp", both.(*net.UDPConn))
	b.configure()
	b.startBookingd()
	b.run("gatewayd", []string{"signal-visitor", "signal-kiosk", "signal-staff", "turn-tls", "turn-udp", "turn-tcp"}, "--config", b.path("gatewayd.toml"))
	b.startSplit()
	t.Cleanup(func() {
		for _, name := range []string{"gatewayd-split", "gatewayd", "bookingd"} {
			b.end(name, syscall.SIGTERM)
		}
	})
	return b
}

func (b *box) configure() {
	b.t.Helper()
	door := func(name, more string, origins ...string) string {
		text := fmt.Sprintf("[%s]\nlisten = \"\"\ntls = true\norigin = \"https://%s\"\n%s\n", name, origins[0], more)
		if len(origins) > 1 {
			text += fmt.Sprintf("origins = [\"https://%s\"]\n", origins[1])
		}
		return text
	}
	route := func(socket, name, to string) string {
		return fmt.Sprintf("[[route]]\nsocket = %q\nname = %q\nto = %q\n", socket, name, b.path(to+".sock"))
	}
	media := ""
	for i, d := range []string{"visitor", "kiosk", "staff"} {
		pc, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil {
			b.t.Fatal(err)
		}
		media += fmt.Sprintf("[[media]]\ndoors = [%q]\nlisten = %q\n", d, pc.LocalAddr())
		_ = pc.Close()
	}
	for name, text := range map[string]string{
		"bookingd": fmt.Sprintf("state = %q\nrecordings = %q\n[link]\nlisten = %q\n", b.path("booking"), b.path("gateway/recordings"), "unix:"+b.path("link.sock")) +
			door("visitor", "proxy = true\nlimit = 20", siteName) + door("kiosk", "proxy = true", kioskName, tabletName) +
			door("staff", "proxy = true", staffName) + door("setup", "by_address = true", setupName),
		"gatewayd": fmt.Sprintf("state = %q\nlink = %q\nproxy = true\ntls = true\nsignaling = \"\"\nturn_udp = \"\"\nturn_tcp = \"\"\n", b.path("gateway"), b.path("link.sock")) + media,
		"split": route("https-visitor", siteName, "visitor") + route("https-visitor", mediaName, "signal-visitor") + route("https-kiosk", kioskName, "kiosk") +
			route("https-kiosk-tablet", tabletName, "kiosk") + route("https-staff", staffName, "staff") +
			fmt.Sprintf("[[names]]\nsocket = \"names-kiosk\"\nname = %q\naddress = \"127.0.0.2\"\n", kioskName),
	} {
		if err := os.WriteFile(b.path(name+".toml"), []byte(text), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// get asks for a path by a name in a network, from an address of this machine, and returns the answer's status.
func (b *box) get(socket, name, path, from string) (int, error) {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: b.trust.Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			return d.DialContext(ctx, "tcp4", b.tcp[socket])
		},
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "https://"+name+path, nil)
	if err != nil {
		return 0, err
	}
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return res.StatusCode, nil
}

// must is get for an answer that is known.
func (b *box) must(want int, socket, name, path, from string) {
	b.t.Helper()
	if got, err := b.get(socket, name, path, from); err != nil || got != want {
		b.t.Errorf("%s of %s by %s: %d, %v, want %d", path, name, socket, got, err, want)
	}
}

func TestBoxBehindTheSplit(t *testing.T) {
	t.Parallel()
	b := openBox(t)
	slow := make(chan time.Duration, 1)
	go func() { slow <- b.greetSlowly() }()
	// The first request waits in systemd's sockets until the daemons are up.
	b.must(401, "https-visitor", siteName, "/api/visitor/session", "127.0.0.1")
	b.must(401, "https-kiosk", kioskName, "/api/kiosk/session", "127.0.0.2")
	b.must(401, "https-kiosk-tablet", tabletName, "/api/kiosk/session", "127.0.0.3")
	b.must(401, "https-staff", staffName, "/api/staff/session", "127.0.0.4")
	b.must(404, "https-visitor", siteName, "/api/staff/session", "127.0.0.1")
	b.must(403, "https-visitor", mediaName, "/signal", "127.0.0.1")
	// The setup door is on the management port itself, by name and by the address that was reached.
	_, setupPort, _ := net.SplitHostPort(b.tcp["setup"])
	b.must(401, "setup", setupName, "/api/setup/session", "127.0.0.1")
	if status, err := b.bare(setupPort); err != nil || status != 401 {
		t.Errorf("the setup door by its address: %d, %v", status, err)
	}
	for socket, name := range map[string]string{"https-visitor": kioskName, "https-kiosk": siteName, "https-staff": setupName, "https-kiosk-tablet": mediaName} {
		if status, err := b.get(socket, name, "/", "127.0.0.1"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s by %s: %d, %v", name, socket, status, err)
		}
	}
	// One address has used its requests up, another has not: bookingd sees who is in front of the split.
	var last int
	for range 30 {
		last, _ = b.get("https-visitor", siteName, "/api/visitor/session", "127.0.0.1")
	}
	if last != 429 {
		t.Errorf("30 requests of one address end with %d", last)
	}
	b.must(401, "https-visitor", siteName, "/api/visitor/session", "127.0.0.9")
	b.lookUp()
	b.askRelay("udp", b.tcp["turn-udp"])
	b.askRelay("tcp", b.tcp["turn-tcp"])
	// A daemon that was killed keeps its clients waiting, no more.
	b.end("bookingd", syscall.SIGKILL)
	waiting := make(chan error, 1)
	go func() {
		status, err := b.get("https-staff", staffName, "/api/staff/session", "127.0.0.4")
		if err == nil && status != 401 {
			err = fmt.Errorf("status %d", status)
		}
		waiting <- err
	}()
	b.startBookingd()
	if err := <-waiting; err != nil {
		t.Errorf("while bookingd was away: %v", err)
	}
	if took := <-slow; took < 4*time.Second || took > 15*time.Second {
		t.Errorf("a slow greeting was ended after %v, want about 5 s", took)
	}
	b.end("gatewayd-split", syscall.SIGKILL)
	b.startSplit()
	b.must(401, "https-kiosk", kioskName, "/api/kiosk/session", "127.0.0.2")
}

// greetSlowly says a byte of a greeting now and then until it is cut off, and returns how long that took.
func (b *box) greetSlowly() time.Duration {
	c, err := net.Dial("tcp4", b.tcp["https-visitor"])
	if err != nil {
		return 0
	}
	defer c.Close()
	if _, err := c.Write([]byte{22}); err != nil {
		return 0
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	// The clock runs from the split's first sight of it: the daemons are starting.
	began := time.Now()
	_, err = c.Read(make([]byte, 1))
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		return time.Hour
	}
	return time.Since(began)
}

// bare asks the setup door by the address alone. Its certificate is for a name, so the installer has to look at it.
func (b *box) bare(port string) (int, error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: b.trust.Pool(), ServerName: setupName, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(b.t.Context(), "GET", "https://127.0.0.5:"+port+"/api/setup/session", nil)
	if err != nil {
		return 0, err
	}
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return res.StatusCode, nil
}

// lookUp asks the responder of the kiosks' network for its name and for one of the world.
func (b *box) lookUp() {
	b.t.Helper()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp4", b.tcp["names-kiosk"])
	}}
	if found, err := r.LookupHost(b.t.Context(), kioskName+"."); err != nil || len(found) != 1 || found[0] != "127.0.0.2" {
		b.t.Errorf("%s is %v, %v", kioskName, found, err)
	}
	if found, err := r.LookupHost(b.t.Context(), "example.com."); err == nil {
		b.t.Errorf("example.com is %v", found)
	}
}

// askRelay asks the relay how it sees us.
func (b *box) askRelay(network, at string) {
	b.t.Helper()
	c, err := net.Dial(network, at)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw); err != nil {
		b.t.Fatal(err)
	}
	buf := make([]byte, 1500)
	n, err := c.Read(buf)
	if err != nil {
		b.t.Errorf("the relay over %s: %v", network, err)
		return
	}
	var seen stun.XORMappedAddress
	m := &stun.Message{Raw: buf[:n]}
	if err := errors.Join(m.Decode(), seen.GetFrom(m)); err != nil || seen.String() != c.LocalAddr().String() {
		b.t.Errorf("the relay over %s sees %v, %v, want %v", network, seen, err, c.LocalAddr())
	}
}

func TestSplitWithoutSockets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "split.toml")
	if err := os.WriteFile(path, []byte("[[route]]\nsocket = \"https-visitor\"\nname = \"a.example\"\nto = \"/run/x.sock\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := runs(t, "gatewayd", "split", "--check", "--config", path); code != 0 {
		t.Errorf("the check ended with %d: %s", code, said)
	}
	if code, said := runs(t, "gatewayd", "split", "--config", path); code != 1 || !strings.Contains(said, "systemd gave no socket") {
		t.Errorf("the split ended with %d: %s", code, said)
	}
	if err := os.WriteFile(path, []byte("[[route]]\nsocket = \"https-visitor\"\nname = \"A.example\"\nto = \"run/x.sock\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := runs(t, "gatewayd", "split", "--check", "--config", path); code != 78 || !strings.Contains(said, "route.0.name") {
		t.Errorf("the check of a wrong name ended with %d: %s", code, said)
	}
}
