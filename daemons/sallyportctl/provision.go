package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
	"sallyport/appliance/logs"
	"sallyport/provisioning/phases"
)

// provisionCmd makes the machine a box; units run it at each start.
type provisionCmd struct {
	Late  bool `help:"The phases that need the daemons." xor:"which"`
	Renew bool `help:"Only the certificates; daemons that show older ones start anew." xor:"which"`
}

// Run goes through the phases and prints how each has ended. It fails only when the daemons could not start: whatever else is
// wrong, the box comes up and says so.
func (c provisionCmd) Run(t *tool) error {
	m := phases.Here(logger())
	m.Link = t.link
	if c.Renew {
		return phases.Renew(t.ctx, m)
	}
	list := phases.List()
	if c.Late {
		list = phases.Late()
	}
	results, err := phases.Run(t.ctx, m, list, func(r phases.Result) {
		// Its words are for the console's page, which takes out what a terminal would obey: they may repeat a site file.
		fmt.Fprintf(t.out, "Phase %s: %s\n", r.Phase, r.State)
	})
	if err != nil || c.Late {
		return err
	}
	needed := []string{phases.Secrets, phases.Identity, phases.Authority}
	for _, r := range results {
		if slices.Contains(needed, r.Phase) && r.State != phases.Done && r.State != phases.Waiting {
			return fault.Newf("sallyportctl.provision", fault.Unavailable, "Nothing can start without the phase %s.", r.Phase)
		}
	}
	return nil
}

// logger writes for the journal: what a command prints is for people.
func logger() *slog.Logger { return logs.New(os.Stderr) }

// diskCmd is what is done with the disk before it is open.
type diskCmd struct {
	Make diskMakeCmd `cmd:"" help:"Make the partitions of the disk that are missing; done by a unit at each start."`
}

type diskMakeCmd struct {
	Active string `help:"The kernel's list of consoles." default:"/sys/class/tty/console/active" hidden:""`
}

// Run makes the data partition. Without a TPM it asks a person first, at every console: a disk that opened by itself would
// open for everybody.
func (c diskMakeCmd) Run(t *tool) error {
	names, err := os.ReadFile(c.Active)
	if err != nil {
		return fmt.Errorf("read the list of consoles: %w", err)
	}
	m := phases.Here(logger())
	var consoles []io.ReadWriter
	for _, name := range strings.Fields(string(names)) {
		if name == "tty0" {
			name = "tty1" // whichever screen is in front; the first one is
		}
		f, err := os.OpenFile(filepath.Join("/dev", name), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			m.Log.Warn("a console cannot be asked", "op", "sallyportctl.disk", "err", err)
			continue
		}
		defer f.Close()
		consoles = append(consoles, f)
	}
	return m.MakeDisk(t.ctx, consoles...)
}
