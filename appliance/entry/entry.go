// Package entry owns how a connection comes in: the client's address, which the split of port 443 tells in a PROXY
// header, and the end of TLS.
//
// It must not know what is served. A server that listens through [Listen] gets connections that are ready: the header is
// read, the handshake is done, and RemoteAddr and LocalAddr are those of the client's own connection. Who is slow at
// either waits in a goroutine of its own and holds nobody up.
package entry

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"

	"sallyport/appliance/fault"
)

// Limits of a connection that is coming in.
const (
	headerWithin    = 5 * time.Second // the split writes it first of all
	handshakeWithin = 10 * time.Second
	maxComing       = 4096                  // at once; who comes on top is closed
	acceptWait      = 50 * time.Millisecond // after a passing error, such as no file descriptors
)

// Options say what stands before the protocol itself.
type Options struct {
	Proxied     bool         // a PROXY header of version 2
	Certificate *Certificate // TLS with it; nil: none
}

// Listen returns a listener of connections that are ready. It takes ln over. It returns Invalid for a PROXY header on
// anything but a unix socket: there the socket's group decides who may tell a client's address, elsewhere anybody could.
func Listen(ln net.Listener, o Options) (net.Listener, error) {
	if o.Proxied && ln.Addr().Network() != "unix" {
		return nil, fault.New("entry.Listen", fault.Invalid, "A client's address is told on unix sockets only.").WithCode("config.proxy")
	}
	l := &listener{
		Listener: ln, proxied: o.Proxied, ready: make(chan net.Conn), closed: make(chan struct{}), over: make(chan struct{}),
		coming: map[net.Conn]struct{}{},
	}
	if o.Certificate != nil {
		l.tls = o.Certificate.config()
	}
	return l, nil
}

type listener struct {
	net.Listener
	proxied bool
	tls     *tls.Config
	ready   chan net.Conn
	closed  chan struct{} // by Close
	over    chan struct{} // nothing more is accepted, for the reason in err
	err     error
	begin   sync.Once
	wg      sync.WaitGroup

	mu     sync.Mutex // guards the rest
	coming map[net.Conn]struct{}
	ended  bool
}

// Accept returns the next connection that is ready. The first call begins to accept.
func (l *listener) Accept() (net.Conn, error) {
	l.begin.Do(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.ended {
			l.err = net.ErrClosed
			close(l.over)
			return
		}
		l.wg.Go(l.accept)
	})
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.over:
		return nil, l.err
	}
}

// accept takes connections until the socket is closed. Servers end with the first error, so passing ones are waited out.
func (l *listener) accept() {
	defer close(l.over)
	for {
		c, err := l.Listener.Accept()
		if err != nil && !errors.Is(err, net.ErrClosed) {
			select {
			case <-l.closed:
				err = net.ErrClosed
			case <-time.After(acceptWait):
				continue
			}
		}
		if err != nil {
			l.err = err
			return
		}
		if !l.enter(c) {
			_ = c.Close()
			continue
		}
		l.wg.Go(func() {
			defer l.leave(c)
			l.admit(c)
		})
	}
}

func (l *listener) enter(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || len(l.coming) >= maxComing {
		return false
	}
	l.coming[c] = struct{}{}
	return true
}

func (l *listener) leave(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.coming, c)
}

// admit makes a connection ready and hands it over. One that is not what it should be is closed without a word in the log:
// anybody can make such a one.
func (l *listener) admit(raw net.Conn) {
	c, err := l.prepare(raw)
	if err != nil {
		_ = raw.Close()
		return
	}
	select {
	case l.ready <- c:
	case <-l.closed:
		_ = raw.Close()
	}
}

func (l *listener) prepare(raw net.Conn) (net.Conn, error) {
	c := raw
	if l.proxied {
		if err := raw.SetDeadline(time.Now().Add(headerWithin)); err != nil {
			return nil, err
		}
		var err error
		if c, err = unwrap(raw); err != nil {
			return nil, err
		}
	}
	if l.tls != nil {
		if err := raw.SetDeadline(time.Now().Add(handshakeWithin)); err != nil {
			return nil, err
		}
		t := tls.Server(c, l.tls)
		if err := t.Handshake(); err != nil {
			return nil, err
		}
		c = t
	}
	return c, raw.SetDeadline(time.Time{})
}

// Close closes the socket and every connection that is not handed over yet.
func (l *listener) Close() error {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return nil
	}
	l.ended = true
	close(l.closed)
	err := l.Listener.Close()
	for c := range l.coming {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
	return err
}

// proxied is a connection behind the split.
type proxied struct {
	net.Conn
	in            *bufio.Reader
	client, local net.Addr
}

// Read returns what follows the header.
func (p *proxied) Read(b []byte) (int, error) { return p.in.Read(b) }

// RemoteAddr is the client's address as the split saw it.
func (p *proxied) RemoteAddr() net.Addr { return p.client }

// LocalAddr is the address of this machine that the client reached.
func (p *proxied) LocalAddr() net.Addr { return p.local }

var errHeader = errors.New("entry: not a header of the split")

// unwrap reads the header. Only what the split writes is taken: version 2, a client's TCP connection, nothing after it.
func unwrap(c net.Conn) (net.Conn, error) {
	in := bufio.NewReaderSize(c, 512)
	h, err := proxyproto.Read(in)
	if err != nil {
		return nil, err
	}
	more, err := h.TLVs()
	if err != nil {
		return nil, err
	}
	client, local, ok := h.TCPAddrs()
	if h.Version != 2 || h.Command != proxyproto.PROXY || !ok || len(more) > 0 {
		return nil, errHeader
	}
	return &proxied{Conn: c, in: in, client: client, local: local}, nil
}

// Header is what the split writes before the first byte of a client's connection. It returns Invalid for addresses that
// are not of TCP.
func Header(client, local net.Addr) ([]byte, error) {
	h := proxyproto.HeaderProxyFromAddrs(2, client, local)
	if h.Command != proxyproto.PROXY || !h.TransportProtocol.IsStream() {
		return nil, fault.New("entry.Header", fault.Invalid, "This is no connection of TCP.")
	}
	return h.Format()
}
