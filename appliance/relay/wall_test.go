package relay_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"
	"golang.org/x/sys/unix"

	"sallyport/appliance/clock"
)

// raw speaks TURN by hand, to say what no client library would.
type raw struct {
	t           *testing.T
	c           net.Conn
	stream      bool
	user, pass  string
	nonce       string
	key         []byte
	received    int // bytes of all answers
	transaction uint32
}

func (r *rig) raw(way string) *raw {
	r.t.Helper()
	network := "tcp"
	if way == udp {
		network = "udp"
	}
	c, err := net.Dial(network, r.addr[way])
	if err != nil {
		r.t.Fatal(err)
	}
	if way == secure {
		c = insecureTLS(c)
	}
	r.t.Cleanup(func() { c.Close() })
	user, pass := r.credential("v1")
	return &raw{t: r.t, c: c, stream: way != udp, user: user, pass: pass}
}

// message builds a request with attributes, and authentication once a nonce is known.
func (w *raw) message(method stun.Method, class stun.MessageClass, set ...stun.Setter) *stun.Message {
	w.t.Helper()
	m := &stun.Message{}
	w.transaction++
	binary.BigEndian.PutUint32(m.TransactionID[:], w.transaction)
	all := append([]stun.Setter{m, stun.NewType(method, class)}, set...)
	if w.key != nil && class == stun.ClassRequest {
		all = append(all, stun.NewUsername(w.user), stun.NewRealm("sp"), stun.NewNonce(w.nonce), stun.MessageIntegrity(w.key))
	}
	out, err := stun.Build(all...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *raw) write(b []byte) {
	w.t.Helper()
	if _, err := w.c.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// read returns the next message; channel data is skipped.
func (w *raw) read() *stun.Message {
	w.t.Helper()
	w.c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 2000)
	n := 0
	for {
		k, err := w.c.Read(buf[n:])
		if err != nil {
			w.t.Fatalf("no answer: %v", err)
		}
		n += k
		if !w.stream || n >= 20 && n >= 20+int(binary.BigEndian.Uint16(buf[2:])) {
			break
		}
	}
	w.received += n
	m := &stun.Message{Raw: buf[:n]}
	if err := m.Decode(); err != nil {
		w.t.Fatal(err)
	}
	return m
}

// ask sends a request and returns its answer's class and error code.
func (w *raw) ask(method stun.Method, set ...stun.Setter) (stun.MessageClass, stun.ErrorCode) {
	w.t.Helper()
	q := w.message(method, stun.ClassRequest, set...)
	w.write(q.Raw)
	for {
		m := w.read()
		if m.TransactionID != q.TransactionID {
			continue
		}
		var code stun.ErrorCodeAttribute
		code.GetFrom(m)
		if method == stun.MethodAllocate && code.Code == stun.CodeUnauthorized && w.key == nil {
			var nonce stun.Nonce
			if err := nonce.GetFrom(m); err != nil {
				w.t.Fatal(err)
			}
			w.nonce, w.key = nonce.String(), stun.NewLongTermIntegrity(w.user, "sp", w.pass)
			return w.ask(method, set...)
		}
		return m.Type.Class, code.Code
	}
}

type attribute struct {
	kind  stun.AttrType
	value []byte
}

func (a attribute) AddTo(m *stun.Message) error { m.Add(a.kind, a.value); return nil }

func transport(n byte) attribute { return attribute{stun.AttrRequestedTransport, []byte{n, 0, 0, 0}} }

type peerAttr netip.AddrPort

func (p peerAttr) AddTo(m *stun.Message) error {
	a := netip.AddrPort(p)
	ip := a.Addr().AsSlice()
	return stun.XORMappedAddress{IP: ip, Port: int(a.Port())}.AddToAs(m, stun.AttrXORPeerAddress)
}

// canary is a server that must never hear anything.
type canary struct {
	udp *net.UDPConn
	tcp *net.TCPListener
}

func newCanary(t *testing.T) canary {
	t.Helper()
	tcp, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	port := tcp.Addr().(*net.TCPAddr).Port
	c := canary{listenUDP(t, fmt.Sprintf("0.0.0.0:%d", port)), tcp.(*net.TCPListener)}
	t.Cleanup(func() { c.udp.Close(); c.tcp.Close() })
	return c
}

func (c canary) port() uint16 { return uint16(c.tcp.Addr().(*net.TCPAddr).Port) }

// heard returns how many bytes and connections wait, without waiting itself.
func (c canary) heard(t *testing.T) (bytes, connections int) {
	t.Helper()
	sys, err := c.udp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	sys.Control(func(fd uintptr) {
		buf := make([]byte, 2000)
		for {
			n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			bytes += n
		}
	})
	lis, err := c.tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	lis.Control(func(fd uintptr) {
		if n, _, err := unix.Accept(int(fd)); err == nil {
			connections++
			unix.Close(n)
		}
	})
	return bytes, connections
}

// peers lists where an attacker would like to go: this machine by every name, its networks, the special ranges.
func (r *rig) peers(t *testing.T, canaries []canary) []netip.AddrPort {
	t.Helper()
	var out []netip.AddrPort
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	ips := []string{
		"127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:127.0.0.2",
		"10.0.0.1", "10.255.255.255", "100.64.0.1", "169.254.1.1", "169.254.169.254", "172.16.0.1", "172.31.255.254", "192.0.0.1",
		"192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "203.0.113.9",
		"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "8.8.8.8", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1",
		"fc00::1", "fd00::1", "ff02::1", "2001:db8::1", "2001::1", "::127.0.0.1", "::ffff:0:127.0.0.1",
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok {
			ips = append(ips, n.IP.String())
		}
	}
	for _, s := range ips {
		for _, c := range canaries {
			out = append(out, netip.AddrPortFrom(netip.MustParseAddr(s), c.port()))
		}
	}
	// The media port's number elsewhere, and other ports of its own address.
	for _, s := range []string{"127.0.0.2", "10.0.0.1", "::1"} {
		out = append(out, netip.AddrPortFrom(netip.MustParseAddr(s), r.peer().Port()))
	}
	for _, p := range []uint16{1, 22, 53, 80, 443, r.peer().Port() - 1, r.peer().Port() + 1} {
		out = append(out, netip.AddrPortFrom(r.peer().Addr(), p))
	}
	return out
}

// TestNothingButTheMediaPort is M1: every address, by every means, on every listener.
func TestNothingButTheMediaPort(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			fake := clock.NewFake(time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC))
			r := newRig(t, fake)
			canaries := []canary{newCanary(t), newCanary(t)}
			// A canary that hears nothing must be one that could.
			if c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", canaries[0].port())); err != nil {
				t.Fatal(err)
			} else {
				c.Write([]byte("hello"))
				c.Close()
			}
			if n, _ := canaries[0].heard(t); n != 5 {
				t.Fatalf("the canary heard %d bytes of 5", n)
			}
			w := r.raw(way)
			if class, code := w.ask(stun.MethodAllocate, transport(17)); class != stun.ClassSuccessResponse {
				t.Fatalf("no allocation: %d", code)
			}
			tried := r.peers(t, canaries)
			if len(tried) < 60 {
				t.Fatalf("only %d addresses", len(tried))
			}
			for i, peer := range tried {
				fake.Advance(200 * time.Millisecond) // refusals are errors, and those are rationed
				w.try(t, peer, uint16(0x4000+i), r.peer().Addr())
			}
			// What comes from the canaries to the bridge's socket must not reach the client either.
			if class, code := w.ask(stun.MethodCreatePermission, peerAttr(r.peer())); class != stun.ClassSuccessResponse {
				t.Fatalf("the media port is refused: %d", code)
			}
			w.write(w.message(stun.MethodSend, stun.ClassIndication, peerAttr(r.peer()), attribute{stun.AttrData, []byte("fence")}).Raw)
			bridge := r.arrives("fence")
			if _, err := canaries[0].udp.WriteToUDPAddrPort([]byte("from outside"), bridge); err != nil {
				t.Fatal(err)
			}
			if _, err := r.media.WriteToUDPAddrPort([]byte("from inside"), bridge); err != nil {
				t.Fatal(err)
			}
			if m := w.read(); !bytes.Contains(m.Raw, []byte("from inside")) {
				t.Errorf("the client got %q", m.Raw)
			}
			for i, c := range canaries {
				if n, conns := c.heard(t); n != 0 || conns != 0 {
					t.Errorf("canary %d heard %d bytes and %d connections", i, n, conns)
				}
			}
		})
	}
}

