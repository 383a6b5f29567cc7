package recordings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/reel"
)

// The keyring is a folder of its own, one small file a recording: a copy of the database holds no key, and to destroy
// one key is to unlink one file.

func (r *Recordings) ringFile(id ident.Recording) string {
	return filepath.Join(r.Keyring, string(id)+".keys")
}

// keys opens a recording's data keys. It returns NotFound when the keyring has none: erased, or not yet taken.
func (r *Recordings) keys(id ident.Recording) (reel.Keys, error) {
	wrapped, err := os.ReadFile(r.ringFile(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New("recordings.keys", fault.NotFound, "The keys of this recording are gone.").WithCode("recording_keys")
	}
	if err != nil {
		return nil, fmt.Errorf("read the keyring: %w", err)
	}
	return reel.UnwrapKeys(r.RingKey, wrapped, id)
}

// keep writes data keys into the keyring, durably.
func (r *Recordings) keep(id ident.Recording, keys reel.Keys) error {
	wrapped, err := keys.Wrap(r.RingKey, id)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.Keyring, 0o700); err != nil {
		return fmt.Errorf("make the keyring: %w", err)
	}
	part := r.ringFile(id) + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the keyring: %w", err)
	}
	_, err = f.Write(wrapped)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the keyring: %w", err)
	}
	if err := os.Rename(part, r.ringFile(id)); err != nil {
		return fmt.Errorf("write the keyring: %w", err)
	}
	return syncFolder(r.Keyring)
}

// forget destroys a recording's data keys: overwritten, unlinked, and the folder made durable.
func (r *Recordings) forget(id ident.Recording) error {
	name := r.ringFile(id)
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the keyring: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Write(make([]byte, info.Size()))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close(), os.Remove(name)); err != nil {
		return fmt.Errorf("destroy the keys of %s: %w", id, err)
	}
	return syncFolder(r.Keyring)
}

func syncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("sync %s: %w", name, err)
	}
	return errors.Join(d.Sync(), d.Close())
}
