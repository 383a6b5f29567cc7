// Package guest owns one box made of qemu: its disk, its TPM, its firmware variables, its cards and its serial line.
//
// It must not know Sallyport: it can write a disk, switch the box on and off, cut its power, read and type on its console,
// and reach its ports. A box is made by [New] and keeps its disk, TPM and variables between one [Box.Start] and the next,
// as hardware does. Everything it starts is its own child and ends with [Run.Cut].
package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sallyport/appliance/unit/ports"
)

// Firmware is where Debian's package ovmf puts the firmware that enforces Secure Boot, and its empty variables: a box whose
// owner has not enrolled any key yet.
const (
	firmware  = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	variables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// Programs are what a box needs, by the packages that have them.
func Programs() map[string]string {
	return map[string]string{"qemu-system-x86_64": "qemu-system-x86", "swtpm": "swtpm", "cp": "coreutils"}
}

// Lacking names the first thing that this machine does not have, "" when a box can run.
func Lacking() string {
	for program, packages := range Programs() {
		if _, err := exec.LookPath(program); err != nil {
			return program + " not found (apt-get install " + packages + ")"
		}
	}
	if _, err := os.Stat(firmware); err != nil {
		return firmware + " not found (apt-get install ovmf)"
	}
	return ""
}

// Card is one network card of the box, on a network of its own.
type Card struct {
	Name  string   // of the network, for messages and forwards
	MAC   string   // what the box sees
	Net   string   // 10.20.0.0/24
	Box   string   // the box's address in it, to which ports are forwarded
	Host  string   // this machine's address in it
	Ports []string // forwarded: tcp/443, udp/50000
	Tap   string   // further, the name of a tap device on the same network; "" for none
	On    string   // the name of a card of Box.Cards whose cable carries this network as well, tagged; "" for a card
	VLAN  uint16   // the tag
}

// Box is the hardware.
type Box struct {
	Dir         string
	Memory      int // MiB
	Cards       []Card
	Stick       string            // file of a disk that is plugged in, read-only; "" for none
	USB         bool              // the stick is on USB, as on a server; a kernel for virtual machines has no driver for it
	NoTPM       bool              // the board has none
	Clock       time.Time         // what the board's clock says when it is switched on; the zero time is now
	Credentials map[string][]byte // SMBIOS strings of systemd: what a rack's controller hands to its servers

	forwards map[string]string
}

// Size is the disk of a box.
const Size = 8 << 30

// New makes a box in an empty folder, with a copy of the image on its disk, a new TPM and empty variables.
func New(ctx context.Context, dir, image string) (*Box, error) {
	b := &Box{Dir: dir, Memory: 2048, forwards: map[string]string{}}
	if err := os.MkdirAll(b.file("tpm"), 0o700); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "cp", "--sparse=always", "--reflink=auto", image, b.Disk()).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy the image: %w\n%s", err, out)
	}
	if err := os.Truncate(b.Disk(), Size); err != nil {
		return nil, err
	}
	return b, copyFile(variables, b.file("variables"))
}

// Open is a box that an earlier process made and kept.
func Open(dir string) *Box { return &Box{Dir: dir, Memory: 2048, forwards: map[string]string{}} }

// Clone makes a second box with what this one keeps. Neither may be running.
func (b *Box) Clone(ctx context.Context, dir string) (*Box, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for _, name := range []string{"disk", "variables", "tpm"} {
		if out, err := exec.CommandContext(ctx, "cp", "-r", "--sparse=always", "--reflink=auto", b.file(name), filepath.Join(dir, name)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("copy %s: %w\n%s", name, err, out)
		}
	}
	return &Box{Dir: dir, Memory: b.Memory, Cards: b.Cards, NoTPM: b.NoTPM, Credentials: b.Credentials, forwards: map[string]string{}}, nil
}

// Disk is the file of the disk.
func (b *Box) Disk() string { return b.file("disk") }

// Log is the file of everything that the serial line said.
func (b *Box) Log() string { return b.file("serial.log") }

func (b *Box) file(name string) string { return filepath.Join(b.Dir, name) }

// ReplaceTPM puts another board under the disk.
func (b *Box) ReplaceTPM() error {
	if err := os.RemoveAll(b.file("tpm")); err != nil {
		return err
	}
	return os.MkdirAll(b.file("tpm"), 0o700)
}

// At is the address on this machine that leads to a port of the box: At("kiosk", "tcp/443").
func (b *Box) At(card, port string) string { return b.forwards[card+" "+port] }