// try uses every means of TURN to reach a peer.
func (w *raw) try(t *testing.T, peer netip.AddrPort, channel uint16, allowed netip.Addr) {
	t.Helper()
	class, _ := w.ask(stun.MethodCreatePermission, peerAttr(peer))
	if class == stun.ClassSuccessResponse && peer.Addr().Unmap() != allowed {
		t.Errorf("a permission for %v was given", peer)
	}
	number := binary.BigEndian.AppendUint16(nil, channel)
	class, _ = w.ask(stun.MethodChannelBind, attribute{stun.AttrChannelNumber, append(number, 0, 0)}, peerAttr(peer))
	if class == stun.ClassSuccessResponse && peer.Addr().Unmap() != allowed {
		t.Errorf("a channel to %v was given", peer)
	}
	w.write(w.message(stun.MethodSend, stun.ClassIndication, peerAttr(peer), attribute{stun.AttrData, []byte("sent by send")}).Raw)
	data := []byte("by channel!!")
	w.write(append(append(number, 0, byte(len(data))), data...))
}

// TestNoOtherKindsOfAllocation is M6's first half, and what pion would have made of it.
func TestNoOtherKindsOfAllocation(t *testing.T) {
	for _, way := range ways {
		r := newRig(t, clock.Real{})
		for _, tt := range []struct {
			name string
			set  []stun.Setter
			want stun.ErrorCode
		}{
			{"tcp", []stun.Setter{transport(6)}, stun.CodeUnsupportedTransProto},
			{"sctp", []stun.Setter{transport(132)}, stun.CodeUnsupportedTransProto},
			{"udp and tcp", []stun.Setter{transport(17), transport(6)}, stun.CodeUnsupportedTransProto},
			{"even port", []stun.Setter{transport(17), attribute{stun.AttrEvenPort, []byte{0x80}}}, stun.CodeBadRequest},
			{"reservation", []stun.Setter{transport(17), attribute{stun.AttrReservationToken, make([]byte, 8)}}, stun.CodeBadRequest},
			{"ipv6", []stun.Setter{transport(17), attribute{stun.AttrRequestedAddressFamily, []byte{2, 0, 0, 0}}}, stun.CodeAddrFamilyNotSupported},
			{"rfc 6062 connect", nil, stun.CodeBadRequest},
		} {
			t.Run(way+" "+tt.name, func(t *testing.T) {
				w := r.raw(way)
				method := stun.MethodAllocate
				if tt.set == nil {
					method = stun.MethodConnect
				}
				if class, code := w.ask(method, tt.set...); class != stun.ClassErrorResponse || code != tt.want {
					t.Errorf("answered %v %d, want %d", class, code, tt.want)
				}
			})
		}
		if n, _ := r.server.Live(); n != 0 {
			t.Errorf("%s: %d allocations live", way, n)
		}
	}
}

