package provisioning

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// netChecker checks addresses, networks, pools and names of all zones together.
type netChecker struct {
	*checker
	nets  []zoneNet
	names map[string]string // host name to the key that has it
}

// zoneNet is one network with the key that says so.
type zoneNet struct {
	zone, key string
	net       netip.Prefix
}

func (c *checker) network() {
	n := netChecker{checker: c, names: map[string]string{}}
	z := &c.site.Zones
	n.internet(z.Internet)
	n.inmates("zone.kiosk", &z.Kiosk)
	if z.Tablet != nil {
		n.inmates("zone.tablet", z.Tablet)
	}
	v4 := n.fixed("zone.staff", z.Staff.Address, z.Staff.Gateway, "")
	n.callsUseIPv4("zone.staff.address", v4, "at least one IPv4 address")
	n.from("zone.staff.from", z.Staff.From, false)
	n.name("zone.staff.name", z.Staff.Name)
	n.fixed("zone.management", z.Management.Address, z.Management.Gateway, "dhcp")
	n.from("zone.management.from", z.Management.From, true)
	n.name("zone.management.name", z.Management.Name)
	n.gateways()
	n.leases()
	n.trusted("dns.servers", c.site.DNS.Servers...)
	n.trusted("time.servers", c.site.Time.Servers...)
	n.trusted("mail.host", c.site.Mail.Host)
}

// trusted refuses a server of the box among the inmates' devices, where anybody may take its address.
func (n *netChecker) trusted(key string, list ...string) {
	for i, s := range list {
		at := key
		if strings.HasSuffix(key, "servers") {
			at = join(key, strconv.Itoa(i))
		}
		a, err := netip.ParseAddr(s)
		if err != nil {
			continue // a name, or said already
		}
		for _, o := range n.nets {
			if (o.zone == "zone.kiosk" || o.zone == "zone.tablet") && o.net.Contains(a) {
				n.say(at, "%s is in the network of %s, where inmates' devices are; write a server outside", a, o.zone)
			}
		}
	}
}

func (n *netChecker) internet(z Internet) {
	v4 := n.fixed("zone.internet", z.Address, z.Gateway, "dhcp")
	n.callsUseIPv4("zone.internet.address", v4, "\"dhcp\" or at least one IPv4 address")
	n.name("zone.internet.site_name", z.SiteName)
	n.name("zone.internet.media_name", z.MediaName)
	n.name("zone.internet.turn_name", z.TURNName)
	n.ask("zone.internet.public_address", func() {
		if a, err := netip.ParseAddr(z.PublicAddress); z.PublicAddress != "" && (err != nil || !a.Is4() || a.IsUnspecified()) {
			n.say("zone.internet.public_address", "write one IPv4 address, or \"\" when no NAT is in front")
		}
	})
}

// callsUseIPv4 refuses a zone of calls that has IPv6 only. One address that is wrong is said first.
func (n *netChecker) callsUseIPv4(key string, v4 bool, write string) {
	for k := range n.wrong {
		if strings.HasPrefix(k, key) {
			return
		}
	}
	n.ask(key, func() {
		if !v4 {
			n.say(key, "write %s: calls use IPv4", write)
		}
	})
}

// fixed checks a list of own addresses. other is a word that may stand there alone instead. It reports an IPv4 address.
func (n *netChecker) fixed(zone string, list, gateways []string, other string) (v4 bool) {
	key := join(zone, "address")
	n.ask(key, func() {
		if len(list) == 0 {
			n.say(key, "write at least one address with its prefix, such as [\"10.1.30.5/24\"]")
		}
		if len(list) == 1 && list[0] == other && other != "" {
			v4 = true
			if len(gateways) > 0 {
				n.say(join(zone, "gateway"), "write []: with \"dhcp\" the gateway comes from there")
			}
			return
		}
		for i, s := range list {
			if a, ok := n.own(zone, join(key, strconv.Itoa(i)), s); ok && a.Addr().Is4() {
				v4 = true
			}
		}
	})
	return v4
}

