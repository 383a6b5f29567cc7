package provisioning_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// boxWithKiosk sets up the kiosks' port with the rendered files behind the firewall of the image, then hands the other end of its
// cable to a station in a network of its own. station is a machine that asks for an address by its hardware address, as
// kiosks do; the server of Debian 12 does not know one again that gives itself another identity.
const (
	boxWithKiosk = `
set -eu
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
cp "$1"/run/systemd/network/* /run/systemd/network/
chown -R systemd-network /run/systemd/netif
mount --bind "$1/passwd" /etc/passwd
nft -f "$1/nftables.conf"
ip link set lo up
ip link add kiosk0 type veth peer name station0
unshare -n -m sh -eu "$1/station.sh" "$2" &
station=$!
until [ "$(readlink /proc/$station/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link set station0 netns $station
` + networkd + ` &
daemon=$!
trap 'kill $daemon; wait $daemon || true' EXIT
wait $station
`
	station = `
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
printf '[Match]\nName=station0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n[DHCPv4]\nClientIdentifier=mac\n' >/run/systemd/network/station.network
chown -R systemd-network /run/systemd/netif
until [ -e /sys/class/net/station0 ]; do sleep 0.02; done
ip link set station0 address "$1"
` + networkd + ` &
daemon=$!
trap 'kill $daemon; wait $daemon || true' EXIT
until ip -o -4 address show dev station0 | grep -q inet; do sleep 0.05; done
ip -o -4 address show dev station0
echo routes:; ip route
echo lease:; cat /run/systemd/netif/leases/*
`
)

// A station gets its address, the box as its clock and for its names, and no router; one that is known gets its own.
func TestStationGetsALease(t *testing.T) {
	needsRoot(t, "ip", "unshare", "nft", networkd)
	for _, tt := range []struct {
		name, mac string
		want      func(netip.Addr) bool
	}{
		{"known", "02:00:00:00:00:15", func(a netip.Addr) bool { return a == netip.MustParseAddr("10.20.0.20") }},
		{"unknown", "02:00:00:00:00:99", func(a netip.Addr) bool {
			return !a.Less(netip.MustParseAddr("10.20.0.50")) && !netip.MustParseAddr("10.20.0.199").Less(a)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			rules := ""
			for _, f := range render(t, "vlans") {
				path := filepath.Join(dir, f.Path)
				switch {
				case strings.HasSuffix(f.Path, ".nft"):
					rules = f.Text
				case strings.HasPrefix(f.Path, "/run/systemd/network/50-kiosk0"):
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					// Tablets are another test's: not every kernel that tests has VLANs.
					writeFile(t, path, strings.ReplaceAll(f.Text, "VLAN=tablet0\n", ""))
				}
			}
			writeFile(t, filepath.Join(dir, "nftables.conf"), string(readFile(t, "../images/appliance/root/etc/nftables.conf"))+rules)
			writeFile(t, filepath.Join(dir, "passwd"), passwdOfImage(t))
			writeFile(t, filepath.Join(dir, "station.sh"), station)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "unshare", "-n", "-m", "sh", "-c", boxWithKiosk, "sh", dir, tt.mac)
			cmd.WaitDelay = 5 * time.Second
			out, err := cmd.CombinedOutput()
			m := regexp.MustCompile(`inet (10\.20\.0\.\d+)/24`).FindSubmatch(out)
			if err != nil || m == nil {
				t.Fatalf("no lease: %v\n%s", err, out)
			}
			if got := netip.MustParseAddr(string(m[1])); !tt.want(got) {
				t.Errorf("the station got %v", got)
			}
			for _, want := range []string{"DNS=10.20.0.1\n", "NTP=10.20.0.1\n"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("the lease lacks %q:\n%s", want, out)
				}
			}
			if regexp.MustCompile(`(?m)^(default|ROUTER=)`).Match(out) {
				t.Errorf("the station has a way out:\n%s", out)
			}
		})
	}
}

// passwdOfImage has the users of the image beside those of this machine, whose networkd is one of them.
func passwdOfImage(t *testing.T) string {
	t.Helper()
	text := string(readFile(t, "/etc/passwd"))
	for name, uid := range users {
		if !strings.Contains("\n"+text, "\n"+name+":") {
			text += fmt.Sprintf("%s:x:%d:%d::/:/bin/false\n", name, uid, uid)
		}
	}
	return text
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