// TestUnprovenAnswersAreFewAndShort is M6's second half: a forged source gets no more than 20 a second, and 1.5 times what
// it sent, counted on the wire.
func TestUnprovenAnswersAreFewAndShort(t *testing.T) {
	fake := clock.NewFake(time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC))
	r := newRig(t, fake)
	w := r.raw(udp)
	const frame = 14 + 4 + 20 + 8
	for i := range 200 {
		set := []stun.Setter{transport(17)}
		if i%4 == 0 {
			set = nil // shorter than any client's: the answer would be too long for it
		}
		w.write(w.message(stun.MethodAllocate, stun.ClassRequest, set...).Raw)
	}
	// Another source is answered once the relay has seen all of the above, and then this one's next second begins.
	fence := r.rawFrom("127.0.0.2")
	fence.write(fence.message(stun.MethodAllocate, stun.ClassRequest, transport(17)).Raw)
	fence.read()
	fake.Advance(time.Second)
	last := w.message(stun.MethodAllocate, stun.ClassRequest, transport(17))
	w.write(last.Raw)
	got := 0
	for {
		m := w.read()
		if 2*(len(m.Raw)+frame) > 3*(len(last.Raw)+frame) {
			t.Fatalf("an answer of %d bytes to a request of %d", len(m.Raw), len(last.Raw))
		}
		if m.TransactionID == last.TransactionID {
			break
		}
		got++
	}
	if got != 20 {
		t.Errorf("%d answers to a flood within a second, want 20", got)
	}
}

// rawFrom is raw over UDP from another address of this machine.
func (r *rig) rawFrom(ip string) *raw {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(ip)}}
	c, err := d.Dial("udp", r.addr[udp])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return &raw{t: r.t, c: c}
}
