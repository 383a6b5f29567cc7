package egress_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const list = `
[[allow]]
user = "booking"
host = "mail.example.org"
port = 587
[[allow]]
user = "booking"
host = "10.1.0.25"
port = 25
[[allow]]
user = "booking"
host = "inside.example.org"
port = 25
[[allow]]
user = "booking"
host = "mixed.example.org"
port = 25
[[allow]]
user = "booking"
host = "gone.example.org"
port = 25
[[allow]]
user = "booking"
host = "127.0.0.1"
port = 25
[[allow]]
user = "courier"
host = "updates.example.org"
port = 443
`

// names is what the test's name server knows.
var names = map[string]string{
	"mail.example.org":    "198.51.100.7 2001:db8::7 198.51.100.7",
	"inside.example.org":  "10.1.0.25 127.0.0.1 169.254.1.1 100.64.0.1 fd00::1 ::1 64:ff9b::a01:19 ::ffff:10.1.0.25",
	"mixed.example.org":   "10.1.0.25 198.51.100.8",
	"updates.example.org": "198.51.100.9",
}

// gate is a gate whose firewall is a list of commands.
func gate(t *testing.T) (g *egress.Gate, loaded *[]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "egress.toml")
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded = new([]string)
	return &egress.Gate{
		List: path,
		Users: func(uid int) (string, bool) {
			n, ok := map[int]string{701: "booking", 705: "courier"}[uid]
			return n, ok
		},
		Look: func(_ context.Context, host string) (all []netip.Addr, err error) {
			if names[host] == "" {
				return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
			}
			for _, a := range strings.Fields(names[host]) {
				all = append(all, netip.MustParseAddr(a))
			}
			return all, nil
		},
		Load: func(_ context.Context, commands string) error { *loaded = append(*loaded, commands); return nil },
		Log:  slog.New(slog.DiscardHandler),
	}, loaded
}

func TestOpen(t *testing.T) {
	for _, tt := range []struct {
		name string
		uid  int
		host string
		port int
		want []string
		kind fault.Kind
		code string
	}{
		{"a name on the list", 701, "mail.example.org", 587, []string{"198.51.100.7", "2001:db8::7"}, 0, ""},
		{"an address on the list", 701, "10.1.0.25", 25, []string{"10.1.0.25"}, 0, ""},
		{"what leads inside is left out", 701, "mixed.example.org", 25, []string{"198.51.100.8"}, 0, ""},
		{"a name that leads inside only", 701, "inside.example.org", 25, nil, fault.Forbidden, "egress.inside"},
		{"the box itself", 701, "127.0.0.1", 25, nil, fault.Forbidden, "egress.inside"},
		{"another port", 701, "mail.example.org", 25, nil, fault.Forbidden, "egress.host"},
		{"a name that is not there", 701, "gone.example.org", 25, nil, fault.Unavailable, "egress.name"},
		{"not on the list", 701, "evil.example.org", 587, nil, fault.Forbidden, "egress.host"},
		{"on somebody else's list", 701, "updates.example.org", 443, nil, fault.Forbidden, "egress.host"},
		{"on one's own", 705, "updates.example.org", 443, []string{"198.51.100.9"}, 0, ""},
		{"a user without a set", 702, "mail.example.org", 587, nil, fault.Forbidden, "egress.user"},
		{"root", 0, "mail.example.org", 587, nil, fault.Forbidden, "egress.user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, loaded := gate(t)
			got, err := g.Open(t.Context(), tt.uid, linkspec.EgressOpen{Host: tt.host, Port: tt.port})
			if tt.want == nil {
				if err == nil || fault.KindOf(err) != tt.kind || fault.CodeOf(err) != tt.code {
					t.Errorf("Open = %v, %v; want %v %s", got, err, tt.kind, tt.code)
				}
				if len(*loaded) > 0 {
					t.Errorf("the firewall got %q", *loaded)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Addresses); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			for _, a := range tt.want {
				if want := fmt.Sprintf("{ %s . %d timeout 600s }", a, tt.port); len(*loaded) != 1 || !strings.Contains((*loaded)[0], want) {
					t.Errorf("the firewall got %q, want %s", *loaded, want)
				}
			}
		})
	}
}

func TestWithoutSiteNobodyGoesOut(t *testing.T) {
	g, _ := gate(t)
	g.List = filepath.Join(t.TempDir(), "none.toml")
	if _, err := g.Open(t.Context(), 701, linkspec.EgressOpen{Host: "mail.example.org", Port: 587}); fault.CodeOf(err) != "egress.host" {
		t.Errorf("Open = %v", err)
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	g, _ := gate(t)
	for range 100 {
		if _, err := g.Open(t.Context(), 701, linkspec.EgressOpen{Host: "10.1.0.25", Port: 25}); err != nil {
			if fault.KindOf(err) != fault.TooMany {
				t.Fatal(err)
			}
			if _, err := g.Open(t.Context(), 705, linkspec.EgressOpen{Host: "updates.example.org", Port: 443}); err != nil {
				t.Errorf("one user's questions cost another his: %v", err)
			}
			return
		}
	}
	t.Error("a hundred questions at once are answered")
}

// Over the socket: the caller is the user that the kernel says, and refusals keep their kind.
func TestServe(t *testing.T) {
	g, _ := gate(t)
	me := os.Getuid()
	g.Users = func(uid int) (string, bool) { return "booking", uid == me }
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "host.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	client := linkclient.Dial(ln.Addr().String())
	t.Cleanup(client.Close)
	var got linkspec.Egress
	if err := client.Post(t.Context(), linkspec.RouteEgressOpen, linkspec.EgressOpen{Host: "mail.example.org", Port: 587}, &got); err != nil || got.Seconds != 600 {
		t.Errorf("answer %v, %v", got, err)
	}
	err = client.Post(t.Context(), linkspec.RouteEgressOpen, linkspec.EgressOpen{Host: "evil.example.org", Port: 587}, &got)
	if fault.KindOf(err) != fault.Forbidden || fault.CodeOf(err) != "egress.host" {
		t.Errorf("refusal %v", err)
	}
	g.Load = func(context.Context, string) error { return errors.New("secret words") }
	err = client.Post(t.Context(), linkspec.RouteEgressOpen, linkspec.EgressOpen{Host: "mail.example.org", Port: 587}, &got)
	if fault.KindOf(err) != fault.Unavailable || strings.Contains(err.Error(), "secret words") {
		t.Errorf("a firewall that does not answer: %v", err)
	}
	if err := client.Post(t.Context(), linkspec.RouteEgressOpen, []byte("{"), &got); fault.KindOf(err) != fault.Invalid {
		t.Errorf("half a question: %v", err)
	}
}

// What the gate says is what the firewall of the image understands, also when the address is there already.
func TestFirewallTakesTheCommands(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("IMAGE_TESTS") == "required" {
			t.Fatal("a network namespace needs root")
		}
		t.Skip("skipped: a network namespace needs root")
	}
	g, loaded := gate(t)
	for range 2 {
		if _, err := g.Open(t.Context(), 701, linkspec.EgressOpen{Host: "mail.example.org", Port: 587}); err != nil {
			t.Fatal(err)
		}
	}
	rules, err := os.ReadFile("../../images/appliance/root/etc/nftables.conf")
	if err != nil {
		t.Fatal(err)
	}
	sets := "table inet sallyport {\n"
	for line := range strings.Lines(string(rules)) {
		if strings.Contains(line, "set booking_to") && strings.Contains(line, "{") {
			sets += line
		}
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-n", "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(sets + "}\n" + strings.Join(*loaded, ""))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("nft: %v\n%s", err, out)
	}
}
