package phases

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
	"strings"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning"
	"sallyport/provisioning/durable"
)

// Machine is what the phases work on.
type Machine struct {
	State       string // what outlives a boot: /var/lib/sallyport
	Run         string // what does not: /run/sallyport
	Image       string // what came with the image: /usr/share/sallyport
	Sys         string // the kernel's view of devices: /sys
	Dev         string // device nodes: /dev
	Udev        string // what udev has found out: /run/udev/data
	Root        string // where the system lies: /usr
	Credentials string // what systemd handed over: $CREDENTIALS_DIRECTORY, or ""
	Contained   bool   // no disk of its own: a container

	Definitions string // partitions of a device: /usr/lib/repart.d
	Reserve     int64  // bytes that are laid aside for the day on which the disk is full

	Disk  *durable.Disk
	Clock clock.Clock
	Log   *slog.Logger
	Link  *linkclient.Client // to bookingd; only the late phases ask
	Tool  Tool

	Room         func(path string) (free, size int64, err error) // on the disk of a folder; nil: the file system is asked
	Synchronised func() bool                                     // whether a time source has set the clock; nil: nobody can tell

	status *linkspec.Status // of bookingd, once asked
	looked bool             // found is what was found
	found  *seed            // of this run
}

// Tool runs a program of the image and returns what it printed. Input, when there is any, is never in the arguments, which
// everybody on the machine can read.
type Tool func(ctx context.Context, input []byte, name string, args ...string) ([]byte, error)

// Here returns the machine that the process runs on.
func Here(log *slog.Logger) *Machine {
	_, err := os.Stat("/run/systemd/container")
	return &Machine{
		State: "/var/lib/sallyport", Run: "/run/sallyport", Image: "/usr/share/sallyport", Sys: "/sys", Dev: "/dev",
		Udev: "/run/udev/data", Root: "/usr",
		Credentials: os.Getenv("CREDENTIALS_DIRECTORY"), Definitions: "/usr/lib/repart.d", Contained: err == nil, Reserve: 256 << 20,
		Disk: &durable.Disk{}, Clock: clock.Real{}, Log: log, Tool: runTool, Synchronised: Synchronised,
	}
}

func runTool(ctx context.Context, input []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &complaints
	if err := cmd.Run(); err != nil {
		// What it printed may be a secret; what it complained of is not.
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, lastLine(complaints.String()))
	}
	return out.Bytes(), nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// The folders and files of the state.
func (m *Machine) secret(name string) string    { return filepath.Join(m.State, "secrets", name) }
func (m *Machine) site(name string) string      { return filepath.Join(m.State, "site", name) }
func (m *Machine) provision(name string) string { return filepath.Join(m.State, "provision", name) }

// folders makes the folders of the phases. The site's is for everybody to read: there is no secret in it.
func (m *Machine) folders() error {
	for _, f := range []struct {
		name string
		mode os.FileMode
	}{{"secrets", 0o700}, {"provision", 0o700}, {"site", 0o755}} {
		if err := m.Disk.Folder(filepath.Join(m.State, f.name), f.mode); err != nil {
			return err
		}
	}
	return nil
}

// SiteFile is the name of the site file that rules, below State.
const SiteFile = "site/site.toml"

// proposed is the name of the seed's site file until it rules.
const proposed = "proposed.toml"

// Ruling returns the site file that rules; nil when there is none, which is no fault.
func (m *Machine) Ruling() (*provisioning.Site, error) {
	text, err := os.ReadFile(filepath.Join(m.State, SiteFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the site file: %w", err)
	}
	site, problems := provisioning.Read(text)
	return site, problems.Fault()
}

// Claimed tells whether the box has an administrator; bookingd leaves a mark.
func (m *Machine) Claimed() bool {
	_, err := os.Stat(filepath.Join(m.State, ClaimedFile))
	return err == nil
}

// ClaimedFile is bookingd's mark that the box has an administrator, below State.
const ClaimedFile = "booking/claimed"

// ClaimFile is where bookingd writes the claim code for the console, below State.
const ClaimFile = "booking/claim-code"

// full says that there is no room on the disk.
func full(msg string) error { return fault.New("phases.disk", fault.Full, msg).WithCode("disk.full") }

// InstallersCode stands in the claim file when the site file named a code that somebody has in hand.
const InstallersCode = "the one that the installer has"
