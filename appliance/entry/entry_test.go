package entry_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/appliance/clock"
	"sallyport/appliance/entry"
	"sallyport/appliance/entry/entrytest"
	"sallyport/appliance/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	client = &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 40000}
	local  = &net.TCPAddr{IP: net.IPv4(10, 20, 0, 1), Port: 443}
)

// behind returns a listener behind the split, and the path of its socket.
func behind(t *testing.T, cert *entry.Certificate) (net.Listener, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "en") // a socket's path may be 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	inner, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := entry.Listen(inner, entry.Options{Proxied: true, Certificate: cert})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln, path
}

// dial connects to a socket and says the first words.
func dial(t *testing.T, path string, first []byte) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write(first); err != nil {
		t.Fatal(err)
	}
	return c
}

func header(t *testing.T) []byte {
	t.Helper()
	h, err := entry.Header(client, local)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// accepted returns the next connection.
func accepted(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestClientsAddressIsKept(t *testing.T) {
	for _, tt := range []struct {
		name          string
		client, local net.Addr
	}{
		{"IPv4", client, local},
		{"IPv6", &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 40000}, &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 443}},
		{"IPv4 on a socket of both kinds", &net.TCPAddr{IP: client.IP.To16(), Port: 40000}, &net.TCPAddr{IP: local.IP.To16(), Port: 443}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, path := behind(t, nil)
			h, err := entry.Header(tt.client, tt.local)
			if err != nil {
				t.Fatal(err)
			}
			there := dial(t, path, append(h, "hello"...))
			c := accepted(t, ln)
			if got := c.RemoteAddr().String(); got != tt.client.String() {
				t.Errorf("RemoteAddr = %s, want %s", got, tt.client)
			}
			if got := c.LocalAddr().String(); got != tt.local.String() {
				t.Errorf("LocalAddr = %s, want %s", got, tt.local)
			}
			buf := make([]byte, 5)
			if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" {
				t.Errorf("read %q, %v", buf, err)
			}
			if _, err := c.Write([]byte("reply")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(there, buf); err != nil || string(buf) != "reply" {
				t.Errorf("the client read %q, %v", buf, err)
			}
		})
	}
}

// What the split does not write is refused, and the next connection served.
func TestOtherHeadersAreRefused(t *testing.T) {
	good := header(t)
	change := func(at int, b byte) []byte {
		h := bytes.Clone(good)
		h[at] = b
		return h
	}
	withTLV := append(bytes.Clone(good), 0x04, 0, 1, 0)
	withTLV[15] += 4
	for _, tt := range []struct {
		name string
		said []byte
	}{
		{"none", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"version 1", []byte("PROXY TCP4 203.0.113.7 10.20.0.1 40000 443\r\n")},
		{"local", change(12, 0x20)},
		{"version 3", change(12, 0x31)},
		{"datagrams", change(13, 0x12)},
		{"unknown family", change(13, 0x00)},
		{"too short for its family", change(15, 4)},
		{"more than we write", withTLV},
		{"signature of another", change(3, 0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, path := behind(t, nil)
			c := dial(t, path, tt.said)
			fine := dial(t, path, good)
			if got := accepted(t, ln); got.RemoteAddr().String() != client.String() {
				t.Errorf("accepted %v", got.RemoteAddr())
			}
			_ = fine.Close()
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			if n, err := c.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
				t.Errorf("read %d, %v; want the end", n, err)
			}
		})
	}
}

// A connection that says nothing holds nobody up, and the listener's end ends it.
func TestSilentConnectionsWaitAlone(t *testing.T) {
	ln, path := behind(t, nil)
	silent := dial(t, path, nil)
	half := dial(t, path, header(t)[:9])
	dial(t, path, header(t))
	accepted(t, ln)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{silent, half} {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := c.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
			t.Errorf("read %d, %v; want the end", n, err)
		}
	}
	if _, err := ln.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}

func TestAddressesAreToldOnUnixSocketsOnly(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := entry.Listen(ln, entry.Options{Proxied: true}); !fault.Is(err, fault.Invalid) {
		t.Errorf("Listen = %v, want Invalid", err)
	}
	if _, err := entry.Header(&net.UnixAddr{Name: "x", Net: "unix"}, local); !fault.Is(err, fault.Invalid) {
		t.Errorf("Header of a unix socket = %v, want Invalid", err)
	}
}

