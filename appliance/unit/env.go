package unit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
)

// Env is what a daemon gets from outside.
type Env struct {
	Name        string
	Args        []string // without the program's name
	Log         *slog.Logger
	Credentials string // folder of the key files: $CREDENTIALS_DIRECTORY, or ""
	State       string // folder of the state: $STATE_DIRECTORY, or ""

	notify func(state string) // to systemd

	mu      sync.Mutex // guards the rest
	given   map[string][]net.Listener
	packets map[string][]net.PacketConn
	read    bool // systemd's sockets are in given and packets
	probes  map[string]func(context.Context) error
}

// NewEnv returns the surroundings of a daemon as the process has them.
func NewEnv(name string, args []string, log *slog.Logger) *Env {
	return &Env{
		Name: name, Args: args, Log: log, Credentials: os.Getenv("CREDENTIALS_DIRECTORY"), State: os.Getenv("STATE_DIRECTORY"),
		notify: func(state string) {
			if _, err := daemon.SdNotify(false, state); err != nil {
				log.Warn("systemd does not listen", "op", "unit.notify", "err", err)
			}
		},
		given: map[string][]net.Listener{}, packets: map[string][]net.PacketConn{}, probes: map[string]func(context.Context) error{},
	}
}

// Give hands a listener over by name, as systemd would; tests and the evaluation use it.
func (e *Env) Give(name string, ln net.Listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.given[name] = append(e.given[name], ln)
}

// GivePacket is [Env.Give] for a socket of datagrams.
func (e *Env) GivePacket(name string, pc net.PacketConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.packets[name] = append(e.packets[name], pc)
}

// Listener returns the socket of this name that was handed over, or listens on fallback: "host:port" or "unix:/path". By
// convention name is the section of the configuration that has the address as "listen". It returns Unavailable, naming
// address and setting, when another program has it, and Invalid when it is no address.
func (e *Env) Listener(name, fallback string) (net.Listener, error) {
	if ln, err := e.Given(name); ln != nil || err != nil {
		return ln, err
	}
	network, addr := "tcp", fallback
	if path, ok := strings.CutPrefix(fallback, "unix:"); ok {
		network, addr = "unix", path
		if err := removeStale(path); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		return nil, e.refuseAddress(name, addr, err)
	}
	if network == "unix" {
		// Who may speak is decided by the peer's uid; the folder keeps strangers out.
		if err := os.Chmod(addr, 0o666); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
	}
	return ln, nil
}

// SocketOption sets something on a socket before it is bound.
type SocketOption func(fd int) error

// Early binds a socket to an address that the machine does not have yet: nothing waits for a network, and an address may
// come after the daemon, or go and come again.
func Early(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1) }

// Shared lets a socket that hears on all addresses share its port with those of single addresses, which the kernel prefers;
// each of them must agree to that.
func Shared(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }

// PacketConn is [Env.Listener] for UDP, on "host:port". A media socket is never handed over, because only sockets of one
// user may share a port: its name is in no socket unit.
func (e *Env) PacketConn(name, addr string, options ...SocketOption) (net.PacketConn, error) {
	if pc, err := e.GivenPacket(name); pc != nil || err != nil {
		return pc, err
	}
	network := "udp"
	if at, err := netip.ParseAddrPort(addr); err == nil && at.Addr().Is4() {
		network = "udp4" // else "0.0.0.0" would be a socket of both kinds
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		ruled := raw.Control(func(fd uintptr) {
			for _, set := range options {
				err = errors.Join(err, set(int(fd)))
			}
		})
		return errors.Join(ruled, err)
	}}
	pc, err := lc.ListenPacket(context.Background(), network, addr)
	if err != nil {
		return nil, e.refuseAddress(name, addr, err)
	}
	return pc, nil
}

// GivenPacket returns the socket of datagrams of this name that was handed over, nil when there is none.
func (e *Env) GivenPacket(name string) (net.PacketConn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.inherit(); err != nil {
		return nil, err
	}
	if all := e.packets[name]; len(all) > 0 {
		e.packets[name] = all[1:]
		return all[0], nil
	}
	return nil, nil
}

// Given returns the listener of this name that was handed over, nil when there is none.
func (e *Env) Given(name string) (net.Listener, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.inherit(); err != nil {
		return nil, err
	}
	if all := e.given[name]; len(all) > 0 {
		e.given[name] = all[1:]
		return all[0], nil
	}
	return nil, nil
}

// inherit takes what systemd handed over, once. e.mu is held.
func (e *Env) inherit() error {
	if e.read {
		return nil
	}
	e.read = true
	for _, f := range activation.Files(true) {
		name := f.Name()
		ln, err := net.FileListener(f)
		if err == nil {
			e.given[name] = append(e.given[name], ln)
		} else if pc, perr := net.FilePacketConn(f); perr == nil {
			e.packets[name] = append(e.packets[name], pc)
		} else {
			return errors.Join(fmt.Errorf("take systemd's socket %s: %w", name, err), f.Close())
		}
		if err := f.Close(); err != nil { // both have made a descriptor of their own
			return fmt.Errorf("take systemd's socket %s: %w", name, err)
		}
	}
	return nil
}

func (e *Env) refuseAddress(name, addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fault.Newf("unit.Listener", fault.Unavailable,
			"Address %s is in use; change [%s] listen in %s.toml or stop the other program.", addr, name, e.Name).WithCode("unit.address_in_use")
	}
	return BadSetting(name+".listen", "cannot listen on %q", addr).Because(err)
}

// removeStale removes a socket file that nobody listens on any more, as a killed daemon leaves it.
func removeStale(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fault.Newf("unit.Listener", fault.Conflict, "%s exists and is not a socket; remove it or name another path.", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		return c.Close() // somebody answers: listening will say that it is in use
	}
	return os.Remove(path)
}

// Ready tells systemd that the daemon serves: after migrations and after all sockets are taken.
func (e *Env) Ready() {
	e.notify("READY=1")
	e.Log.Info("ready", "op", e.Name)
}

// Status shows one line in systemctl status.
func (e *Env) Status(line string) { e.notify("STATUS=" + strings.ReplaceAll(line, "\n", " ")) }

// Probe adds a question that the watchdog asks before it tells systemd that the daemon lives. ask must answer within
// half of the watchdog's time.
func (e *Env) Probe(name string, ask func(context.Context) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.probes[name] = ask
}

// watchdog pings systemd as long as every probe is well.
func (e *Env) watchdog(ctx context.Context) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every <= 0 {
		return
	}
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.ping(ctx, every/2)
		}
	}
}

func (e *Env) ping(ctx context.Context, within time.Duration) {
	e.mu.Lock()
	probes := make(map[string]func(context.Context) error, len(e.probes))
	for name, ask := range e.probes {
		probes[name] = ask
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for name, ask := range probes {
		if err := ask(ctx); err != nil {
			e.Status(name + " does not answer")
			e.Log.Error("a probe does not answer", "op", "unit.watchdog", "probe", name, "err", err)
			return // no ping: systemd restarts the daemon when this lasts
		}
	}
	e.notify("WATCHDOG=1")
}
