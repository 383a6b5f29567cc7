package provisioning

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Where bookingd and gatewayd keep their state, and the unix sockets that join them to the split.
const (
	bookingState = "/var/lib/sallyport/booking"
	gatewayState = "/var/lib/sallyport/gateway"
	mediaPort    = 50000
	turnPort     = 3478
)

// visitorLimit is how many requests a minute one address of the internet may make.
const visitorLimit = 600

// daemons writes the configuration of each daemon.
func (r *rendering) daemons() {
	r.bookingd()
	r.gatewayd()
	r.split()
	r.egress()
}

// conf writes TOML, a line at a time.
type conf struct{ strings.Builder }

// table begins a table; one in double brackets begins an element of an array.
func (c *conf) table(name string) { fmt.Fprintf(c, "\n[%s]\n", name) }

// set writes a key with a text, number, boolean or list of texts.
func (c *conf) set(key string, value any) {
	switch v := value.(type) {
	case string:
		fmt.Fprintf(c, "%s = %s\n", key, quote(v))
	case []string:
		all := make([]string, len(v))
		for i, s := range v {
			all[i] = quote(s)
		}
		fmt.Fprintf(c, "%s = [%s]\n", key, strings.Join(all, ", "))
	default:
		fmt.Fprintf(c, "%s = %v\n", key, v)
	}
}

// quote writes a text as a basic string of TOML; the check has kept out what needs more than this.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func https(name string) string { return "https://" + name }

func signal(name string) string { return "wss://" + name + "/signal" }

// nowhere is the name of a door that is not open yet: no request ever has it.
const nowhere = "closed.invalid"

// bookingd has its doors behind the split and the setup door on the management port. Before there is a site, every door
// but that one has a name that nobody can ask for.
func (r *rendering) bookingd() {
	c := &conf{}
	c.set("state", bookingState)
	c.set("recordings", gatewayState+"/recordings")
	names := map[string][]string{"visitor": {nowhere}, "kiosk": {nowhere}, "staff": {nowhere}, "setup": {r.facts.Host}}
	if r.site != nil {
		n := r.site.Names()
		names = map[string][]string{"visitor": n["tls-visitor"], "kiosk": n["tls-kiosk"], "staff": n["tls-staff"], "setup": n["tls-setup"]}
	}
	for _, door := range []string{"visitor", "kiosk", "staff", "setup"} {
		c.table(door)
		c.set("listen", "") // systemd opens it
		c.set("origin", https(names[door][0]))
		if more := names[door][1:]; len(more) > 0 {
			c.set("origins", []string{https(more[0])})
		}
		c.set("tls", true)
		if door == "setup" {
			c.set("by_address", true) // the installer may know no more than the address
			continue
		}
		c.set("proxy", true)
		if door == "visitor" {
			c.set("limit", visitorLimit)
		}
	}
	c.table("link")
	c.set("listen", "unix:/run/sallyport/link.sock")
	c.set("gateway_uids", []int{uidGateway})
	c.set("sync_uids", []int{uidSyncd})
	c.set("operator_uids", []int{0})
	media := []string{nowhere, nowhere, nowhere}
	if r.site != nil {
		media = []string{r.site.Zones.Internet.MediaName, r.site.InmatesMedia(), r.site.StaffMedia()}
	}
	c.table("media")
	for i, door := range []string{"visitor", "kiosk", "staff"} {
		c.set(door, signal(media[i]))
	}
	if r.site == nil {
		c.set("relay", []string{})
		c.table("facility")
		c.set("phases", strings.TrimSuffix(ownDir, "/"))
	} else {
		c.set("relay", r.relay())
		r.facility(c)
	}
	r.smtp(c)
	c.table("versions")
	c.set("board", strings.TrimSuffix(ownDir, "/"))
	c.set("requests", ownDir+"booking")
	r.file(ownDir+"bookingd.toml", c.String())
}

// relay is where visitors' browsers find the relay, the way that passes most firewalls last.
func (r *rendering) relay() []string {
	name := r.site.Zones.Internet.TURNName
	at := name + ":" + strconv.Itoa(turnPort)
	return []string{"turn:" + at + "?transport=udp", "turn:" + at + "?transport=tcp", "turns:" + name + ":443?transport=tcp"}
}

// facility is what bookingd writes into an empty database, once.
func (r *rendering) facility(c *conf) {
	f := r.site.Facility
	c.table("facility")
	c.set("id", f.ID)
	c.set("name", f.Name)
	c.set("kind", f.Kind)
	c.set("zone", f.TimeZone)
	c.set("languages", f.Languages)
	c.set("currency", f.Currency)
	c.set("preset", r.site.Policy.Preset)
	if sum := r.site.Claim.SHA256; sum != "" {
		c.set("claim_sha256", sum)
	}
	c.set("phases", strings.TrimSuffix(ownDir, "/"))
}

