package update

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning/bundle"
)

// Fetcher brings the newest update from an address. The address is that of the file itself: its signed front says which
// version it is, so that nothing else has to be asked or believed. It runs as a user that can do nothing with what it
// brings but leave it in a folder.
type Fetcher struct {
	Box    *Box
	Client *http.Client // NewClient's, but in tests
	Folder string       // where it leaves the file
}

// NewClient returns a client that speaks HTTPS only, whatever it is sent on to, and gives up on a server that stops
// talking. dial is its way out of the box; nil where nothing is in the way.
func NewClient(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Client {
	t := &http.Transport{
		DialContext:     dial,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ResponseHeaderTimeout: 30 * time.Second, TLSHandshakeTimeout: 30 * time.Second,
		DisableCompression: true,
	}
	return &http.Client{Transport: t, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != "https" || len(via) > 3 {
			return errors.New("sent on to where an update is not fetched from")
		}
		return nil
	}}
}

// Fetch brings the update at an address, and returns its path. What came of an earlier try is not asked for again. It
// returns what [Judge] returns for a version that this box cannot take, after reading its front only; Unavailable when
// the server does not give the file; and what [bundle.Open] returns.
func (f *Fetcher) Fetch(ctx context.Context, address string) (path string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", fault.New("update.Fetch", fault.Invalid, "Updates are fetched from an address that begins with https://.").WithCode("update.address")
	}
	part := filepath.Join(f.Folder, ".fetched.part")
	rel, size, err := f.front(ctx, address)
	if err != nil {
		return "", err
	}
	path = filepath.Join(f.Folder, fmt.Sprintf("%s-%v.upd", bundle.Product, rel.Version))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := f.rest(ctx, address, part, size); err != nil {
		return "", err
	}
	got, err := f.Box.Verify(ctx, part)
	if err == nil && got.Version != rel.Version {
		err = fault.New("update.Fetch", fault.Conflict, "The update was replaced while it was fetched. Fetch it again.").WithCode("update.replaced")
	}
	if err != nil {
		// What was resumed from another file is of no use for the next try either.
		return "", errors.Join(err, os.Remove(part))
	}
	if err := f.Box.Disk.Move(part, path); err != nil {
		return "", err
	}
	return path, f.others(path)
}

// front reads the manifest at the beginning of the file and judges it, before the rest is carried anywhere.
func (f *Fetcher) front(ctx context.Context, address string) (rel bundle.Release, size int64, err error) {
	keys, err := f.Box.keys()
	if err != nil {
		return rel, 0, err
	}
	running, err := f.Box.Running()
	if err != nil {
		return rel, 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the body after its front
	resp, err := f.get(ctx, address, 0)
	if err != nil {
		return rel, 0, err
	}
	defer resp.Body.Close()
	r, err := bundle.Open(newStalls(ctx, cancel, resp.Body), keys)
	if err != nil {
		return rel, 0, err
	}
	// The refused list is root's; a refused version that was fetched once is there, and is not fetched again.
	m := r.Manifest()
	return m.Release, m.Size() + overhead, Judge(m.Release, running, State{})
}

// overhead bounds what a bundle has besides its parts.
const overhead = 1 << 20

// rest brings the file, from where an earlier try was cut on.
func (f *Fetcher) rest(ctx context.Context, address, part string, limit int64) error {
	var have int64
	info, err := os.Stat(part)
	switch {
	case err == nil:
		have = info.Size()
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("fetch an update: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := f.get(ctx, address, have)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	mode := os.O_WRONLY | os.O_CREATE
	if resp.StatusCode == http.StatusPartialContent {
		mode |= os.O_APPEND
	} else {
		have = 0
		mode |= os.O_TRUNC
	}
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return nil // it is all there; what it is worth is looked at next
	}
	out, err := os.OpenFile(part, mode, 0o644)
	if err != nil {
		return fmt.Errorf("fetch an update: %w", err)
	}
	n, err := io.Copy(out, io.LimitReader(newStalls(ctx, cancel, resp.Body), limit-have+1))
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fault.New("update.Fetch", fault.Unavailable, "The update was cut off on its way. The next try goes on from there.").WithCode("update.cut").Because(err)
	}
	if have+n > limit {
		return errors.Join(fault.New("update.Fetch", fault.Invalid, "The server sends more than the update has.").WithCode("update.trailing"), os.Remove(part))
	}
	return nil
}

func (f *Fetcher) get(ctx context.Context, address string, from int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		return nil, fault.New("update.Fetch", fault.Unavailable, "The server of updates cannot be reached.").WithCode("update.server").Because(err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp, nil
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		if from > 0 {
			return resp, nil
		}
	}
	return nil, errors.Join(
		fault.Newf("update.Fetch", fault.Unavailable, "The server of updates answers %d.", resp.StatusCode).WithCode("update.server"), resp.Body.Close())
}

// others removes what was fetched before.
func (f *Fetcher) others(keep string) error {
	all, err := filepath.Glob(filepath.Join(f.Folder, "*.upd"))
	if err != nil {
		return err
	}
	for _, path := range all {
		if path == keep || !strings.HasPrefix(filepath.Base(path), bundle.Product+"-") {
			continue
		}
		if err := f.Box.Disk.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// stalls ends a transfer from which nothing came for a while: a slow line may take hours, a dead one may not.
type stalls struct {
	src   io.Reader
	timer *time.Timer
}

const stallAfter = time.Minute

func newStalls(ctx context.Context, cancel context.CancelFunc, src io.Reader) *stalls {
	s := &stalls{src: src, timer: time.AfterFunc(stallAfter, cancel)}
	context.AfterFunc(ctx, func() { s.timer.Stop() })
	return s
}

// Read reads on and starts the clock anew.
func (s *stalls) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	if n > 0 {
		s.timer.Reset(stallAfter)
	}
	return n, err
}
