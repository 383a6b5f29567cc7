package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/bundle"
	"sallyport/provisioning/update"
)

// quiet is how long no visit may begin when a box starts anew by itself.
const quiet = 30 * time.Minute

// patience is how long a version that an administrator asked for waits for that moment: the evening comes within it.
const patience = 12 * time.Hour

// updateAskedCmd does what an administrator asked for at the setup door.
type updateAskedCmd struct {
	Folder string `help:"Where bookingd leaves what was asked for." default:"/run/sallyport/booking" type:"path" hidden:""`
}

// Run takes the request, does it, and tells the setup door each step and how it ended.
func (a updateAskedCmd) Run(t *tool, c *cli) (err error) {
	b := c.Update.box(t.out)
	r, v, err := b.TakeRequest(a.Folder)
	if fault.Is(err, fault.NotFound) {
		return nil // it was taken by an earlier start
	}
	if err != nil {
		return errors.Join(err, b.Begin(v).End(err))
	}
	if r.Do == linkspec.DoClear {
		return errors.Join(b.Clear(v), c.Update.publish(b))
	}
	w := b.Begin(v)
	if r.Do == linkspec.DoLook {
		err = c.Update.look(t, b)
	} else {
		err = c.Update.installAsked(t, b, w, v)
	}
	if fault.CodeOf(err) != "" {
		// The administrator reads it at the door; the unit has not failed.
		fmt.Fprintln(t.out, words(err))
		return errors.Join(w.End(err), c.Update.publish(b))
	}
	return errors.Join(err, w.End(err), c.Update.publish(b))
}

// look reads the stick and has the courier look at the address of the site file.
func (u updateCmd) look(t *tool, b *update.Box) error {
	err := fromStick(t, b, true)
	if fault.CodeOf(err) != noStick {
		return err
	}
	site, serr := u.ruling()
	if serr != nil || site == nil || site.Updates.Source != "https" {
		return err
	}
	// It may fetch for hours; what it finds is published when it is there.
	return systemctl(t.ctx, "--no-block", "start", "sallyport-update.service")
}

// installAsked writes exactly one version into the spare slot and starts it when that cuts nobody off.
func (u updateCmd) installAsked(t *tool, b *update.Box, w *update.Work, v bundle.Version) error {
	ready, err := b.Installed(v)
	if err != nil {
		return err
	}
	if !ready {
		all, err := b.Find(b.Folders()...)
		if err != nil {
			return err
		}
		found, err := update.Exactly(all, v)
		if err != nil {
			return err
		}
		if err := u.write(t, b, found.Path, true); err != nil {
			return err
		}
		if err := u.publish(b); err != nil {
			return err
		}
	}
	calm, err := w.Quiet(t.ctx, patience, visits(t))
	if err != nil {
		return err
	}
	if !calm {
		fmt.Fprintf(t.out, "version %v starts with the next start of this box: there was no moment without visits\n", v)
		return nil
	}
	return restart(t.ctx)
}

// visits asks bookingd whom a restart would cut off.
func visits(t *tool) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		var busy linkspec.Busy
		err := t.link.Get(ctx, linkspec.RouteBusy+"?"+url.Values{"within": {quiet.String()}}.Encode(), &busy)
		return busy.Visits, err
	}
}

// publish tells the setup door how versions stand. A site file that is not correct decides nothing.
func (u updateCmd) publish(b *update.Box) error {
	var r update.Rules
	if site, err := u.ruling(); err == nil && site != nil {
		r = update.Rules{Source: site.Updates.Source, Install: site.Updates.Install, Window: site.Updates.Window}
	}
	return b.Publish(r)
}

// told publishes what a unit of each start has changed. It never fails that unit: a door that shows yesterday's versions is
// no reason to give up today's.
func (u updateCmd) told(b *update.Box) {
	if err := u.publish(b); err != nil {
		fmt.Fprintln(os.Stderr, "sallyportctl: the setup door is not told:", words(err))
	}
}

// updateDroppedCmd ends what the board says about a process that is gone.
type updateDroppedCmd struct{}

// Run looks whether somebody still reads of work that nobody does.
func (updateDroppedCmd) Run(t *tool, c *cli) error { return c.Update.box(t.out).Dropped() }
