// Package seattest owns one party of a call for tests: somebody at a door who joins a visit, says hello to the gateway, sends
// sound and a picture, and counts what arrives. The gateway may be a process beside the test or run in a box.
//
// It must not know whose test it is: what a call should do is the test's.
package seattest

import (
	"net/http"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/reel/reeltest"
	"sallyport/appliance/sfu/sfutest"
	"sallyport/appliance/signaling/signaltest"
)

// liveWithin bounds the wait for the start of a call.
const liveWithin = 7 * time.Minute

// Seat is one party of a call: a page with its connections. Make it with [Take].
type Seat struct {
	Who    *doortest.Browser
	Visit  string
	Call   string // the visit's call, as the grant names it
	Print  string // fingerprint of the page's certificate
	Film   []reeltest.Frame
	Answer func(sdp string) string // what becomes of the gateway's answer on its way; nil leaves it as it is

	*signaltest.Client
	Peer *sfutest.Peer

	cert    sfutest.Cert
	url     string // of signaling
	notice  string
	down    int
	welcome map[string]any
}

// Take joins a visit's call through the door and the gateway, up to sending media and having read the notice.
func Take(t testing.TB, s *Seat) *Seat {
	t.Helper()
	s.cert, s.Print = sfutest.Certificate(t)
	s.Join(t)
	return s
}

// Join asks the door for a grant and enters with it.
func (s *Seat) Join(t testing.TB) {
	t.Helper()
	app := s.Who.Name
	var ticket map[string]any
	doortest.Eventually(t, time.Minute, "a grant for "+s.Visit, func() bool {
		a := s.Who.Ask(t, "POST", "visits/"+s.Visit+"/join", map[string]any{"fingerprint": s.Print})
		if a.Status == 200 {
			ticket = a.Body
			return true
		}
		// The waiting room opens within a second.
		if a.Status != 425 {
			t.Fatalf("%s joins: %d %s", app, a.Status, a.Raw)
		}
		return false
	})
	if servers := doortest.List(ticket, "ice_servers"); (app == "visitor") != (len(servers) > 0) {
		t.Errorf("%s is told the relays %v", app, servers)
	}
	s.url, s.Call, s.notice = doortest.Str(ticket, "signaling"), doortest.Str(ticket, "call"), doortest.Str(ticket, "notice_version")
	client, err := s.dial(t)
	if err != nil {
		t.Fatalf("dial signaling: %v", err)
	}
	s.Client = client
	s.welcome = s.Ask(t, map[string]any{
		"t": "join", "grant": ticket["grant"], "app": app, "version": "test",
		"caps": map[string]any{"video": []string{"VP8"}, "simulcast": false, "gcm": true},
	})
	if s.welcome["t"] != "welcome" {
		t.Fatalf("%s joins: %v", app, s.welcome)
	}
	down, _ := s.welcome["down"].(float64)
	s.down = int(down)
	s.media(t)
	if r := s.Ask(t, map[string]any{"t": "ready", "notice": s.notice}); r["t"] != "done" {
		t.Fatalf("%s acknowledges the notice: %v", app, r)
	}
}

func (s *Seat) dial(t testing.TB) (*signaltest.Client, error) {
	by := s.Who.Client
	if by == nil {
		by = http.DefaultClient
	}
	return signaltest.DialBy(t, by, s.url, s.Who.Origin)
}

// media makes the peer connection.
func (s *Seat) media(t testing.TB) {
	t.Helper()
	if s.Peer != nil {
		s.Peer.Close()
	}
	s.Peer = sfutest.NewPeer(t, s.cert, true, s.down, s.Who.Name[0])
	s.Peer.Show(s.Film)
	a := s.Ask(t, map[string]any{"t": "offer", "sdp": s.Peer.Offer()})
	sdp, ok := a["sdp"].(string)
	if !ok {
		t.Fatalf("%s offers: %v", s.Who.Name, a)
	}
	if s.Answer != nil {
		sdp = s.Answer(sdp)
	}
	s.Peer.Take(sdp)
}

// Resume comes back after the socket was lost: with the token on a new socket, again and again, as a page does.
func (s *Seat) Resume(t testing.TB) {
	t.Helper()
	token := s.welcome["token"]
	if m := s.Last("token"); m != nil {
		token = m["token"]
	}
	last := s.Seq()
	doortest.Eventually(t, 30*time.Second, s.Who.Name+" to be back", func() bool {
		c, err := s.dial(t)
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
		t.Fatalf("%s resumes: %v", s.Who.Name, w)
		return false
	})
	if s.welcome["offer"] == true {
		s.media(t)
	}
}

// Live waits until the call runs, as this seat is told.
func (s *Seat) Live(t testing.TB) {
	t.Helper()
	s.WaitFor(t, liveWithin, s.Who.Name+" to be live", func() bool { return s.Phase() == "live" })
}

// got is how many packets of the other side have arrived: sound and picture.
func (s *Seat) got() (sound, picture int) { return len(s.Peer.Seen("2")), len(s.Peer.Seen("3")) }

// Flows waits until sound and picture of the other side arrive that were not there before.
func (s *Seat) Flows(t testing.TB) {
	t.Helper()
	sound, picture := s.got()
	doortest.Eventually(t, 20*time.Second, "sound and picture for the "+s.Who.Name, func() bool {
		a, v := s.got()
		return a > sound+100 && v > picture+30
	})
}

// Still tells whether nothing arrives while the gateway beats its heart twice, which is two seconds.
func (s *Seat) Still(t testing.TB) {
	t.Helper()
	sound, picture := s.got()
	pings := s.Pings()
	s.Wait(t, "two heartbeats", func() bool { return s.Pings() >= pings+2 })
	if a, v := s.got(); a != sound || v != picture {
		t.Errorf("%s: %d packets of sound and %d of picture arrived while the call was paused", s.Who.Name, a-sound, v-picture)
	}
}
