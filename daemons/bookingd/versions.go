package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/durable"
	"sallyport/provisioning/update"
)

// versionsConfig is where bookingd learns how the versions of its box stand and where it leaves what an administrator asks;
// both are empty where it runs in no image.
type versionsConfig struct {
	Board    string `toml:"board"`    // folder of what sallyportctl tells
	Requests string `toml:"requests"` // folder of bookingd's own in which a unit waits for requests
}

// versions returns how the versions of this box stand; with nothing running where it is no image.
func (h *house) versions() (linkspec.Versions, error) {
	if h.cfg.Versions.Board == "" {
		return linkspec.Versions{}, nil
	}
	v, err := update.ReadBoard(h.cfg.Versions.Board)
	if err != nil {
		return v, err
	}
	raw, err := os.ReadFile(h.request())
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil
	}
	var r linkspec.VersionRequest
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return v, err
	}
	// Nobody has taken it yet.
	v.Work = &linkspec.VersionWork{Version: r.Version, Step: linkspec.WorkAsked, At: h.clock.Now()}
	return v, nil
}

// ask leaves a request for the unit that has the rights for it.
func (h *house) ask(r linkspec.VersionRequest) error {
	if h.cfg.Versions.Requests == "" {
		return fault.New("bookingd.ask", fault.Unavailable, "This is no box with an image: versions are not installed here.").WithCode("update.noImage")
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var disk durable.Disk
	return disk.Write(h.request(), raw, 0o600)
}

func (h *house) request() string {
	return filepath.Join(h.cfg.Versions.Requests, linkspec.RequestFile)
}
