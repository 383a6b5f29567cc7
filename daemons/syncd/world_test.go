package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"sallyport/appliance/audit"
	"sallyport/appliance/central"
	"sallyport/appliance/clock"
	"sallyport/appliance/ident"
	"sallyport/appliance/link"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/unit"
	"sallyport/appliance/vault"
	"sallyport/daemons/demo/centre"
)

// asDaemon makes the test program be syncd, so that it can be killed.
const asDaemon = "SALLYPORT_TEST_SYNCD"

func TestMain(m *testing.M) {
	if path := os.Getenv(asDaemon); path != "" {
		os.Args = []string{"syncd", "--config", path}
		main()
		return
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		// The embedded server leaves these behind after Close; it is in no shipped program.
		goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"),
		goleak.IgnoreAnyFunction("go.etcd.io/etcd/pkg/v3/logutil.(*MergeLogger).outputLoop"),
		goleak.IgnoreAnyFunction("go.etcd.io/etcd/client/pkg/v3/logutil.(*MergeLogger).outputLoop"))
}

// world is one facility, the centre, and syncd between them.
type world struct {
	t       *testing.T
	dir     string
	centre  *centre.Centre
	party   *vault.Party
	router  *clientv3.Client
	central *central.Central

	db      *store.DB
	out     *outbox.Outbox
	options outbox.Options
	endLink func()
	execute func(*store.Tx, record.Command) (record.Result, error)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.startCentre("127.0.0.1:0")
	w.party = w.newParty("centre")
	var err error
	if w.router, err = w.centre.Client(centre.Router); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.router.Close() })
	w.central = central.New(w.router, w.party, clock.Real{}, slog.New(slog.DiscardHandler))
	w.db = storetest.Open(t, audit.Schema, outbox.Schema)
	w.options = outbox.Options{Party: w.newParty("site"), Centre: w.party.Peer(), Guard: filepath.Join(w.dir, "incarnation")}
	w.openSite()
	return w
}

func (w *world) newParty(name string) *vault.Party {
	w.t.Helper()
	p, err := vault.NewParty([]byte(strings.Repeat(name, 32)))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) startCentre(at string) {
	w.t.Helper()
	c, err := centre.Start(w.within(20*time.Second), centre.Options{Dir: filepath.Join(w.dir, "centre"), Listen: at, Quick: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.centre = c
	w.t.Cleanup(c.Close)
}

func (w *world) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	w.t.Cleanup(cancel)
	return ctx
}

// openSite opens the outbox and serves the link, as bookingd does at a start.
func (w *world) openSite() {
	w.t.Helper()
	out, err := outbox.New(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := out.Begin(w.t.Context(), w.db); err != nil {
		w.t.Fatal(err)
	}
	w.out = out
	r := link.NewReplication(w.db, out)
	r.OnCommand(record.CmdVisitCancel, func(tx *store.Tx, c record.Command) (record.Result, error) { return w.execute(tx, c) })
	l := link.New(link.Options{
		DB: w.db, Log: slog.New(slog.DiscardHandler), Peers: link.Peers{link.Sync: {os.Getuid()}},
		Routes: r.Routes(link.NewMetrics(clock.Real{}, func() []byte { return nil })),
	})
	ln, err := net.Listen("unix", w.socket())
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, ln) }()
	ended := false
	w.endLink = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the link ended with %v", err)
		}
	}
	w.t.Cleanup(w.endLink)
}

func (w *world) socket() string { return filepath.Join(w.dir, linkspec.Socket) }
func (w *world) site() string   { return string(w.out.Site()) }

// enrol lets the site in.
func (w *world) enrol() {
	w.t.Helper()
	ctx := w.within(10 * time.Second)
	root, err := w.centre.Client(centre.Root)
	if err != nil {
		w.t.Fatal(err)
	}
	defer root.Close()
	state := view(w, w.out.State)
	for _, step := range []func() error{
		func() error { return w.central.Born(ctx) },
		func() error { return central.Admit(ctx, root, w.out.Site()) },
		func() error {
			return w.central.Enrol(ctx, central.Enrolment{Site: w.out.Site(), Incarnation: state.Incarnation, Keys: w.options.Party.Peer()})
		},
	} {
		if err := step(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// config writes syncd's configuration.
func (w *world) config() string {
	w.t.Helper()
	cert, key, ca, err := w.centre.Files(centre.SiteName(w.site()))
	if err != nil {
		w.t.Fatal(err)
	}
	path := filepath.Join(w.dir, "syncd.toml")
	text := fmt.Sprintf("site = %q\nlink = %q\nendpoints = [%q]\nauthority = %q\ncertificate = %q\nkey = %q\n",
		w.site(), w.socket(), w.centre.Endpoints()[0], ca, cert, key)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// syncd runs syncd in this process and returns its end.
func (w *world) syncd() func() {
	w.t.Helper()
	env := unit.NewEnv("syncd", []string{"--config", w.config()}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, env) }()
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("syncd ended with %v", err)
		}
	}
	w.t.Cleanup(end)
	return end
}

// process runs syncd as a process of its own, to be killed.
func (w *world) process() *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asDaemon+"="+w.config())
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return cmd
}

func view[T any](w *world, fn func(*store.Tx) (T, error)) T {
	w.t.Helper()
	var out T
	err := w.db.View(context.Background(), func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// until waits for the database to fulfil a condition, looking after every commit and every report of syncd.
func (w *world) until(what string, fits func(outbox.Status, linkspec.SyncState) bool) {
	w.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond) // reports are not commits
	defer look.Stop()
	for {
		changed := w.db.Changed()
		status, state := view(w, w.out.Status), view(w, w.out.State)
		if fits(status, state) {
			return
		}
		select {
		case <-changed:
		case <-look.C:
		case <-deadline.C:
			w.t.Fatalf("waiting until %s: status %+v, state %+v", what, status, state)
		}
	}
}

func (w *world) untilSynced() {
	w.t.Helper()
	w.until("everything is acknowledged", func(_ outbox.Status, s linkspec.SyncState) bool { return s.Head > 0 && s.Acked == s.Head })
}

func (w *world) put(records ...record.Record) {
	w.t.Helper()
	err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
		for _, r := range records {
			if err := w.out.Put(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func visit(id ident.Visit, state string) record.Record {
	return record.New(record.TypeVisit, id, &record.Visit{Class: "social", State: state})
}

// same compares what the site holds with what stands at the centre, byte for byte.
func (w *world) same() {
	w.t.Helper()
	own := view(w, func(tx *store.Tx) (map[string]string, error) {
		m := map[string]string{}
		for after := ""; ; {
			page, err := w.out.Records(tx, after, 1<<60, 1000)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Records {
				m[r.Key] = string(r.Sealed)
			}
			if after = page.Next; after == "" {
				return m, nil
			}
		}
	})
	res, err := w.router.Get(w.within(10*time.Second), record.SitePrefix(w.site()), clientv3.WithPrefix())
	if err != nil {
		w.t.Fatal(err)
	}
	there := map[string]string{}
	for _, kv := range res.Kvs {
		if _, _, _, err := record.ParsePath(string(kv.Key)); err == nil {
			there[string(kv.Key)] = string(kv.Value)
		}
	}
	if len(own) != len(there) {
		w.t.Errorf("%d records here, %d at the centre", len(own), len(there))
	}
	for k, v := range own {
		if there[k] != v {
			w.t.Errorf("%s differs at the centre", k)
		}
	}
}

type testClock = clock.Real

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
