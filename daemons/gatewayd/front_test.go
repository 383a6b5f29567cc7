package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/logging"
	"github.com/pion/turn/v4"

	"sallyport/appliance/entry/entrytest"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/signaling"
	"sallyport/appliance/signaling/signaltest"
	"sallyport/appliance/vault"
)

// The names and origins of the networks in these tests.
const (
	mediaName = "media.harbour.example"
	innerName = "media.harbour.internal"
	turnName  = "turn.harbour.example"
	visitors  = "https://visit.harbour.example"
	stations  = "https://kiosk.harbour.internal"
)

// front is a gatewayd behind a split that is a process of its own. This test is systemd: it holds the sockets.
type front struct {
	*daemon
	trust *entrytest.Authority
	split string                  // its configuration
	https map[string]*net.TCPAddr // by the socket's name
	names []string
	files []*os.File
	child *exec.Cmd
}

// network opens the socket of a network as systemd does: it stays when the process ends.
func (f *front) network(name, at string) {
	f.t.Helper()
	ln, err := net.Listen("tcp4", at+":0")
	if err != nil {
		f.t.Fatal(err)
	}
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _, _ = ln.Close(), file.Close() })
	f.https[name] = ln.Addr().(*net.TCPAddr)
	f.names, f.files = append(f.names, name), append(f.files, file)
}

func openFront(t *testing.T, b *booking) *front {
	t.Helper()
	b.keys.Origins = linkspec.Origins{Visitor: []string{visitors}, Kiosk: []string{stations}, Staff: []string{"https://staff.example"}}
	dir := filepath.Dir(b.socket)
	f := &front{
		daemon: &daemon{t: t, state: filepath.Join(t.TempDir(), "gateway"), config: filepath.Join(dir, "gatewayd.toml"), secrets: filepath.Join(dir, "secrets")},
		trust:  entrytest.New(t), split: filepath.Join(dir, "split.toml"), https: map[string]*net.TCPAddr{},
	}
	if _, err := vault.CreateCredentials(f.secrets, recorderKey, tokenKey); err != nil {
		t.Fatal(err)
	}
	f.trust.Write(filepath.Join(f.secrets, mediaCertificate), mediaName, innerName)
	f.trust.Write(filepath.Join(f.secrets, turnCertificate), turnName)
	text := fmt.Sprintf("state = %q\nlink = %q\nproxy = true\ntls = true\nsignaling = \"\"\nturn_udp = \"\"\nturn_tcp = \"\"\n", f.state, b.socket)
	for i, door := range doors() { // each network has its own address of this machine
		text += fmt.Sprintf("[[media]]\ndoors = [%q]\nlisten = \"127.0.0.%d:%s\"\n", door, i+1, portOf(freePort(t)))
	}
	route := func(socket, name, to string) string {
		return fmt.Sprintf("[[route]]\nsocket = %q\nname = %q\nto = %q\n", socket, name, filepath.Join(dir, to+".sock"))
	}
	for path, text := range map[string]string{
		f.config: text,
		f.split: route("https-visitor", mediaName, "signal-visitor") + route("https-visitor", turnName, "turn-tls") +
			route("https-kiosk", innerName, "signal-kiosk"),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.give = map[string]net.Listener{}
	for _, name := range []string{"signal-visitor", "signal-kiosk", "signal-staff", "turn-tls"} {
		ln, err := net.Listen("unix", filepath.Join(dir, name+".sock"))
		if err != nil {
			t.Fatal(err)
		}
		f.give[name] = ln
	}
	f.via = func(t *testing.T, door string) *signaltest.Client {
		c, err := f.dial(t, door, map[string]string{"visitor": visitors, "kiosk": stations}[door])
		if err != nil {
			t.Fatalf("dial signaling: %v", err)
		}
		return c
	}
	f.network("https-visitor", "127.0.0.1")
	f.network("https-kiosk", "127.0.0.2")
	f.start()
	f.startSplit()
	t.Cleanup(func() { f.endSplit(syscall.SIGTERM) })
	return f
}

func portOf(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// startSplit starts the process with the sockets, as systemd does.
func (f *front) startSplit() {
	f.t.Helper()
	me, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	f.child = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" split --config "$1"`, me, f.split)
	f.child.Env = append(os.Environ(), asProcess+"=1", fmt.Sprintf("LISTEN_FDS=%d", len(f.names)), "LISTEN_FDNAMES="+strings.Join(f.names, ":"))
	f.child.ExtraFiles = f.files
	f.child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	f.child.Stderr = f.t.Output()
	if err := f.child.Start(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *front) endSplit(how syscall.Signal) {
	if f.child == nil {
		return
	}
	child := f.child
	f.child = nil
	_ = child.Process.Signal(how)
	err := child.Wait()
	if how == syscall.SIGTERM && err != nil {
		f.t.Errorf("the split ended with %v", err)
	}
}

// client is a browser in the network of a door.
func (f *front) client(door string) *http.Client {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: f.trust.Pool(), MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp4", f.https["https-"+door].String())
		},
	}
	f.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (f *front) dial(t *testing.T, door, origin string) (*signaltest.Client, error) {
	name := map[string]string{"visitor": mediaName, "kiosk": innerName}[door]
	return signaltest.DialBy(t, f.client(door), "wss://"+name+signaling.Path, origin)
}

// A killed split costs signaling for a moment and media nothing; every seat has the address of its own network.
func TestSplitDiesDuringACall(t *testing.T) {
	b := openBooking(t)
	f := openFront(t, b)
	spec := b.spec(10 * time.Minute)
	b.command(linkspec.Command{Cmd: linkspec.CmdOpen, Call: spec.Call, Version: 1, Spec: &spec})
	v, wv, _ := enter(t, b, f.daemon, spec, 0, 'v')
	i, wi, _ := enter(t, b, f.daemon, spec, 1, 'i')
	eventually(t, "live", func() bool { return v.Phase() == "live" && i.Phase() == "live" })
	for c, want := range map[*client]string{v: " 127.0.0.1 ", i: " 127.0.0.2 "} {
		if line := candidate(c.answer); !strings.Contains(line, want) {
			t.Errorf("told the media address %q, want %s", line, want)
		}
	}
	f.endSplit(syscall.SIGKILL)
	<-v.Done()
	<-i.Done()
	eventually(t, "both lost", func() bool { return len(b.got(linkspec.SeatLost)) == 2 })
	sound, picture := len(v.peer.Seen("2")), len(i.peer.Seen("3"))
	eventually(t, "media without the split", func() bool {
		return len(v.peer.Seen("2")) > sound+100 && len(i.peer.Seen("3")) > picture+30
	})
	began := time.Now()
	f.startSplit()
	for door, w := range map[string]map[string]any{"visitor": wv, "kiosk": wi} {
		c := dialDoor(t, f.daemon, door)
		r := c.Ask(t, map[string]any{"t": "resume", "token": w["token"], "last": 3})
		if r["t"] != "welcome" || r["resumed"] != true || r["offer"] == true {
			t.Errorf("%s resumes: %v", door, r)
		}
	}
	eventually(t, "both back", func() bool { return len(b.got(linkspec.SeatBack)) == 2 })
	t.Logf("signaling again %v after the split's start", time.Since(began))
	if n := len(b.got(linkspec.RecordingGap)); n != 0 {
		t.Errorf("the recording has %d gaps", n)
	}
}

func candidate(sdp string) string {
	for line := range strings.Lines(sdp) {
		if strings.HasPrefix(line, "a=candidate") {
			return line
		}
	}
	return ""
}

// What a page of one network may do is not for the pages of another, whatever they say.
func TestNetworksAreKeptApart(t *testing.T) {
	b := openBooking(t)
	f := openFront(t, b)
	for _, tt := range []struct{ name, door, origin string }{
		{"a visitor's page in the kiosks' network", "kiosk", visitors},
		{"a kiosk's page from the internet", "visitor", stations},
		{"a stranger's page", "visitor", "https://elsewhere.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := map[string]string{"visitor": mediaName, "kiosk": innerName}[tt.door]
			_, res, err := websocket.Dial(t.Context(), "wss://"+name+signaling.Path, &websocket.DialOptions{
				HTTPClient: f.client(tt.door), Subprotocols: []string{signaling.Protocol}, HTTPHeader: http.Header{"Origin": {tt.origin}},
			})
			if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
				t.Errorf("dial: %v, %v", res, err)
			}
		})
	}
	conf := &tls.Config{RootCAs: f.trust.Pool(), ServerName: turnName, MinVersion: tls.VersionTLS12}
	if c, err := tls.Dial("tcp4", f.https["https-kiosk"].String(), conf); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("the relay from the kiosks' network: %v, %v", c, err)
	}
}

