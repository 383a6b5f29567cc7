package signaling

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/sfu"
)

// Path is where the socket is.
const Path = "/signal"

// Limits of a connection (media.md, 3).
const (
	maxFrame   = 64 << 10
	firstFrame = 5 * time.Second
	pingEvery  = 2 * time.Second
	lostAfter  = 6 * time.Second
	burst      = 50 // messages in burstTime
	burstTime  = 10 * time.Second
	offerEvery = 2 * time.Second
	queueLen   = 64 // words that wait for a slow client
	maxConns   = 2000
)

// Options of a server. All are needed.
type Options struct {
	Hall   *sfu.Hall
	Keys   func() linkspec.Keys // grant keys and origins of the moment
	Tokens *Tokens
	Clock  clock.Clock
	Log    *slog.Logger
}

// Server answers call clients. Its handler is an http.Handler; every connection ends with the context given to New's
// caller through [Server.Close].
type Server struct {
	o      Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards the rest
	conns  int
	closed bool
}

// New returns a server. Close it to end its connections.
func New(o Options) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{o: o, ctx: ctx, cancel: cancel}
}

// Close ends all connections and waits for them. Those that were told to go get a second to hear it.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() { defer close(gone); s.wg.Wait() }()
	select {
	case <-gone:
	case <-time.After(time.Second):
	}
	s.cancel()
	<-gone
}

// ServeHTTP upgrades a call client of any door: where all doors share a socket.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.upgrade(w, r, "") }

// Door returns the handler of a socket that only clients of one door can reach. It takes no others, whatever they say.
func (s *Server) Door(door string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.upgrade(w, r, door) })
}

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, door string) {
	if r.URL.Path != Path {
		http.NotFound(w, r)
		return
	}
	from := sender{origin: r.Header.Get("Origin"), door: door, near: reached(r)}
	if len(from.doors(s.o.Keys().Origins)) == 0 {
		http.Error(w, "this origin may not call", http.StatusForbidden)
		return
	}
	if !s.take() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	defer s.give()
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{Protocol}, InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled, // origins are checked above, by door
	})
	if err != nil {
		return // Accept has answered
	}
	if ws.Subprotocol() != Protocol {
		_ = ws.Close(websocket.StatusPolicyViolation, "subprotocol "+Protocol+" is needed")
		return
	}
	ws.SetReadLimit(maxFrame)
	newConn(s, ws, from).serve(s.ctx)
}

func (s *Server) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= maxConns || s.closed {
		return false
	}
	s.conns++
	s.wg.Add(1)
	return true
}

func (s *Server) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
	s.wg.Done()
}

// sender is where a client came from, as far as it cannot choose that freely.
type sender struct {
	origin string     // of its page
	door   string     // whose socket it came by, "" where all doors share one
	near   netip.Addr // our address that it reached
}

// reached returns the address of this machine that a client connected to.
func reached(r *http.Request) netip.Addr {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return a.AddrPort().Addr().Unmap()
}

// doors returns the doors whose pages have the sender's origin and that its socket is for. Doors may share both; the
// grant's own one counts.
func (f sender) doors(o linkspec.Origins) []string {
	var doors []string
	for _, d := range []struct {
		name    string
		origins []string
	}{{"visitor", o.Visitor}, {"kiosk", o.Kiosk}, {"staff", o.Staff}} {
		if slices.Contains(d.origins, f.origin) && (f.door == "" || f.door == d.name) {
			doors = append(doors, d.name)
		}
	}
	return doors
}

// verify reads a grant that came from a page of one of the doors.
func (s *Server) verify(text string, from sender) (grant.Claims, error) {
	keys := s.o.Keys()
	v := grant.NewVerifier(keys.GrantKeys)
	err := error(fault.New("signaling.Join", fault.Unauthenticated, "This grant is for another door.").WithCode("grant_door"))
	for _, door := range from.doors(keys.Origins) {
		var c grant.Claims
		if c, err = v.Verify(text, door, s.o.Clock.Now()); err == nil {
			return c, nil
		}
		if fault.CodeOf(err) != "grant_door" {
			break
		}
	}
	return grant.Claims{}, err
}
