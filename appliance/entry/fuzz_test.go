package entry

import (
	"bytes"
	"net"
	"testing"
)

// spoken is a connection on which everything was said already.
type spoken struct {
	net.Conn
	in *bytes.Reader
}

func (s spoken) Read(b []byte) (int, error) { return s.in.Read(b) }

// FuzzHeader holds that whatever is taken for a header has two addresses of TCP, and that nothing behind it is lost.
func FuzzHeader(f *testing.F) {
	for _, ips := range [][2]string{{"203.0.113.7", "10.20.0.1"}, {"2001:db8::7", "2001:db8::1"}} {
		h, err := Header(&net.TCPAddr{IP: net.ParseIP(ips[0]), Port: 40000}, &net.TCPAddr{IP: net.ParseIP(ips[1]), Port: 443})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(h, "hello"...))
		f.Add(h[:len(h)-1])
	}
	f.Add([]byte("PROXY TCP4 203.0.113.7 10.20.0.1 40000 443\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		c, err := unwrap(spoken{in: bytes.NewReader(said)})
		if err != nil {
			return
		}
		head, err := Header(c.RemoteAddr(), c.LocalAddr())
		if err != nil {
			t.Fatalf("took a header of %v and %v", c.RemoteAddr(), c.LocalAddr())
		}
		rest := make([]byte, len(said))
		n, _ := c.Read(rest)
		if got := n + c.(*proxied).in.Buffered(); len(said) <= 512 && got > len(said)-16 {
			t.Errorf("%d bytes left of %d behind a header of %d", got, len(said), len(head))
		}
		if !bytes.HasSuffix(said, rest[:n]) && len(said) <= 512 {
			t.Errorf("read %q behind the header", rest[:n])
		}
	})
}
