package linkclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sallyport/appliance/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers on a unix socket until the end of the test.
func serve(t *testing.T, path string, h http.HandlerFunc) (stop func()) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	var once sync.Once
	stop = func() { once.Do(func() { _ = srv.Close(); <-done }) }
	t.Cleanup(stop)
	return stop
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c := Dial(path)
	c.pause = func(int) time.Duration { return time.Millisecond }
	t.Cleanup(c.Close)
	return c
}

func TestCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "link.sock")
	serve(t, path, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(map[string]string{"said": r.Method + " " + r.URL.String() + " " + r.Header.Get("Content-Type") + " " + string(b)})
	})
	c := dial(t, path)
	var out struct{ Said string }
	var raw []byte
	for _, tt := range []struct {
		name string
		call func() error
		want string
	}{
		{"get", func() error { return c.Get(t.Context(), "/calls?after=3", &out) }, "GET /calls?after=3  "},
		{"post", func() error { return c.Post(t.Context(), "/events", map[string]int{"n": 1}, &out) }, `POST /events application/json {"n":1}`},
		{"put text", func() error { return c.Put(t.Context(), "/metrics", []byte("up 1\n"), &out) }, "PUT /metrics text/plain; charset=utf-8 up 1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.call(); err != nil || out.Said != tt.want {
				t.Errorf("answer %q, %v, want %q", out.Said, err, tt.want)
			}
		})
	}
	if err := c.Get(t.Context(), "/raw", &raw); err != nil || len(raw) == 0 {
		t.Errorf("raw answer %q, %v", raw, err)
	}
	if err := c.Post(t.Context(), "/nothing", nil, nil); err != nil {
		t.Error(err)
	}
}

func TestRefusalsKeepTheirKind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "link.sock")
	var status int
	var body string
	serve(t, path, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	c := dial(t, path)
	for _, tt := range []struct {
		status int
		body   string
		kind   fault.Kind
		code   string
	}{
		{409, `{"title":"Conflict","detail":"Taken.","code":"slot.taken","params":{"n":1}}`, fault.Conflict, "slot.taken"},
		{409, `{"title":"Conflict","kind":"full","code":"slot.full"}`, fault.Full, "slot.full"},
		{422, `{"title":"Wrong"}`, fault.Invalid, ""},
		{403, `not JSON`, fault.Forbidden, ""},
		{404, ``, fault.NotFound, ""},
		{503, ``, fault.Unavailable, ""},
		{500, ``, fault.Internal, ""},
	} {
		status, body = tt.status, tt.body
		err := c.Get(t.Context(), "/x", nil)
		if !fault.Is(err, tt.kind) || fault.CodeOf(err) != tt.code {
			t.Errorf("status %d %s: %v, want %v %q", tt.status, tt.body, err, tt.kind, tt.code)
		}
	}
}

func TestAwayIsUnavailable(t *testing.T) {
	c := dial(t, filepath.Join(t.TempDir(), "nobody.sock"))
	if err := c.Get(t.Context(), "/x", nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Get = %v", err)
	}
}

// The stream is cut after every second event, the server restarts once, and each event still comes exactly once.
func TestStreamGoesOnWhereItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "link.sock")
	const last = 9
	h := func(w http.ResponseWriter, r *http.Request) {
		var after int
		_, _ = fmt.Sscan(r.URL.Query().Get("after"), &after)
		_, _ = io.WriteString(w, ": heartbeat\n\n")
		for n := after + 1; n <= min(after+2, last); n++ {
			fmt.Fprintf(w, "id: %d\nevent: command\ndata: {\"seq\":%d,\ndata: \"x\":1}\n\n", n, n)
		}
		fmt.Fprintf(w, "id: %d\nevent: command\ndata: half of an event", after+3)
	}
	stop := serve(t, path, h)
	c := dial(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	err := c.Stream(ctx, "/gateway/commands", 2, func(event, id string, data []byte) error {
		got = append(got, event+" "+id+" "+string(data))
		switch id {
		case "5":
			stop()
			serve(t, path, h)
		case fmt.Sprint(last):
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Errorf("Stream = %v", err)
	}
	var want []string
	for n := 3; n <= last; n++ {
		want = append(want, fmt.Sprintf("command %d {\"seq\":%d,\n\"x\":1}", n, n))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events mismatch (-want +got):\n%s", diff)
	}
}

func TestStreamEndsWithItsReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "link.sock")
	serve(t, path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "id: 1\ndata: x\n\n") })
	own := errors.New("cannot apply")
	err := dial(t, path).Stream(t.Context(), "/s", 0, func(string, string, []byte) error { return own })
	if err != own { //nolint:errorlint // this very error, not one around it
		t.Errorf("Stream = %v, want the reader's own error", err)
	}
}

func TestStreamGivesUpOnlyWhenRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "link.sock")
	var tries atomic.Int32
	serve(t, path, func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusForbidden)
	})
	err := dial(t, path).Stream(t.Context(), "/s", 0, func(string, string, []byte) error { return nil })
	if !fault.Is(err, fault.Forbidden) || tries.Load() != 3 {
		t.Errorf("Stream = %v after %d tries", err, tries.Load())
	}
}

func TestSilentStreamIsDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "link.sock")
	var tries atomic.Int32
	serve(t, path, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		if tries.Add(1) > 1 {
			_, _ = io.WriteString(w, "id: 1\ndata: x\n\n")
			return
		}
		<-r.Context().Done()
	})
	c := dial(t, path)
	c.idle = 30 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Stream(ctx, "/s", 0, func(string, string, []byte) error { cancel(); return nil }); err != nil || tries.Load() < 2 {
		t.Errorf("Stream = %v after %d tries", err, tries.Load())
	}
}

func TestBackOff(t *testing.T) {
	for try := range 100 {
		if d := backOff(try); d < 50*time.Millisecond || d > 5*time.Second {
			t.Fatalf("try %d waits %v", try, d)
		}
	}
}
