package running

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/provisioning"
)

// ownName is what the box is called before it has a name of its own.
const ownName = "sallyport"

// Facts looks at the machine.
func (s *System) Facts() (provisioning.Facts, error) {
	facts := provisioning.Facts{Host: ownName}
	if name, err := os.ReadFile(s.path(hostFile)); err == nil {
		facts.Host = strings.TrimSpace(string(name))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return facts, fmt.Errorf("read the box's name: %w", err)
	}
	ports, err := filepath.Glob(s.path("/sys/class/net/*"))
	if err != nil {
		return facts, err
	}
	for _, port := range ports {
		if nic, ok := s.nic(port); ok {
			facts.NICs = append(facts.NICs, nic)
		}
	}
	return facts, nil
}

var onBoard = regexp.MustCompile(`(?m)^E:ID_NET_NAME_ONBOARD=eno(\d+)`)

// nic reads one port; false for what is not a port: the loop, a VLAN, a bridge.
func (s *System) nic(dir string) (provisioning.NIC, bool) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "" // it has just gone
		}
		return strings.TrimSpace(string(b))
	}
	n := provisioning.NIC{Name: filepath.Base(dir), MAC: read("address")}
	if read("type") != "1" || strings.Contains(read("uevent"), "DEVTYPE=") {
		return n, false
	}
	// What udev knows of it.
	known, err := os.ReadFile(s.path("/run/udev/data/n" + read("ifindex")))
	if err != nil {
		return n, true
	}
	for line := range strings.Lines(string(known)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "E:ID_PATH="); ok {
			n.Path = path
		}
	}
	if m := onBoard.FindSubmatch(known); m != nil {
		n.OnBoard, _ = strconv.Atoi(string(m[1]))
	}
	return n, true
}

// rename gives ports the names of their zones. Ports that appear later are named by udev, from the same files; those that
// are there already have been named before the site was known.
func (s *System) rename(ctx context.Context, site *provisioning.Site, changed []string) error {
	if _, err := s.Tool(ctx, "", "udevadm", "control", "--reload"); err != nil {
		s.Log.Warn("udev has not read the names of ports again", "op", "running.rename", "err", err)
	}
	if _, err := s.Tool(ctx, "", "udevadm", "settle", "--timeout=60"); err != nil {
		s.Log.Warn("udev still looks for devices", "op", "running.rename", "err", err)
	}
	if err := s.dropVLANs(ctx, changed); err != nil {
		return err
	}
	facts, err := s.Facts() // ports that have appeared meanwhile are there now
	if err != nil {
		return err
	}
	var moves []move
	for _, w := range provisioning.Interfaces(site, facts) {
		i := slices.IndexFunc(facts.NICs, w.Is)
		if i < 0 {
			s.Log.Error("a port of the site file is not in this machine", "op", "running.rename", "port", w.Port, "name", w.Name)
			continue
		}
		if facts.NICs[i].Name != w.Name {
			moves = append(moves, move{facts.NICs[i].Name, w.Name})
		}
	}
	return s.swap(ctx, moves, facts)
}

type move struct{ from, to string }

// swap renames over names between, because one port may get the name that another one has. An earlier try may have been
// cut while ports had such names.
func (s *System) swap(ctx context.Context, moves []move, facts provisioning.Facts) error {
	taken := map[string]bool{}
	for _, n := range facts.NICs {
		taken[n.Name] = true
	}
	aside := func(name string) (string, error) {
		between := ""
		for i := 0; between == "" || taken[between]; i++ {
			between = fmt.Sprintf("moving%d", i)
		}
		taken[between] = true
		return between, s.step(ctx, name, between)
	}
	last := slices.Clone(moves)
	for i, m := range moves {
		// A port that has a wanted name and is not wanted itself makes room.
		if taken[m.to] && !slices.ContainsFunc(moves, func(o move) bool { return o.from == m.to }) {
			if _, err := aside(m.to); err != nil {
				return err
			}
		}
		between, err := aside(m.from)
		if err != nil {
			return err
		}
		last[i].from = between
		s.Log.Info("a port gets its name", "op", "running.rename", "from", m.from, "name", m.to)
	}
	for _, m := range last {
		if err := s.step(ctx, m.from, m.to); err != nil {
			return err
		}
	}
	return nil
}

// step renames one port, which must be down for it.
func (s *System) step(ctx context.Context, from, to string) error {
	if _, err := s.Tool(ctx, "", "ip", "link", "set", "dev", from, "down"); err != nil {
		return err
	}
	_, err := s.Tool(ctx, "", "ip", "link", "set", "dev", from, "name", to)
	return err
}

// dropVLANs removes tagged interfaces of an earlier site: networkd makes them and never takes them away.
func (s *System) dropVLANs(ctx context.Context, changed []string) error {
	for _, path := range changed {
		name, ok := strings.CutSuffix(strings.TrimPrefix(filepath.Base(path), "20-"), ".netdev")
		if !ok {
			continue
		}
		uevent, err := os.ReadFile(s.path("/sys/class/net/" + name + "/uevent"))
		if err != nil || !strings.Contains(string(uevent), "DEVTYPE=vlan") {
			continue
		}
		if _, err := s.Tool(ctx, "", "ip", "link", "delete", "dev", name); err != nil {
			return err
		}
	}
	return nil
}
