package link_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"go.uber.org/goleak"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/link"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/logs"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

// fasthttp keeps a clock for the process, and a cleaner of its workers that sleeps before it sees that they ended.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// serve serves routes on a socket of the test's own and returns a client of it and the end of the link.
func serve(t *testing.T, db *store.DB, peers link.Peers, routes ...link.Route) (*linkclient.Client, func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), linkspec.Socket)
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	l := link.New(link.Options{DB: db, Peers: peers, Routes: routes, Log: logs.New(os.Stderr)})
	go func() { done <- l.Serve(ctx, ln) }()
	client := linkclient.Dial(path)
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		cancel()
		client.Close()
		if err := <-done; err != nil {
			t.Errorf("the link ended with %v", err)
		}
	}
	t.Cleanup(end)
	return client, end
}

func answer(v any) fiber.Handler { return func(c fiber.Ctx) error { return c.JSON(v) } }

func TestOnlyItsPeerHasARoute(t *testing.T) {
	db := storetest.Open(t, audit.Schema)
	me := os.Getuid()
	client, _ := serve(t, db, link.Peers{link.Gateway: {me}, link.Sync: {me + 1}},
		link.Route{Peer: link.Gateway, Method: "GET", Path: linkspec.RouteKeys, Do: answer("mine")},
		link.Route{Peer: link.Sync, Method: "GET", Path: linkspec.RouteSyncState, Do: answer("theirs")})

	var got string
	if err := client.Get(t.Context(), linkspec.RouteKeys, &got); err != nil || got != "mine" {
		t.Fatalf("own route: %q, %v", got, err)
	}
	for _, route := range []string{linkspec.RouteSyncState, "/nothing", linkspec.RouteKeys + "/"} {
		if err := client.Get(t.Context(), route, &got); !fault.Is(err, fault.NotFound) {
			t.Errorf("GET %s = %v, want not found", route, err)
		}
	}
	var rows []audit.Row
	if err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		rows, err = audit.List(tx, audit.Filter{Verb: "link.refused"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[2].Subject != "GET "+linkspec.RouteSyncState || rows[2].By.ID != fmt.Sprintf("uid:%d", me) {
		t.Errorf("audited: %+v", rows)
	}
}

// TestBrokenConnectionIsNobodysQuestion: a connection that says nothing that can be read asked for no route, so nobody is
// accused of having asked for one.
func TestBrokenConnectionIsNobodysQuestion(t *testing.T) {
	db := storetest.Open(t, audit.Schema)
	path := filepath.Join(t.TempDir(), linkspec.Socket)
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	l := link.New(link.Options{DB: db, Peers: link.Peers{link.Gateway: {os.Getuid()}}, Log: logs.New(os.Stderr)})
	go func() { done <- l.Serve(ctx, ln) }()
	defer func() { cancel(); <-done }()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("what is this\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil { // answered and closed
		t.Fatal(err)
	}
	var rows []audit.Row
	if err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		rows, err = audit.List(tx, audit.Filter{Verb: "link.refused"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 0 {
		t.Errorf("audited: %+v", rows)
	}
}

func TestOneUIDMayStandForAllPeers(t *testing.T) {
	db := storetest.Open(t, audit.Schema)
	me := os.Getuid()
	client, _ := serve(t, db, link.Peers{link.Gateway: {me}, link.Sync: {me}},
		link.Route{Peer: link.Gateway, Method: "GET", Path: linkspec.RouteKeys, Do: answer("a")},
		link.Route{Peer: link.Sync, Method: "GET", Path: linkspec.RouteSyncState, Do: answer("b")})
	for _, route := range []string{linkspec.RouteKeys, linkspec.RouteSyncState} {
		var got string
		if err := client.Get(t.Context(), route, &got); err != nil {
			t.Errorf("GET %s: %v", route, err)
		}
	}
}

func TestRefusalsKeepTheirKind(t *testing.T) {
	db := storetest.Open(t, audit.Schema)
	client, _ := serve(t, db, link.Peers{link.Gateway: {os.Getuid()}},
		link.Route{Peer: link.Gateway, Method: "GET", Path: "/full", Do: func(fiber.Ctx) error {
			return fault.New("test", fault.Full, "No place is left.").WithCode("visit.full")
		}},
		link.Route{Peer: link.Gateway, Method: "GET", Path: "/broken", Do: func(fiber.Ctx) error {
			return fault.New("test", fault.Internal, "the pepper is 1234")
		}},
		link.Route{Peer: link.Gateway, Method: "GET", Path: "/panic", Do: func(fiber.Ctx) error { panic("the pepper is 1234") }})

	err := client.Get(t.Context(), "/full", nil)
	if !fault.Is(err, fault.Full) || fault.CodeOf(err) != "visit.full" {
		t.Errorf("full: %v", err)
	}
	for _, route := range []string{"/broken", "/panic"} {
		err = client.Get(t.Context(), route, nil)
		f, ok := fault.Of(err)
		if !ok || f.Kind != fault.Internal || f.Msg != "Something is wrong in the appliance; its log says what." {
			t.Errorf("%s told %v", route, err)
		}
	}
}

func TestStreamResumesAndEndsWithTheLink(t *testing.T) {
	db := storetest.Open(t, audit.Schema)
	changed := make(chan struct{})
	client, end := serve(t, db, link.Peers{link.Gateway: {os.Getuid()}},
		link.Route{Peer: link.Gateway, Method: "GET", Path: linkspec.RouteCommands, Do: func(c fiber.Ctx) error {
			return link.Stream(c, 40, func() <-chan struct{} { return changed }, func(_ context.Context, after int64) ([]link.Streamed, error) {
				if after >= 43 {
					return nil, nil
				}
				return []link.Streamed{{ID: after + 1, Event: "command", Data: after + 1}}, nil
			})
		}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- client.Stream(ctx, linkspec.RouteCommands, 40, func(event, id string, data []byte) error {
			got <- event + " " + id + " " + string(data)
			return nil
		})
	}()
	for _, want := range []string{"command 41 41", "command 42 42", "command 43 43"} {
		select {
		case s := <-got:
			if s != want {
				t.Fatalf("streamed %q, want %q", s, want)
			}
		case <-ctx.Done():
			t.Fatal("the stream is silent")
		}
	}
	began := time.Now()
	end()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the link took %s to end with a stream open", took)
	}
	cancel()
	<-done
}

func TestMetricsOfAllDaemons(t *testing.T) {
	db := storetest.Open(t, audit.Schema)
	m := link.NewMetrics(fixedClock{}, func() []byte { return []byte("go_goroutines 7\nown 1\n") })
	me := os.Getuid()
	client, _ := serve(t, db, link.Peers{link.Gateway: {me}, link.Operator: {me}}, m.Route(),
		m.Put(link.Gateway, linkspec.RouteMetrics, "gatewayd"))
	if err := client.Put(t.Context(), linkspec.RouteMetrics, []byte("# TYPE go_goroutines gauge\ngo_goroutines 9\ncalls 2\n"), nil); err != nil {
		t.Fatal(err)
	}
	var text []byte
	if err := client.Get(t.Context(), linkspec.RouteAllMetrics, &text); err != nil {
		t.Fatal(err)
	}
	const want = "go_goroutines 7\nown 1\n" +
		"# HELP sallyport_metrics_age_seconds Age of the metrics that a daemon handed in.\n# TYPE sallyport_metrics_age_seconds gauge\n" +
		"sallyport_metrics_age_seconds{daemon=\"gatewayd\"} 0.0\ncalls 2\n"
	if string(text) != want {
		t.Errorf("metrics:\n%s\nwant:\n%s", text, want)
	}
}

type fixedClock struct{}

func (fixedClock) Now() time.Time                       { return time.Unix(1_700_000_000, 0).UTC() }
func (fixedClock) Boot() time.Duration                  { return time.Hour }
func (fixedClock) BootID() string                       { return "boot" }
func (fixedClock) After(time.Duration) <-chan time.Time { return nil }
