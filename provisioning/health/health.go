// Package health owns the question whether the whole box does what it is for: its phases, its doors, its link, its media,
// its rules and its units.
//
// It must not know what a bad answer leads to; whoever asks decides. It asks the box from inside and nobody else: neither
// the internet nor the centre nor a name server has a part in the answer, because a box without them still has to serve.
package health

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/phases"
)

// Options are where a box is.
type Options struct {
	Run   string // /run/sallyport
	State string // /var/lib/sallyport
	Link  *linkclient.Client
	Log   *slog.Logger
	Clock clock.Clock // nil: the real one
	Tool  phases.Tool // nil: the machine's programs
}

// Finding is what one check has found; Err is nil when all is well.
type Finding struct {
	Check string
	Err   error
}

// Box is the box that is asked.
type Box struct {
	Options
	status linkspec.Status
}

// New returns a box to ask.
func New(o Options) *Box {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Tool == nil {
		o.Tool = phases.Here(o.Log).Tool
	}
	return &Box{Options: o}
}

// again is how long to wait before asking once more.
const again = 2 * time.Second

// within bounds one check: a door that needs longer is no door.
const within = 10 * time.Second

// Wait asks until all is well, at most so long, and returns the last answers.
func (b *Box) Wait(ctx context.Context, most time.Duration) []Finding {
	until := b.Clock.Boot() + most
	for {
		all := b.Ask(ctx)
		if len(Failed(all)) == 0 || b.Clock.Boot()+again > until || ctx.Err() != nil {
			return all
		}
		select {
		case <-ctx.Done():
		case <-b.Clock.After(again):
		}
	}
}

// Failed are the names of the checks that were not well.
func Failed(all []Finding) []string {
	var names []string
	for _, f := range all {
		if f.Err != nil {
			names = append(names, f.Check)
		}
	}
	return names
}

// Ask makes every check once. A box that waits for its site file has no doors but one, and no media.
func (b *Box) Ask(ctx context.Context) []Finding {
	checks := []struct {
		name string
		ask  func(context.Context) error
		site bool // only with a site file
	}{
		{"phases", b.phases, false},
		{"units", b.units, false},
		{"ruleset", b.ruleset, false},
		{"link", b.link, false},
		{"database", b.part("database"), false},
		{"disk", b.part("disk"), false},
		{"setup", b.setup, false},
		{"visitor", b.door("visitor"), true},
		{"kiosk", b.door("kiosk"), true},
		{"staff", b.door("staff"), true},
		{"gatewayd", b.part("gatewayd"), true},
		{"recorder", b.recorder, true},
		{"media", b.media, true},
	}
	_, err := os.Stat(filepath.Join(b.State, phases.SiteFile))
	waiting := errors.Is(err, fs.ErrNotExist)
	var all []Finding
	for _, c := range checks {
		if c.site && waiting {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, within)
		err := c.ask(ask)
		cancel()
		if err != nil {
			b.Log.Warn("a check is not well", "op", "health."+c.name, "err", err)
		}
		all = append(all, Finding{Check: c.name, Err: err})
	}
	return all
}

func bad(check, format string, args ...any) *fault.Error {
	return fault.Newf("health."+check, fault.Unavailable, format, args...)
}

// phases: each has run, and none has failed. One that waits for a person is not a fault of the box.
func (b *Box) phases(context.Context) error {
	results, err := phases.Read(b.Run)
	if err != nil {
		return err
	}
	var wrong []string
	for _, p := range phases.List() {
		i := slices.IndexFunc(results, func(r phases.Result) bool { return r.Phase == p.Name })
		switch {
		case i < 0:
			wrong = append(wrong, p.Name+" has not run")
		case results[i].State != phases.Done && results[i].State != phases.Waiting:
			wrong = append(wrong, p.Name+": "+results[i].Says)
		}
	}
	if wrong != nil {
		return bad("phases", "%s", strings.Join(wrong, "; "))
	}
	return nil
}

// ours are the units that this project wrote.
var ours = []string{"sallyport-*", "bookingd*", "gatewayd*", "syncd*", "signal-*", "turn-*", "https-*", "names-*"}

// units: none of ours has failed.
func (b *Box) units(ctx context.Context) error {
	out, err := b.Tool(ctx, nil, "systemctl", append([]string{"list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"}, ours...)...)
	if err != nil {
		return bad("units", "systemd does not answer.").Because(err)
	}
	var failed []string
	for line := range strings.Lines(string(out)) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "sallyport-health.service" {
			failed = append(failed, name)
		}
	}
	if failed != nil {
		return bad("units", "%s failed.", strings.Join(failed, ", "))
	}
	return nil
}

// ruleset: what is not listed is dropped.
func (b *Box) ruleset(ctx context.Context) error {
	out, err := b.Tool(ctx, nil, "nft", "list", "table", "inet", "sallyport")
	if err != nil {
		return bad("ruleset", "The rules are not loaded.").Because(err)
	}
	if n := strings.Count(string(out), "policy drop"); n < 3 {
		return bad("ruleset", "The rules let through what is not listed.")
	}
	return nil
}

// link: bookingd answers, which it does when its schema is current.
func (b *Box) link(ctx context.Context) error {
	b.status = linkspec.Status{}
	if err := b.Link.Get(ctx, linkspec.RouteStatus, &b.status); err != nil {
		return bad("link", "The booking service does not answer.").Because(err)
	}
	return nil
}

// part is what bookingd said of one of its parts.
func (b *Box) part(name string) func(context.Context) error {
	return func(context.Context) error {
		for _, p := range b.status.Parts {
			if p.Name == name {
				if p.State == "down" {
					return bad(name, "%s", p.Detail)
				}
				return nil
			}
		}
		return bad(name, "Nothing is known of it.")
	}
}

// setup: the door stands. It is bound to a network card, which does not hear the box itself.
func (b *Box) setup(ctx context.Context) error {
	out, err := b.Tool(ctx, nil, "systemctl", "show", "--property=ActiveState,SubState", "bookingd-setup.socket")
	if err != nil {
		return bad("setup", "systemd does not answer.").Because(err)
	}
	if !strings.Contains(string(out), "ActiveState=active") {
		return bad("setup", "The setup door is shut: no network card for it was found.")
	}
	return nil
}
