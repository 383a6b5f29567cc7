package health_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/clock"
	"sallyport/appliance/entry"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/authority"
	"sallyport/provisioning/health"
	"sallyport/provisioning/phases"
)

// box is a box that is well; a test breaks one thing of it.
type box struct {
	t       *testing.T
	dir     string
	status  linkspec.Status
	metrics string
	answers map[string]int // HTTP status of each door
	failed  string         // what systemd lists
	rules   string
	tool    error
	setup   string
	phases  []phases.Result
	media   string
}

func newBox(t *testing.T) *box {
	t.Helper()
	// A unix socket's path is short.
	dir, err := os.MkdirTemp("", "box")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	b := &box{
		t: t, dir: dir, metrics: "# HELP x\n" + linkspec.MetricRecorderWrites + " 1\n", answers: map[string]int{"visitor": 401, "kiosk": 401, "staff": 401},
		rules: strings.Repeat("type filter hook; policy drop;\n", 3), setup: "ActiveState=active\nSubState=listening\n",
	}
	for _, name := range []string{"database", "disk", "gatewayd"} {
		b.status.Parts = append(b.status.Parts, linkspec.Part{Name: name, State: "ok"})
	}
	for _, p := range phases.List() {
		b.phases = append(b.phases, phases.Result{Phase: p.Name, State: phases.Done})
	}
	b.write("var/site/site.toml", "")
	b.media = stunServer(t).String()
	return b
}

func (b *box) write(name, text string) {
	b.t.Helper()
	at := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// serve answers on a unix socket of the box until the test ends.
func (b *box) serve(name string, wrap func(net.Listener) (net.Listener, error), h http.HandlerFunc) {
	b.t.Helper()
	ln, err := net.Listen("unix", filepath.Join(b.dir, "run", name))
	if err != nil {
		b.t.Fatal(err)
	}
	if wrap != nil {
		if ln, err = wrap(ln); err != nil {
			b.t.Fatal(err)
		}
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { _ = srv.Serve(ln); close(done) }()
	b.t.Cleanup(func() {
		_ = srv.Close()
		_ = ln.Close()
		<-done
	})
}

// ask builds the box as it was described and asks it once.
func (b *box) ask() []string {
	b.t.Helper()
	raw, err := json.Marshal(b.phases)
	if err != nil {
		b.t.Fatal(err)
	}
	b.write("run/phases.json", string(raw))
	b.write("run/gatewayd.toml", "[[media]]\nlisten = \""+b.media+"\"\n")
	conf := ""
	key, err := authority.NewKey()
	if err != nil {
		b.t.Fatal(err)
	}
	for door, code := range b.answers {
		host := door + ".harbour.example"
		conf += fmt.Sprintf("[%s]\norigin = \"https://%s\"\n", door, host)
		a, err := authority.New(key, "Harbour", authority.Names{DNS: []string{host}}, time.Now())
		if err != nil {
			b.t.Fatal(err)
		}
		leaf, err := a.Leaf(authority.Names{DNS: []string{host}}, time.Now())
		if err != nil {
			b.t.Fatal(err)
		}
		b.write("tls-"+door, string(leaf))
		if code == 0 {
			continue // nobody listens
		}
		b.serve(door+".sock", func(ln net.Listener) (net.Listener, error) {
			cert, err := entry.OpenCertificate(filepath.Join(b.dir, "tls-"+door), clock.Real{}, slog.New(slog.DiscardHandler))
			if err != nil {
				return nil, err
			}
			return entry.Listen(ln, entry.Options{Proxied: true, Certificate: cert})
		}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/"+door+"/session" || r.Host != host {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.WriteHeader(code)
		})
	}
	b.write("run/bookingd.toml", conf)
	b.serve("link.sock", nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == linkspec.RouteAllMetrics {
			fmt.Fprint(w, b.metrics)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(b.status); err != nil {
			b.t.Error(err)
		}
	})
	link := linkclient.Dial(filepath.Join(b.dir, "run/link.sock"))
	defer link.Close()
	box := health.New(health.Options{
		Run: filepath.Join(b.dir, "run"), State: filepath.Join(b.dir, "var"), Link: link, Log: slog.New(slog.DiscardHandler),
		Tool: func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
			switch {
			case b.tool != nil:
				return nil, b.tool
			case name == "nft":
				return []byte(b.rules), nil
			case slices.Contains(args, "bookingd-setup.socket"):
				return []byte(b.setup), nil
			case slices.Contains(args, "--state=failed"):
				return []byte(b.failed), nil
			}
			return nil, fmt.Errorf("no such program: %s %v", name, args)
		},
	})
	return health.Failed(box.Wait(b.t.Context(), 0))
}

