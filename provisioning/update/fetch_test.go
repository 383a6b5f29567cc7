package update_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning/update"
)

// shelf is a server of updates that can let its line die.
type shelf struct {
	*httptest.Server
	file  string
	cut   int      // the line dies in the middle of this answer, 0: never
	asked []string // ranges
}

func newShelf(t *testing.T, file string) *shelf {
	t.Helper()
	s := &shelf{file: file}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://"+r.Host+"/latest.upd", http.StatusFound)
			return
		}
		if r.URL.Path != "/latest.upd" {
			http.NotFound(w, r)
			return
		}
		s.asked = append(s.asked, r.Header.Get("Range"))
		info, err := os.Stat(s.file)
		if err == nil && len(s.asked) == s.cut {
			w = &dying{w, info.Size() / 2}
		}
		http.ServeFile(w, r, s.file)
	}))
	t.Cleanup(s.Close)
	return s
}

// dying gives a number of bytes and no more.
type dying struct {
	http.ResponseWriter
	left int64
}

// Write gives bytes until the line dies.
func (d *dying) Write(p []byte) (int, error) {
	n, err := d.ResponseWriter.Write(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	if d.left == 0 {
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func fetcher(t *testing.T, b *box, s *shelf) *update.Fetcher {
	t.Helper()
	client := update.NewClient(nil)
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &update.Fetcher{Box: b.Box, Client: client, Folder: t.TempDir()}
}

func TestFetch(t *testing.T) {
	b := newBox(t, "1.4.0")
	s := newShelf(t, b.bring("1.5.0"))
	f := fetcher(t, b, s)
	old := filepath.Join(f.Folder, "sallyport-1.3.0.upd")
	b.must(os.WriteFile(old, nil, 0o600))

	// The first answer is read to its signature only; the line dies in the middle of the second.
	s.cut = 2
	if _, err := f.Fetch(t.Context(), s.URL+"/latest.upd"); fault.CodeOf(err) != "update.cut" {
		t.Fatalf("over a line that dies: %v", err)
	}
	if _, err := f.Fetch(t.Context(), s.URL+"/latest.upd"); err != nil {
		t.Fatal(err)
	}
	if last := s.asked[len(s.asked)-1]; !strings.HasPrefix(last, "bytes=") || last == "bytes=0-" {
		t.Errorf("asked for %q: not from where it was cut", last)
	}
	path := filepath.Join(f.Folder, "sallyport-1.5.0.upd")
	if _, err := b.Verify(t.Context(), path); err != nil {
		t.Errorf("what was fetched: %v", err)
	}
	if left, err := os.ReadDir(f.Folder); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}

	asked := len(s.asked)
	if again, err := f.Fetch(t.Context(), s.URL+"/latest.upd"); err != nil || again != path || len(s.asked) != asked+1 {
		t.Errorf("once more: %q, %v after %d answers", again, err, len(s.asked)-asked)
	}
	b.runs("1.5.0")
	if _, err := f.Fetch(t.Context(), s.URL+"/latest.upd"); fault.CodeOf(err) != "update.same" {
		t.Errorf("what runs already: %v", err)
	}
}

// An update that was replaced while a part of the old one is there is fetched anew, not put together from two.
func TestFetchOfAReplacedFile(t *testing.T) {
	b := newBox(t, "1.4.0")
	s := newShelf(t, b.bring("1.6.0"))
	f := fetcher(t, b, s)
	other, err := os.ReadFile(b.bring("1.5.0"))
	b.must(err)
	b.must(os.WriteFile(filepath.Join(f.Folder, ".fetched.part"), other[:len(other)/2], 0o600))
	if _, err := f.Fetch(t.Context(), s.URL+"/latest.upd"); err == nil {
		t.Fatal("half of two files passes")
	}
	if _, err := f.Fetch(t.Context(), s.URL+"/latest.upd"); err != nil {
		t.Errorf("the next try: %v", err)
	}
}

func TestFetchRefuses(t *testing.T) {
	b := newBox(t, "1.4.0")
	good := b.bring("1.5.0")
	raw, err := os.ReadFile(good)
	b.must(err)
	long := filepath.Join(t.TempDir(), "long.upd")
	b.must(os.WriteFile(long, append(raw, make([]byte, 2<<20)...), 0o600))
	raw[700] ^= 1
	forged := filepath.Join(t.TempDir(), "forged.upd")
	b.must(os.WriteFile(forged, raw, 0o600))
	for _, tt := range []struct {
		name, file, path, code string
		scheme                 string
	}{
		{"plain http", good, "/latest.upd", "update.address", "http"},
		{"no such file", good, "/none.upd", "update.server", ""},
		{"sent on to plain http", good, "/away", "update.server", ""},
		{"forged", forged, "/latest.upd", "signature.wrong", ""},
		{"longer than it says", long, "/latest.upd", "update.trailing", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShelf(t, tt.file)
			f := fetcher(t, b, s)
			address := s.URL + tt.path
			if tt.scheme != "" {
				address = tt.scheme + strings.TrimPrefix(address, "https")
			}
			if _, err := f.Fetch(t.Context(), address); fault.CodeOf(err) != tt.code {
				t.Errorf("Fetch = %v, want %s", err, tt.code)
			}
			if left, err := os.ReadDir(f.Folder); err != nil || len(left) != 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	b := newBox(t, "1.4.0")
	hang := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		close(hang)
		<-r.Context().Done()
	}))
	defer server.Close()
	s := &shelf{Server: server}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { <-hang; cancel() }()
	if _, err := fetcher(t, b, s).Fetch(ctx, server.URL+"/latest.upd"); err == nil {
		t.Error("a server that says nothing gives an update")
	}
}
