// Package split owns port 443: it reads which name a TLS client asks for and hands the connection on to whoever serves that
// name in that network, with the client's address in front.
//
// It must not end TLS, and has no keys; it knows no door, no session and no person. It opens no connection but to unix
// sockets. Each network has a listener of its own and each listener its own names: what one network may ask for, another
// need not know.
//
// The life of a connection: a greeting of at most 16 KiB within 5 seconds, a route, a PROXY header, then bytes both ways
// until both sides have ended.
package split

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"sallyport/appliance/entry"
	"sallyport/appliance/fault"
)

// Limits. A browser keeps up to six connections and an event stream; carrier NAT shares addresses.
const (
	helloWithin = 5 * time.Second
	dialWithin  = 5 * time.Second
	lingerFor   = time.Minute           // for the second half of a connection whose first has ended
	drainFor    = 2 * time.Second       // for replies in flight at the end; new clients wait in systemd's queue meanwhile
	acceptWait  = 50 * time.Millisecond // after a passing error, such as no file descriptors
	perAddress  = 400
	perSocket   = 4000 // a flood from one network must not shut out the others
)

// Route is who serves a name in one network.
type Route struct {
	Socket string // the listener, by its name
	Name   string // lower case
	To     string // a unix socket
}

// Server hands connections on.
type Server struct {
	sockets map[string]net.Listener
	routes  map[string]map[string]string // to, by socket and name
	log     *slog.Logger
	hello   time.Duration
	address int // connections of one address

	mu     sync.Mutex // guards the rest
	open   map[string]map[*conn]struct{}
	by     map[netip.Addr]int
	ended  bool
	counts Counts
	conns  sync.WaitGroup
}

// Counts are what has been done since the start, and what is open now.
type Counts struct {
	Open     int
	Unknown  int64 // asked for a name that is not served there
	Silent   int64 // no greeting in time, or none at all
	Refused  int64 // too many at once
	Unserved int64 // whoever serves the name did not take it
}

// conn is a client's connection and, once it has one, its other side.
type conn struct {
	client net.Conn
	server net.Conn
	source netip.Addr
}

// New returns a server over listeners, which it takes over. It returns Invalid for a route of a socket that is not there.
func New(sockets map[string]net.Listener, routes []Route, log *slog.Logger) (*Server, error) {
	s := &Server{
		sockets: sockets, routes: map[string]map[string]string{}, log: log, hello: helloWithin, address: perAddress,
		open: map[string]map[*conn]struct{}{}, by: map[netip.Addr]int{},
	}
	for name := range sockets {
		s.routes[name], s.open[name] = map[string]string{}, map[*conn]struct{}{}
	}
	for _, r := range routes {
		names, ok := s.routes[r.Socket]
		if !ok {
			return nil, fault.Newf("split.New", fault.Invalid, "There is no socket %s.", r.Socket)
		}
		names[strings.ToLower(r.Name)] = r.To
	}
	return s, nil
}

// Serve hands connections on until ctx ends. Then those under way get a moment to finish.
func (s *Server) Serve(ctx context.Context) error {
	var accepting sync.WaitGroup
	for name, ln := range s.sockets {
		accepting.Go(func() { s.accept(ctx, name, ln) })
	}
	<-ctx.Done()
	var errs []error
	for _, ln := range s.sockets {
		errs = append(errs, ln.Close())
	}
	accepting.Wait()
	s.drain()
	return errors.Join(errs...)
}

// drain waits for connections, then closes them.
func (s *Server) drain() {
	gone := make(chan struct{})
	go func() { defer close(gone); s.conns.Wait() }()
	s.closeAll(func(c *conn) bool { return c.server == nil }) // has not even said where to
	select {
	case <-gone:
	case <-time.After(drainFor):
		s.closeAll(func(*conn) bool { return true })
		<-gone
	}
}

func (s *Server) closeAll(which func(*conn) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, all := range s.open {
		for c := range all {
			if which(c) {
				c.close()
			}
		}
	}
}

func (c *conn) close() {
	_ = c.client.Close()
	if c.server != nil {
		_ = c.server.Close()
	}
}

// accept takes a network's connections until its listener is closed.
func (s *Server) accept(ctx context.Context, socket string, ln net.Listener) {
	for {
		client, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			s.log.Warn("connections wait", "op", "split.accept", "socket", socket, "err", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(acceptWait):
			}
			continue
		}
		c := &conn{client: client, source: sourceOf(client.RemoteAddr())}
		if !s.enter(socket, c) {
			_ = client.Close()
			continue
		}
		s.conns.Go(func() {
			defer s.leave(socket, c)
			s.serve(socket, c)
		})
	}
}

// sourceOf is an IPv4 address or the /64 of an IPv6 one: one household, one source.
func sourceOf(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() {
		return netip.PrefixFrom(ip, 64).Masked().Addr()
	}
	return ip
}

// enter takes a connection in, within the limits.
func (s *Server) enter(socket string, c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || len(s.open[socket]) >= perSocket || s.by[c.source] >= s.address {
		s.counts.Refused++
		return false
	}
	s.open[socket][c] = struct{}{}
	s.by[c.source]++
	return true
}

func (s *Server) leave(socket string, c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open[socket], c)
	if s.by[c.source]--; s.by[c.source] == 0 {
		delete(s.by, c.source)
	}
	c.close()
}

// Counts returns what has been done. It also answers whether the server's lock is free, for the watchdog.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.counts
	for _, all := range s.open {
		n.Open += len(all)
	}
	return n
}

func (s *Server) count(n *int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

// serve carries one connection to its end.
func (s *Server) serve(socket string, c *conn) {
	if err := c.client.SetReadDeadline(time.Now().Add(s.hello)); err != nil {
		return
	}
	name, said, err := hello(c.client)
	if err != nil {
		s.count(&s.counts.Silent)
		return
	}
	to, known := s.routes[socket][name]
	if !known {
		s.count(&s.counts.Unknown)
		_ = c.client.SetWriteDeadline(time.Now().Add(s.hello))
		_, _ = c.client.Write(alert())
		return
	}
	if err := s.connect(c, to, said); err != nil {
		s.count(&s.counts.Unserved)
		return
	}
	if err := c.client.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	var down sync.WaitGroup
	down.Go(func() { pipe(c.client, c.server) })
	pipe(c.server, c.client)
	down.Wait()
}

// connect opens the other side and writes header and greeting to it.
func (s *Server) connect(c *conn, to string, said []byte) error {
	head, err := entry.Header(c.client.RemoteAddr(), c.client.LocalAddr())
	if err != nil {
		return err
	}
	server, err := net.DialTimeout("unix", to, dialWithin)
	if err != nil {
		return err
	}
	s.mu.Lock()
	c.server = server
	ended := s.ended
	s.mu.Unlock()
	if ended {
		return net.ErrClosed
	}
	if err := server.SetWriteDeadline(time.Now().Add(dialWithin)); err != nil {
		return err
	}
	if _, err := server.Write(append(head, said...)); err != nil {
		return err
	}
	return server.SetWriteDeadline(time.Time{})
}

// pipe carries bytes one way; the kernel does it without us. The end of one way is passed on and leaves the other open:
// who has heard it answers soon or never. A broken way ends both.
func pipe(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err == nil && ok {
		err = half.CloseWrite()
	}
	if err == nil && ok {
		err = to.SetReadDeadline(time.Now().Add(lingerFor))
	}
	if err != nil || !ok {
		_ = to.Close()
		_ = from.Close()
	}
}
