// Package sfutest holds a call client for tests: a real WebRTC peer that sends a test picture and sound and counts what
// arrives.
package sfutest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"sallyport/appliance/reel/reeltest"
)

// Peer is one client. Make it with [NewPeer].
type Peer struct {
	t    testing.TB
	pc   *webrtc.PeerConnection
	cert webrtc.Certificate
	up   []*webrtc.TrackLocalStaticRTP
	tag  byte
	film []reeltest.Frame
	done chan struct{}
	wg   sync.WaitGroup

	mu   sync.Mutex
	seen map[string][]*rtp.Packet // by mid
	plis int
	wake chan struct{}
}

// Cert is a DTLS certificate with its key.
type Cert = webrtc.Certificate

// Certificate makes a DTLS certificate, and returns its fingerprint as a grant holds it.
func Certificate(t testing.TB) (webrtc.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c, err := webrtc.GenerateCertificate(key)
	if err != nil {
		t.Fatal(err)
	}
	fps, err := c.GetFingerprints()
	if err != nil {
		t.Fatal(err)
	}
	return *c, strings.ToUpper(fps[0].Value)
}

// NewPeer makes a client that sends (unless it is a monitor) and has down pairs of receivers. tag is the byte that fills
// its payloads, so that a test sees whose packets arrive.
func NewPeer(t testing.TB, cert webrtc.Certificate, sends bool, down int, tag byte) *Peer {
	t.Helper()
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	// One address and no other of this machine: what forwards datagrams into a box knows its sender by one.
	se.SetIPFilter(net.IP.IsLoopback)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	me := &webrtc.MediaEngine{}
	if err := me.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(me)).
		NewPeerConnection(webrtc.Configuration{Certificates: []webrtc.Certificate{cert}, BundlePolicy: webrtc.BundlePolicyMaxBundle})
	if err != nil {
		t.Fatal(err)
	}
	p := &Peer{t: t, pc: pc, cert: cert, tag: tag, done: make(chan struct{}), seen: map[string][]*rtp.Packet{}, wake: make(chan struct{}, 1)}
	t.Cleanup(p.Close)
	if sends {
		for _, c := range []webrtc.RTPCodecCapability{{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, {MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}} {
			p.addUp(c)
		}
	}
	for range down {
		for _, k := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
			if _, err := pc.AddTransceiverFromKind(k, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
				t.Fatal(err)
			}
		}
	}
	pc.OnTrack(p.receive)
	return p
}

func (p *Peer) addUp(c webrtc.RTPCodecCapability) {
	track, err := webrtc.NewTrackLocalStaticRTP(c, strings.ReplaceAll(c.MimeType, "/", "-"), "up")
	if err != nil {
		p.t.Fatal(err)
	}
	tr, err := p.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		p.t.Fatal(err)
	}
	p.up = append(p.up, track)
	sender := tr.Sender()
	p.wg.Go(func() {
		for {
			ps, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, r := range ps {
				if _, ok := r.(*rtcp.PictureLossIndication); ok {
					p.mu.Lock()
					p.plis++
					p.mu.Unlock()
				}
			}
		}
	})
}

func (p *Peer) receive(track *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	mid := r.RTPTransceiver().Mid()
	for {
		pkt, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.seen[mid] = append(p.seen[mid], pkt)
		p.mu.Unlock()
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// Offer makes the offer, without waiting for candidates.
func (p *Peer) Offer() string {
	p.t.Helper()
	o, err := p.pc.CreateOffer(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.pc.SetLocalDescription(o); err != nil {
		p.t.Fatal(err)
	}
	return o.SDP
}

// Take applies the answer, waits until connected and starts to send.
func (p *Peer) Take(answer string) {
	p.t.Helper()
	up := make(chan struct{})
	var once sync.Once
	p.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(up) })
		}
	})
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		p.t.Fatalf("the answer is not accepted: %v\n%s", err, answer)
	}
	select {
	case <-up:
	case <-time.After(10 * time.Second):
		p.t.Fatalf("not connected after 10 s: %s", p.pc.ConnectionState())
	}
	switch {
	case len(p.up) > 0 && len(p.film) > 0:
		p.wg.Go(p.play)
	case len(p.up) > 0:
		p.wg.Go(p.send)
	}
}

// send plays sound at 50 and picture at 25 packets a second; a picture is a key frame only when one was asked for.
func (p *Peer) send() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var n uint16
	asked := 0
	for {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		n++
		body := make([]byte, 60)
		for i := range body {
			body[i] = p.tag
		}
		_ = p.up[0].WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Timestamp: uint32(n) * 960}, Payload: body})
		if n%2 == 1 {
			continue
		}
		p.mu.Lock()
		key := p.plis != asked
		asked = p.plis
		p.mu.Unlock()
		_ = p.up[1].WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, SequenceNumber: n / 2, Timestamp: uint32(n) * 1800}, Payload: VP8(key, p.tag)})
	}
}

// VP8 returns a payload that a depacketizer takes for a whole frame of 640x480.
func VP8(key bool, tag byte) []byte {
	b := []byte{0x10, 0x01, 0, 0}
	if key {
		b = []byte{0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01}
	}
	for range 40 {
		b = append(b, tag)
	}
	return b
}

// Count returns how many packets of a mid carry a tag.
func (p *Peer) Count(mid string, tag byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, pkt := range p.seen[mid] {
		if len(pkt.Payload) > 0 && pkt.Payload[len(pkt.Payload)-1] == tag {
			n++
		}
	}
	return n
}

// Total returns how many packets arrived in all.
func (p *Peer) Total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, s := range p.seen {
		n += len(s)
	}
	return n
}

// Seen returns what arrived on a mid.
func (p *Peer) Seen(mid string) []*rtp.Packet {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*rtp.Packet(nil), p.seen[mid]...)
}

// KeyAsks returns how often this client's camera was asked for a key frame.
func (p *Peer) KeyAsks() int { p.mu.Lock(); defer p.mu.Unlock(); return p.plis }

// Await waits until cond holds, looked at whenever a packet arrives.
func (p *Peer) Await(what string, cond func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for !cond() {
		select {
		case <-p.wake:
		case <-time.After(20 * time.Millisecond): // cond may depend on more than packets
		case <-ctx.Done():
			p.t.Fatalf("waited 10 s for %s", what)
		}
	}
}

// Close ends the client.
func (p *Peer) Close() {
	select {
	case <-p.done:
		return
	default:
	}
	close(p.done)
	_ = p.pc.GracefulClose()
	p.wg.Wait()
}
