package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
	"sallyport/provisioning/bundle"
)

// Bring copies the newest update of a folder, such as that of a stick, to where updates are found, after reading each of
// its bytes; nothing is installed from a stick that somebody may pull out. It returns the version; NotFound when there is
// none that this box may take, and whatever [Box.Verify] returns.
func (b *Box) Bring(ctx context.Context, folder string) (rel bundle.Release, err error) {
	all, err := b.Find(folder)
	if err != nil {
		return rel, err
	}
	found, err := Newest(all)
	if err != nil {
		return rel, err
	}
	rel = found.Release
	to := b.Folders()[0]
	path := filepath.Join(to, fmt.Sprintf("%s-%v.upd", bundle.Product, rel.Version))
	if _, err := b.Look(path); err == nil {
		return rel, nil // it was brought before, and is whole: it has its name since it was
	}
	if err := os.MkdirAll(to, 0o770); err != nil {
		return rel, fmt.Errorf("bring an update: %w", err)
	}
	part := filepath.Join(to, ".brought.part")
	if err := copyAll(ctx, found.Path, part); err != nil {
		return rel, errors.Join(err, b.Disk.Remove(part))
	}
	got, err := b.Verify(ctx, part)
	if err == nil && got.Version != rel.Version {
		err = fault.New("update.Bring", fault.Conflict, "The update was replaced while it was copied. Bring it again.").WithCode("update.replaced")
	}
	if err != nil {
		return rel, errors.Join(err, b.Disk.Remove(part))
	}
	return rel, b.Disk.Move(part, path)
}

// copyAll copies a file and flushes it.
func copyAll(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("bring an update: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return fmt.Errorf("bring an update: %w", err)
	}
	_, err = io.Copy(out, heeding{ctx, in})
	err = errors.Join(err, out.Sync(), out.Close())
	if errors.Is(err, unix.ENOSPC) {
		return full(err)
	}
	if err != nil {
		return fmt.Errorf("bring an update: %w", err)
	}
	return nil
}

// heeding reads until nobody wants it any more.
type heeding struct {
	ctx context.Context
	src io.Reader
}

// Read reads on.
func (h heeding) Read(p []byte) (int, error) {
	if h.ctx.Err() != nil {
		return 0, context.Cause(h.ctx)
	}
	return h.src.Read(p)
}