// own checks one address of the box with its prefix, and that its network overlaps with no other zone's.
func (n *netChecker) own(zone, key, text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		example := ""
		if a, aerr := netip.ParseAddr(text); aerr == nil {
			example = "; the length of the network is missing, such as " + a.String() + "/24"
		}
		n.say(key, "write an address with its prefix, such as 10.1.30.5/24, instead of %q%s", text, example)
		return p, false
	}
	a, net := p.Addr(), p.Masked()
	switch {
	case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || p.Bits() == 0 || a.Is4In6():
		n.say(key, "%s cannot be the address of an interface; write one of the zone's network", text)
		return p, false
	case a.Is4() && p.Bits() < 31 && (a == net.Addr() || a == last(net)):
		n.say(key, "%s is the network itself or its broadcast address; write an address inside, such as %s/%d", text, net.Addr().Next(), p.Bits())
		return p, false
	}
	for _, o := range n.nets {
		if o.zone != zone && o.net.Overlaps(net) {
			n.say(key, "the network %s overlaps with %s of %s; write another network", net, o.net, o.key)
			return p, false
		}
	}
	n.nets = append(n.nets, zoneNet{zone, shown(key), net})
	return p, true
}

// last is the highest address of an IPv4 network.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

func (n *netChecker) inmates(zone string, z *Inmates) {
	n.name(join(zone, "name"), z.Name)
	n.ask(join(zone, "lease"), func() {
		if d, err := time.ParseDuration(z.Lease); err != nil || d < 10*time.Minute || d > 7*24*time.Hour || d%time.Second != 0 {
			n.say(join(zone, "lease"), "write a time from \"10m\" to \"168h\" instead of %q", z.Lease)
		}
	})
	key := join(zone, "address")
	n.ask(key, func() {
		p, ok := n.own(zone, key, z.Address)
		switch {
		case !ok:
		case !p.Addr().Is4() || !p.Addr().IsPrivate():
			n.say(key, "write a private IPv4 address such as 10.20.0.1/24: inmates' devices are never on the internet")
		case p.Bits() < 12 || p.Bits() > 29:
			n.say(key, "write a prefix from /12 to /29 instead of /%d", p.Bits())
		default:
			n.ask(join(zone, "pool"), func() { n.pool(join(zone, "pool"), z.Pool, p) })
		}
	})
}

func (n *netChecker) pool(key, text string, own netip.Prefix) {
	from, to, err := parsePool(text)
	net := own.Masked()
	switch {
	case err != nil:
		n.say(key, "write two addresses, such as \"10.20.0.50-10.20.0.199\", instead of %q", text)
	case !net.Contains(from) || !net.Contains(to):
		n.say(key, "the pool is outside of the network %s; write two addresses inside", net)
	case to.Less(from):
		n.say(key, "write the lower address first: \"%s-%s\"", to, from)
	case !own.Addr().Less(from) && !to.Less(own.Addr()):
		n.say(key, "the box's own address %s is in the pool; begin the pool behind it", own.Addr())
	case from == net.Addr() || to == last(net):
		n.say(key, "the network itself and its broadcast address cannot be given away; write a smaller pool")
	}
}

// parsePool reads "a-b".
func parsePool(text string) (from, to netip.Addr, err error) {
	a, b, _ := strings.Cut(text, "-")
	if from, err = netip.ParseAddr(strings.TrimSpace(a)); err == nil {
		to, err = netip.ParseAddr(strings.TrimSpace(b))
	}
	return from, to, err
}

// from checks the networks that may ask at a door.
func (n *netChecker) from(key string, list []string, private bool) {
	n.ask(key, func() {
		if len(list) == 0 {
			n.say(key, "write at least one network, such as [\"10.1.0.0/16\"]: nobody else can reach the door")
		}
		for i, s := range list {
			at := join(key, strconv.Itoa(i))
			p, err := netip.ParsePrefix(s)
			switch {
			case err != nil || p.Addr().Is4In6():
				n.say(at, "write a network with its prefix, such as 10.1.0.0/16, instead of %q", s)
			case p.Masked() != p:
				n.say(at, "write the network itself, %s, instead of an address in it", p.Masked())
			case private && (!inside(p.Addr()) || p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 7):
				n.say(at, "write a private network such as 10.1.99.0/24: the setup door is not for the internet")
			case p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16:
				n.say(at, "%s is half the world; write the networks of staff", p)
			}
		}
	})
}

