package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

type statusCmd struct{}

// Run shows each part; it fails when one is down, so that a script can ask.
func (statusCmd) Run(t *tool) error {
	var s linkspec.Status
	if err := t.link.Get(t.ctx, linkspec.RouteStatus, &s); err != nil {
		return err
	}
	name := s.Facility
	if name == "" {
		name = "not set up"
	}
	fmt.Fprintf(t.out, "%s, version %s, up since %s\n", name, s.Version, s.Since.Format(time.RFC3339))
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	down := ""
	for _, p := range s.Parts {
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, p.State, p.Detail)
		if p.State == "down" {
			down = p.Name
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if down != "" {
		return fault.Newf("sallyportctl.status", fault.Unavailable, "%s is down.", down)
	}
	return nil
}

type metricsCmd struct{}

// Run prints the metrics as they are.
func (metricsCmd) Run(t *tool) error {
	var text []byte
	if err := t.link.Get(t.ctx, linkspec.RouteAllMetrics, &text); err != nil {
		return err
	}
	_, err := t.out.Write(text)
	return err
}

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Walk the hash chain and name the first bad row."`
}

type auditVerifyCmd struct{}

// Run asks the appliance to walk its chain.
func (auditVerifyCmd) Run(t *tool) error {
	var r linkspec.AuditReport
	if err := t.link.Get(t.ctx, linkspec.RouteAuditVerify, &r); err != nil {
		return err
	}
	if !r.Whole {
		return fault.Newf("sallyportctl.audit", fault.Conflict, "The audit log is broken at row %d: %s", r.FirstBad, r.Why)
	}
	fmt.Fprintf(t.out, "%d rows, whole, head %s\n", r.Rows, r.Head)
	return nil
}

type backupCmd struct {
	Path       string   `arg:"" help:"Where to write the copy."`
	Recipients []string `name:"to" help:"An age recipient who can open it; may be repeated." required:""`
}

// Run asks the appliance for a sealed copy.
func (c backupCmd) Run(t *tool) error {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return err
	}
	if err := t.link.Post(t.ctx, linkspec.RouteBackup, linkspec.Backup{Path: path, Recipients: c.Recipients}, nil); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "written:", path)
	return nil
}

type mediaCmd struct {
	Stop mediaStopCmd `cmd:"" help:"Silence every call of a scope and refuse joins."`
	Lift mediaLiftCmd `cmd:"" help:"Take a stop back; ended calls stay ended."`
}

type scope struct {
	All    bool   `help:"Everything." xor:"scope" required:""`
	Unit   string `help:"One housing unit (its id)." xor:"scope" required:""`
	Device string `help:"One station (its id)." xor:"scope" required:""`
}

func (s scope) String() string {
	switch {
	case s.Unit != "":
		return "unit:" + s.Unit
	case s.Device != "":
		return "device:" + s.Device
	default:
		return "all"
	}
}

type mediaStopCmd struct {
	scope
	Reason string `help:"Reason code of the rules." default:"emergency"`
}

// Run stops media.
func (c mediaStopCmd) Run(t *tool) error {
	err := t.link.Post(t.ctx, linkspec.RouteMediaStop, linkspec.MediaStop{Scope: c.String(), Reason: c.Reason}, nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.out, "stopped:", c.String())
	return nil
}

type mediaLiftCmd struct{ scope }

// Run lifts a stop.
func (c mediaLiftCmd) Run(t *tool) error {
	if err := t.link.Post(t.ctx, linkspec.RouteMediaStop, linkspec.MediaStop{Scope: c.String(), Lift: true}, nil); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "lifted:", c.String())
	return nil
}

type rosterCmd struct {
	Import rosterImportCmd `cmd:"" help:"Import a CSV file; bad rows are listed and left out."`
}

type rosterImportCmd struct {
	File string `arg:"" help:"The roster." type:"existingfile"`
	Full bool   `help:"Who is missing from the file has left."`
}

// Run hands the file in and lists what was not taken.
func (c rosterImportCmd) Run(t *tool) error {
	file, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	var r linkspec.RosterReport
	query := url.Values{"full": {fmt.Sprint(c.Full)}}
	if err := t.link.Post(t.ctx, linkspec.RouteRoster+"?"+query.Encode(), file, &r); err != nil {
		return err
	}
	for _, bad := range r.Quarantined {
		fmt.Fprintf(t.out, "line %d left out: %s\n", bad.Line, bad.Why)
	}
	if r.State == "refused" {
		return fault.New("sallyportctl.roster", fault.Conflict, "The file was refused.").WithCode(r.Reason)
	}
	fmt.Fprintf(t.out, "%d rows: %d new, %d changed, %d the same, %d gone, %d left out\n", r.Rows, r.New, r.Changed, r.Same, r.Gone, len(r.Quarantined))
	return nil
}
