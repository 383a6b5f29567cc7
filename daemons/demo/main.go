// Command demo is the evaluation: the whole appliance and a central site on one machine, behind `make run`.
//
// It makes its own secrets and certificates, seeds a facility once, starts the real daemons as child processes and the
// central etcd and a mail server beside them, prints where everything is, and stays in the foreground. It listens on the
// loopback interface only and is never part of the appliance's image.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	policy string
	state  string
	bin    string
	ready  string
	fresh  bool
	free   bool
	via    string
	anchor time.Duration
	ports  *ports // shared with list, which changes them
	list   []port
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.fresh {
		if err := os.RemoveAll(o.state); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.state, 0o700); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(o.state, "lock"))
	if err != nil {
		return fmt.Errorf("another evaluation runs from %s; stop it, or choose another folder with -state", o.state)
	}
	defer unlock()
	if o.free {
		err = choose(o.list)
	} else {
		err = check(o.list)
	}
	if err != nil {
		return err
	}
	return launch(ctx, o)
}

func parse(args []string) (options, error) {
	o := options{ports: &ports{}}
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	fs.StringVar(&o.policy, "policy", "county-jail", "preset of the rules: county-jail or prison")
	fs.StringVar(&o.state, "state", filepath.Join(cache, "sallyport"), "folder that keeps the evaluation between runs; each preset has its own below it")
	fs.StringVar(&o.bin, "bin", filepath.Dir(self), "folder of the daemons")
	fs.StringVar(&o.ready, "ready", "", "file to write addresses and people to when everything is up, for tests")
	fs.BoolVar(&o.fresh, "fresh", false, "forget what earlier runs did")
	fs.StringVar(&o.via, "etcd-via", "", "host:port at which the appliance reaches the central etcd when something stands between; by default its own")
	fs.BoolVar(&o.free, "free-ports", false, "take free ports instead of the usual ones")
	fs.DurationVar(&o.anchor, "anchor", 0, "let a visit begin at the first whole minute after this long, instead of at round times; for tests")
	o.list = o.ports.flags(fs)
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.policy != "county-jail" && o.policy != "prison" {
		return o, fmt.Errorf("-policy %s: there are county-jail and prison", o.policy)
	}
	if o.state, err = filepath.Abs(filepath.Join(o.state, o.policy)); err != nil {
		return o, err
	}
	return o, nil
}

// lock takes the folder for this process; the kernel gives it back however the process ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