// name checks one host name. Each is that of one door, because port 443 tells doors apart by name.
func (n *netChecker) name(key, name string) {
	n.ask(key, func() {
		if len(name) > 200 || !hostName.MatchString(name) {
			n.say(key, "write a whole host name in small letters, such as visits.harbour.example, instead of %q", name)
			return
		}
		if other, ok := n.names[name]; ok {
			n.say(key, "%s is the name of %s already; write another", name, other)
			return
		}
		n.names[name] = key
		if key == "zone.kiosk.name" || key == "zone.staff.name" {
			media := mediaName(name)
			if other, ok := n.names[media]; ok {
				n.say(key, "its calls would be at %s, which is the name of %s; write another", media, other)
			}
			n.names[media] = "the calls of " + key
		}
	})
}

// gateways checks that each is a neighbour in its own zone, and not the box itself.
func (n *netChecker) gateways() {
	z := n.site.Zones
	for _, g := range []struct {
		zone         string
		list, owners []string
	}{
		{"zone.internet", z.Internet.Gateway, z.Internet.Address},
		{"zone.staff", z.Staff.Gateway, z.Staff.Address},
		{"zone.management", z.Management.Gateway, z.Management.Address},
	} {
		key := join(g.zone, "gateway")
		if n.wrong[key] || n.wrong[join(g.zone, "address")] {
			continue
		}
		for i, s := range g.list {
			at := join(key, strconv.Itoa(i))
			a, err := netip.ParseAddr(s)
			if err != nil {
				n.say(at, "write an address by number, such as 10.1.30.1, instead of %q", s)
				continue
			}
			near := slices.ContainsFunc(n.nets, func(o zoneNet) bool { return o.zone == g.zone && o.net.Contains(a) })
			self := slices.ContainsFunc(g.owners, func(o string) bool { p, err := netip.ParsePrefix(o); return err == nil && p.Addr() == a })
			if !near && !a.IsLinkLocalUnicast() || self {
				n.say(at, "%s is not a neighbour in the networks of %s; write the router's address there", s, g.zone)
			}
		}
	}
}

// leases checks the fixed addresses of stations.
func (n *netChecker) leases() {
	macs, addrs := map[string]bool{}, map[string]bool{}
	for i, l := range n.site.Leases {
		key := join("lease", strconv.Itoa(i))
		for _, k := range []string{"zone", "mac", "address", "station"} {
			if !n.has(join(key, k)) {
				n.say(join(key, k), "is missing; write a line %s = ...", k)
			}
		}
		zones := map[string]*Inmates{"kiosk": &n.site.Zones.Kiosk}
		if n.site.Zones.Tablet != nil {
			zones["tablet"] = n.site.Zones.Tablet
		}
		z := zones[l.Zone]
		n.choice(join(key, "zone"), l.Zone, sortedKeys(zones)...)
		n.ask(join(key, "mac"), func() {
			if !macText.MatchString(l.MAC) {
				n.say(join(key, "mac"), "write a hardware address in small letters, such as 02:00:00:00:00:15, instead of %q", l.MAC)
			} else if macs[l.Zone+l.MAC] {
				n.say(join(key, "mac"), "%s has another lease in this zone; take one out", l.MAC)
			}
			macs[l.Zone+l.MAC] = true
		})
		n.ask(join(key, "station"), func() { n.plain(join(key, "station"), l.Station) })
		n.ask(join(key, "address"), func() {
			if z != nil {
				n.lease(join(key, "address"), l.Address, z)
			}
			if addrs[l.Address] {
				n.say(join(key, "address"), "%s is given to another station; write another", l.Address)
			}
			addrs[l.Address] = true
		})
	}
}

func (n *netChecker) lease(key, text string, z *Inmates) {
	own, err := netip.ParsePrefix(z.Address)
	from, to, perr := parsePool(z.Pool)
	if err != nil || perr != nil {
		return // said where the zone says so
	}
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		n.say(key, "write an address by number, such as %s, instead of %q", own.Addr().Next(), text)
	case !own.Contains(a) || a == own.Addr() || a == own.Masked().Addr() || a == last(own.Masked()):
		n.say(key, "%s is not free for a station in %s; write another", a, own.Masked())
	case !a.Less(from) && !to.Less(a):
		n.say(key, "%s is in the pool, where any device may get it; write one outside of %s", a, z.Pool)
	}
}

// mediaName is where the calls of a door are: port 443 tells door and calls apart by name.
func mediaName(door string) string { return "media." + door }