func certificate(t *testing.T, path string, c clock.Clock) *entry.Certificate {
	t.Helper()
	cert, err := entry.OpenCertificate(path, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestTLSBehindTheSplit(t *testing.T) {
	a, path := entrytest.New(t), filepath.Join(t.TempDir(), "tls-visitor")
	a.Write(path, "visit.example")
	ln, socket := behind(t, certificate(t, path, clock.Real{}))
	came := make(chan string, 10)
	go func() {
		defer close(came)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			came <- c.RemoteAddr().String()
			_ = c.Close()
		}
	}()
	for _, tt := range []struct {
		name   string
		change func(*tls.Config)
		want   bool
	}{
		{"1.3", func(*tls.Config) {}, true},
		{"1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		{"1.2 without authentication of what is sent", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, false},
		{"1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := &tls.Config{RootCAs: a.Pool(), ServerName: "visit.example", NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
			tt.change(conf)
			c := tls.Client(dial(t, socket, header(t)), conf)
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			err := c.Handshake()
			if (err == nil) != tt.want {
				t.Fatalf("handshake: %v", err)
			}
			if err != nil {
				return
			}
			if p := c.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
				t.Errorf("agreed on %q", p)
			}
			if got := <-came; got != client.String() {
				t.Errorf("RemoteAddr = %s, want %s", got, client)
			}
		})
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if got, more := <-came; more {
		t.Errorf("a refused client from %s was let in", got)
	}
}

// A facility brings the certificate of the internet's name; its own authority vouches for the others of the same door.
func TestEachNameHasItsCertificate(t *testing.T) {
	brought, own, dir := entrytest.New(t), entrytest.New(t), t.TempDir()
	brought.Write(filepath.Join(dir, "brought"), "media.example")
	own.Write(filepath.Join(dir, "own"), "media.kiosk.internal")
	var both []byte
	for _, name := range []string{"brought", "own"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	path := filepath.Join(dir, "tls-media")
	if err := os.WriteFile(path, both, 0o600); err != nil {
		t.Fatal(err)
	}
	ln, socket := behind(t, certificate(t, path, clock.Real{}))
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	for name, by := range map[string]*entrytest.Authority{"media.example": brought, "media.kiosk.internal": own} {
		c := tls.Client(dial(t, socket, header(t)), &tls.Config{RootCAs: by.Pool(), ServerName: name, MinVersion: tls.VersionTLS12})
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if err := c.Handshake(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCertificateIsReplaced(t *testing.T) {
	a, path := entrytest.New(t), filepath.Join(t.TempDir(), "tls-media")
	a.Write(path, "old.example")
	fake := clock.NewFake(time.Now())
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := entry.Listen(inner, entry.Options{Certificate: certificate(t, path, fake)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // whoever is accepted is closed at once
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	shown := func() string {
		t.Helper()
		c, err := tls.Dial("tcp", inner.Addr().String(), &tls.Config{RootCAs: a.Pool(), InsecureSkipVerify: true}) // its name is what is looked at
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	if got := shown(); got != "old.example" {
		t.Fatalf("shows %s", got)
	}
	a.Write(path, "the.new.example")
	if got := shown(); got != "old.example" {
		t.Errorf("shows %s within the time", got)
	}
	fake.Advance(10 * time.Second)
	if got := shown(); got != "the.new.example" {
		t.Errorf("shows %s after the file was replaced", got)
	}
	if err := os.WriteFile(path, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	fake.Advance(10 * time.Second)
	if got := shown(); got != "the.new.example" {
		t.Errorf("shows %s after the file was broken", got)
	}
}

func TestCertificateIsNamedWhenItIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tls-kiosk")
	for _, content := range []string{"", "nonsense"} {
		if content != "" {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := entry.OpenCertificate(path, clock.Real{}, slog.New(slog.DiscardHandler))
		if fault.CodeOf(err) != "config.credential" || !bytes.Contains([]byte(err.Error()), []byte("tls-kiosk")) {
			t.Errorf("OpenCertificate of %q = %v", content, err)
		}
	}
}
