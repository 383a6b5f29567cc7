package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/update"
)

type updateFetchCmd struct {
	URL  string `arg:"" optional:"" name:"url" help:"Address of the update file; that of the site file by default."`
	Host string `help:"Socket of the daemon that opens the firewall." default:"/run/sallyport/host.sock" type:"path"`
	To   string `help:"Where to leave it." default:"/var/lib/sallyport/update/fetched" type:"path"`
}

// Run fetches the file, unless it is one that this box cannot take.
func (f updateFetchCmd) Run(t *tool, c *cli) error {
	site, err := c.Update.ruling()
	if err != nil {
		return err
	}
	address := f.URL
	if address == "" && site != nil && site.Updates.Source == "https" {
		address = site.Updates.URL
	}
	if address == "" {
		fmt.Fprintln(t.out, "updates are brought by hand: nothing to fetch")
		return nil
	}
	host := linkclient.Dial(f.Host)
	defer host.Close()
	fetcher := &update.Fetcher{Box: c.Update.box(t.out), Client: update.NewClient(linkclient.WayOut(host)), Folder: f.To}
	path, err := fetcher.Fetch(t.ctx, address)
	if code := fault.CodeOf(err); code == "update.same" || code == "update.older" {
		fmt.Fprintln(t.out, "there is nothing newer")
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(t.out, "fetched:", filepath.Base(path))
	return nil
}

type updateRunCmd struct{}

// quiet is how long no visit may begin when a box starts anew by itself.
const quiet = 30 * time.Minute

// Run installs in the window of the site file, when nobody is on a visit and none begins soon.
func (updateRunCmd) Run(t *tool, c *cli) error {
	b := c.Update.box(t.out)
	site, err := c.Update.ruling()
	if err != nil || site == nil {
		return err
	}
	if err := fromStick(t, b); err != nil {
		fmt.Fprintln(t.out, "the stick:", words(err)) // what was fetched may still be good
	}
	all, err := b.Find(b.Folders()...)
	if err != nil {
		return err
	}
	found, err := update.Newest(all)
	if err != nil {
		fmt.Fprintln(t.out, words(err))
		return nil
	}
	if site.Updates.Install != "window" {
		fmt.Fprintf(t.out, "version %v is there; an administrator installs it\n", found.Release.Version)
		return nil
	}
	window, err := update.ParseWindow(site.Updates.Window)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(site.Facility.TimeZone)
	if err != nil {
		return err
	}
	if !window.Holds(time.Now().In(zone)) {
		fmt.Fprintf(t.out, "version %v waits for %s\n", found.Release.Version, site.Updates.Window)
		return nil
	}
	var busy linkspec.Busy
	if err := t.link.Get(t.ctx, linkspec.RouteBusy+"?"+url.Values{"within": {quiet.String()}}.Encode(), &busy); err != nil {
		return err
	}
	if busy.Visits > 0 {
		fmt.Fprintf(t.out, "version %v waits: visits under way or about to begin %d\n", found.Release.Version, busy.Visits)
		return nil
	}
	return c.Update.install(t, b, b.Folders(), true, true)
}

// The stick of a box: systemd mounts it, read-only, while it is read.
const (
	stickDevice = "/dev/disk/by-label/SALLYPORT"
	stickMount  = "run-sallyport-stick.mount"
	stickFolder = "/run/sallyport/stick"
)

// fromStick copies the newest update of a stick that is there.
func fromStick(t *tool, b *update.Box) (err error) {
	if _, err := os.Stat(stickDevice); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := systemctl(t.ctx, "start", stickMount); err != nil {
		return err
	}
	// Also when nobody waits any more: a stick is not left mounted.
	defer func() { err = errors.Join(err, systemctl(context.WithoutCancel(t.ctx), "stop", stickMount)) }()
	rel, err := b.Bring(t.ctx, stickFolder)
	switch {
	case fault.CodeOf(err) == "update.same", fault.CodeOf(err) == "update.older", fault.CodeOf(err) == "update.none":
		return nil // a stick may stay where it is
	case err != nil:
		return err
	}
	fmt.Fprintf(t.out, "version %v was copied from the stick\n", rel.Version)
	return nil
}
