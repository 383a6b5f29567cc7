package update

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"sallyport/appliance/fault"
	"sallyport/provisioning/bundle"
)

// Entry is a version that the loader knows. The name of its file counts the tries: sallyport_1.5.0+1-1.efi has one left.
type Entry struct {
	Version bundle.Version
	Counted bool // on trial, or failed; a blessed one has no counter
	Left    int  // tries
	path    string
}

var entryForm = regexp.MustCompile(`^` + bundle.Product + `_([0-9.]+?)(?:\+(\d{1,4})(?:-(\d{1,4}))?)?\.efi$`)

// Entries are the versions that the loader knows. None, where there is no loader: in a container.
func (b *Box) Entries() ([]Entry, error) {
	for _, at := range b.Loaders {
		folder := filepath.Join(at, "EFI/Linux")
		names, err := os.ReadDir(folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at the loader's partition: %w", err)
		}
		var all []Entry
		for _, n := range names {
			m := entryForm.FindStringSubmatch(n.Name())
			if m == nil {
				continue
			}
			e := Entry{Counted: m[2] != "", path: filepath.Join(folder, n.Name())}
			if e.Version, err = bundle.ParseVersion(m[1]); err != nil {
				continue // of nobody: sysupdate leaves it alone, and so do we
			}
			if e.Counted {
				if e.Left, err = strconv.Atoi(m[2]); err != nil {
					return nil, err
				}
			}
			all = append(all, e)
		}
		return all, nil
	}
	return nil, nil
}

func (b *Box) entry(v bundle.Version) (Entry, bool, error) {
	all, err := b.Entries()
	if err != nil {
		return Entry{}, false, err
	}
	for _, e := range all {
		if e.Version == v {
			return e, true, nil
		}
	}
	return Entry{}, false, nil
}

// spend takes the tries of a refused version away, so that the loader does not start it again.
func (b *Box) spend(v bundle.Version) error {
	e, ok, err := b.entry(v)
	if err != nil || !ok || e.Counted && e.Left == 0 {
		return err
	}
	running, err := b.Running()
	if err != nil {
		return err
	}
	if v == running.Version {
		return fault.Newf("update.refuse", fault.Conflict, "Version %v runs; only systemd's own counter ends its trial.", v)
	}
	to := filepath.Join(filepath.Dir(e.path), fmt.Sprintf("%s_%v+0-1.efi", bundle.Product, v))
	return b.Disk.Move(e.path, to)
}

// arm gives a version tries that was installed before and has used them up: systemd-sysupdate finds it in its slot and
// leaves it alone.
func (b *Box) arm(v bundle.Version) error {
	e, ok, err := b.entry(v)
	if err != nil || !ok || !e.Counted || e.Left > 0 {
		return err
	}
	return b.Disk.Move(e.path, filepath.Join(filepath.Dir(e.path), fmt.Sprintf("%s_%v+%d.efi", bundle.Product, v, tries)))
}

// tries is how often a version may start before it has a good verdict; 30-uki.transfer says the same.
const tries = 2
