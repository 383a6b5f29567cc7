package update

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/bundle"
)

// maxRequest is far over what bookingd writes.
const maxRequest = 1 << 10

// TakeRequest takes what an administrator has asked for out of a folder, and returns NotFound when nobody asked for
// anything. It is gone afterwards whatever it was: what waits for it would start for ever.
//
// The folder is that of a daemon that speaks with the internet, so nothing in it is believed but its form: no link is
// followed, nothing is waited for, and the version is judged as any other by who installs it.
func (b *Box) TakeRequest(folder string) (r linkspec.VersionRequest, v bundle.Version, err error) {
	path := filepath.Join(folder, linkspec.RequestFile)
	raw, err := readRequest(path)
	if errors.Is(err, os.ErrNotExist) {
		return r, v, fault.New("update.TakeRequest", fault.NotFound, "Nobody has asked for anything.").WithCode("update.nothing").Because(err)
	}
	if rerr := b.Disk.Remove(path); rerr != nil {
		return r, v, errors.Join(err, rerr)
	}
	bad := fault.New("update.TakeRequest", fault.Invalid, "What was asked for cannot be read. Ask again.").WithCode("update.request")
	if err != nil {
		return r, v, bad.Because(err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, v, bad.Because(err)
	}
	switch {
	case r.Do == linkspec.DoLook && r.Version == "":
		return r, v, nil
	case r.Do != linkspec.DoInstall && r.Do != linkspec.DoClear:
		return r, v, bad
	}
	if v, err = bundle.ParseVersion(r.Version); err != nil {
		return r, v, bad.Because(err)
	}
	return r, v, nil
}

func readRequest(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRequest {
		return nil, fmt.Errorf("%v of %d bytes", info.Mode().Type(), info.Size())
	}
	return io.ReadAll(io.LimitReader(f, maxRequest))
}
