package update

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/provisioning/bundle"
	"sallyport/provisioning/durable"
	"sallyport/provisioning/signature"
)

// Box is the machine that is updated.
type Box struct {
	State   string   // /var/lib/sallyport/update: state, what is unpacked, what was brought
	Image   string   // /usr/share/sallyport: what runs says which version it is, and whom it trusts
	Secrets string   // /var/lib/sallyport/secrets
	Board   string   // /run/sallyport: where the setup door reads how versions stand
	Loaders []string // where the partition of the loader may be mounted; the first that is there counts

	Disk  *durable.Disk
	Clock clock.Clock
	// Sysupdate writes a version that was unpacked into the spare slot.
	Sysupdate func(ctx context.Context, v bundle.Version) error
	// Snapshot copies the database before a version is installed; nil where there is none to copy.
	Snapshot func(ctx context.Context, v bundle.Version) error
	// Tell is told of each step, and of its progress in percent.
	Tell func(step string, percent int)
}

// Here returns the machine that the process runs on.
func Here() *Box {
	return &Box{
		State: "/var/lib/sallyport/update", Image: "/usr/share/sallyport", Secrets: "/var/lib/sallyport/secrets", Board: "/run/sallyport", Loaders: []string{"/efi", "/boot"},
		Disk: &durable.Disk{}, Clock: clock.Real{}, Sysupdate: sysupdate, Tell: func(string, int) {},
	}
}

// Running describes the version that runs.
func (b *Box) Running() (bundle.Release, error) {
	raw, err := os.ReadFile(filepath.Join(b.Image, "release.json"))
	if err != nil {
		return bundle.Release{}, fault.New("update.Running", fault.Unavailable, "This machine does not run an image: it has no description of its version.").Because(err)
	}
	return bundle.ReadRelease(raw)
}

func (b *Box) keys() (signature.Keys, error) { return signature.Load(filepath.Join(b.Image, "keys")) }

// Folders where updates are looked for: what the courier fetched, and what was brought by hand.
func (b *Box) Folders() []string {
	return []string{filepath.Join(b.State, "incoming"), filepath.Join(b.State, "fetched")}
}

func (b *Box) ready() string { return filepath.Join(b.State, "ready") }

// lock lets one process at a time change versions.
func (b *Box) lock() (unlock func(), err error) {
	if err := b.Disk.Folder(b.State, stateMode); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(b.State, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock updates: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fault.New("update", fault.Conflict, "Another update is being installed. Wait until it is done.").WithCode("update.busy").Because(err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// SysupdatePath is where systemd keeps its program.
const SysupdatePath = "/usr/lib/systemd/systemd-sysupdate"

// sysupdate runs systemd's own program, which finds the transfers of the image, and the spare slot on the disk of the
// running root. What it says goes to our caller's log.
func sysupdate(ctx context.Context, v bundle.Version) error {
	cmd := exec.CommandContext(ctx, SysupdatePath, "update", v.String())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "SYSTEMD_COLORS=0")
	if err := cmd.Run(); err != nil {
		return fault.Newf("update.install", fault.Unavailable, "Version %v could not be written into the spare slot.", v).WithCode("update.install").Because(err)
	}
	return nil
}
