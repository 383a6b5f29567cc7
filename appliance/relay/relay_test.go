package relay_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v4"
	"go.uber.org/goleak"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The ways in.
const (
	udp    = "udp"
	tcp    = "tcp"
	secure = "tls"
)

var ways = []string{udp, tcp, secure}

// rig is a running relay with the media port that it may reach.
type rig struct {
	t      *testing.T
	media  *net.UDPConn // the SFU's ingress
	server *relay.Server
	clock  *clock.Fake
	secret linkspec.TURNSecret
	call   ident.Call
	addr   map[string]string

	mu      sync.Mutex // guards out
	out     map[ident.Seat]bool
	refused atomic.Int64
}

func newRig(t *testing.T, clk clock.Clock, change ...func(*relay.Config)) *rig {
	t.Helper()
	r := &rig{t: t, call: ident.New[ident.Call](), addr: map[string]string{}, out: map[ident.Seat]bool{}}
	r.secret = linkspec.TURNSecret{KID: "t1", Secret: []byte("0123456789abcdef0123456789abcdef")}
	r.media = listenUDP(t, "127.0.0.1:0")
	r.clock, _ = clk.(*clock.Fake)
	packet := listenUDP(t, "127.0.0.1:0")
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	overTLS := tls.NewListener(inner, &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS12})
	r.addr[udp], r.addr[tcp], r.addr[secure] = packet.LocalAddr().String(), plain.Addr().String(), inner.Addr().String()
	cfg := relay.Config{
		Peer: r.peer(), Media: r.peer(), Relayed: netip.MustParseAddr("203.0.113.9"), Doors: []string{"visitor"}, Seats: 8,
		Secrets: func() []linkspec.TURNSecret { return []linkspec.TURNSecret{r.secret} },
		In: func(call ident.Call, seat ident.Seat, door string) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return call == r.call && !r.out[seat] && door == "visitor"
		},
		Refused: func(ident.Call, ident.Seat, string) { r.refused.Add(1) },
		Clock:   clk,
	}
	for _, c := range change {
		c(&cfg)
	}
	r.server, err = relay.New(cfg, []net.PacketConn{packet}, []net.Listener{plain, overTLS})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.media.Close()
	})
	return r
}

func (r *rig) peer() netip.AddrPort { return r.media.LocalAddr().(*net.UDPAddr).AddrPort() }

func (r *rig) leave(seat ident.Seat) { r.mu.Lock(); defer r.mu.Unlock(); r.out[seat] = true }

func (r *rig) credential(seat ident.Seat) (string, string) {
	now := time.Now()
	if r.clock != nil {
		now = r.clock.Now()
	}
	return grant.Credential(r.secret, r.call, seat, "visitor", now, now.Add(time.Hour))
}

// client connects a real TURN client on one of the ways in.
func (r *rig) client(way, user, pass string) *turn.Client {
	r.t.Helper()
	var conn net.PacketConn
	switch way {
	case udp:
		conn = listenUDP(r.t, "127.0.0.1:0")
	case tcp:
		c, err := net.Dial("tcp", r.addr[tcp])
		if err != nil {
			r.t.Fatal(err)
		}
		conn = turn.NewSTUNConn(c)
	case secure:
		c, err := tls.Dial("tcp", r.addr[secure], &tls.Config{InsecureSkipVerify: true}) // the test's own certificate
		if err != nil {
			r.t.Fatal(err)
		}
		conn = turn.NewSTUNConn(c)
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: r.addr[way], TURNServerAddr: r.addr[way], Conn: conn, Username: user, Password: pass,
		LoggerFactory: quiet{}, RTO: 50 * time.Millisecond,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close(); conn.Close() })
	return c
}

func (r *rig) allocate(way string, seat ident.Seat) (net.PacketConn, error) {
	user, pass := r.credential(seat)
	relayed, err := r.client(way, user, pass).Allocate()
	if err == nil {
		r.t.Cleanup(func() { relayed.Close() })
	}
	return relayed, err
}

// arrives waits until the media port gets this text, and returns who sent it.
func (r *rig) arrives(text string) netip.AddrPort {
	r.t.Helper()
	buf := make([]byte, 2000)
	r.media.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		n, from, err := r.media.ReadFromUDPAddrPort(buf)
		if err != nil {
			r.t.Fatalf("%q did not arrive: %v", text, err)
		}
		if string(buf[:n]) == text {
			return from
		}
	}
}

func TestMediaPassesBothWays(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			r := newRig(t, clock.Real{})
			c, err := r.allocate(way, "v1")
			if err != nil {
				t.Fatal(err)
			}
			if got := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().String(); got != "203.0.113.9" {
				t.Errorf("relayed address %s", got)
			}
			if _, err := c.WriteTo([]byte("up"), r.media.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			from := r.arrives("up")
			// Until the channel is bound both forms are in use.
			for range 5 {
				if _, err := r.media.WriteToUDPAddrPort([]byte("downwards"), from); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 100)
				c.SetReadDeadline(time.Now().Add(5 * time.Second))
				n, who, err := c.ReadFrom(buf)
				if err != nil || string(buf[:n]) != "downwards" || who.(*net.UDPAddr).AddrPort() != r.peer() {
					t.Fatalf("%q from %v, %v", buf[:n], who, err)
				}
			}
		})
	}
}