// stunServer answers binding requests as a media socket does.
func stunServer(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		in := make([]byte, 512)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(in)
			if err != nil {
				return
			}
			if n < 20 || binary.BigEndian.Uint16(in) != 1 {
				continue
			}
			out := append([]byte{1, 1, 0, 0}, in[4:20]...)
			if _, err := conn.WriteToUDPAddrPort(out, from); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestEachFaultIsNamed(t *testing.T) {
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, tt := range []struct {
		name  string
		spoil func(b *box)
		want  []string
	}{
		{"all is well", func(*box) {}, nil},
		{"a phase failed", func(b *box) { b.phases[0].State = phases.Failed }, []string{"phases"}},
		{"a phase waits for a person", func(b *box) { b.phases[3].State = phases.Waiting }, nil},
		{"a phase did not run", func(b *box) { b.phases = b.phases[1:] }, []string{"phases"}},
		{"a unit failed", func(b *box) { b.failed = "syncd.service loaded failed failed Sallyport replication\n" }, []string{"units"}},
		{"its own last failure", func(b *box) { b.failed = "sallyport-health.service loaded failed failed Sallyport health\n" }, nil},
		{"the rules are gone", func(b *box) { b.rules = "" }, []string{"ruleset"}},
		{"the rules are open", func(b *box) { b.rules = "policy accept; policy drop; policy drop;" }, []string{"ruleset"}},
		{"no program answers", func(b *box) { b.tool = errors.New("gone") }, []string{"units", "ruleset", "setup"}},
		{"the disk is full", func(b *box) { b.status.Parts[1].State = "down" }, []string{"disk"}},
		{"the disk is nearly full", func(b *box) { b.status.Parts[1].State = "warn" }, nil},
		{"the gateway is away", func(b *box) { b.status.Parts[2].State = "down" }, []string{"gatewayd"}},
		{"the setup door is shut", func(b *box) { b.setup = "ActiveState=inactive\n" }, []string{"setup"}},
		{"a door answers 503", func(b *box) { b.answers["staff"] = 503 }, []string{"staff"}},
		{"a door is another", func(b *box) { b.answers["kiosk"] = 200 }, []string{"kiosk"}},
		{"nobody opens a door", func(b *box) { b.answers["visitor"] = 0 }, []string{"visitor"}},
		{"recordings are not written", func(b *box) { b.metrics = linkspec.MetricRecorderWrites + " 0\n" }, []string{"recorder"}},
		{"nobody knows of recordings", func(b *box) { b.metrics = "" }, []string{"recorder"}},
		{"media is silent", func(b *box) { b.media = silent.LocalAddr().String() }, []string{"media"}},
		{"no site file, no doors", func(b *box) {
			if err := os.Remove(filepath.Join(b.dir, "var/site/site.toml")); err != nil {
				b.t.Fatal(err)
			}
			b.answers, b.metrics, b.media = nil, "", "0.0.0.0:1"
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			tt.spoil(b)
			if diff := cmp.Diff(tt.want, b.ask()); diff != "" {
				t.Errorf("failed checks mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// A box that is slow to start is asked again until it is well.
func TestWaitAsksAgain(t *testing.T) {
	dir := t.TempDir()
	fake := clock.NewFake(time.Now())
	asked := 0
	box := health.New(health.Options{
		Run: dir, State: dir, Link: linkclient.Dial(filepath.Join(dir, "none.sock")), Log: slog.New(slog.DiscardHandler), Clock: fake,
		Tool: func(_ context.Context, _ []byte, name string, _ ...string) ([]byte, error) {
			if name == "nft" {
				asked++
			}
			return nil, nil
		},
	})
	done := make(chan []health.Finding)
	go func() { done <- box.Wait(t.Context(), 5*time.Second) }()
	for {
		select {
		case all := <-done:
			if failed := health.Failed(all); asked != 3 || !slices.Contains(failed, "link") {
				t.Errorf("asked %d times in five seconds, failed %v", asked, failed)
			}
			return
		default:
			if fake.Waiting() > 0 {
				fake.Advance(2 * time.Second)
			}
		}
	}
}
