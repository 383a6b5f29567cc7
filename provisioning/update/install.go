package update

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
	"sallyport/provisioning/bundle"
)

// slack is what an update leaves free on the disk of the data.
const slack = 128 << 20

// Found is an update file and what may be done with it.
type Found struct {
	Path    string
	Release bundle.Release
	Err     error // why it is not for this box
}

// Find looks at a file, or at the update files of folders, and returns what it found, the newest first.
func (b *Box) Find(paths ...string) ([]Found, error) {
	var all []Found
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) && slices.Contains(b.Folders(), path) {
			continue
		}
		if err != nil {
			return nil, fault.Newf("update.Find", fault.NotFound, "There is no %s.", path).Because(err)
		}
		files := []string{path}
		if info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.upd")); err != nil {
				return nil, err
			}
		}
		for _, file := range files {
			found := Found{Path: file}
			found.Release, found.Err = b.Look(file)
			all = append(all, found)
		}
	}
	slices.SortStableFunc(all, func(x, y Found) int {
		switch {
		case y.Release.Version.Older(x.Release.Version):
			return -1
		case x.Release.Version.Older(y.Release.Version):
			return 1
		}
		return 0
	})
	return all, nil
}

// Newest returns the newest update of those found that this box may take. It returns NotFound when there is none, with
// the reason where there is one file only.
func Newest(all []Found) (Found, error) {
	for _, f := range all {
		if f.Err == nil {
			return f, nil
		}
	}
	if len(all) == 1 {
		return Found{}, all[0].Err
	}
	return Found{}, fault.New("update.Find", fault.NotFound, "There is no update for this box.").WithCode("update.none")
}

// Look reads the front of an update file and judges it.
func (b *Box) Look(path string) (rel bundle.Release, err error) {
	err = b.open(path, func(r *bundle.Reader) error {
		rel = r.Manifest().Release
		return b.judge(r.Manifest())
	})
	return rel, err
}

// Verify reads an update file to its end.
func (b *Box) Verify(ctx context.Context, path string) (rel bundle.Release, err error) {
	err = b.open(path, func(r *bundle.Reader) error {
		rel = r.Manifest().Release
		return r.Verify(ctx, b.percent("verify"))
	})
	return rel, err
}

func (b *Box) open(path string, fn func(*bundle.Reader) error) error {
	keys, err := b.keys()
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return fault.Newf("update", fault.NotFound, "%s cannot be opened.", path).Because(err)
	}
	defer f.Close()
	r, err := bundle.Open(f, keys)
	if err != nil {
		return err
	}
	return fn(r)
}

func (b *Box) judge(m bundle.Manifest) error {
	running, err := b.Running()
	if err != nil {
		return err
	}
	s, err := b.Load()
	if err != nil {
		return err
	}
	return Judge(m.Release, running, s)
}

// Install writes an update into the spare slot, where it has two tries from the next start on. It may be repeated after
// any failure. It returns what [Judge] and [bundle.Reader.Unpack] return, and Full when the disk has no room.
func (b *Box) Install(ctx context.Context, path string) (rel bundle.Release, err error) {
	unlock, err := b.lock()
	if err != nil {
		return rel, err
	}
	defer unlock()
	err = b.open(path, func(r *bundle.Reader) error {
		rel = r.Manifest().Release
		if err := b.judge(r.Manifest()); err != nil {
			return err
		}
		return b.unpack(ctx, r)
	})
	if err != nil {
		return rel, err
	}
	if b.Snapshot != nil {
		b.Tell("snapshot", 0)
		if err := b.Snapshot(ctx, rel.Version); err != nil {
			return rel, fmt.Errorf("copy the database before the update: %w", err)
		}
		b.Tell("snapshot", 100)
	}
	if err := b.note(rel, false); err != nil {
		return rel, err
	}
	b.Tell("install", 0)
	if err := b.Sysupdate(ctx, rel.Version); err != nil {
		return rel, err
	}
	if err := b.arm(rel.Version); err != nil {
		return rel, err
	}
	if err := b.note(rel, true); err != nil {
		return rel, err
	}
	b.Tell("install", 100)
	return rel, nil
}