// TestCredentials is M3.
func TestCredentials(t *testing.T) {
	now := time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC)
	r := newRig(t, clock.NewFake(now))
	other := linkspec.TURNSecret{KID: "t1", Secret: []byte("another secret of thirty-two byte")}
	unknown := linkspec.TURNSecret{KID: "t9", Secret: r.secret.Secret}
	r.leave("v2")
	for _, tt := range []struct {
		name string
		make func() (string, string)
		want bool
	}{
		{"good", func() (string, string) { return r.credential("v1") }, true},
		{"too early", func() (string, string) {
			return grant.Credential(r.secret, r.call, "v1", "visitor", now.Add(time.Hour), now.Add(2*time.Hour))
		}, false},
		{"after the end", func() (string, string) {
			return grant.Credential(r.secret, r.call, "v1", "visitor", now.Add(-2*time.Hour), now.Add(-time.Hour))
		}, false},
		{"another door", func() (string, string) {
			return grant.Credential(r.secret, r.call, "v1", "staff", now, now.Add(time.Hour))
		}, false},
		{"another call", func() (string, string) {
			return grant.Credential(r.secret, ident.New[ident.Call](), "v1", "visitor", now, now.Add(time.Hour))
		}, false},
		{"the seat has left", func() (string, string) { return r.credential("v2") }, false},
		{"another secret", func() (string, string) {
			return grant.Credential(other, r.call, "v1", "visitor", now, now.Add(time.Hour))
		}, false},
		{"an unknown secret", func() (string, string) {
			return grant.Credential(unknown, r.call, "v1", "visitor", now, now.Add(time.Hour))
		}, false},
		{"the password of another seat", func() (string, string) {
			user, _ := r.credential("v1")
			_, pass := r.credential("v3")
			return user, pass
		}, false},
		{"not ours at all", func() (string, string) { return "admin", "admin" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			user, pass := tt.make()
			c, err := r.client(udp, user, pass).Allocate()
			if (err == nil) != tt.want {
				t.Fatalf("allocated %v, %v", err == nil, err)
			}
			if err == nil {
				c.Close()
			}
		})
	}
}

// TestCallEndClosesTheRelay is M4: the client goes on sending and refreshing.
func TestCallEndClosesTheRelay(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			r := newRig(t, clock.Real{})
			c, err := r.allocate(way, "v1")
			if err != nil {
				t.Fatal(err)
			}
			stays, err := r.allocate(way, "v2")
			if err != nil {
				t.Fatal(err)
			}
			send(t, c, "before", r.media.LocalAddr())
			r.arrives("before")
			r.leave("v1")
			r.server.Close(r.call, "v1")
			for range 20 {
				c.WriteTo([]byte("after"), r.media.LocalAddr()) // an error says the same as silence
			}
			send(t, stays, "fence", r.media.LocalAddr())
			buf := make([]byte, 100)
			r.media.SetReadDeadline(time.Now().Add(5 * time.Second))
			for {
				n, _, err := r.media.ReadFromUDPAddrPort(buf)
				if err != nil {
					t.Fatal(err)
				}
				if string(buf[:n]) == "after" {
					t.Fatal("a packet passed after the seat's end")
				}
				if string(buf[:n]) == "fence" {
					break
				}
			}
			if n, _ := r.server.Live(); n != 1 {
				t.Errorf("%d allocations live, want the other seat's", n)
			}
			if _, err := r.allocate(way, "v1"); err == nil {
				t.Error("the seat that left may allocate again")
			}
		})
	}
}

// The sweep ends what nobody closed.
func TestSweepEndsWhatHasEnded(t *testing.T) {
	fake := clock.NewFake(time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC))
	r := newRig(t, fake)
	if _, err := r.allocate(udp, "v1"); err != nil {
		t.Fatal(err)
	}
	r.leave("v1")
	deadline := time.Now().Add(5 * time.Second)
	for n := 1; n > 0; n, _ = r.server.Live() {
		if time.Now().After(deadline) {
			t.Fatal("the allocation of a seat that left lives on")
		}
		if fake.Waiting() > 0 {
			fake.Advance(time.Second)
		}
	}
}

