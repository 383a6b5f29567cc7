package fleet

import (
	"context"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/reel/reeltest"
	"sallyport/appliance/sfu/sfutest"
	"sallyport/appliance/signaling/signaltest"
)

// liveWithin bounds the wait for the start of a call.
const liveWithin = 7 * time.Minute

// seat is one party of a call: a page with its connections.
type seat struct {
	who    *browser
	visit  string
	app    string
	url    string // of signaling
	call   string
	cert   webrtc.Certificate
	fp     string
	film   []reeltest.Frame
	notice string
	down   int

	*signaltest.Client
	peer    *sfutest.Peer
	welcome map[string]any
}

// take joins a visit's call through the door and the gateway, up to sending media and reading the notice.
func (b *browser) take(t *testing.T, visit string, film []reeltest.Frame) *seat {
	t.Helper()
	s := &seat{who: b, visit: visit, app: b.Name, film: film}
	s.cert, s.fp = sfutest.Certificate(t)
	s.join(t)
	return s
}

// join asks the door for a grant and enters with it.
func (s *seat) join(t *testing.T) {
	t.Helper()
	var ticket map[string]any
	doortest.Eventually(t, time.Minute, "a grant for "+s.visit, func() bool {
		a := s.who.Ask(t, "POST", "visits/"+s.visit+"/join", map[string]any{"fingerprint": s.fp})
		if a.Status == 200 {
			ticket = a.Body
			return true
		}
		// The waiting room opens within a second.
		if a.Status != 425 {
			t.Fatalf("%s joins: %d %s", s.app, a.Status, a.Raw)
		}
		return false
	})
	if servers := doortest.List(ticket, "ice_servers"); (s.app == "visitor") != (len(servers) > 0) {
		t.Errorf("%s is told the relays %v", s.app, servers)
	}
	s.url, s.call, s.notice = doortest.Str(ticket, "signaling"), doortest.Str(ticket, "call"), doortest.Str(ticket, "notice_version")
	s.Client = signaltest.Dial(t, s.url, s.who.Origin)
	s.welcome = s.Ask(t, map[string]any{
		"t": "join", "grant": ticket["grant"], "app": s.app, "version": "fleet",
		"caps": map[string]any{"video": []string{"VP8"}, "simulcast": false, "gcm": true},
	})
	if s.welcome["t"] != "welcome" {
		t.Fatalf("%s joins: %v", s.app, s.welcome)
	}
	down, _ := s.welcome["down"].(float64)
	s.down = int(down)
	s.media(t)
	if r := s.Ask(t, map[string]any{"t": "ready", "notice": s.notice}); r["t"] != "done" {
		t.Fatalf("%s acknowledges the notice: %v", s.app, r)
	}
}

// media makes the peer connection.
func (s *seat) media(t *testing.T) {
	t.Helper()
	if s.peer != nil {
		s.peer.Close()
	}
	s.peer = sfutest.NewPeer(t, s.cert, true, s.down, s.app[0])
	s.peer.Show(s.film)
	a := s.Ask(t, map[string]any{"t": "offer", "sdp": s.peer.Offer()})
	sdp, ok := a["sdp"].(string)
	if !ok {
		t.Fatalf("%s offers: %v", s.app, a)
	}
	s.peer.Take(sdp)
}

// resume comes back after the socket was lost: with the token on a new socket, again and again, as a page does.
func (s *seat) resume(t *testing.T) {
	t.Helper()
	token := s.welcome["token"]
	if m := s.Last("token"); m != nil {
		token = m["token"]
	}
	last := s.Seq()
	doortest.Eventually(t, 30*time.Second, s.app+" to be back", func() bool {
		c, err := signaltest.TryDial(t, s.url, s.who.Origin)
		if err != nil {
			return false
		}
		w := c.Ask(t, map[string]any{"t": "resume", "token": token, "last": last})
		switch {
		case w["t"] == "welcome" && w["resumed"] == true:
			s.Client, s.welcome = c, w
			return true
		case w["code"] == "call_unknown" || w["code"] == "restarting":
			c.Close()
			return false
		}
		t.Fatalf("%s resumes: %v", s.app, w)
		return false
	})
	if s.welcome["offer"] == true {
		s.media(t)
	}
}

// live waits until the call runs, as this seat is told.
func (s *seat) live(t *testing.T) {
	t.Helper()
	s.WaitFor(t, liveWithin, s.app+" to be live", func() bool { return s.Phase() == "live" })
}

// got is how many packets of the other side have arrived: sound and picture.
func (s *seat) got() (sound, picture int) { return len(s.peer.Seen("2")), len(s.peer.Seen("3")) }

// flows waits until sound and picture of the other side arrive that were not there before.
func (s *seat) flows(t *testing.T) {
	t.Helper()
	sound, picture := s.got()
	doortest.Eventually(t, 20*time.Second, "sound and picture for the "+s.app, func() bool {
		a, v := s.got()
		return a > sound+100 && v > picture+30
	})
}

// still tells whether nothing arrives while the gateway beats its heart twice, which is two seconds.
func (s *seat) still(t *testing.T) {
	t.Helper()
	sound, picture := s.got()
	pings := s.Pings()
	s.Wait(t, "two heartbeats", func() bool { return s.Pings() >= pings+2 })
	if a, v := s.got(); a != sound || v != picture {
		t.Errorf("%s: %d packets of sound and %d of picture arrived while the call was paused", s.app, a-sound, v-picture)
	}
}

// liveCall is a call as the staff's wall shows it; nil when it is not there or the wall does not answer.
func (h *house) liveCall(t *testing.T, visit string) map[string]any {
	t.Helper()
	b := h.worker(t, "monitor")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	a, err := b.Try(ctx, "GET", "live", nil)
	if err != nil || a.Status != 200 {
		return nil
	}
	for _, c := range doortest.List(a.Body, "calls") {
		if c["visit"] == visit {
			return c
		}
	}
	return nil
}

// seatState is a seat's state on the staff's wall.
func seatState(call map[string]any, seat string) string {
	for _, s := range doortest.List(call, "seats") {
		if s["seat"] == seat {
			return doortest.Str(s, "state")
		}
	}
	return ""
}
