package provisioning

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
)

// Facts are what rendering must know of the machine.
type Facts struct {
	Host string // its own name, sallyport-xxxx
	NICs []NIC  // its physical ports
}

// NIC is one physical network port.
type NIC struct {
	Name    string // as the kernel calls it now
	MAC     string
	Path    string // its place: pci-0000:18:00.1
	OnBoard int    // number of a port on the mainboard, 0 for others
}

// File is one file of the running system that follows from the site: text, or a link to another file.
type File struct {
	Path string
	Mode fs.FileMode
	Text string
	Link string // target, for a symbolic link
}

// Where rendered files go. Everything is below /run, so that a power cut brings back what site.toml says.
const (
	networkDir  = "/run/systemd/network/"
	resolvedDir = "/run/systemd/resolved.conf.d/"
	wantsDir    = "/run/systemd/system/sallyport-doors.target.wants/"
	unitDir     = "/usr/lib/systemd/system/"
	ownDir      = "/run/sallyport/"
)

// Folders are the folders in which every file is rendered: one that Render does not name any more is a leftover.
func Folders() map[string]string {
	return map[string]string{ // folder to the pattern of our files in it
		networkDir: "*.*", resolvedDir: "50-sallyport.conf", wantsDir: "*.socket", ownDir: "*.toml", ownDir + "firewall/": "*.nft", ownDir + "time/": "*.*",
	}
}

// The users of the appliance as sysusers.d makes them: numbers, because both slots must agree who owns /var.
const (
	uidGateway = 702
	uidSyncd   = 704
)

// Render returns all files that follow from a site. Without one (nil) they are those of the waiting state: the setup door
// on the lowest port of the mainboard, and nothing else.
func Render(site *Site, facts Facts) []File {
	r := rendering{site: site, facts: facts}
	if site == nil {
		r.waiting()
	} else {
		r.network()
		r.names()
		r.time()
		r.firewall()
		r.doors()
		r.daemons()
	}
	slices.SortFunc(r.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return r.files
}

type rendering struct {
	site  *Site
	facts Facts
	files []File
}

func (r *rendering) file(path, text string) {
	r.files = append(r.files, File{Path: path, Mode: 0o644, Text: "# Made from the site file; changes here are lost.\n" + text})
}

// door links sockets so that they are opened: those of zones that exist, because a socket waits for its card.
func (r *rendering) door(names ...string) {
	for _, n := range names {
		r.files = append(r.files, File{Path: wantsDir + n + ".socket", Link: unitDir + n + ".socket"})
	}
}

// doors opens the sockets of each zone.
func (r *rendering) doors() {
	r.door("https-visitor", "turn-udp", "turn-tcp", "https-kiosk", "names-kiosk", "https-staff", "bookingd-setup")
	if r.site.Zones.Tablet != nil {
		r.door("https-kiosk-tablet", "names-tablet")
	}
}

// names is where the box itself looks up names. The name servers that DHCP offers are not asked: the firewall would
// not let it.
func (r *rendering) names() {
	if s := r.site.DNS.Servers; len(s) > 0 {
		r.file(resolvedDir+"50-sallyport.conf", "[Resolve]\nDNS="+strings.Join(s, " ")+"\nDomains=~.\n")
	}
}

// time is where chrony gets the time and whom it tells.
func (r *rendering) time() {
	var b strings.Builder
	for _, s := range r.site.Time.Servers {
		fmt.Fprintf(&b, "server %s iburst\n", s)
	}
	if b.Len() > 0 {
		r.file(ownDir+"time/site.sources", b.String())
	}
	if !r.site.Time.Serve {
		return
	}
	b.Reset()
	for _, z := range r.inmates() {
		fmt.Fprintf(&b, "allow %s\n", netip.MustParsePrefix(z.Address).Masked())
	}
	r.file(ownDir+"time/site.conf", b.String())
}

// inmatesZone is a zone of inmates with its interface.
type inmatesZone struct {
	Interface string
	Zone      string
	*Inmates
}

func (r *rendering) inmates() []inmatesZone {
	all := []inmatesZone{{"kiosk0", "kiosk", &r.site.Zones.Kiosk}}
	if t := r.site.Zones.Tablet; t != nil {
		all = append(all, inmatesZone{"tablet0", "tablet", t})
	}
	return all
}

// firewall fills the sets of the ruleset that the image has. The same file is part of it at boot and replaces the sets
// alone when a site is applied.
func (r *rendering) firewall() {
	z := r.site.Zones
	r.sets(z.Staff.From, z.Management.From, r.site.DNS.Servers, r.site.Time.Servers)
}

func (r *rendering) sets(staff, management, dns, ntp []string) {
	var b strings.Builder
	for _, s := range []struct {
		name string
		list []string
	}{{"staff_from", staff}, {"management_from", management}, {"dns", dns}, {"ntp", ntp}} {
		for _, family := range []string{"4", "6"} {
			var members []string
			for _, m := range s.list {
				if strings.Contains(m, ":") == (family == "6") {
					members = append(members, m)
				}
			}
			fmt.Fprintf(&b, "flush set inet sallyport %s%s\n", s.name, family)
			if len(members) > 0 {
				fmt.Fprintf(&b, "add element inet sallyport %s%s { %s }\n", s.name, family, strings.Join(members, ", "))
			}
		}
	}
	r.file(ownDir+"firewall/site.nft", b.String())
}

// waiting is the state of a box that has no site yet.
func (r *rendering) waiting() {
	for _, w := range Interfaces(nil, r.facts) {
		r.link(w.Name, w.Name, matchOf(NIC{MAC: w.MAC, Path: w.Path}), 0)
	}
	r.file(networkDir+"50-mgmt0.network", `[Match]
Name=mgmt0
[Network]
DHCP=ipv4
LinkLocalAddressing=ipv4
IPv6AcceptRA=no
LLMNR=no
MulticastDNS=no
`+fromDHCP)
	r.sets(nil, []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}, nil, nil)
	r.door("bookingd-setup")
	r.bookingd()
}

// SetupPort is the port that has the setup door before there is a site: the lowest on the mainboard, else the first in
// the order of places.
func SetupPort(nics []NIC) (NIC, bool) {
	if len(nics) == 0 {
		return NIC{}, false
	}
	return slices.MinFunc(nics, func(a, b NIC) int {
		switch {
		case (a.OnBoard > 0) != (b.OnBoard > 0):
			return b.OnBoard - a.OnBoard
		case a.OnBoard != b.OnBoard:
			return a.OnBoard - b.OnBoard
		case a.Path != b.Path:
			return strings.Compare(a.Path, b.Path)
		}
		return strings.Compare(a.MAC, b.MAC)
	}), true
}

// matchOf is how a port is found again, whatever the kernel calls it.
func matchOf(n NIC) string {
	if n.MAC != "" {
		return "PermanentMACAddress=" + n.MAC
	}
	return "Path=" + n.Path
}
