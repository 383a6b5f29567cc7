package provisioning

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// fromDHCP takes an address and a way out from a DHCP server, and nothing else: names, time and the box's own name are
// the site's.
const fromDHCP = `[DHCPv4]
UseDNS=no
UseNTP=no
UseHostname=no
UseDomains=no
UseTimezone=no
SendHostname=no
`

// fromRouter is the same for IPv6.
const fromRouter = `[DHCPv6]
UseDNS=no
UseNTP=no
UseHostname=no
UseDomains=no
[IPv6AcceptRA]
UseDNS=no
UseDomains=no
`

// network writes the files of systemd-networkd: an interface is called by its zone, whatever the port.
func (r *rendering) network() {
	links := r.site.links()
	for _, w := range Interfaces(r.site, r.facts) {
		mtu := 0
		for _, l := range links {
			if l.Port == w.Port {
				mtu = max(mtu, l.MTU)
			}
		}
		r.link(w.Port, w.Name, matchOf(NIC{MAC: w.MAC, Path: w.Path}), mtu)
		if w.Name == w.Port {
			r.file(networkDir+"50-"+w.Name+".network", r.head(w.Name)+"LinkLocalAddressing=no\nIPv6AcceptRA=no\n")
		}
	}
	for _, l := range links {
		if l.VLAN != 0 {
			r.vlan(l)
		}
	}
	r.internet()
	for _, z := range r.inmates() {
		r.inmatesNetwork(z)
	}
	z := r.site.Zones
	r.inside("staff0", z.Staff.Address, z.Staff.Gateway, z.Staff.From)
	r.inside("mgmt0", z.Management.Address, z.Management.Gateway, z.Management.From)
}

// link names a physical port.
func (r *rendering) link(port, name, match string, mtu int) {
	text := "[Match]\n" + match + "\n[Link]\nName=" + name + "\n"
	if mtu > 0 {
		text += fmt.Sprintf("MTUBytes=%d\n", mtu)
	}
	r.file(networkDir+"10-"+port+".link", text)
}

func (r *rendering) vlan(l zoneLink) {
	r.file(networkDir+"20-"+l.Interface+".netdev",
		fmt.Sprintf("[NetDev]\nName=%s\nKind=vlan\nMTUBytes=%d\n[VLAN]\nId=%d\n", l.Interface, l.MTU, l.VLAN))
}

// tagged are the tagged zones on the port that has this interface.
func (r *rendering) tagged(name string) string {
	links := r.site.links()
	port := name // a port of tagged zones only is called by its own name
	for _, l := range links {
		if l.Interface == name {
			if l.VLAN != 0 {
				return ""
			}
			port = l.Port
		}
	}
	var b strings.Builder
	for _, l := range links {
		if l.Port == port && l.VLAN != 0 {
			b.WriteString("VLAN=" + l.Interface + "\n")
		}
	}
	return b.String()
}

// head begins the file of a zone.
func (r *rendering) head(name string) string {
	return "[Match]\nName=" + name + "\n[Network]\n" + r.tagged(name) + "LLMNR=no\nMulticastDNS=no\n"
}

// fixed are own addresses. They are there without a cable, so that doors open before the switch does.
func fixed(list []string) string {
	var b strings.Builder
	six := false
	for _, a := range list {
		b.WriteString("Address=" + a + "\n")
		six = six || strings.Contains(a, ":")
	}
	if six {
		b.WriteString("LinkLocalAddressing=ipv6\n")
	} else {
		b.WriteString("LinkLocalAddressing=no\n")
	}
	return b.String() + "IPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n"
}

// internet has the way out for whatever is not near.
func (r *rendering) internet() {
	z := r.site.Zones.Internet
	text := r.head("wan0")
	if isDHCP(z.Address) {
		r.file(networkDir+"50-wan0.network", text+"DHCP=yes\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=yes\n"+fromDHCP+fromRouter)
		return
	}
	text += fixed(z.Address)
	for _, g := range z.Gateway {
		text += "Gateway=" + g + "\n"
	}
	r.file(networkDir+"50-wan0.network", text)
}

func isDHCP(address []string) bool { return len(address) == 1 && address[0] == "dhcp" }

// inside is a zone of the facility. Its router is asked for the networks that may ask at the door, and for nothing else:
// what goes to the internet goes through the internet zone.
func (r *rendering) inside(name string, address, gateway, from []string) {
	text := r.head(name)
	if isDHCP(address) {
		r.file(networkDir+"50-"+name+".network", text+"DHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"+fromDHCP+"RouteMetric=2048\n")
		return
	}
	text += fixed(address)
	for _, f := range from {
		to := netip.MustParsePrefix(f)
		near := slices.ContainsFunc(address, func(a string) bool {
			own := netip.MustParsePrefix(a).Masked()
			return own.Bits() <= to.Bits() && own.Overlaps(to)
		})
		for _, g := range gateway {
			if !near && netip.MustParseAddr(g).Is4() == to.Addr().Is4() {
				text += "[Route]\nDestination=" + f + "\nGateway=" + g + "\n"
				break
			}
		}
	}
	r.file(networkDir+"50-"+name+".network", text)
}

// inmatesNetwork is a network without a router: its devices reach the box and nothing behind it.
func (r *rendering) inmatesNetwork(z inmatesZone) {
	own := netip.MustParsePrefix(z.Address)
	from, to, _ := parsePool(z.Pool)
	begin := number(own.Masked().Addr())
	lease, _ := time.ParseDuration(z.Lease)
	text := r.head(z.Interface) + fixed([]string{z.Address}) + "DHCPServer=yes\n[DHCPServer]\n" +
		fmt.Sprintf("PoolOffset=%d\nPoolSize=%d\nDefaultLeaseTimeSec=%d\nMaxLeaseTimeSec=%d\n",
			number(from)-begin, number(to)-number(from)+1, int(lease.Seconds()), int(lease.Seconds())) +
		fmt.Sprintf("EmitRouter=no\nEmitTimezone=no\nEmitDNS=yes\nDNS=%s\n", own.Addr())
	if r.site.Time.Serve {
		text += fmt.Sprintf("EmitNTP=yes\nNTP=%s\n", own.Addr())
	} else {
		text += "EmitNTP=no\n"
	}
	for _, l := range r.site.Leases {
		if l.Zone == z.Zone {
			text += fmt.Sprintf("[DHCPServerStaticLease]\nMACAddress=%s\nAddress=%s\n", l.MAC, l.Address)
		}
	}
	r.file(networkDir+"50-"+z.Interface+".network", text)
}

// number is an IPv4 address as a number.
func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
