package provisioning

import "slices"

// Wanted is what a physical port is to be called, and how the site file knows it.
type Wanted struct {
	Name string // wan0, or the port's own name when it has tagged zones only
	Port string // key of the site file; "" in the waiting state
	MAC  string
	Path string
}

// Interfaces are the names that physical ports have under a site; without one, that of the setup port.
func Interfaces(site *Site, facts Facts) []Wanted {
	if site == nil {
		nic, ok := SetupPort(facts.NICs)
		if !ok {
			return nil
		}
		return []Wanted{{Name: "mgmt0", MAC: nic.MAC, Path: nic.Path}}
	}
	var all []Wanted
	links := site.links()
	for _, port := range sortedKeys(site.Ports) {
		on := slices.DeleteFunc(slices.Clone(links), func(l zoneLink) bool { return l.Port != port })
		if len(on) == 0 {
			continue // no zone is on this port: it stays as it is, without an address
		}
		w := Wanted{Name: port, Port: port, MAC: site.Ports[port].MAC, Path: site.Ports[port].Path}
		if i := slices.IndexFunc(on, func(l zoneLink) bool { return l.VLAN == 0 }); i >= 0 {
			w.Name = on[i].Interface
		}
		all = append(all, w)
	}
	return all
}

// Is says whether a port of the machine is the wanted one.
func (w Wanted) Is(n NIC) bool {
	if w.MAC != "" {
		return w.MAC == n.MAC
	}
	return w.Path != "" && w.Path == n.Path
}
