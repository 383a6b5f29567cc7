package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"sallyport/appliance/linkspec"
	"sallyport/provisioning/bundle"
)

const snapshotWithin = 30 * time.Minute

// SnapshotKey is the secret that opens the snapshots of this box, below its secrets.
const SnapshotKey = "snapshot-identity"

// poster is the part of the link that is needed here.
type poster interface {
	Post(ctx context.Context, path string, body, answer any) error
}

// BeforeUpdate returns how the database is copied before an update: by bookingd itself, into a folder of its own, sealed
// for this box and for recipients. Only the newest copy is kept.
//
// No rollback ever uses it. The version before reads what the next one has written, so that bookings made meanwhile
// stay; the copy is for the day on which somebody has to go further back and accepts to lose them.
func (b *Box) BeforeUpdate(link poster, folder string, recipients ...string) func(context.Context, bundle.Version) error {
	return func(ctx context.Context, v bundle.Version) error {
		own, err := b.snapshotRecipient()
		if err != nil {
			return err
		}
		old, err := filepath.Glob(filepath.Join(folder, "before-*.age"))
		if err != nil {
			return err
		}
		path := filepath.Join(folder, fmt.Sprintf("before-%v.age", v))
		// A copy of an earlier try is older than what it is to save.
		if err := b.Disk.Remove(path); err != nil {
			return err
		}
		// A large database is copied for minutes.
		ctx, cancel := context.WithTimeout(ctx, snapshotWithin)
		defer cancel()
		if err := link.Post(ctx, linkspec.RouteBackup, linkspec.Backup{Path: path, Recipients: append(recipients, own)}, nil); err != nil {
			return err
		}
		for _, o := range old {
			if o == path {
				continue
			}
			if err := b.Disk.Remove(o); err != nil {
				return err
			}
		}
		return nil
	}
}

func (b *Box) snapshotRecipient() (string, error) {
	path := filepath.Join(b.Secrets, SnapshotKey)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			return "", err
		}
		if err := b.Disk.Folder(b.Secrets, 0o700); err != nil {
			return "", err
		}
		return id.Recipient().String(), b.Disk.Write(path, []byte(id.String()+"\n"), 0o400)
	}
	if err != nil {
		return "", fmt.Errorf("read the key of snapshots: %w", err)
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(raw)))
	if err != nil {
		return "", fmt.Errorf("%s is not an age identity", path) // the cause would show it
	}
	return id.Recipient().String(), nil
}
