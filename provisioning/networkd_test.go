package provisioning_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// networkd is systemd's own program, which configures the interfaces of whatever network it is started in.
const networkd = "/lib/systemd/systemd-networkd"

// inNetwork gives networkd a network with a cable in each port, system folders of its own, and the rendered files. It
// ends as soon as the addresses and routes that are asked for are there; a blank in one is written as _.
const inNetwork = `
set -eu
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
cp "$1"/run/systemd/network/* /run/systemd/network/
chown -R systemd-network /run/systemd/netif
ip link set lo up
for name in $2; do
	ip link add "$name" type veth peer name "far-$name"
	ip link set "far-$name" up
	SYSTEMD_LOG_LEVEL=debug udevadm test-builtin net_setup_link "/sys/class/net/$name" 2>&1
done
SYSTEMD_LOG_LEVEL=debug ` + networkd + ` 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon || true' EXIT
for name in $2; do
	until [ "$(cat "/sys/class/net/$name/operstate")" = up ]; do sleep 0.05; done
done
for want in $3; do
	want=$(echo "$want" | tr _ ' ')
	until { ip -o address; ip route; ip -6 route; } | grep -qF "$want"; do sleep 0.05; done
done
`

// complaint is what udev and networkd say about a line that they do not take.
var complaint = regexp.MustCompile(`(?m)^.*/run/systemd/network/\S+:\d+:.*$`)

func TestNetworkdTakesTheFiles(t *testing.T) {
	needsRoot(t, "ip", "unshare", "udevadm", networkd)
	for _, tt := range []struct{ name, ports, want string }{
		{"vlans", "wan0 kiosk0", "10.20.0.1/24"},
		{"small", "trunk", ""},
		{
			"ports", "wan0 kiosk0 tablet0 staff0 mgmt0",
			"198.51.100.10/28 2001:db8:1::10/64 192.168.40.1/26 192.168.44.1/22 172.20.30.5/24 2001:db8:20:30::5/64 " +
				"2001:db8:20::/48 172.20.0.0/16 default_via_198.51.100.1_dev_wan0",
		},
		{"waiting", "mgmt0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, f := range render(t, tt.name) {
				if f.Link != "" {
					continue
				}
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f.Path)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, f.Path), []byte(f.Text), f.Mode); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "unshare", "-n", "-m", "sh", "-c", inNetwork, "sh", dir, tt.ports, tt.want)
			cmd.WaitDelay = 5 * time.Second
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("networkd: %v\n%s", err, out)
			}
			for _, line := range complaint.FindAllString(string(out), -1) {
				t.Error(line)
			}
		})
	}
}
