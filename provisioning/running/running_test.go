package running_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/fault"
	"sallyport/provisioning"
	"sallyport/provisioning/running"
)

// box is a machine in a folder: its ports, and the programs that it was asked to run.
type box struct {
	running.System
	t     *testing.T
	ran   []string
	alive map[string]bool
}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{t: t, alive: map[string]bool{}}
	b.System = running.System{Root: t.TempDir(), Log: slog.New(slog.DiscardHandler), Tool: b.tool}
	b.write("/var/lib/sallyport/site/hostname", "sallyport-7k2m\n")
	return b
}

// tool notes what would run, and does to the ports what "ip" would do.
func (b *box) tool(_ context.Context, _, name string, args ...string) (string, error) {
	line := name + " " + strings.ReplaceAll(strings.Join(args, " "), b.Root, "")
	if strings.HasPrefix(line, "systemctl is-active") {
		if !slices.ContainsFunc(args, func(unit string) bool { return b.alive[unit] }) {
			return "", errors.New("exit status 3")
		}
		return "", nil
	}
	b.ran = append(b.ran, line)
	net := filepath.Join(b.Root, "sys/class/net")
	switch {
	case strings.HasPrefix(line, "ip link set") && args[4] == "name":
		if _, err := os.Stat(filepath.Join(net, args[5])); err == nil {
			return "", errors.New("RTNETLINK answers: File exists")
		}
		return "", os.Rename(filepath.Join(net, args[3]), filepath.Join(net, args[5]))
	case strings.HasPrefix(line, "ip link delete"):
		return "", os.RemoveAll(filepath.Join(net, args[3]))
	}
	return "", nil
}

