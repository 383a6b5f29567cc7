package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sallyport/appliance/fault"
	"sallyport/appliance/grant"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/sfu/sfutest"
	"sallyport/appliance/signaling"
	"sallyport/appliance/unit"
)

func TestCallThroughTheDaemon(t *testing.T) {
	b := openBooking(t)
	d := startDaemon(t, b)
	spec := b.spec(time.Minute * 10)
	b.command(linkspec.Command{Cmd: linkspec.CmdOpen, Call: spec.Call, Version: 1, Spec: &spec})
	v, w, _ := enter(t, b, d, spec, 0, 'v')
	i, _, _ := enter(t, b, d, spec, 1, 'i')
	if w["kind"] != "seat" || w["offer"] != true || w["token"] == "" || w["grace_s"] != 60.0 {
		t.Errorf("the welcome is %v", w)
	}
	for _, c := range []*client{v, i} {
		eventually(t, "live", func() bool { return c.Phase() == "live" })
	}
	v.peer.Await("the inmate", func() bool { return v.peer.Count("2", 'i') > 10 && v.peer.Count("3", 'i') > 10 })
	i.peer.Await("the visitor", func() bool { return i.peer.Count("2", 'v') > 10 && i.peer.Count("3", 'v') > 10 })

	b.command(linkspec.Command{Cmd: linkspec.CmdPause, Call: spec.Call, Reason: "conduct", By: "sf_1", ByRole: "monitor"})
	eventually(t, "paused", func() bool { return v.Phase() == "paused" && i.Phase() == "paused" })
	b.command(linkspec.Command{Cmd: linkspec.CmdResume, Call: spec.Call, By: "sf_1", ByRole: "monitor", Check: ident.New[ident.Check]()})
	eventually(t, "live again", func() bool { return v.Phase() == "live" && i.Phase() == "live" })
	b.command(linkspec.Command{Cmd: linkspec.CmdSay, Call: spec.Call, Body: "Please sit closer."})
	eventually(t, "the words", func() bool { return v.Last("say")["body"] == "Please sit closer." })
	b.command(linkspec.Command{Cmd: linkspec.CmdEnd, Call: spec.Call, Reason: "terminated", By: "sf_1"})
	eventually(t, "ended", func() bool { return v.Last("ended")["code"] == "terminated" && i.Last("ended")["code"] == "terminated" })
	for _, kind := range []string{
		linkspec.SeatConnected, linkspec.RecordingArmed, linkspec.CallLive, linkspec.CallPaused, linkspec.CallResumed, linkspec.CallEnded, linkspec.RecordingSealed,
	} {
		eventually(t, "the fact "+kind, func() bool { return len(b.got(kind)) > 0 })
	}
}

func TestSeatsRejoinAfterARestart(t *testing.T) {
	b := openBooking(t)
	d := startDaemon(t, b)
	spec := b.spec(10 * time.Minute)
	b.command(linkspec.Command{Cmd: linkspec.CmdOpen, Call: spec.Call, Version: 1, Spec: &spec})
	v, wv, mv := enter(t, b, d, spec, 0, 'v')
	i, wi, mi := enter(t, b, d, spec, 1, 'i')
	eventually(t, "live", func() bool { return v.Phase() == "live" && i.Phase() == "live" })
	v.peer.Await("the inmate", func() bool { return v.peer.Count("3", 'i') > 10 })
	began := time.Now()
	d.stop()
	if p := v.Last("problem"); p["code"] != "restarting" {
		t.Errorf("the visitor was told %v", p)
	}
	d.start()
	back := func(w map[string]any, media func(*client) *sfutest.Peer) *client {
		c := dial(t, d)
		r := c.Ask(t, map[string]any{"t": "resume", "token": w["token"], "last": 3})
		if r["t"] != "welcome" || r["resumed"] != true || r["offer"] != true || r["notice"].(map[string]any)["acknowledged"] != true {
			t.Fatalf("resume: %v", r)
		}
		c.peer = media(c)
		return c
	}
	v2, i2 := back(wv, mv), back(wi, mi)
	v2.peer.Await("the inmate again", func() bool { return v2.peer.Count("3", 'i') > 5 })
	i2.peer.Await("the visitor again", func() bool { return i2.peer.Count("3", 'v') > 5 })
	t.Logf("media again %v after the stop", time.Since(began))
	segments, _ := filepath.Glob(filepath.Join(d.state, "recordings", "*", "*", "*.reel"))
	if len(segments) != 2 {
		t.Errorf("the recording has the segments %v", segments)
	}
	b.command(linkspec.Command{Cmd: linkspec.CmdEnd, Call: spec.Call, Reason: "terminated"})
	eventually(t, "the seal", func() bool { return len(b.got(linkspec.RecordingSealed)) == 1 })
}

func TestCallOutlivesBooking(t *testing.T) {
	b := openBooking(t)
	d := startDaemon(t, b)
	b.down()
	spec := b.spec(6 * time.Second)
	// Nobody commanded this call: the grants carry what opens it.
	v, _, _ := enter(t, b, d, spec, 0, 'v')
	i, _, _ := enter(t, b, d, spec, 1, 'i')
	eventually(t, "live", func() bool { return v.Phase() == "live" && i.Phase() == "live" })
	eventually(t, "the fixed end", func() bool { return v.Last("ended")["code"] == "time_up" && i.Last("ended")["code"] == "time_up" })
	if late := time.Since(spec.Ends.Wall); late < -250*time.Millisecond || late > 400*time.Millisecond {
		t.Errorf("it ended %v after its end", late)
	}
	if n := len(b.got(linkspec.CallEnded)); n != 0 {
		t.Fatalf("a fact arrived while bookingd was away: %d", n)
	}
	b.up()
	eventually(t, "the facts", func() bool { return len(b.got(linkspec.CallEnded)) == 1 && len(b.got(linkspec.CallLive)) == 1 })
}