func seatOf(spec linkspec.Spec, role string) ident.Seat {
	for _, s := range spec.Seats {
		if s.Role == role {
			return s.Seat
		}
	}
	return ""
}

// silence is a log of pion's that nobody reads.
func silence() logging.LoggerFactory {
	l := logging.NewDefaultLoggerFactory()
	l.DefaultLogLevel = logging.LogLevelDisabled
	return l
}

// The relay over TLS sees its clients' own addresses, and only seats of calls may use it.
func TestRelayBehindTheSplit(t *testing.T) {
	b := openBooking(t)
	f := openFront(t, b)
	spec := b.spec(10 * time.Minute)
	b.command(linkspec.Command{Cmd: linkspec.CmdOpen, Call: spec.Call, Version: 1, Spec: &spec})
	enter(t, b, f.daemon, spec, 0, 'v')
	from, to := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	allocate := func(seat string) (relayed, mapped, own net.Addr, err error) {
		t.Helper()
		conf := &tls.Config{RootCAs: f.trust.Pool(), ServerName: turnName, MinVersion: tls.VersionTLS12}
		c, err := tls.Dial("tcp4", f.https["https-visitor"].String(), conf)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		user, pass := grant.Credential(b.keys.TURN[0], spec.Call, seatOf(spec, seat), "visitor", from, to)
		rc, err := turn.NewClient(&turn.ClientConfig{
			STUNServerAddr: "192.0.2.1:443", TURNServerAddr: "192.0.2.1:443", Conn: turn.NewSTUNConn(c), Username: user, Password: pass,
			LoggerFactory: silence(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := rc.Listen(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(rc.Close)
		if mapped, err = rc.SendBindingRequest(); err != nil {
			t.Fatal(err)
		}
		pc, err := rc.Allocate()
		if err != nil {
			return nil, mapped, c.LocalAddr(), err
		}
		t.Cleanup(func() { _ = pc.Close() })
		return pc.LocalAddr(), mapped, c.LocalAddr(), nil
	}
	relayed, mapped, own, err := allocate("visitor")
	if err != nil {
		t.Fatal(err)
	}
	if mapped.String() != own.String() {
		t.Errorf("the relay sees %s, the client is %s", mapped, own)
	}
	if !strings.HasPrefix(relayed.String(), "127.0.0.1:") {
		t.Errorf("relayed address %s", relayed)
	}
	if _, _, _, err := allocate("inmate"); err == nil { // not in, and of another door
		t.Error("an inmate's seat has an allocation")
	}
}
