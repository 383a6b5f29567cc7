package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning"
	"sallyport/provisioning/bundle"
	"sallyport/provisioning/update"
)

// updateCmd is what is done to the versions of this box, and what a release is made with.
type updateCmd struct {
	Status  updateStatusCmd  `cmd:"" help:"Show which versions are there, which one is on trial and which ones were refused."`
	Find    updateFindCmd    `cmd:"" help:"List update files and say which of them this box may take."`
	Verify  updateVerifyCmd  `cmd:"" help:"Check the signature and every byte of an update file."`
	Install updateInstallCmd `cmd:"" help:"Write an update into the spare slot; it starts with the next start of the box."`
	Refuse  updateRefuseCmd  `cmd:"" help:"Refuse a version; without one, note that the version on trial has failed."`
	Clear   updateClearCmd   `cmd:"" help:"Let a refused version be tried once more."`
	Fetch   updateFetchCmd   `cmd:"" help:"Fetch the newest update from the address in the site file."`
	Run     updateRunCmd     `cmd:"" help:"Install what the site file lets this box install by itself; done by a timer."`
	Settle  updateSettleCmd  `cmd:"" help:"Compare what runs with what is on trial; done by a unit at each start."`
	Keep    updateKeepCmd    `cmd:"" help:"Keep the version that runs; done by a unit after a good verdict."`
	Asked   updateAskedCmd   `cmd:"" help:"Do what an administrator asked for at the setup door; done by a unit when there is something."`
	Dropped updateDroppedCmd `cmd:"" hidden:"" help:"Tell the setup door that an update was cut off; done by units that end."`

	Keygen   keygenCmd   `cmd:"" help:"Make a key that signs updates."`
	Describe describeCmd `cmd:"" help:"Print the description of a version that its image and its update carry."`
	Pack     packCmd     `cmd:"" help:"Make the update of a version from the files of its image, and sign it."`
}

// box is the machine that is updated, which tells its progress to out.
func (updateCmd) box(out io.Writer) *update.Box {
	b := update.Here()
	b.Tell = func(step string, percent int) {
		if percent%10 == 0 {
			fmt.Fprintf(out, "%s: %d %%\n", step, percent)
		}
	}
	return b
}

// ruling returns the site file that rules, nil when there is none yet. The courier is handed it as a credential.
func (updateCmd) ruling() (*provisioning.Site, error) {
	path := "/var/lib/sallyport/site/site.toml"
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		path = filepath.Join(dir, "site")
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	site, problems := provisioning.Read(text)
	if len(problems) > 0 {
		return nil, fault.New("sallyportctl.update", fault.Invalid, "The site file is not correct; see sallyportctl site check.").WithCode("site.file")
	}
	return site, nil
}

type updateStatusCmd struct{}

// Run prints what is known, one thing a line.
func (updateStatusCmd) Run(t *tool, c *cli) error {
	b := c.Update.box(t.out)
	running, err := b.Running()
	if err != nil {
		return err
	}
	s, err := b.Load()
	if err != nil {
		return err
	}
	entries, err := b.Entries()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "runs\t%v\tof %s\n", running.Version, running.Built)
	for _, e := range entries {
		state := "good"
		if e.Counted {
			state = fmt.Sprintf("%d tries left", e.Left)
		}
		fmt.Fprintf(w, "installed\t%v\t%s\n", e.Version, state)
	}
	if s.Trial != nil {
		state := "since " + s.Trial.At.Format(time.RFC3339)
		if s.Trial.Failed != "" {
			state += ", last time: " + s.Trial.Failed
		}
		fmt.Fprintf(w, "on trial\t%v\t%s\n", s.Trial.Version, state)
	}
	for _, r := range s.Refused {
		fmt.Fprintf(w, "refused\t%v\t%s: %s\n", r.Version, r.At.Format(time.DateOnly), r.Why)
	}
	return w.Flush()
}

type updateFindCmd struct {
	Paths []string `arg:"" optional:"" help:"Files or folders; what was brought to this box by default."`
}

// Run lists what is there with what may be done with it.
func (f updateFindCmd) Run(t *tool, c *cli) error {
	b := c.Update.box(t.out)
	paths := f.Paths
	if len(paths) == 0 {
		paths = b.Folders()
	}
	all, err := b.Find(paths...)
	if err != nil {
		return err
	}
	for _, one := range all {
		state := "may be installed"
		if one.Err != nil {
			state = words(one.Err)
		}
		fmt.Fprintf(t.out, "%s: version %v: %s\n", one.Path, one.Release.Version, state)
	}
	_, err = update.Newest(all)
	return err
}

type updateVerifyCmd struct {
	File string `arg:"" help:"The update file." type:"existingfile"`
}

