package split_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/clock"
	"sallyport/appliance/entry"
	"sallyport/appliance/entry/entrytest"
	"sallyport/appliance/fault"
	"sallyport/appliance/split"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// box is a split of two networks with a server of each door behind it, which tells its name and who asked.
type box struct {
	t       *testing.T
	dir     string
	trust   *entrytest.Authority
	split   *split.Server
	https   map[string]string // address of each socket
	stop    func()
	stopped chan error
}

const patience = 20 * time.Second

func open(t *testing.T, change func(*split.Server)) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "sp") // a socket's path may be 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &box{t: t, dir: dir, trust: entrytest.New(t), https: map[string]string{}, stopped: make(chan error, 1)}
	b.trust.Write(filepath.Join(dir, "pem"), "visit.example", "media.example", "kiosk.internal")
	sockets := map[string]net.Listener{}
	for _, name := range []string{"https-visitor", "https-kiosk"} {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		sockets[name], b.https[name] = ln, ln.Addr().String()
	}
	b.split, err = split.New(sockets, []split.Route{
		{Socket: "https-visitor", Name: "visit.example", To: b.path("visitor")},
		{Socket: "https-visitor", Name: "media.example", To: b.path("signal")},
		{Socket: "https-visitor", Name: "away.example", To: b.path("away")},
		{Socket: "https-kiosk", Name: "kiosk.internal", To: b.path("kiosk")},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(b.split)
	}
	for _, door := range []string{"visitor", "signal", "kiosk"} {
		b.serve(door)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	go func() { b.stopped <- b.split.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-b.stopped; err != nil {
			t.Error(err)
		}
		b.stopped <- nil
	})
	return b
}

func (b *box) path(door string) string { return filepath.Join(b.dir, door) }

// serve answers each line with the door's name, who asked and the line; "end" is answered by half an end.
func (b *box) serve(door string) {
	b.t.Helper()
	inner, err := net.Listen("unix", b.path(door))
	if err != nil {
		b.t.Fatal(err)
	}
	cert, err := entry.OpenCertificate(filepath.Join(b.dir, "pem"), clock.Real{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	ln, err := entry.Listen(inner, entry.Options{Proxied: true, Certificate: cert})
	if err != nil {
		b.t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if _, err := io.WriteString(c, door+" "+c.RemoteAddr().String()+" "+lines.Text()+"\n"); err != nil {
						return
					}
				}
			}()
		}
	}()
	b.t.Cleanup(func() { _ = ln.Close(); <-over })
}