// note writes down that a version is tried, before the loader can know of it.
func (b *Box) note(rel bundle.Release, installed bool) error {
	running, err := b.Running()
	if err != nil {
		return err
	}
	return b.change(func(s *State) error {
		if s.Trial == nil || s.Trial.Version != rel.Version {
			s.Trial = &Trial{Version: rel.Version, From: running.Version, At: b.Clock.Now().UTC()}
		}
		s.Trial.Installed, s.Trial.Failed, s.Trial.Starts = installed, "", 0
		return nil
	})
}

// unpack brings the parts of an update into the folder where systemd-sysupdate finds them. What is there already from a
// try that was cut is used when each of its bytes is right.
func (b *Box) unpack(ctx context.Context, r *bundle.Reader) error {
	if b.whole(ctx, r) {
		b.Tell("unpack", 100)
		return nil
	}
	fresh := b.ready() + ".new"
	for _, old := range []string{fresh, b.ready()} {
		if err := os.RemoveAll(old); err != nil {
			return fmt.Errorf("clear away an update: %w", err)
		}
	}
	if err := b.room(r.Manifest()); err != nil {
		return err
	}
	if err := b.Disk.Folder(fresh, 0o700); err != nil {
		return err
	}
	if err := r.Unpack(ctx, fresh, b.percent("unpack")); err != nil {
		if errors.Is(err, unix.ENOSPC) {
			err = full(err)
		}
		return errors.Join(err, os.RemoveAll(fresh))
	}
	if err := b.Disk.Write(filepath.Join(fresh, manifestFile), r.Raw(), 0o600); err != nil {
		return err
	}
	return b.Disk.Move(fresh, b.ready())
}

const manifestFile = "manifest.json"

// whole tells whether the folder has this update, unpacked to its last byte.
func (b *Box) whole(ctx context.Context, r *bundle.Reader) bool {
	raw, err := os.ReadFile(filepath.Join(b.ready(), manifestFile))
	if err != nil || !bytes.Equal(raw, r.Raw()) {
		return false
	}
	for _, a := range r.Manifest().Artifacts {
		f, err := os.Open(filepath.Join(b.ready(), a.As))
		if err != nil {
			return false
		}
		sum := sha256.New()
		n, err := io.Copy(sum, f)
		if cerr := f.Close(); err != nil || cerr != nil || ctx.Err() != nil || n != a.RawSize || hex.EncodeToString(sum.Sum(nil)) != a.RawSHA256 {
			return false
		}
	}
	return true
}

func (b *Box) room(m bundle.Manifest) error {
	var st unix.Statfs_t
	if err := unix.Statfs(b.State, &st); err != nil {
		return fmt.Errorf("measure the disk: %w", err)
	}
	if free := int64(st.Bavail) * st.Bsize; free < m.Used()+slack {
		return full(fmt.Errorf("%d bytes are free and %d are needed", free, m.Used()+slack))
	}
	return nil
}

func full(err error) error {
	return fault.New("update.unpack", fault.Full, "The disk has no room to unpack this update. Delete recordings or updates that are not needed.").
		WithCode("update.space").Because(err)
}

// percent tells progress only when it is a whole percent further.
func (b *Box) percent(step string) bundle.Progress {
	last := -1
	return func(done, total int64) {
		if now := int(done * 100 / max(total, 1)); now != last {
			last = now
			b.Tell(step, now)
		}
	}
}

// tidy removes update files that can never be installed any more: of the version that runs, and of older ones.
func (b *Box) tidy() error {
	all, err := b.Find(b.Folders()...)
	if err != nil {
		return err
	}
	for _, f := range all {
		if code := fault.CodeOf(f.Err); code != "update.same" && code != "update.older" {
			continue
		}
		if err := b.Disk.Remove(f.Path); err != nil {
			return err
		}
	}
	return nil
}
