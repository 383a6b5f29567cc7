package relay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"sallyport/appliance/ident"
)

// Limits of a TCP or TLS client.
const (
	firstFrame = 10 * time.Second // to say something at all, TLS handshake included
	nextFrame  = 11 * time.Minute // an allocation is refreshed within 10
	writeFrame = 5 * time.Second
	acceptWait = 50 * time.Millisecond // after a passing error, such as no file descriptors
)

// guardedListener is a TCP or TLS listener as pion may see it.
type guardedListener struct {
	net.Listener
	limit   int
	refused func(ident.Call, ident.Seat, string)
	done    chan struct{}

	mu     sync.Mutex // guards the rest
	open   map[*guardedStream]netip.Addr
	closed bool
}

func newGuardedListener(l net.Listener, limit int, refused func(ident.Call, ident.Seat, string)) *guardedListener {
	return &guardedListener{Listener: l, limit: limit, refused: refused, done: make(chan struct{}), open: map[*guardedStream]netip.Addr{}}
}

// Accept returns the next connection within the limits. pion ends with the first error, so passing ones are waited out.
func (g *guardedListener) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			select {
			case <-g.done:
				return nil, net.ErrClosed
			case <-time.After(acceptWait):
			}
			continue
		}
		s := &guardedStream{Conn: c, g: g, in: bufio.NewReaderSize(c, 4<<10), wait: firstFrame}
		if !g.enter(s, sourceOf(c.RemoteAddr())) {
			c.Close()
			g.refused("", "", "source")
			continue
		}
		return s, nil
	}
}

func (g *guardedListener) enter(s *guardedStream, source netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	same := 0
	for _, a := range g.open {
		same += count(a == source)
	}
	if g.closed || len(g.open) >= g.limit || same >= perSource {
		return false
	}
	g.open[s] = source
	return true
}

// Close closes the listener; connections stay until closeAll.
func (g *guardedListener) Close() error { return g.Listener.Close() }

// closeAll closes every connection.
func (g *guardedListener) closeAll() {
	g.mu.Lock()
	if !g.closed {
		close(g.done)
	}
	g.closed = true
	all := make([]*guardedStream, 0, len(g.open))
	for s := range g.open {
		all = append(all, s)
	}
	g.mu.Unlock()
	for _, s := range all {
		s.Close()
	}
}

// guardedStream is one connection. Each Read returns one whole message that pion may see.
type guardedStream struct {
	net.Conn
	g    *guardedListener
	in   *bufio.Reader
	wait time.Duration
}

var errFrame = errors.New("relay: not a TURN frame")

// Read returns the next message. A stream that is not TURN, or a message longer than p, ends the connection.
func (s *guardedStream) Read(p []byte) (int, error) {
	for {
		if err := s.SetReadDeadline(time.Now().Add(s.wait)); err != nil {
			return 0, err
		}
		head, err := s.in.Peek(4)
		if err != nil {
			return 0, err
		}
		n := 4 + (int(binary.BigEndian.Uint16(head[2:]))+3)&^3 // channel data is padded on streams
		if head[0]&0xC0 == 0 {
			n = 20 + int(binary.BigEndian.Uint16(head[2:]))
		} else if head[0]&0xC0 != 0x40 {
			return 0, errFrame
		}
		if n > len(p) {
			return 0, errFrame
		}
		if _, err := io.ReadFull(s.in, p[:n]); err != nil {
			return 0, err
		}
		v := judge(p[:n])
		if v.cause != "" {
			s.g.refused("", "", v.cause)
		}
		switch {
		case v.pass:
			s.wait = nextFrame
			return n, nil
		case v.code != 0:
			if _, err := s.Write(answer(p[:n], v.code)); err != nil {
				return 0, err
			}
		default:
			return 0, errFrame
		}
	}
}

// Write sends a message. A client that does not take it in time is gone: it must not hold the relay up.
func (s *guardedStream) Write(p []byte) (int, error) {
	if err := s.SetWriteDeadline(time.Now().Add(writeFrame)); err != nil {
		return 0, err
	}
	n, err := s.Conn.Write(p)
	if err != nil {
		s.Close()
	}
	return n, err
}

// Close closes the connection and gives its place back.
func (s *guardedStream) Close() error {
	s.g.mu.Lock()
	delete(s.g.open, s)
	s.g.mu.Unlock()
	return s.Conn.Close()
}
