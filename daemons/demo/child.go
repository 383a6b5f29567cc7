package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// child is one daemon run as systemd would run it: its own notify socket says when it is ready, a crash is followed by a
// new start, a bad configuration (exit 78) is not.
type child struct {
	name string
	path string
	args []string
	env  []string
	dir  string // folder of its log and its notify socket

	pid   atomic.Int64
	ready chan struct{} // closed at the first READY=1
	once  sync.Once
}

// Exit codes and waits of a child, the same as in the units.
const (
	exitConfig   = 78
	restartAfter = time.Second
	stopWithin   = 15 * time.Second
	readyWithin  = 60 * time.Second
)

func newChild(dir, name, path string, args, env []string) *child {
	return &child{name: name, path: path, args: args, env: env, dir: dir, ready: make(chan struct{})}
}

// Serve runs the daemon until ctx ends, and starts it again when it dies by itself.
func (c *child) Serve(ctx context.Context) error {
	for {
		err := c.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == exitConfig {
			return fmt.Errorf("%s refused its configuration:\n%s", c.name, c.tail())
		}
		select {
		case <-c.ready: // it has been up: a crash, which systemd would mend as well
		default:
			return fmt.Errorf("%s did not start (%w):\n%s", c.name, err, c.tail())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(restartAfter):
		}
	}
}

func (c *child) run(ctx context.Context) error {
	notify, err := c.listenNotify()
	if err != nil {
		return err
	}
	defer notify.Close()
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.path, c.args...)
	cmd.Env = append(append(os.Environ(), c.env...), "NOTIFY_SOCKET="+notify.LocalAddr().String())
	cmd.Stdout, cmd.Stderr = log, log
	// Its own process group, so that Ctrl-C reaches it through us, in order; it dies with us even when we are killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.pid.Store(int64(cmd.Process.Pid))
	if err := os.WriteFile(filepath.Join(c.dir, c.name+".pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	go c.watchNotify(notify)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-time.After(stopWithin):
		if err := cmd.Process.Kill(); err != nil {
			return err
		}
		return <-done
	}
}

// listenNotify opens the socket that sd_notify of the child writes to.
func (c *child) listenNotify() (*net.UnixConn, error) {
	path := filepath.Join(c.dir, c.name+".notify")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
}

func (c *child) watchNotify(conn *net.UnixConn) {
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return // closed with the child
		}
		for line := range strings.SplitSeq(string(buf[:n]), "\n") {
			if line == "READY=1" {
				c.once.Do(func() { close(c.ready) })
			}
		}
	}
}

// waitReady returns when the child has said that it is ready.
func (c *child) waitReady(ctx context.Context) error {
	select {
	case <-c.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(readyWithin):
		return fmt.Errorf("%s was not ready within %v:\n%s", c.name, readyWithin, c.tail())
	}
}

func (c *child) logFile() string { return filepath.Join(c.dir, c.name+".log") }

// tail returns the last lines of the child's log, so that a failure explains itself.
func (c *child) tail() string {
	f, err := os.Open(c.logFile())
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > 8<<10 {
		if _, err := f.Seek(-8<<10, io.SeekEnd); err != nil {
			return ""
		}
	}
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, "  "+s.Text())
	}
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