func (b *box) write(path, text string) {
	b.t.Helper()
	path = filepath.Join(b.Root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) port(index, name, mac, udev, uevent string) {
	dir := "/sys/class/net/" + name + "/"
	b.write(dir+"address", mac+"\n")
	b.write(dir+"ifindex", index+"\n")
	b.write(dir+"type", "1\n")
	b.write(dir+"uevent", "INTERFACE="+name+"\n"+uevent)
	if udev != "" {
		b.write("/run/udev/data/n"+index, "I:1\n"+udev)
	}
}

// rack gives the machine the two ports of the sample, and what is no port.
func (b *box) rack() {
	b.write("/sys/class/net/lo/type", "772\n")
	b.port("2", "enp24s0f0", "3c:ec:ef:00:00:01", "E:ID_PATH=pci-0000:18:00.0\nE:ID_NET_NAME_ONBOARD=eno1\n", "")
	b.port("3", "enp24s0f1", "3c:ec:ef:00:00:02", "E:ID_PATH=pci-0000:18:00.1\nE:ID_NET_NAME_ONBOARD=eno2\n", "")
	b.port("4", "old5", "3c:ec:ef:00:00:02", "", "DEVTYPE=vlan\n")
}

func (b *box) names() (all []string) {
	b.t.Helper()
	facts, err := b.Facts()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, n := range facts.NICs {
		all = append(all, n.Name+" "+n.MAC)
	}
	return all
}

func TestFacts(t *testing.T) {
	b := newBox(t)
	b.rack()
	got, err := b.Facts()
	if err != nil {
		t.Fatal(err)
	}
	want := provisioning.Facts{Host: "sallyport-7k2m", NICs: []provisioning.NIC{
		{Name: "enp24s0f0", MAC: "3c:ec:ef:00:00:01", Path: "pci-0000:18:00.0", OnBoard: 1},
		{Name: "enp24s0f1", MAC: "3c:ec:ef:00:00:02", Path: "pci-0000:18:00.1", OnBoard: 2},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Facts mismatch (-want +got):\n%s", diff)
	}
}

// insides are the sockets between the daemons.
const insides = "bookingd-link.socket bookingd-visitor.socket bookingd-kiosk.socket bookingd-staff.socket " +
	"signal-visitor.socket signal-kiosk.socket signal-staff.socket turn-tls.socket"

// The first start has no site: the setup door on the first port. Then the site comes, and the ports get their zones.
func TestWaitingThenSite(t *testing.T) {
	b := newBox(t)
	b.rack()
	if err := b.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"enp24s0f1 3c:ec:ef:00:00:02", "mgmt0 3c:ec:ef:00:00:01"}, b.names()); diff != "" {
		t.Errorf("ports of the waiting state (-want +got):\n%s", diff)
	}
	want := []string{
		"udevadm control --reload", "udevadm settle --timeout=60",
		"ip link set dev enp24s0f0 down", "ip link set dev enp24s0f0 name moving0",
		"ip link set dev moving0 down", "ip link set dev moving0 name mgmt0",
		"nft -f /run/sallyport/firewall/site.nft",
		"systemctl --no-block start sallyport-doors.target bookingd-setup.socket",
	}
	if diff := cmp.Diff(want, b.ran); diff != "" {
		t.Errorf("what ran (-want +got):\n%s", diff)
	}
	b.ran = nil
	if err := b.Apply(t.Context()); err != nil || len(b.ran) > 0 {
		t.Errorf("applied again: %v, ran %v", err, b.ran)
	}

	b.write(running.SiteFile, string(provisioning.Sample))
	b.alive = map[string]bool{"systemd-networkd.service": true, "bookingd.service": true, "chrony.service": true}
	if err := b.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"kiosk0 3c:ec:ef:00:00:02", "wan0 3c:ec:ef:00:00:01"}, b.names()); diff != "" {
		t.Errorf("ports of the site (-want +got):\n%s", diff)
	}
	for _, want := range []string{
		"networkctl reload", "systemctl --no-block try-restart chrony.service",
		"systemctl stop " + insides + " bookingd-setup.socket https-kiosk-tablet.socket https-kiosk.socket https-staff.socket https-visitor.socket names-kiosk.socket " +
			"names-tablet.socket turn-tcp.socket turn-udp.socket bookingd.service gatewayd.service gatewayd-split.service",
		"systemctl --no-block start sallyport-doors.target bookingd-setup.socket https-kiosk-tablet.socket https-kiosk.socket https-staff.socket " +
			"https-visitor.socket names-kiosk.socket names-tablet.socket turn-tcp.socket turn-udp.socket " + insides + " bookingd.service gatewayd.service gatewayd-split.service",
	} {
		if !strings.Contains(strings.Join(b.ran, "\n")+"\n", want+"\n") {
			t.Errorf("%q did not run, but\n%s", want, strings.Join(b.ran, "\n"))
		}
	}
	// A socket stays on its port when the port gets another name: no door may be open meanwhile.
	stop := slices.IndexFunc(b.ran, func(l string) bool { return strings.HasPrefix(l, "systemctl stop") })
	if name := slices.IndexFunc(b.ran, func(l string) bool { return strings.HasPrefix(l, "ip link") }); stop > name {
		t.Errorf("ports are named before the doors are shut:\n%s", strings.Join(b.ran, "\n"))
	}
}

// Another name server is no reason to interrupt calls.
func TestDoorsStayOpen(t *testing.T) {
	b := newBox(t)
	b.rack()
	b.write(running.SiteFile, string(provisioning.Sample))
	if err := b.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.ran, b.alive = nil, map[string]bool{"systemd-resolved.service": true, "bookingd.service": true}
	b.write(running.SiteFile, strings.ReplaceAll(string(provisioning.Sample), `"10.1.0.53"`, `"10.1.0.54"`))
	if err := b.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"systemctl --no-block try-restart systemd-resolved.service", "nft -f /run/sallyport/firewall/site.nft"}
	if diff := cmp.Diff(want, b.ran); diff != "" {
		t.Errorf("what ran (-want +got):\n%s", diff)
	}
}