// Run reads the file to its end.
func (v updateVerifyCmd) Run(t *tool, c *cli) error {
	rel, err := c.Update.box(t.out).Verify(t.ctx, v.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s: version %v, signed and whole\n", filepath.Base(v.File), rel.Version)
	return nil
}

type updateInstallCmd struct {
	Path     string `arg:"" optional:"" help:"An update file, or a folder such as that of a stick; what was brought to this box by default."`
	Snapshot bool   `help:"Copy the database first." default:"true" negatable:""`
	Reboot   bool   `help:"Start the new version now, whoever is on a visit."`
}

// Run installs the newest update that it finds.
func (i updateInstallCmd) Run(t *tool, c *cli) error {
	b := c.Update.box(t.out)
	paths := b.Folders()
	if i.Path != "" {
		paths = []string{i.Path}
	}
	all, err := b.Find(paths...)
	if err != nil {
		return err
	}
	found, err := update.Newest(all)
	if err != nil {
		return err
	}
	if err := c.Update.write(t, b, found.Path, i.Snapshot); err != nil {
		return err
	}
	if !i.Reboot {
		return nil
	}
	return restart(t.ctx)
}

// bookings is where bookingd can write.
const bookings = "/var/lib/sallyport/booking"

// write brings an update into the spare slot.
func (u updateCmd) write(t *tool, b *update.Box, path string, snapshot bool) error {
	if snapshot {
		var recipients []string
		site, err := u.ruling()
		if err != nil {
			return err
		}
		if site != nil && site.Backup.Recipient != "" {
			recipients = append(recipients, site.Backup.Recipient)
		}
		b.Snapshot = b.BeforeUpdate(t.link, bookings, recipients...)
	}
	rel, err := b.Install(t.ctx, path)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "version %v is installed and starts with the next start of this box\n", rel.Version)
	return nil
}

// restart asks systemd, so that everything ends in order; never kexec, which the loader's counter does not see.
func restart(ctx context.Context) error { return systemctl(ctx, "--no-block", "reboot") }

func systemctl(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
		return fault.Newf("sallyportctl.update", fault.Unavailable, "systemctl %s failed.", strings.Join(args, " ")).
			Because(fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out))))
	}
	return nil
}

type updateRefuseCmd struct {
	Version *bundle.Version `arg:"" optional:"" help:"The version."`
	Why     string          `help:"Why, in words; by default the health check that has failed."`
}

// Run notes a refusal.
func (r updateRefuseCmd) Run(t *tool, c *cli) error {
	b := c.Update.box(t.out)
	if r.Version == nil {
		why := r.Why
		if why == "" {
			why = verdict()
		}
		said, err := b.Fail(why)
		if err == nil {
			fmt.Fprintln(t.out, said)
		}
		return err
	}
	why := r.Why
	if why == "" {
		why = "an administrator said so"
	}
	if err := b.Refuse(*r.Version, why); err != nil {
		return err
	}
	c.Update.told(b)
	fmt.Fprintf(t.out, "version %v is refused\n", *r.Version)
	return nil
}

// failedChecks is in the line that the health check leaves.
var failedChecks = regexp.MustCompile(`verdict=bad failed=\[([^\]]+)\]`)

// verdict is what the health check of this start found, "" when it found nothing or never came to an end.
func verdict() string {
	line, err := os.ReadFile("/run/sallyport/verdict")
	if err != nil {
		return ""
	}
	m := failedChecks.FindSubmatch(line)
	if m == nil {
		return ""
	}
	return "health check " + string(m[1])
}

type updateClearCmd struct {
	Version bundle.Version `arg:"" help:"The version."`
}

// Run takes a refusal back.
func (r updateClearCmd) Run(t *tool, c *cli) error {
	b := c.Update.box(t.out)
	if err := b.Clear(r.Version); err != nil {
		return err
	}
	c.Update.told(b)
	fmt.Fprintf(t.out, "version %v may be installed again\n", r.Version)
	return nil
}

type updateSettleCmd struct{}

// Run says what became of a trial.
func (updateSettleCmd) Run(t *tool, c *cli) error {
	b := c.Update.box(t.out)
	said, err := b.Settle()
	if said != "" {
		fmt.Fprintln(t.out, said)
	}
	if err == nil {
		c.Update.told(b)
	}
	return err
}

type updateKeepCmd struct{}

// Run ends the trial.
func (updateKeepCmd) Run(t *tool, c *cli) error {
	b := c.Update.box(t.out)
	said, err := b.Keep()
	if said != "" {
		fmt.Fprintln(t.out, said)
	}
	if err == nil {
		c.Update.told(b)
	}
	return err
}
