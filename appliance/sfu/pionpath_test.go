package sfu_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/sfu"
	"sallyport/appliance/sfu/sfutest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openPath(t *testing.T, c clock.Clock) *sfu.PionPath {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := sfu.NewPionPath(c, sfu.Zone{Doors: []string{"visitor", "kiosk", "staff"}, Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Shut)
	return p
}

func join(t *testing.T, path sfu.Path, pl sfu.Place, tag byte) (*sfutest.Peer, sfu.Leg, string) {
	t.Helper()
	peer, leg, answer := offer(t, path, pl, tag)
	peer.Take(answer)
	return peer, leg, answer
}

// offer makes a leg whose client has not connected yet.
func offer(t *testing.T, path sfu.Path, pl sfu.Place, tag byte) (*sfutest.Peer, sfu.Leg, string) {
	t.Helper()
	cert, fp := sfutest.Certificate(t)
	pl.Fingerprint = fp
	peer := sfutest.NewPeer(t, cert, pl.Sends, pl.Down, tag)
	leg, answer, err := path.Answer(t.Context(), pl, []byte(peer.Offer()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { path.Close(leg) })
	return peer, leg, string(answer)
}

func TestPathForwardsBothWaysAndFallsSilent(t *testing.T) {
	path := openPath(t, clock.Real{})
	call := ident.New[ident.Call]()
	v, vl, answer := join(t, path, sfu.Place{Call: call, Name: "v1", Door: "visitor", Sends: true, Down: 1, Kbps: 1000}, 'v')
	i, il, _ := join(t, path, sfu.Place{Call: call, Name: "i1", Door: "kiosk", Sends: true, Down: 1, Kbps: 1000}, 'i')
	for _, want := range []string{"a=ice-lite", "a=setup:passive", "VP8/90000", "rtx/90000", "b=AS:1000", "useinbandfec=1;usedtx=0;stereo=0;maxaveragebitrate=32000", "transport-cc"} {
		if !strings.Contains(answer, want) {
			t.Errorf("the answer lacks %q:\n%s", want, answer)
		}
	}
	if n := strings.Count(answer, "a=candidate"); n != 1 || strings.Contains(answer, " tcp ") {
		t.Errorf("the answer has %d candidates:\n%s", n, answer)
	}
	table := sfu.Table{Keep: true}
	for _, m := range []sfu.Media{sfu.Audio, sfu.Video} {
		table.Routes = append(table.Routes, sfu.Route{From: vl, Media: m, To: il}, sfu.Route{From: il, Media: m, To: vl})
	}
	path.Routes(call, table)
	for _, mid := range []string{"2", "3"} {
		v.Await("the inmate on mid "+mid, func() bool { return v.Count(mid, 'i') > 20 })
		i.Await("the visitor on mid "+mid, func() bool { return i.Count(mid, 'v') > 20 })
	}

	path.Routes(call, sfu.Table{})
	settle(i, v)
	a, b := v.Total(), i.Total()
	before := vl.LastMedia()
	v.Await("more of the visitor's media at the gateway", func() bool { return vl.LastMedia() > before+300*time.Millisecond })
	if v.Total() != a || i.Total() != b {
		t.Errorf("%d and %d packets leaked past an empty table", v.Total()-a, i.Total()-b)
	}

	last := i.Seen("3")
	path.Routes(call, table)
	i.Await("the picture again", func() bool { return len(i.Seen("3")) > len(last)+10 })
	wholeStream(t, i.Seen("2"))
	video := wholeStream(t, i.Seen("3"))
	if first := video[len(last)]; first.Payload[0] != 0x10 || first.Payload[1]&1 != 0 {
		t.Error("the picture does not resume with a key frame")
	}
}

// settle waits until what was under way when the routes closed has been read by the clients: two looks 100 ms apart that
// see the same.
func settle(peers ...*sfutest.Peer) {
	for {
		n := 0
		for _, p := range peers {
			n += p.Total()
		}
		time.Sleep(100 * time.Millisecond)
		m := 0
		for _, p := range peers {
			m += p.Total()
		}
		if n == m {
			return
		}
	}
}

func TestMonitorStartsFromTheKeptKeyFrame(t *testing.T) {
	for name, early := range map[string]bool{"routes when connected": false, "routes before": true} { // a room routes before
		t.Run(name, func(t *testing.T) {
			path := openPath(t, clock.Real{})
			call := ident.New[ident.Call]()
			v, vl, _ := join(t, path, sfu.Place{Call: call, Name: "v1", Door: "visitor", Sends: true, Down: 1}, 'v')
			path.Routes(call, sfu.Table{Keep: true})
			before := vl.LastMedia()
			v.Await("a second of kept media", func() bool { return vl.LastMedia() > before+time.Second })
			v.Await("the first request for a key frame", func() bool { return v.KeyAsks() > 0 })
			asks := v.KeyAsks()

			m, ml, answer := offer(t, path, sfu.Place{Call: call, Name: "m", Door: "staff", Down: 1, Watches: true}, 'm')
			routes := func() {
				path.Routes(call, sfu.Table{Keep: true, Routes: []sfu.Route{{From: vl, Media: sfu.Audio, To: ml}, {From: vl, Media: sfu.Video, To: ml}}})
			}
			if early {
				routes()
			}
			m.Take(answer)
			if !early {
				routes()
			}
			m.Await("the picture", func() bool { return m.Count("1", 'v') > 40 && m.Count("0", 'v') > 10 })
			video := wholeStream(t, m.Seen("1"))
			if video[0].Payload[1]&1 != 0 {
				t.Error("the monitor's picture does not start with a key frame")
			}
			if got := v.KeyAsks(); got != asks {
				t.Errorf("the visitor's camera was asked for %d key frames because of a monitor", got-asks)
			}
		})
	}
}

func TestPathRefusesOffers(t *testing.T) {
	path := openPath(t, clock.Real{})
	cert, fp := sfutest.Certificate(t)
	_, other := sfutest.Certificate(t)
	good := sfutest.NewPeer(t, cert, true, 1, 'x').Offer()
	for _, tt := range []struct {
		name, offer, fp string
		down            int
	}{
		{"another certificate", good, other, 1},
		{"too few lines", good, fp, 2},
		{"too many lines", good, fp, 0},
		{"layers", strings.Replace(good, "a=sendonly", "a=simulcast:send q;h\r\na=sendonly", 1), fp, 1},
		{"keys in clear", strings.Replace(good, "a=sendonly", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\na=sendonly", 1), fp, 1},
		{"other direction", strings.Replace(good, "a=sendonly", "a=sendrecv", 1), fp, 1},
		{"no rtcp-mux", strings.ReplaceAll(good, "a=rtcp-mux\r\n", ""), fp, 1},
		{"data channel", good + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\n", fp, 1},
		{"nothing", "", fp, 1},
		{"too long", good + strings.Repeat("a=x\r\n", 9000), fp, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pl := sfu.Place{Call: ident.New[ident.Call](), Door: "visitor", Sends: true, Down: tt.down, Fingerprint: tt.fp}
			_, _, err := path.Answer(t.Context(), pl, []byte(tt.offer))
			if !fault.Is(err, fault.Invalid) || fault.CodeOf(err) != "offer_refused" {
				t.Errorf("Answer = %v, want offer_refused", err)
			}
		})
	}
}