func TestDeviceCheckEchoes(t *testing.T) {
	b := openBooking(t)
	d := startDaemon(t, b)
	cert, fp := sfutest.Certificate(t)
	c := dial(t, d)
	w := c.Ask(t, map[string]any{"t": "join", "grant": b.grant(grant.Claims{Kind: grant.Probe, Door: "visitor", Role: "visitor", Who: "vr_1", FP: fp})})
	if w["kind"] != "probe" || w["token"] != "" {
		t.Fatalf("join: %v", w)
	}
	p := sfutest.NewPeer(t, cert, true, 1, 'p')
	a := c.Ask(t, map[string]any{"t": "offer", "sdp": p.Offer()})
	p.Take(a["sdp"].(string))
	p.Await("its own media", func() bool { return p.Count("2", 'p') > 10 && p.Count("3", 'p') > 5 })
	if r := c.Ask(t, map[string]any{"t": "leave", "why": "user"}); r["t"] != "done" {
		t.Errorf("leave: %v", r)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	b := openBooking(t)
	d := startDaemon(t, b)
	_, res, err := websocket.Dial(t.Context(), d.url, &websocket.DialOptions{
		Subprotocols: []string{signaling.Protocol}, HTTPHeader: http.Header{"Origin": {"http://elsewhere.example"}},
	})
	if err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("another origin: %v", err)
	}
	spec := b.spec(time.Minute)
	cert, fp := sfutest.Certificate(t)
	_ = cert
	good := grant.Claims{Kind: grant.Seat, Door: "visitor", Call: spec.Call, Seat: "v1", Role: "visitor", Who: "vr_1", Class: spec.Class, FP: fp, Spec: &spec}
	for _, tt := range []struct {
		name string
		msg  map[string]any
		want string
	}{
		{"no grant", map[string]any{"t": "join", "grant": "SPG1.e30.x"}, "grant_bad"},
		{"token of nobody", map[string]any{"t": "resume", "token": "SPR1.c_1.v1.1.AAAA", "last": 0}, "resume_bad"},
		{"something else first", map[string]any{"t": "ready", "notice": "en-1"}, "bad_message"},
		{"unknown field", map[string]any{"t": "join", "grant": "x", "seats": 9}, "bad_message"},
		{"unknown type", map[string]any{"t": "record"}, "bad_message"},
		{"privileged monitor", map[string]any{"t": "join", "grant": b.grant(grant.Claims{Kind: grant.Monitor, Door: "staff", Call: ident.New[ident.Call](), Role: "monitor", Who: "sf_1", Class: linkspec.Social, FP: fp})}, "call_unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, d)
			c.Send(t, tt.msg)
			eventually(t, "a problem", func() bool { return c.Last("problem") != nil })
			if p := c.Last("problem"); p["code"] != tt.want {
				t.Errorf("told %v, want %s", p, tt.want)
			}
			<-c.Done() // fatal ones close the socket
		})
	}
	c := dial(t, d)
	if w := c.Ask(t, map[string]any{"t": "join", "grant": b.grant(good)}); w["t"] != "welcome" {
		t.Fatalf("join: %v", w)
	}
	other, _ := sfutest.Certificate(t)
	p := sfutest.NewPeer(t, other, true, 1, 'x')
	if r := c.Ask(t, map[string]any{"t": "offer", "sdp": p.Offer()}); r["code"] != "offer_refused" {
		t.Errorf("an offer with another certificate: %v", r)
	}
	eventually(t, "the fact", func() bool { return len(b.got(linkspec.FingerprintWrong)) == 1 })
}

func TestConfigurationIsChecked(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "state = \"/tmp/x\"\nlobby = 1\n", "config.unknown_key"},
		{"media everywhere", "[[media]]\ndoors = [\"visitor\", \"kiosk\", \"staff\"]\nlisten = \"0.0.0.0:50000\"\n", "config.value"},
		{"media of a door missing", "[[media]]\ndoors = [\"visitor\", \"kiosk\"]\nlisten = \"127.0.0.1:50000\"\n", "config.value"},
		{"two media addresses for visitors", "[[media]]\ndoors = [\"visitor\", \"kiosk\", \"staff\"]\nlisten = \"127.0.0.1:50000\"\n" +
			"[[media]]\ndoors = [\"visitor\"]\nlisten = \"127.0.0.2:50000\"\n", "config.value"},
		{"one address of an interface", "[[media]]\ndoors = [\"visitor\"]\nlisten = \"127.0.0.1:50000\"\ndevice = \"lo\"\n", "config.value"},
		{"an interface for kiosks", "[[media]]\ndoors = [\"visitor\", \"kiosk\", \"staff\"]\nlisten = \"0.0.0.0:50000\"\ndevice = \"lo\"\n", "config.value"},
		{"clients' addresses told by anybody", "proxy = true\n", "config.value"},
		{"no port", "signaling = \"localhost\"\n", "config.value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "gatewayd.toml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := defaults()
			if err := unit.Config(path, &cfg); fault.CodeOf(err) != tt.want {
				t.Errorf("Config = %v, want %s", err, tt.want)
			}
		})
	}
}