// smtp is the facility's mail relay; without one, no e-mail is sent.
func (r *rendering) smtp(c *conf) {
	c.table("smtp")
	if r.site == nil || r.site.Mail.Host == "" {
		c.set("host", "")
		return
	}
	m := r.site.Mail
	c.set("host", m.Host)
	c.set("port", m.Port)
	c.set("tls", map[string]string{"starttls": "required", "implicit": "implicit", "none": "none"}[m.TLS])
	c.set("login", m.Login)
	c.set("from", m.From)
	c.set("name", r.site.Facility.Name)
	c.set("egress", ownDir+"host.sock")
}

// gatewayd has one media socket for each network.
func (r *rendering) gatewayd() {
	c := &conf{}
	c.set("state", gatewayState)
	c.set("link", ownDir+"link.sock")
	c.set("signaling", "") // through the split
	c.set("proxy", true)
	c.set("tls", true)
	c.set("turn_udp", "") // systemd opens it
	c.set("turn_tcp", "")
	z := r.site.Zones
	for _, m := range r.media() {
		c.table("[media]")
		c.set("doors", []string{m.door})
		c.set("listen", netip.AddrPortFrom(m.addr, mediaPort).String())
		if m.device != "" {
			c.set("device", m.device)
		}
		if m.door == "visitor" && z.Internet.PublicAddress != "" {
			c.set("public", z.Internet.PublicAddress)
		}
	}
	r.file(ownDir+"gatewayd.toml", c.String())
}

type mediaSocket struct {
	door, device string
	addr         netip.Addr
}

// media are the sockets of calls. Where an address comes by DHCP it is not known yet, and may change: that socket is open
// for whatever address the interface has, and gatewayd tells clients the present one.
func (r *rendering) media() []mediaSocket {
	z := r.site.Zones
	visitor := mediaSocket{door: "visitor"}
	if isDHCP(z.Internet.Address) {
		visitor.addr, visitor.device = netip.IPv4Unspecified(), "wan0"
	} else {
		visitor.addr = firstIPv4(z.Internet.Address)
	}
	all := []mediaSocket{visitor}
	for _, i := range r.inmates() {
		all = append(all, mediaSocket{door: "kiosk", addr: netip.MustParsePrefix(i.Address).Addr()})
	}
	if a := firstIPv4(z.Staff.Address); a.IsValid() {
		all = append(all, mediaSocket{door: "staff", addr: a})
	}
	return all
}

func firstIPv4(list []string) netip.Addr {
	for _, s := range list {
		if a := netip.MustParsePrefix(s).Addr(); a.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// split is the table by which port 443 of each zone is divided, and the names that the inmates' zones know.
func (r *rendering) split() {
	c := &conf{}
	route := func(socket, name, to string) {
		c.table("[route]")
		c.set("socket", socket)
		c.set("name", name)
		c.set("to", ownDir+to)
	}
	z := r.site.Zones
	route("https-visitor", z.Internet.SiteName, "visitor.sock")
	route("https-visitor", z.Internet.MediaName, "signal-visitor.sock")
	route("https-visitor", z.Internet.TURNName, "turn-tls.sock")
	for _, i := range r.inmates() {
		socket := map[string]string{"kiosk": "https-kiosk", "tablet": "https-kiosk-tablet"}[i.Zone]
		route(socket, i.Name, "kiosk.sock")
		route(socket, r.site.InmatesMedia(), "signal-kiosk.sock")
	}
	route("https-staff", z.Staff.Name, "staff.sock")
	route("https-staff", r.site.StaffMedia(), "signal-staff.sock")
	for _, i := range r.inmates() {
		for _, name := range []string{i.Name, r.site.InmatesMedia()} {
			c.table("[names]")
			c.set("socket", "names-"+i.Zone)
			c.set("name", name)
			c.set("address", netip.MustParsePrefix(i.Address).Addr().String())
		}
	}
	r.file(ownDir+"split.toml", c.String())
}

// egress is who may go out to whom.
func (r *rendering) egress() {
	c := &conf{}
	m := r.site.Mail
	if m.Host != "" {
		c.table("[allow]")
		c.set("user", "booking")
		c.set("host", m.Host)
		c.set("port", m.Port)
	}
	if u, err := url.Parse(r.site.Updates.URL); err == nil && r.site.Updates.Source == "https" {
		port := u.Port()
		if port == "" {
			port = "443"
		}
		c.table("[allow]")
		c.set("user", "courier")
		c.set("host", u.Hostname())
		fmt.Fprintf(c, "port = %s\n", port)
	}
	r.file(ownDir+"egress.toml", c.String())
}