// raw connects to a network's port.
func (b *box) raw(socket string) net.Conn {
	b.t.Helper()
	c, err := net.Dial("tcp4", b.https[socket])
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

func (b *box) config(name string) *tls.Config {
	return &tls.Config{RootCAs: b.trust.Pool(), ServerName: name, MinVersion: tls.VersionTLS12}
}

// ask says a line over TLS on a connection and returns the answer.
func ask(t *testing.T, c net.Conn, line string) string {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(said)
}

func TestNamesFindTheirDoors(t *testing.T) {
	b := open(t, nil)
	for _, tt := range []struct{ socket, name, door string }{
		{"https-visitor", "visit.example", "visitor"},
		{"https-visitor", "Media.EXAMPLE", "signal"},
		{"https-kiosk", "kiosk.internal", "kiosk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := b.raw(tt.socket)
			c := tls.Client(raw, b.config(tt.name))
			want := tt.door + " " + raw.LocalAddr().String() + " hello"
			if got := ask(t, c, "hello"); got != want {
				t.Errorf("answered %q, want %q", got, want)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if n := b.split.Counts(); n.Unknown+n.Silent+n.Refused+n.Unserved != 0 {
		t.Errorf("counted %+v", n)
	}
}

// A name of another network, or none, is answered with the alert that says so, and the door hears nothing.
func TestOtherNamesAreRefused(t *testing.T) {
	b := open(t, nil)
	for i, name := range []string{"kiosk.internal", "elsewhere.example", "example", ""} {
		conf := b.config(name)
		conf.InsecureSkipVerify = name == "" // without a name there is nothing to compare with
		err := tls.Client(b.raw("https-visitor"), conf).Handshake()
		if alert, ok := errors.AsType[*net.OpError](err); !ok || !strings.Contains(alert.Err.Error(), "unrecognized name") {
			t.Errorf("%q: %v", name, err)
		}
		if n := b.split.Counts(); n.Unknown != int64(i)+1 {
			t.Errorf("%q: counted %+v", name, n)
		}
	}
}

// slice hands every byte to the network by itself, and TLS records of a few bytes each.
type slice struct {
	net.Conn
	records bool
	begun   bool
}

func (s *slice) Write(b []byte) (int, error) {
	out := b
	if s.records && !s.begun { // the greeting is one record: make many of it
		s.begun = true
		out = nil
		for body := b[5:]; len(body) > 0; body = body[min(7, len(body)):] {
			part := body[:min(7, len(body))]
			out = append(append(out, b[0], b[1], b[2], 0, byte(len(part))), part...)
		}
	}
	for i := range out {
		if _, err := s.Conn.Write(out[i : i+1]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func TestGreetingInPieces(t *testing.T) {
	b := open(t, nil)
	for _, records := range []bool{false, true} {
		raw := b.raw("https-visitor")
		if err := raw.(*net.TCPConn).SetNoDelay(true); err != nil {
			t.Fatal(err)
		}
		c := tls.Client(&slice{Conn: raw, records: records}, b.config("visit.example"))
		if got := ask(t, c, "hello"); !strings.HasPrefix(got, "visitor ") {
			t.Errorf("records cut %v: answered %q", records, got)
		}
	}
}

func ends(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c); n != 0 || os.IsTimeout(err) {
		t.Errorf("read %d bytes, %v; want the end", n, err)
	}
}

// B27: who greets slowly, too long or not at all is dropped, and others are served meanwhile.
func TestBadGreetings(t *testing.T) {
	b := open(t, func(s *split.Server) { s.Shorten(time.Second, 100) })
	silent, slow := b.raw("https-visitor"), b.raw("https-visitor")
	if _, err := slow.Write([]byte{22, 3, 1, 2, 0, 1}); err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{
		"GET / HTTP/1.1\r\nHost: visit.example\r\n\r\n",
		"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",                           // a ServerHello
		"\x16\x03\x01\x40\x00\x01\x00\xff\xff" + strings.Repeat("x", 20<<10), // longer than any greeting
	} {
		c := b.raw("https-visitor")
		_, _ = io.WriteString(c, said) // it may be closed already
		cut(t, c)
	}
	if got := ask(t, tls.Client(b.raw("https-visitor"), b.config("visit.example")), "hello"); !strings.HasPrefix(got, "visitor ") {
		t.Errorf("meanwhile: %q", got)
	}
	ends(t, silent)
	ends(t, slow)
	if n := b.split.Counts(); n.Silent != 5 {
		t.Errorf("counted %+v, want 5 silent", n)
	}
}

// cut is ends for a connection that may be reset, because more was written than was read.
func cut(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
		t.Errorf("read %d bytes, %v; want the end", n, err)
	}
}

func TestOneAddressCannotTakeAll(t *testing.T) {
	b := open(t, func(s *split.Server) { s.Shorten(patience, 3) })
	var held []net.Conn
	for range 3 {
		c := tls.Client(b.raw("https-visitor"), b.config("visit.example"))
		ask(t, c, "hello")
		held = append(held, c)
	}
	cut(t, b.raw("https-visitor"))
	if n := b.split.Counts(); n.Open != 3 || n.Refused != 1 {
		t.Errorf("counted %+v, want 3 open, 1 refused", n)
	}
	if err := held[0].Close(); err != nil {
		t.Fatal(err)
	}
	doortest.Eventually(t, patience, "a place", func() bool { return b.split.Counts().Open == 2 })
	if got := ask(t, tls.Client(b.raw("https-visitor"), b.config("visit.example")), "hello"); !strings.HasPrefix(got, "visitor ") {
		t.Errorf("after one left: %q", got)
	}
}

// A door that is away costs that door's clients their connection, and nobody else.
func TestDoorAway(t *testing.T) {
	b := open(t, nil)
	if err := tls.Client(b.raw("https-visitor"), b.config("away.example")).Handshake(); err == nil {
		t.Error("a door that is not there answers")
	}
	doortest.Eventually(t, patience, "the count", func() bool { return b.split.Counts().Unserved == 1 })
	if got := ask(t, tls.Client(b.raw("https-visitor"), b.config("visit.example")), "hello"); !strings.HasPrefix(got, "visitor ") {
		t.Errorf("another door: %q", got)
	}
}

// One side may end while the other still speaks.
func TestHalfAnEnd(t *testing.T) {
	b := open(t, nil)
	inner, err := net.Listen("unix", b.path("away"))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := entry.Listen(inner, entry.Options{Proxied: true})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	greeting := record(t, "away.example")
	c := b.raw("https-visitor")
	if _, err := c.Write(append(greeting, "and more"...)); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	said, err := io.ReadAll(server)
	if err != nil || string(said) != string(greeting)+"and more" {
		t.Fatalf("the door heard %d bytes, %v; want %d", len(said), err, len(greeting)+8)
	}
	if _, err := io.WriteString(server, "the answer"); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	if got, err := io.ReadAll(c); err != nil || string(got) != "the answer" {
		t.Errorf("the client heard %q, %v", got, err)
	}
	doortest.Eventually(t, patience, "the end", func() bool { return b.split.Counts().Open == 0 })
}

// At the end a reply in flight is finished, then the rest is closed.
func TestEndWaitsForReplies(t *testing.T) {
	b := open(t, nil)
	c := tls.Client(b.raw("https-visitor"), b.config("visit.example"))
	ask(t, c, "hello")
	silent := b.raw("https-visitor")
	doortest.Eventually(t, patience, "both", func() bool { return b.split.Counts().Open == 2 })
	b.stop()
	ends(t, silent)
	if got := ask(t, c, "still there"); !strings.HasSuffix(got, "still there") {
		t.Errorf("answered %q", got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-b.stopped:
		b.stopped <- err
	case <-time.After(patience):
		t.Error("it does not end")
	}
}

func TestRoutesNeedTheirSockets(t *testing.T) {
	_, err := split.New(nil, []split.Route{{Socket: "https-staff", Name: "a.example", To: "/x"}}, slog.New(slog.DiscardHandler))
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("New = %v, want Invalid", err)
	}
}

// record returns the greeting that a client sends for a name.
func record(t testing.TB, name string) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		_ = tls.Client(far, &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}).Handshake()
		_ = far.Close()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(near, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(near, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}
