package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"filippo.io/age"

	"sallyport/appliance/fault"
)

// Backup writes a copy of the database to path, sealed for these age recipients, while everything else goes on. The copy
// is one snapshot, is checked before it is sealed, and appears under its name only when it is whole. It returns Invalid
// without recipients, Conflict when path exists and Unavailable when the disk refuses.
func (db *DB) Backup(ctx context.Context, path string, recipients ...string) error {
	if len(recipients) == 0 {
		return fault.New("store.Backup", fault.Invalid, "A backup needs somebody who can open it: name an age recipient.")
	}
	sealFor := make([]age.Recipient, len(recipients))
	for i, r := range recipients {
		one, err := age.ParseX25519Recipient(r)
		if err != nil {
			return fault.Newf("store.Backup", fault.Invalid, "%q is not an age recipient.", r).Because(err)
		}
		sealFor[i] = one
	}
	if _, err := os.Lstat(path); err == nil {
		return fault.Newf("store.Backup", fault.Conflict, "%s exists already.", path)
	}
	plain, err := os.MkdirTemp(filepath.Dir(path), ".backup-*")
	if err != nil {
		return fmt.Errorf("back up the database: %w", err)
	}
	defer os.RemoveAll(plain)
	copied := filepath.Join(plain, "copy.db")
	if err := db.copyTo(ctx, copied); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	if err := CheckFile(ctx, copied); err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	sealed := filepath.Join(plain, "copy.age")
	if err := seal(copied, sealed, sealFor); err != nil {
		return fmt.Errorf("seal the copy: %w", err)
	}
	// Link, unlike Rename, refuses to replace a backup that appeared meanwhile.
	if err := os.Link(sealed, path); err != nil {
		return fmt.Errorf("name the backup: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// copyTo needs a handle of its own: a query_only connection is refused VACUUM INTO.
func (db *DB) copyTo(ctx context.Context, path string) error {
	c, err := dial(db.path, url.Values{"mode": {"ro"}, "_mutex": {"no"}, "_busy_timeout": {"5000"}})
	if err != nil {
		return err
	}
	_, err = c.raw.ExecContext(ctx, "VACUUM INTO ?", []driver.NamedValue{{Ordinal: 1, Value: path}})
	return errors.Join(wrap("store.Backup", err), c.close())
}

// CheckFile reads a whole database file that nobody has open and returns Unavailable when it is damaged, and when it is
// not one of Sallyport.
func CheckFile(ctx context.Context, path string) error {
	c, err := dial(path, url.Values{"mode": {"ro"}, "immutable": {"1"}, "_mutex": {"no"}})
	if err != nil {
		return err
	}
	defer c.close()
	id, err := c.number("PRAGMA application_id")
	if err != nil {
		return refuseFile(path, err)
	}
	if id != applicationID {
		return fault.Newf("store.CheckFile", fault.Unavailable, "%s is a database of another program.", path).WithCode("store.stranger")
	}
	var said string
	_, err = c.query(ctx, "PRAGMA quick_check", nil, func(cols []driver.Value) (bool, error) {
		said = fmt.Sprint(cols[0])
		return false, nil
	})
	if err != nil {
		return refuseFile(path, err)
	}
	if said != "ok" {
		return fault.Newf("store.CheckFile", fault.Unavailable, "%s is damaged.", path).WithCode("store.corrupt").Because(errors.New(said))
	}
	return nil
}

func seal(from, to string, recipients []age.Recipient) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w, err := age.Encrypt(out, recipients...)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Sync()
}

// Unseal opens a backup with an age identity and writes the database file to path, which must not exist.
func Unseal(ctx context.Context, backup, path string, identity age.Identity) (err error) {
	in, err := os.Open(backup)
	if err != nil {
		return err
	}
	defer in.Close()
	r, err := age.Decrypt(in, identity)
	if err != nil {
		return fault.New("store.Unseal", fault.Forbidden, "This key does not open the backup, or the backup is damaged.").Because(err)
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, cerr := io.Copy(out, r)
	if err := errors.Join(cerr, out.Sync(), out.Close()); err != nil {
		_ = os.Remove(path)
		return fault.New("store.Unseal", fault.Unavailable, "The backup is damaged.").WithCode("store.corrupt").Because(err)
	}
	return CheckFile(ctx, path)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
