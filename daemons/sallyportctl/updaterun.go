package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/provisioning/phases"
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

// Run installs in the window of the site file, when nobody is on a visit and none begins soon.
func (updateRunCmd) Run(t *tool, c *cli) error {
	b := c.Update.box(t.out)
	site, err := c.Update.ruling()
	if err != nil || site == nil {
		return err
	}
	// What was fetched may still be good.
	if err := fromStick(t, b, false); err != nil {
		fmt.Fprintln(t.out, "the stick:", words(err))
	}
	defer c.Update.told(b)
	all, err := b.Find(b.Folders()...)
	if err != nil {
		return err
	}
	found, err := update.Newest(all)
	if err != nil {
		fmt.Fprintln(t.out, words(err))
		return nil
	}
	v := found.Release.Version
	if site.Updates.Install != "window" {
		fmt.Fprintf(t.out, "version %v is there; an administrator installs it\n", v)
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
		fmt.Fprintf(t.out, "version %v waits for %s\n", v, site.Updates.Window)
		return nil
	}
	return c.Update.inWindow(t, b, found)
}

// inWindow installs by itself and starts what it has installed, unless that would cut somebody off; then the next hour asks
// again.
func (u updateCmd) inWindow(t *tool, b *update.Box, found update.Found) error {
	v := found.Release.Version
	ready, err := b.Installed(v)
	if err != nil {
		return err
	}
	for {
		n, err := visits(t)(t.ctx)
		if err != nil {
			return err
		}
		if n > 0 {
			fmt.Fprintf(t.out, "version %v waits: visits under way or about to begin %d\n", v, n)
			return nil
		}
		if ready {
			return restart(t.ctx)
		}
		w := b.Begin(v)
		err = u.write(t, b, found.Path, true)
		if fault.CodeOf(err) == "update.busy" {
			fmt.Fprintln(t.out, words(err)) // an administrator was faster
			return nil
		}
		if err != nil {
			return errors.Join(err, w.End(err))
		}
		w.Rest()
		ready = true // writing took minutes: somebody may have come meanwhile
	}
}

// The stick of a box: systemd mounts it, read-only, while it is read.
const (
	stickDevice = "/dev/disk/by-label/SALLYPORT"
	stickMount  = "run-sallyport-stick.mount"
	stickModule = "sallyport-stick.service"
	stickFolder = "/run/sallyport/stick"
	noStick     = "update.noStick"
)

// fromStick copies the newest update of a stick that is there. asked is when an administrator wants it read: only then is
// the driver of sticks loaded, and are words found for a stick that has nothing.
func fromStick(t *tool, b *update.Box, asked bool) (err error) {
	if asked {
		if err := systemctl(t.ctx, "start", stickModule); err != nil {
			return err
		}
		phases.Appears(t.ctx, stickDevice) // what it is not, is said below
	}
	if _, err := os.Stat(stickDevice); errors.Is(err, os.ErrNotExist) {
		if !asked {
			return nil
		}
		return fault.New("sallyportctl.update", fault.NotFound, "There is no stick with the label SALLYPORT.").WithCode(noStick)
	}
	if err := systemctl(t.ctx, "start", stickMount); err != nil {
		return err
	}
	// Also when nobody waits any more: a stick is not left mounted.
	defer func() { err = errors.Join(err, systemctl(context.WithoutCancel(t.ctx), "stop", stickMount)) }()
	rel, err := b.Bring(t.ctx, stickFolder)
	switch {
	case !asked && (fault.CodeOf(err) == "update.same" || fault.CodeOf(err) == "update.older" || fault.CodeOf(err) == "update.none"):
		return nil // a stick may stay where it is
	case err != nil:
		return err
	}
	fmt.Fprintf(t.out, "version %v was copied from the stick\n", rel.Version)
	return nil
}
