package split

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// spoken is a connection on which everything was said already.
type spoken struct {
	net.Conn
	in io.Reader
}

func (s spoken) Read(b []byte) (int, error) { return s.in.Read(b) }

// heard keeps what is written, and answers nothing.
type heard struct {
	net.Conn
	said bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) { return h.said.Write(b) }
func (h *heard) Read([]byte) (int, error)    { return 0, io.EOF }
func (h *heard) Close() error                { return nil }

// A greeting that goes on and on, each record as it should be, is not read beyond 16 KiB.
func TestGreetingHasALimit(t *testing.T) {
	said := append([]byte{22, 3, 1, 0x20, 0, 1, 0, 0xff, 0xff}, make([]byte, 0x2000-4)...)
	for range 7 {
		said = append(append(said, 22, 3, 1, 0x20, 0), make([]byte, 0x2000)...)
	}
	whole := bytes.NewReader(said)
	_, _, err := hello(spoken{in: whole})
	if read := len(said) - whole.Len(); err == nil || read > 16<<10 || read < 12<<10 {
		t.Errorf("%d bytes were read, %v", read, err)
	}
}

// FuzzHello holds that every byte is passed on that was read to understand a greeting, and that no more is read than the
// limit, in whatever pieces it comes.
func FuzzHello(f *testing.F) {
	for _, name := range []string{"visit.example", "Media.Example", strings.Repeat("a.", 120) + "example", ""} {
		h := &heard{}
		err := tls.Client(h, &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}).Handshake()
		if !errors.Is(err, io.EOF) {
			f.Fatal(err)
		}
		f.Add(h.said.Bytes(), uint8(0))
		f.Add(append(bytes.Clone(h.said.Bytes()), "early data"...), uint8(3))
		f.Add(h.said.Bytes()[:h.said.Len()/2], uint8(1))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(0))
	f.Fuzz(func(t *testing.T, said []byte, piece uint8) {
		whole := bytes.NewReader(said)
		name, read, err := hello(spoken{in: pieces{whole, int(piece)}})
		if len(said)-whole.Len() > maxHello {
			t.Errorf("%d bytes were read", len(said)-whole.Len())
		}
		if err != nil {
			return
		}
		if !bytes.Equal(read, said[:len(said)-whole.Len()]) {
			t.Errorf("%d bytes are passed on, %d were read", len(read), len(said)-whole.Len())
		}
		if name != strings.ToLower(name) || len(name) > maxHello {
			t.Errorf("the name is %q", name)
		}
	})
}

// pieces reads at most n bytes at once, all when n is 0.
type pieces struct {
	in io.Reader
	n  int
}

func (p pieces) Read(b []byte) (int, error) {
	if p.n > 0 {
		b = b[:min(p.n, len(b))]
	}
	return p.in.Read(b)
}