// forward chooses free ports of this machine.
func (b *Box) forward() (args []string, err error) {
	for i, c := range b.Cards {
		user := fmt.Sprintf("user,id=user%d,net=%s,host=%s", i, c.Net, c.Host)
		for _, p := range c.Ports {
			proto, port, _ := strings.Cut(p, "/")
			n, err := ports.Take()
			if err != nil {
				return nil, err
			}
			at := fmt.Sprintf("127.0.0.1:%d", n)
			b.forwards[c.Name+" "+p] = at
			user += fmt.Sprintf(",hostfwd=%s:%s-%s:%s", proto, at, c.Box, port)
		}
		args = append(args, "-netdev", user)
		cables := []string{fmt.Sprintf("user%d", i)}
		if c.Tap != "" {
			cables = append(cables, fmt.Sprintf("tap%d", i))
			args = append(args, "-netdev", fmt.Sprintf("tap,id=tap%d,ifname=%s,script=no,downscript=no", i, c.Tap))
		}
		if c.On != "" || len(b.trunked(c.Name)) > 0 {
			cables = append(cables, fmt.Sprintf("trunk%d", i))
			args = append(args, b.backend(fmt.Sprintf("trunk%d", i), c.Name)...)
		}
		at := cables[0]
		if len(cables) > 1 { // a hub joins them
			for _, one := range cables {
				args = append(args, "-netdev", fmt.Sprintf("hubport,id=h%s,hubid=%d,netdev=%s", one, i, one))
			}
			at = fmt.Sprintf("hub%d", i)
			if c.On == "" {
				args = append(args, "-netdev", fmt.Sprintf("hubport,id=%s,hubid=%d", at, i))
			}
		}
		if c.On == "" {
			args = append(args, "-device", fmt.Sprintf("virtio-net-pci,netdev=%s,mac=%s,romfile=", at, c.MAC))
		}
	}
	return args, nil
}

// Start switches the box on. The caller ends it with Cut, whatever happened in between.
func (b *Box) Start(ctx context.Context) (r *Run, err error) {
	stale := []string{"tpm.sock", "serial.sock", "qmp.sock"}
	for _, c := range b.Cards {
		stale = append(stale, c.Name+".qemu")
	}
	for _, name := range stale {
		if err := os.Remove(b.file(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	r = &Run{box: b, Began: time.Now(), ended: make(chan struct{}), said: make(chan struct{})}
	defer func() {
		if err != nil {
			r.Cut()
		}
	}()
	if !b.NoTPM {
		if r.tpm, err = r.child("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+b.file("tpm"),
			"--ctrl", "type=unixio,path="+b.file("tpm.sock"), "--terminate"); err != nil {
			return nil, err
		}
		if err := r.appears(ctx, b.file("tpm.sock")); err != nil {
			return nil, err
		}
	}
	args, err := b.arguments()
	if err != nil {
		return nil, err
	}
	if r.qemu, err = r.child("qemu-system-x86_64", args...); err != nil {
		return nil, err
	}
	go func() {
		defer close(r.ended)
		_ = r.qemu.Wait() // how it ended is asked by nobody: a cut box ends by a signal
	}()
	if err := r.appears(ctx, b.file("serial.sock")); err != nil {
		return nil, fmt.Errorf("qemu did not start: %w\n%s", err, r.complaints.String())
	}
	if r.serial, err = net.Dial("unix", b.file("serial.sock")); err != nil {
		return nil, err
	}
	go r.listen()
	return r, r.trunks(ctx)
}

// arguments are qemu's. The line waits for its reader, so that nothing is lost.
func (b *Box) arguments() ([]string, error) {
	accel := os.Getenv("QEMU_ACCEL")
	if accel == "" {
		accel = "tcg,thread=multi"
	}
	cpu := "max"
	if accel == "kvm" {
		cpu = "host"
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35,smm=on", "-accel", accel, "-cpu", cpu, "-smp", "2", "-m", fmt.Sprint(b.Memory),
		"-global", "ICH9-LPC.disable_s3=1", "-global", "driver=cfi.pflash01,property=secure,value=on",
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + firmware,
		"-drive", "if=pflash,format=raw,unit=1,file=" + b.file("variables"),
		"-drive", "if=none,id=disk,format=raw,cache=unsafe,discard=unmap,file=" + b.Disk(), "-device", "virtio-blk-pci,drive=disk,bootindex=1",
		"-device", "virtio-rng-pci",
		"-chardev", "socket,id=serial,server=on,wait=on,path=" + b.file("serial.sock") + ",logfile=" + b.Log() + ",logappend=on", "-serial", "chardev:serial",
		"-qmp", "unix:" + b.file("qmp.sock") + ",server=on,wait=off",
	}
	if !b.NoTPM {
		args = append(args, "-chardev", "socket,id=tpm,path="+b.file("tpm.sock"), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0")
	}
	if b.Stick != "" {
		args = append(args, "-drive", "if=none,id=stick,format=raw,readonly=on,file="+b.Stick)
		if b.USB {
			args = append(args, "-device", "qemu-xhci,id=usb", "-device", "usb-storage,bus=usb.0,drive=stick,removable=on")
		} else {
			args = append(args, "-device", "virtio-blk-pci,drive=stick")
		}
	}
	if !b.Clock.IsZero() {
		args = append(args, "-rtc", "base="+b.Clock.UTC().Format("2006-01-02T15:04:05"))
	}
	for name, value := range b.Credentials {
		at := b.file("credential." + name)
		if err := os.WriteFile(at, []byte(credential(name, value)), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "-smbios", "type=11,path="+at)
	}
	cards, err := b.forward()
	return append(args, cards...), err
}

// child starts a program that dies with this one.
func (r *Run) child(name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &r.complaints, &r.complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd, cmd.Start()
}

// appears waits for a socket of a child.
func (r *Run) appears(ctx context.Context, path string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-r.ended:
			return errors.New("it ended at once")
		case <-limit:
			return fmt.Errorf("%s did not appear", filepath.Base(path))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