// TestQuota is M5: a seat that allocates again and again.
func TestQuota(t *testing.T) {
	fake := clock.NewFake(time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC))
	r := newRig(t, fake)
	var live []net.PacketConn
	for i := range 20 {
		fake.Advance(200 * time.Millisecond) // each attempt costs two answers to somebody unproven, of 20 a second
		c, err := r.allocate(udp, "v1")
		if err == nil {
			live = append(live, c)
		}
		if (err == nil) != (i < 2) {
			t.Fatalf("allocation %d: %v", i+1, err)
		}
	}
	if n, refused := r.server.Live(); n != 2 || refused["quota"] < 18 { // a client that waited for an answer asks again
		t.Fatalf("%d live, refused %v", n, refused)
	}
	if _, err := r.allocate(udp, "v2"); err != nil {
		t.Errorf("another seat: %v", err)
	}
	// Ten seconds later the idle one makes room; the one in use stays.
	fake.Advance(11 * time.Second)
	send(t, live[0], "in use", r.media.LocalAddr())
	r.arrives("in use")
	if _, err := r.allocate(udp, "v1"); err != nil {
		t.Fatalf("no room beside an idle allocation: %v", err)
	}
	send(t, live[0], "still in use", r.media.LocalAddr())
	r.arrives("still in use")
	if n, _ := r.server.Live(); n != 3 {
		t.Errorf("%d live, want two of this seat and one of the other", n)
	}
}

// A flood passes at the cap and no faster: the fake clock stands still, so the burst is all there is.
func TestRateCap(t *testing.T) {
	r := newRig(t, clock.NewFake(time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC)))
	c, err := r.allocate(tcp, "v1")
	if err != nil {
		t.Fatal(err)
	}
	quietSeat, err := r.allocate(tcp, "v2")
	if err != nil {
		t.Fatal(err)
	}
	send(t, c, "permission", r.media.LocalAddr())
	r.arrives("permission")
	var got atomic.Int64
	fence := make(chan struct{})
	go func() {
		defer close(fence)
		buf := make([]byte, 2000)
		r.media.SetReadDeadline(time.Now().Add(20 * time.Second))
		for {
			n, _, err := r.media.ReadFromUDPAddrPort(buf)
			if err != nil || string(buf[:n]) == "fence" {
				return
			}
			got.Add(int64(n))
		}
	}()
	packet := make([]byte, 1000)
	for range 600 {
		if _, err := c.WriteTo(packet, r.media.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	// A refresh is answered after everything that was sent before it on the same connection.
	drained(t, c)
	send(t, quietSeat, "fence", r.media.LocalAddr())
	<-fence
	if got.Load() > 256<<10 {
		t.Errorf("%d bytes passed in no time, the burst is %d", got.Load(), 256<<10)
	}
	if got.Load() < 20_000 { // the media port's own buffer may drop what a busy machine reads late
		t.Errorf("only %d bytes passed", got.Load())
	}
}

// drained returns once the relay has read everything that was sent on c: a permission is answered after it.
func drained(t *testing.T, c net.PacketConn) {
	t.Helper()
	asks, ok := c.(interface {
		CreatePermissions(addrs ...net.Addr) error
	})
	if !ok {
		t.Fatalf("%T asks for no permission", c)
	}
	if err := asks.CreatePermissions(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}); err != nil {
		t.Fatal(err)
	}
}

func TestNewRefusesMissingChecks(t *testing.T) {
	good := relay.Config{
		Peer: netip.MustParseAddrPort("127.0.0.1:50000"), Media: netip.MustParseAddrPort("127.0.0.1:50000"), Relayed: netip.MustParseAddr("127.0.0.1"), Doors: []string{"visitor"}, Seats: 1,
		Secrets: func() []linkspec.TURNSecret { return nil }, In: func(ident.Call, ident.Seat, string) bool { return false },
		Refused: func(ident.Call, ident.Seat, string) {}, Clock: clock.Real{},
	}
	packet := listenUDP(t, "127.0.0.1:0")
	defer packet.Close()
	if _, err := relay.New(good, []net.PacketConn{packet}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.New(good, nil, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("without a listener: %v", err)
	}
	for name, change := range map[string]func(*relay.Config){
		"peer":        func(c *relay.Config) { c.Peer = netip.AddrPort{} },
		"any peer":    func(c *relay.Config) { c.Peer = netip.MustParseAddrPort("0.0.0.0:50000") },
		"no port":     func(c *relay.Config) { c.Peer = netip.MustParseAddrPort("127.0.0.1:0") },
		"relayed":     func(c *relay.Config) { c.Relayed = netip.Addr{} },
		"doors":       func(c *relay.Config) { c.Doors = nil },
		"seats":       func(c *relay.Config) { c.Seats = 0 },
		"secrets":     func(c *relay.Config) { c.Secrets = nil },
		"who is in":   func(c *relay.Config) { c.In = nil },
		"who is told": func(c *relay.Config) { c.Refused = nil },
		"clock":       func(c *relay.Config) { c.Clock = nil },
	} {
		c := good
		change(&c)
		if _, err := relay.New(c, []net.PacketConn{packet}, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func send(t *testing.T, c net.PacketConn, text string, to net.Addr) {
	t.Helper()
	if _, err := c.WriteTo([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

func listenUDP(t *testing.T, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenPacket("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.UDPConn)
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "turn"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

type quiet struct{}

func (quiet) NewLogger(string) logging.LeveledLogger {
	return logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, nil)
}

func insecureTLS(c net.Conn) net.Conn {
	return tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // the test's own certificate
}
