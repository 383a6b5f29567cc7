// Package durable owns how the files of a box that boots for the first time reach its disk: whole or not at all, however
// the power goes.
//
// It must not know what is in them. A file is written beside its place under a fixed name, flushed, renamed, and its
// folder is flushed; who finds it at its place finds all of it. What a cut leaves beside it is overwritten by the next
// try, so that repeating leaves nothing behind.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The steps of a change, in the order in which a file takes them.
const (
	Mkdir  = "mkdir"
	Create = "create"
	Write  = "write"
	Flush  = "flush"
	Rename = "rename"
	Remove = "remove"
	Settle = "settle" // the folder is flushed
)

// Disk changes files. The zero value is the machine's disk.
type Disk struct {
	before func(step, path string) error
}

// Observed returns a disk that asks before each step; an error is the end of the step, as if the power had gone. Of a
// write that is refused, half is written, because a disk may have done that much.
func Observed(before func(step, path string) error) *Disk { return &Disk{before: before} }

func (d *Disk) ask(step, path string) error {
	if d == nil || d.before == nil {
		return nil
	}
	return d.before(step, path)
}

// Folder makes a folder with its parents, and gives it its mode.
func (d *Disk) Folder(path string, mode fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() && info.Mode().Perm() == mode {
		return nil
	}
	if err := d.ask(Mkdir, path); err != nil {
		return err
	}
	if err := os.MkdirAll(path, mode); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	return d.settle(filepath.Dir(path))
}

// Write puts data at path with this mode. Until it returns nil the old file may still be there, and never half of one.
func (d *Disk) Write(path string, data []byte, mode fs.FileMode) error {
	temp := Beside(path)
	if err := d.ask(Create, temp); err != nil {
		return err
	}
	// What an earlier try left may be read-only; its content is worth nothing.
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write a file: %w", err)
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	err = d.fill(f, data, mode)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	if err := d.Move(temp, path); err != nil {
		return err
	}
	return nil
}

// fill writes and flushes an open file.
func (d *Disk) fill(f *os.File, data []byte, mode fs.FileMode) error {
	if err := f.Chmod(mode); err != nil { // whatever the umask says
		return err
	}
	if err := d.ask(Write, f.Name()); err != nil {
		_, werr := f.Write(data[:len(data)/2])
		return errors.Join(err, werr)
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := d.ask(Flush, f.Name()); err != nil {
		return err
	}
	return f.Sync()
}

// Move renames a file that is flushed already, in one folder.
func (d *Disk) Move(from, to string) error {
	if err := d.ask(Rename, to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("put a file in its place: %w", err)
	}
	return d.settle(filepath.Dir(to))
}

// Remove takes a file away; one that is not there is no mistake.
func (d *Disk) Remove(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := d.ask(Remove, path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a file: %w", err)
	}
	return d.settle(filepath.Dir(path))
}

func (d *Disk) settle(dir string) error {
	if err := d.ask(Settle, dir); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("flush a folder: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("flush a folder: %w", err)
	}
	return nil
}

// Beside is where a file is written before it is moved to path.
func Beside(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
}

// Allocate puts a file of so many bytes at path for which the room is there and not only promised.
func (d *Disk) Allocate(path string, size int64, mode fs.FileMode) error {
	temp := Beside(path)
	if err := d.ask(Create, temp); err != nil {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("lay room aside: %w", err)
	}
	err = d.ask(Write, temp)
	if err == nil {
		err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	}
	if err == nil {
		err = d.ask(Flush, temp)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("lay room aside: %w", errors.Join(err, os.Remove(temp)))
	}
	return d.Move(temp, path)
}
