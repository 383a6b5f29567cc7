package phases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
)

const (
	// ReserveFile is what is given up when the disk is full, below State: room in which the box can say so.
	ReserveFile = "reserve"
	// reserveFloor is how much is free when the reserve is given up.
	reserveFloor = 64 << 20
	// varName is the name of the partition of the data.
	varName = "sallyport-var"
)

func diskDone(_ context.Context, m *Machine) (string, error) {
	if err := m.sameDisk(); err != nil {
		return "", err
	}
	free, size, err := m.room()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(filepath.Join(m.State, ReserveFile))
	kept := err == nil && info.Size() == m.reserve(size)
	says := fmt.Sprintf("%d of %d MiB free", free>>20, size>>20)
	switch {
	case free < reserveFloor && kept:
		return "", missing(Disk, "The disk is full.")
	case free < reserveFloor || free < m.reserve(size) && !kept:
		return "", full("The disk is full (" + says + "). Recordings and updates that are not needed have to go; then start the box again.")
	case !kept:
		return "", missing(Disk, "The reserve is not laid aside.")
	}
	return says, nil
}

// reserve is how much is laid aside: less on a small disk.
func (m *Machine) reserve(size int64) int64 { return min(m.Reserve, size/16) &^ 4095 }

func (m *Machine) room() (free, size int64, err error) {
	if m.Room != nil {
		return m.Room(m.State)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(m.State, &st); err != nil {
		return 0, 0, fmt.Errorf("measure the disk: %w", err)
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// diskDo lays the reserve aside, or gives it up when nothing else is left.
func diskDo(_ context.Context, m *Machine) error {
	if err := os.MkdirAll(m.State, 0o755); err != nil {
		return err
	}
	free, size, err := m.room()
	if err != nil {
		return err
	}
	path := filepath.Join(m.State, ReserveFile)
	info, err := os.Stat(path)
	switch {
	case free < reserveFloor && err == nil:
		m.Log.Warn("the disk is full; its reserve is given up", "op", "phases.disk")
		if err := m.Disk.Remove(path); err != nil {
			return err
		}
		return full("The disk was full, and its reserve has been given up. Recordings and updates that are not needed have to go.")
	case err == nil && info.Size() == m.reserve(size), free < 2*m.reserve(size)+reserveFloor:
		return nil
	}
	return m.Disk.Allocate(path, m.reserve(size), 0o600)
}

// sameDisk refuses data on another disk than the system, and a second disk with our labels: a disk that somebody plugged in
// must not become the box's own.
func (m *Machine) sameDisk() error {
	if m.Contained {
		return nil
	}
	named, err := m.partitions(varName)
	if err != nil {
		return err
	}
	switch {
	case len(named) == 0:
		return fault.Newf("phases.disk", fault.Conflict, "There is no partition %s on any disk of this machine.", varName).WithCode("disk.missing").WithParam("name", varName)
	case len(named) > 1:
		return fault.Newf("phases.disk", fault.Conflict,
			"Two disks have a partition %s (%s). Take the one out that does not belong to this box, and start it again.", varName, strings.Join(named, ", ")).
			WithCode("disk.twice").WithParam("name", varName).WithParam("disks", strings.Join(named, ", "))
	}
	data, err := m.diskOf(m.State)
	if err != nil {
		return err
	}
	system, err := m.diskOf(m.Root)
	if err != nil {
		return err
	}
	if data != system {
		return fault.Newf("phases.disk", fault.Conflict, "The data is on the disk %s and the system on %s. Both belong on one disk.", data, system).
			WithCode("disk.apart").WithParam("data", data).WithParam("system", system)
	}
	return nil
}

// partitions are the names of the block devices whose partition is called so.
func (m *Machine) partitions(name string) ([]string, error) {
	events, err := filepath.Glob(filepath.Join(m.Sys, "class/block/*/uevent"))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, path := range events {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a device that went while we looked
		}
		lines := strings.Split(string(b), "\n")
		if slices.Contains(lines, "PARTNAME="+name) || m.udevSays(lines, "E:ID_PART_ENTRY_NAME="+name) {
			all = append(all, filepath.Base(filepath.Dir(path)))
		}
	}
	return all, nil
}

// udevSays tells whether udev knows this of a block device. The kernel does not know the name of a partition that was made
// since it read the table, as the data partition is at the first start.
func (m *Machine) udevSays(uevent []string, line string) bool {
	var major, minor string
	for _, l := range uevent {
		if v, ok := strings.CutPrefix(l, "MAJOR="); ok {
			major = v
		} else if v, ok := strings.CutPrefix(l, "MINOR="); ok {
			minor = v
		}
	}
	if m.Udev == "" || major == "" || minor == "" {
		return false
	}
	b, err := os.ReadFile(filepath.Join(m.Udev, "b"+major+":"+minor))
	return err == nil && slices.Contains(strings.Split(string(b), "\n"), line)
}

// diskOf is the name of the disk below a folder, through encryption and verity.
func (m *Machine) diskOf(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", fmt.Errorf("look where %s lies: %w", path, err)
	}
	at := filepath.Join(m.Sys, "dev/block", fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	device, err := filepath.EvalSymlinks(at)
	if err != nil {
		return "", fmt.Errorf("look where %s lies: %w", path, err)
	}
	for {
		below, err := os.ReadDir(filepath.Join(device, "slaves"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		if len(below) == 0 {
			break
		}
		if device, err = filepath.EvalSymlinks(filepath.Join(device, "slaves", below[0].Name())); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(filepath.Join(device, "partition")); err == nil {
		device = filepath.Dir(device)
	}
	return filepath.Base(device), nil
}
