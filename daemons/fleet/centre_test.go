package fleet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
)

// site is the facility's id at the centre.
func (h *house) site(t *testing.T) string {
	t.Helper()
	site := linkclient.Dial(h.Link)
	defer site.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var s linkspec.SyncState
	if err := site.Get(ctx, linkspec.RouteSyncState, &s); err != nil {
		t.Fatal(err)
	}
	return s.Site
}

// offline is how long a site may take to find its centre again: what it dials with waits up to two minutes between tries.
const offline = 3 * time.Minute

// record waits for a record at the centre whose words hold all of these texts, in any case.
func (h *house) record(t *testing.T, within time.Duration, texts ...string) (found linkspec.CentralRecord) {
	t.Helper()
	office := linkclient.Dial(h.socket())
	defer office.Close()
	site := h.site(t)
	doortest.Eventually(t, within, "a record with "+strings.Join(texts, ", "), func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var all linkspec.CentralRecords
		if err := office.Get(ctx, linkspec.RouteCentralRecords+"?site="+site, &all); err != nil {
			t.Fatal(err)
		}
		for _, r := range all.Records {
			if r.Trouble != "" {
				t.Errorf("the record %s cannot be read: %s", r.Key, r.Trouble)
			}
			whole := strings.ToLower(r.Key + string(r.Body))
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(whole, strings.ToLower(text)) }) {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// centreCancels sends the same order three times: it is executed once, and told once.
func (c *calm) centreCancels(t *testing.T) {
	var visit string
	for _, v := range doortest.List(c.ann.Do(t, 200, "GET", "visits", nil), "visits") {
		if at, _ := time.Parse(time.RFC3339, doortest.Str(v, "start")); v["state"] == "confirmed" && time.Until(at) > 24*time.Hour {
			visit = doortest.Str(v, "id")
		}
	}
	office := linkclient.Dial(c.socket())
	defer office.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	order := linkspec.CentralCommand{Site: c.site(t), Kind: "visit.cancel", Subject: visit, Reason: "lockdown"}
	result := func() (r linkspec.CentralResult) {
		t.Helper()
		doortest.Eventually(t, 30*time.Second, "the outcome of the order", func() bool {
			err := office.Get(ctx, linkspec.RouteCentralResult+"?site="+order.Site+"&command="+order.ID, &r)
			if err != nil && !fault.Is(err, fault.NotFound) {
				t.Fatal(err)
			}
			return err == nil
		})
		return r
	}
	for range 3 {
		var sent linkspec.CentralSent
		if err := office.Post(ctx, linkspec.RouteCentralCommand, order, &sent); err != nil {
			t.Fatal(err)
		}
		order.ID = sent.ID
		if r := result(); r.Outcome != "cancelled" {
			t.Fatalf("the order's outcome is %+v", r)
		}
	}
	if s := c.ann.state(t, visit); s != "cancelled" {
		t.Errorf("the visit is %s", s)
	}
	rows := doortest.List(c.worker(t, "administrator").Do(t, 200, "GET", "audit?subject="+visit+"&verb=visit.cancel", nil), "rows")
	if len(rows) != 1 || rows[0]["actor_kind"] != "central" {
		t.Errorf("the audit has %v", rows)
	}
	order.ID = ""
	var sent linkspec.CentralSent
	if err := office.Post(ctx, linkspec.RouteCentralCommand, order, &sent); err != nil {
		t.Fatal(err)
	}
	order.ID = sent.ID
	if r := result(); r.Outcome == "cancelled" {
		t.Errorf("another order about a cancelled visit: %+v", r)
	}
}

// centreHolds finds account and visit at the centre, and no name, number or date in what etcd has on disk.
func (c *calm) centreHolds(t *testing.T) {
	state := "terminated"
	if all() {
		state = "completed"
	}
	visit := c.record(t, 30*time.Second, c.visit, state)
	account := c.record(t, 30*time.Second, newcomer.Last, newcomer.First)
	clear := []string{newcomer.First, newcomer.Last, newcomer.Phone, newcomer.Phone[2:], newcomer.Email, newcomer.Born}
	for _, i := range c.People.Inmates {
		clear = append(clear, i.Last, i.Number)
	}
	for _, v := range c.People.Visitors {
		clear = append(clear, v.Phone, v.Email)
	}
	keys := map[string]bool{visit.Key: false, account.Key: false}
	err := filepath.WalkDir(filepath.Join(c.state, "centre", "etcd"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // etcd has thrown a file away
		}
		for _, text := range clear {
			if bytes.Contains(raw, []byte(text)) {
				t.Errorf("%s stands in clear in %s", text, filepath.Base(path))
			}
		}
		for key := range keys {
			keys[key] = keys[key] || bytes.Contains(raw, []byte(key))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, seen := range keys {
		if !seen {
			t.Errorf("the search is blind: %s is not in etcd's files", key)
		}
	}
}

// wire is what lies between the site and the central etcd; it can be cut.
type wire struct {
	listener net.Listener

	mu     sync.Mutex // guards what follows
	config string     // of a daemon that goes to etcd straight
	cut    bool
	conns  map[net.Conn]bool
	all    sync.WaitGroup
}

// layWire listens; where it leads is known once demo runs: see [wire.lead].
func layWire(t *testing.T) *wire {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, conns: map[net.Conn]bool{}}
	w.all.Go(w.serve)
	t.Cleanup(func() {
		_ = l.Close()
		w.set(true)
		w.all.Wait()
	})
	return w
}

func (w *wire) at() string { return w.listener.Addr().String() }

func (w *wire) serve() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.DialTimeout("tcp4", w.target(), 5*time.Second)
		if err != nil || !w.keep(near, far) {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			continue
		}
		w.all.Go(func() { w.pump(near, far) })
		w.all.Go(func() { w.pump(far, near) })
	}
}

func (w *wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		if !w.cut {
			w.conns[c] = true
		}
	}
	return !w.cut
}

func (w *wire) pump(from, to net.Conn) {
	_, _ = io.Copy(to, from) // ends when either end is closed
	_, _ = from.Close(), to.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, from)
}

// set cuts the wire or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.conns {
			_ = c.Close()
		}
	}
}

// lead joins the wire to the central etcd of a house, wherever that listens at the moment.
func (w *wire) lead(h *house) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.config = filepath.Join(h.state, "centrald.toml")
}

// target is where etcd listens, as demo told centrald.
func (w *wire) target() string {
	w.mu.Lock()
	path := w.config
	w.mu.Unlock()
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	m := etcdAt.FindSubmatch(raw)
	if m == nil {
		return ""
	}
	return string(m[1])
}

var etcdAt = regexp.MustCompile(`endpoints = \["https://([^"]+)"\]`)

// syncCard is replication as staff see it.
func (h *house) syncCard(t *testing.T) map[string]any {
	t.Helper()
	return h.worker(t, "administrator").Do(t, 200, "GET", "sync", nil)
}
