// Package running owns the files of a running system that follow from the site file: it learns the facts of the machine,
// puts rendered files in their places, gives ports their names, and tells the programs of the system that read them.
//
// It must not know what a site means; package provisioning renders. Everything that it writes lies below /run, so that a
// power cut brings back what the site file on the disk says.
package running

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/appliance/fault"
	"sallyport/provisioning"
)

// Where the site file and the box's own name are, on the data disk.
const (
	SiteFile = "/var/lib/sallyport/site/site.toml"
	hostFile = "/var/lib/sallyport/site/hostname"
)

// System is the machine.
type System struct {
	Root string // before every path; "" is the machine itself, tests have a folder of their own
	Tool func(ctx context.Context, input, name string, args ...string) (string, error)
	Log  *slog.Logger
}

// Here is the machine that this program runs on.
func Here(log *slog.Logger) *System { return &System{Tool: run, Log: log} }

// run runs a program of the image.
func run(ctx context.Context, input, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &complaints
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return out.String(), nil
}

func (s *System) path(p string) string { return filepath.Join("/", s.Root, p) }

// Site reads the site file that rules; nil when there is none, which is no fault. It returns Invalid for one that this
// version does not take.
func (s *System) Site() (*provisioning.Site, error) {
	text, err := os.ReadFile(s.path(SiteFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the site file: %w", err)
	}
	site, problems := provisioning.Read(text)
	return site, problems.Fault()
}

// Apply makes the running system that of the site file that rules. A file that is not taken leaves the waiting state, in
// which the setup door can be reached, and the fault.
func (s *System) Apply(ctx context.Context) error {
	site, bad := s.Site()
	facts, err := s.Facts()
	if err != nil {
		return err
	}
	return errors.Join(bad, s.Run(ctx, site, facts))
}

// whole is a file that is there while all who read the files have been told.
const whole = "/run/sallyport/applied"

// Run makes the running system that of a site, or the waiting state (nil). It may be cut and repeated: what stands already
// is left alone, and what was placed without everybody being told is told again.
func (s *System) Run(ctx context.Context, site *provisioning.Site, facts provisioning.Facts) error {
	_, err := os.Stat(s.path(whole))
	cut := err != nil
	if err := os.Remove(s.path(whole)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files := provisioning.Render(site, facts)
	changed, err := s.Place(files)
	if err != nil {
		return err
	}
	if cut {
		for _, f := range files {
			if !slices.Contains(changed, f.Path) {
				changed = append(changed, f.Path)
			}
		}
	}
	again, err := s.shut(ctx, changed)
	if err != nil {
		return err
	}
	if err := errors.Join(s.network(ctx, site, changed), s.rules(ctx, changed), s.open(ctx, changed, again)); err != nil {
		return err
	}
	return os.WriteFile(s.path(whole), nil, 0o644)
}

// Place writes files, removes those of an earlier site, and returns the paths that changed, sorted.
func (s *System) Place(files []provisioning.File) (changed []string, err error) {
	keep := map[string]bool{}
	for _, f := range files {
		keep[f.Path] = true
		did, err := s.place(f)
		if err != nil {
			return nil, fmt.Errorf("place %s: %w", f.Path, err)
		}
		if did {
			changed = append(changed, f.Path)
		}
	}
	for folder, pattern := range provisioning.Folders() {
		left, err := filepath.Glob(filepath.Join(s.path(folder), pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range left {
			logical := filepath.Join(folder, filepath.Base(path))
			if keep[logical] {
				continue
			}
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove what an earlier site left: %w", err)
			}
			changed = append(changed, logical)
		}
	}
	slices.Sort(changed)
	return changed, nil
}

// place writes one file whole: beside its place, then renamed over it.
func (s *System) place(f provisioning.File) (changed bool, err error) {
	path := s.path(f.Path)
	if f.Link != "" {
		if old, err := os.Readlink(path); err == nil && old == f.Link {
			return false, nil
		}
	} else if old, err := os.ReadFile(path); err == nil && string(old) == f.Text {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	temp := filepath.Join(filepath.Dir(path), ".new-"+filepath.Base(path))
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if f.Link != "" {
		err = os.Symlink(f.Link, temp)
	} else if err = os.WriteFile(temp, []byte(f.Text), f.Mode); err == nil {
		err = os.Chmod(temp, f.Mode) // whatever the umask is: networkd and the daemons are not root
	}
	if err != nil {
		return false, err
	}
	return true, os.Rename(temp, path)
}

// rules swaps the sets of the firewall in one step; the rules are the image's.
func (s *System) rules(ctx context.Context, changed []string) error {
	const file = "/run/sallyport/firewall/site.nft"
	if !slices.Contains(changed, file) {
		return nil
	}
	if _, err := s.Tool(ctx, "", "nft", "-f", s.path(file)); err != nil {
		return fault.New("running.rules", fault.Internal, "The firewall did not take the site's networks.").Because(err)
	}
	return nil
}

// active says whether a unit runs.
func (s *System) active(ctx context.Context, unit string) bool {
	_, err := s.Tool(ctx, "", "systemctl", "is-active", "--quiet", unit)
	return err == nil
}

// network names the ports and tells those who read network files.
func (s *System) network(ctx context.Context, site *provisioning.Site, changed []string) error {
	var errs []error
	if touched(changed, "/run/systemd/network/") {
		errs = append(errs, s.rename(ctx, site, changed))
		if s.active(ctx, "systemd-networkd.service") {
			_, err := s.Tool(ctx, "", "networkctl", "reload")
			errs = append(errs, err)
		}
	}
	for folder, unit := range map[string]string{"/run/systemd/resolved.conf.d/": "systemd-resolved.service", "/run/sallyport/time/": "chrony.service"} {
		if touched(changed, folder) && s.active(ctx, unit) {
			_, err := s.Tool(ctx, "", "systemctl", "--no-block", "try-restart", unit)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func touched(changed []string, folder string) bool {
	return slices.ContainsFunc(changed, func(p string) bool { return strings.HasPrefix(p, folder) })
}

// daemons are ours that read a rendered file or take a socket of a zone.
func daemons() []string {
	return []string{"bookingd.service", "gatewayd.service", "gatewayd-split.service"}
}

// insides are the sockets between them. While a daemon makes room these must not start it again: the health check and the
// console ask all the time.
func insides() []string {
	return []string{
		"bookingd-link.socket", "bookingd-visitor.socket", "bookingd-kiosk.socket", "bookingd-staff.socket",
		"signal-visitor.socket", "signal-kiosk.socket", "signal-staff.socket", "turn-tls.socket",
	}
}

const doors = "/run/systemd/system/sallyport-doors.target.wants/"

// moved says whether doors have to be opened anew: their networks, their sockets or what their daemons read are others.
func moved(changed []string) bool {
	return touched(changed, "/run/systemd/network/") || touched(changed, doors) ||
		slices.ContainsFunc(changed, func(p string) bool { return filepath.Ext(p) == ".toml" })
}

// shut closes the doors of a running system before its networks change, and says whether there were any. A socket holds on
// to its port whatever that is called later, so that a door would be in another zone; and it cannot be opened for a daemon
// that runs. Calls find their seats again within seconds.
func (s *System) shut(ctx context.Context, changed []string) (again bool, err error) {
	if !moved(changed) {
		return false, nil
	}
	units := append(s.linked(), daemons()...)
	for _, path := range changed {
		if filepath.Ext(path) == ".socket" && !slices.Contains(units, filepath.Base(path)) {
			units = append(units, filepath.Base(path)) // a door that is not there any more
		}
	}
	if _, err := s.Tool(ctx, "", "systemctl", append([]string{"is-active", "--quiet"}, units...)...); err != nil {
		return false, nil // none runs: the machine starts
	}
	_, err = s.Tool(ctx, "", "systemctl", slices.Concat([]string{"stop"}, insides(), units)...)
	return true, err
}

// linked are the sockets of the zones that exist.
func (s *System) linked() (sockets []string) {
	links, err := filepath.Glob(s.path(doors + "*.socket"))
	if err != nil {
		return nil // the pattern is right
	}
	for _, l := range links {
		sockets = append(sockets, filepath.Base(l))
	}
	return sockets
}

// open opens the sockets of the zones. They are named one by one: to have the target's links read, systemd would read
// every unit again. Nothing is waited for: at boot they are opened once this unit has ended, and the daemons after them.
func (s *System) open(ctx context.Context, changed []string, again bool) error {
	if !moved(changed) {
		return nil
	}
	start := append([]string{"--no-block", "start", "sallyport-doors.target"}, s.linked()...)
	if again {
		start = slices.Concat(start, insides(), daemons())
	}
	_, err := s.Tool(ctx, "", "systemctl", start...)
	return err
}
