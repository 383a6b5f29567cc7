package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning/health"
	"sallyport/provisioning/phases"
)

// healthCmd asks the whole box how it is.
type healthCmd struct {
	Verdict bool          `help:"Print the one line that the console and the updates read."`
	Wait    time.Duration `help:"Ask again until all is well, so long."`
	Folder  string        `name:"run" help:"The folder of the running system." default:"/run/sallyport" hidden:""`
	State   string        `help:"The folder of the state." default:"/var/lib/sallyport" hidden:""`
}

// Run prints what is wrong, or the verdict, and fails when something is.
func (c healthCmd) Run(t *tool) error {
	m := phases.Here(logger())
	box := health.New(health.Options{Run: c.Folder, State: c.State, Link: t.link, Log: logger()})
	findings := box.Wait(t.ctx, c.Wait)
	failed := health.Failed(findings)
	if c.Verdict {
		line := m.VerdictLine(failed)
		fmt.Fprintln(t.out, line)
		if err := phases.Publish(filepath.Join(c.Folder, phases.VerdictFile), []byte(line+"\n")); err != nil {
			return err
		}
	}
	for _, f := range findings {
		if f.Err != nil {
			fmt.Fprintf(t.out, "%s: %s\n", f.Check, words(f.Err))
		} else if !c.Verdict {
			fmt.Fprintf(t.out, "%s: ok\n", f.Check)
		}
	}
	if len(failed) > 0 {
		return fault.Newf("sallyportctl.health", fault.Unavailable, "Not well: %s.", strings.Join(failed, ", "))
	}
	return nil
}