// Whatever ends in the middle is done when it is done again: the rules, the ports, the doors.
func TestCutIsRepeated(t *testing.T) {
	for _, at := range []string{
		"udevadm settle", "ip link set dev enp24s0f0 down", "ip link set dev moving0 down", "ip link set dev moving0 name", "nft", "systemctl --no-block",
	} {
		b := newBox(t)
		b.rack()
		tool, failed := b.Tool, false
		b.Tool = func(ctx context.Context, input, name string, args ...string) (string, error) {
			if line := name + " " + strings.Join(args, " "); strings.HasPrefix(line, at) && !failed {
				failed = true
				panic("the power goes")
			}
			return tool(ctx, input, name, args...)
		}
		func() {
			defer func() { _ = recover() }()
			_ = b.Apply(t.Context())
		}()
		if err := b.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		ran := strings.Join(b.ran, "\n")
		for _, want := range []string{"nft -f", "systemctl --no-block start sallyport-doors.target bookingd-setup.socket"} {
			if !failed || !strings.Contains(ran, want) {
				t.Errorf("cut at %q (%v), %q did not run:\n%s", at, failed, want, ran)
			}
		}
		if diff := cmp.Diff([]string{"enp24s0f1 3c:ec:ef:00:00:02", "mgmt0 3c:ec:ef:00:00:01"}, b.names()); diff != "" {
			t.Errorf("cut at %q, ports (-want +got):\n%s", at, diff)
		}
	}
}

// Two ports that change places go over names between; a port that has a wanted name and no zone makes room.
func TestPortsChangePlaces(t *testing.T) {
	b := newBox(t)
	b.port("2", "kiosk0", "3c:ec:ef:00:00:01", "E:ID_PATH=pci-0000:18:00.0\n", "")
	b.port("3", "wan0", "3c:ec:ef:00:00:02", "E:ID_PATH=pci-0000:18:00.1\n", "")
	b.write(running.SiteFile, string(provisioning.Sample))
	if err := b.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"kiosk0 3c:ec:ef:00:00:02", "wan0 3c:ec:ef:00:00:01"}, b.names()); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}

	b = newBox(t)
	b.port("2", "wan0", "3c:ec:ef:00:00:99", "", "")
	b.port("3", "eth0", "3c:ec:ef:00:00:01", "", "")
	b.write(running.SiteFile, string(provisioning.Sample))
	if err := b.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"moving0 3c:ec:ef:00:00:99", "wan0 3c:ec:ef:00:00:01"}, b.names()); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

// What an earlier site left goes: its files, its doors, its VLANs.
func TestLeftoversGo(t *testing.T) {
	b := newBox(t)
	b.rack()
	b.write(running.SiteFile, string(provisioning.Sample))
	if err := b.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.port("9", "tablet0", "3c:ec:ef:00:00:02", "", "DEVTYPE=vlan\n")
	b.alive["gatewayd-split.service"] = true
	before, _, _ := strings.Cut(string(provisioning.Sample), "[zone.tablet]")
	_, after, _ := strings.Cut(string(provisioning.Sample), "[zone.staff]")
	b.write(running.SiteFile, before+"[zone.staff]"+after)
	b.ran = nil
	if err := b.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	ran := strings.Join(b.ran, "\n")
	for _, want := range []string{"ip link delete dev tablet0", " https-kiosk-tablet.socket names-tablet.socket"} {
		if !strings.Contains(ran, want) {
			t.Errorf("%q did not run, but\n%s", want, ran)
		}
	}
	for _, gone := range []string{"/run/systemd/network/50-tablet0.network", "/run/systemd/system/sallyport-doors.target.wants/names-tablet.socket"} {
		if _, err := os.Lstat(filepath.Join(b.Root, gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
}

// A site file that is not taken leaves the waiting state, and is said.
func TestBadSiteLeavesTheSetupDoor(t *testing.T) {
	b := newBox(t)
	b.rack()
	b.write(running.SiteFile, "schema = 9\n")
	err := b.Apply(t.Context())
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "line 1: schema") {
		t.Errorf("the fault is %v", err)
	}
	doors, err := filepath.Glob(filepath.Join(b.Root, "run/systemd/system/sallyport-doors.target.wants/*"))
	if err != nil || len(doors) != 1 || filepath.Base(doors[0]) != "bookingd-setup.socket" {
		t.Errorf("doors: %v %v", doors, err)
	}
}
