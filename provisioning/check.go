package provisioning

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the machine that checks a file may have no zones of its own

	"filippo.io/age"

	"sallyport/appliance/money"
)

// checker looks at a site as a whole and says what cannot work.
type checker struct {
	site *Site
	*reader
}

func (c *checker) all() {
	c.required()
	c.facility()
	c.services()
	c.handover()
	c.later()
	c.ports()
	c.network()
}

// required names what has no default and is not written. A table that is missing is one problem, not one for each key.
func (c *checker) required() {
	for _, table := range []struct{ path, keys string }{
		{"", "schema"},
		{"facility", "id name kind time_zone languages currency"},
		{"policy", "preset"},
		{"port", ""},
		{"zone.internet", "port address site_name media_name turn_name"},
		{"zone.kiosk", "port address pool name"},
		{"zone.staff", "port address from name"},
		{"zone.management", "port address from name"},
		{"zone.tablet", "port address pool name"},
	} {
		if table.path != "" && !c.has(table.path) {
			if table.path == "zone.tablet" {
				continue
			}
			name := table.path
			if name == "port" {
				name = "port.lan1"
			}
			c.say(table.path, "is missing; write the table [%s]", name)
			continue
		}
		for _, key := range strings.Fields(table.keys) {
			if !c.has(join(table.path, key)) {
				c.say(join(table.path, key), "is missing; write a line %s = ...", key)
			}
		}
	}
}

// ask calls look when the file has the key and it is of the right type.
func (c *checker) ask(key string, look func()) {
	if c.has(key) && !c.wrong[key] {
		look()
	}
}

// choice refuses a value that is not one of the words. Keys that are not written have their default, which is one.
func (c *checker) choice(key, value string, words ...string) {
	c.ask(key, func() {
		if !slices.Contains(words, value) {
			c.say(key, "write %s instead of %q", either(words), value)
		}
	})
}

func either(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}

var (
	facilityID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	hostName   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	window     = regexp.MustCompile(`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$`)
)

func (c *checker) facility() {
	f := c.site.Facility
	c.ask("schema", func() {
		if c.site.Schema != 1 {
			c.say("schema", "write 1: this version knows no other")
		}
	})
	c.ask("facility.id", func() {
		if !facilityID.MatchString(f.ID) {
			c.say("facility.id", "write a short word of a-z, 0-9 and -, such as \"harbour\"")
		}
	})
	c.ask("facility.name", func() { c.plain("facility.name", f.Name) })
	c.choice("facility.kind", f.Kind, "jail", "prison")
	c.ask("facility.time_zone", func() {
		if _, err := time.LoadLocation(f.TimeZone); err != nil || f.TimeZone == "" || f.TimeZone == "Local" {
			c.say("facility.time_zone", "write a time zone by its name, such as \"America/Chicago\", instead of %q", f.TimeZone)
		}
	})
	c.ask("facility.languages", func() {
		if len(f.Languages) == 0 {
			c.say("facility.languages", "write at least one, such as [\"en\"]")
		}
		for i, l := range f.Languages {
			key := join("facility.languages", strconv.Itoa(i))
			if !slices.Contains([]string{"en", "es", "cy"}, l) {
				c.say(key, `write "en", "es" or "cy" instead of %q`, l)
			} else if slices.Contains(f.Languages[:i], l) {
				c.say(key, "%q stands here twice; take one out", l)
			}
		}
	})
	c.ask("facility.currency", func() {
		if _, err := money.New(0, f.Currency); err != nil {
			c.say("facility.currency", "write a currency by its three letters, such as \"USD\", instead of %q", f.Currency)
		}
	})
	c.choice("policy.preset", c.site.Policy.Preset, "county-jail", "prison")
}

// plain refuses a text that is empty, long or has signs that end a line somewhere.
func (c *checker) plain(key, text string) {
	if strings.TrimSpace(text) == "" || len(text) > 120 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		c.say(key, "write 1 to 120 letters on one line")
	}
}

func (c *checker) services() {
	s := c.site
	c.addresses("dns.servers", s.DNS.Servers)
	c.addresses("time.servers", s.Time.Servers)
	c.mail(s.Mail)
	c.choice("roster.mode", s.Roster.Mode, "none")
	c.choice("roster.format", s.Roster.Format, "csv")
	c.choice("updates.source", s.Updates.Source, "manual", "https")
	c.ask("updates.url", func() {
		if u, err := url.Parse(s.Updates.URL); s.Updates.URL != "" && (err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil) {
			c.say("updates.url", "write an address that begins with https://")
		}
	})
	if s.Updates.Source == "https" && s.Updates.URL == "" {
		c.say("updates.url", "is needed when source is \"https\"; write the address of the newest update's file")
	}
	c.choice("updates.install", s.Updates.Install, "ask", "window")
	c.ask("updates.window", func() {
		if !window.MatchString(s.Updates.Window) {
			c.say("updates.window", "write a day and two times, such as \"Sun 02:00-04:00\", instead of %q", s.Updates.Window)
		}
	})
	c.choice("console.show", s.Console.Show, "status", "blank")
}

// addresses refuses what is not an address by number: a name would have to be looked up first, and the firewall lets
// addresses through, not names.
func (c *checker) addresses(key string, list []string) {
	for i, s := range list {
		at := join(key, strconv.Itoa(i))
		if a, err := netip.ParseAddr(s); err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			c.say(at, "write an address by number, such as 10.1.0.53, instead of %q", s)
		} else if slices.Contains(list[:i], s) {
			c.say(at, "%s stands here twice; take one out", s)
		}
	}
}

func (c *checker) mail(m Mail) {
	c.choice("mail.tls", m.TLS, "starttls", "implicit", "none")
	c.ask("mail.port", func() {
		if m.Port < 1 || m.Port > 65535 {
			c.say("mail.port", "write a port from 1 to 65535 instead of %d", m.Port)
		}
	})
	if m.Host == "" {
		return
	}
	addr, err := netip.ParseAddr(m.Host)
	c.ask("mail.host", func() {
		if err != nil && !hostName.MatchString(m.Host) {
			c.say("mail.host", "write a host name in lower case or an address instead of %q", m.Host)
		}
	})
	if m.TLS == "none" && (err != nil || !inside(addr)) {
		c.say("mail.tls", "write \"starttls\": without encryption mail may only go to a private address such as 10.1.0.25, given by number")
	}
	if a, err := mail.ParseAddress(m.From); err != nil || a.Address != m.From {
		c.say("mail.from", "write the address that mails come from, such as \"visits@harbour.example\"")
	}
}

// handover looks at what the owner gets beside the console.
func (c *checker) handover() {
	if sum := c.site.Claim.SHA256; sum != "" {
		c.ask("claim.sha256", func() {
			if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
				c.say("claim.sha256", "write the SHA-256 of the code's sixteen letters, in capitals and without hyphens, as 64 hex digits, or \"\": the console shows a code")
			}
		})
	}
	if to := c.site.Recovery.Recipient; to != "" {
		c.ask("recovery.recipient", func() {
			if _, err := age.ParseX25519Recipient(to); err != nil {
				c.say("recovery.recipient", "write an age recipient, which begins with \"age1\", or \"\": the console alone shows the recovery key")
			}
		})
	}
}

// later refuses settings that would have no effect in this version.
func (c *checker) later() {
	s := c.site
	for _, l := range []struct {
		key   string
		asked bool
		say   string
	}{
		{"central.enabled", s.Central.Enabled, "false"},
		{"mail.login", s.Mail.Login != "", "\"\": the relay takes mail from the box's address"},
		{"sms.url", s.SMS.URL != "", "\"\""},
		{"push.enabled", s.Push.Enabled, "false"},
		{"push.hosts", len(s.Push.Hosts) > 0, "[]"},
		{"payment.provider", s.Payment.Provider != "none", "\"none\""},
		{"roster.source", s.Roster.Source != "", "\"\": files are handed in"},
		{"roster.profile", s.Roster.Profile != "default", "\"default\""},
		{"roster.every", s.Roster.Every != "15m", "\"15m\""},
		{"backup.recipient", s.Backup.Recipient != "", "\"\""},
		{"backup.target", s.Backup.Target != "", "\"\""},
		{"backup.every", s.Backup.Every != "15m", "\"15m\""},
		{"backup.keep", s.Backup.Keep != 14, "14"},
		{"backup.recordings", s.Backup.Recordings, "false"},
		{"backup.disk", s.Backup.Disk != "", "\"\""},
		{"logs.forward", s.Logs.Forward != "", "\"\""},
		{"zone.internet.proxy", s.Zones.Internet.Proxy != "", "\"\""},
		{"zone.internet.acme_directory", s.Zones.Internet.ACMEDirectory != "", "\"\""},
		{"zone.internet.acme_contact", s.Zones.Internet.ACMEContact != "", "\"\""},
	} {
		if l.asked {
			c.ask(l.key, func() { c.say(l.key, "is not available yet; write %s", l.say) })
		}
	}
	for _, z := range []struct{ key, value string }{
		{"zone.internet.certificate", s.Zones.Internet.Certificate},
		{"zone.staff.certificate", s.Zones.Staff.Certificate},
		{"zone.management.certificate", s.Zones.Management.Certificate},
	} {
		if z.value == "acme" {
			c.say(z.key, "\"acme\" is not available yet: write \"file\" or \"local\"")
		}
		c.choice(z.key, z.value, "file", "local")
	}
}

// inside says whether an address is one of those that the internet does not have.
func inside(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()
}

// zoneLink is a zone's name with its place on the wire, in the order of the schema.
type zoneLink struct {
	Zone, Interface string
	Link
}

// links are the zones of the site, physical or not.
func (s *Site) links() []zoneLink {
	all := []zoneLink{{"internet", "wan0", s.Zones.Internet.Link}, {"kiosk", "kiosk0", s.Zones.Kiosk.Link}}
	if s.Zones.Tablet != nil {
		all = append(all, zoneLink{"tablet", "tablet0", s.Zones.Tablet.Link})
	}
	return append(all, zoneLink{"staff", "staff0", s.Zones.Staff.Link}, zoneLink{"management", "mgmt0", s.Zones.Management.Link})
}

var (
	portName = regexp.MustCompile(`^[a-z][a-z0-9]{0,9}$`)
	portPath = regexp.MustCompile(`^[A-Za-z0-9:._-]{1,120}$`)
	macText  = regexp.MustCompile(`^([0-9a-f]{2}:){5}[0-9a-f]{2}$`)
	taken    = regexp.MustCompile(`^(lo|wan0|kiosk0|tablet0|staff0|mgmt0)$`)
)

// ports checks the physical ports and that each place on the wire has one zone.
func (c *checker) ports() {
	seen := map[string]string{}
	for _, name := range sortedKeys(c.site.Ports) {
		p, key := c.site.Ports[name], join("port", name)
		if !portName.MatchString(name) || taken.MatchString(name) {
			c.say(key, "write another name: a word of at most 10 small letters and digits, such as lan1, that is not an interface of a zone")
		}
		switch {
		case c.wrong[join(key, "mac")] || c.wrong[join(key, "path")]:
			continue
		case (p.MAC == "") == (p.Path == ""):
			c.say(key, "write either mac or path, so that one port is meant")
			continue
		case p.MAC != "" && !macText.MatchString(p.MAC):
			c.say(join(key, "mac"), "write a hardware address in small letters, such as 3c:ec:ef:00:00:01, instead of %q", p.MAC)
		case p.Path != "" && !portPath.MatchString(p.Path):
			c.say(join(key, "path"), "write the port's place as the console shows it, such as pci-0000:18:00.1")
		}
		if other, ok := seen[p.MAC+p.Path]; ok {
			c.say(key, "is the same port as [port.%s]; take one out", other)
		}
		seen[p.MAC+p.Path] = name
	}
	places := map[string]string{}
	for _, z := range c.site.links() {
		c.place(z, places)
	}
}

func (c *checker) place(z zoneLink, places map[string]string) {
	key := "zone." + z.Zone
	c.ask(join(key, "mtu"), func() {
		if z.MTU < 1280 || z.MTU > 9000 {
			c.say(join(key, "mtu"), "write a number from 1280 to 9000 instead of %d", z.MTU)
		}
	})
	c.ask(join(key, "vlan"), func() {
		if z.VLAN < 0 || z.VLAN > 4094 {
			c.say(join(key, "vlan"), "write a VLAN from 1 to 4094, or 0 for untagged, instead of %d", z.VLAN)
		}
	})
	c.ask(join(key, "port"), func() {
		if _, ok := c.site.Ports[z.Port]; !ok {
			c.say(join(key, "port"), "there is no table [port.%s]; write one of %s", z.Port, strings.Join(sortedKeys(c.site.Ports), ", "))
			return
		}
		place := z.Port + "." + strconv.Itoa(z.VLAN)
		if other, ok := places[place]; ok {
			at := join(key, "vlan")
			if !c.has(at) {
				at = join(key, "port")
			}
			c.say(at, "zone.%s is on the same port with the same vlan; write another port or vlan", other)
			return
		}
		places[place] = z.Zone
	})
	for _, under := range c.site.links() {
		if z.VLAN > 0 && under.VLAN == 0 && under.Port == z.Port && z.MTU > under.MTU {
			c.say(join(key, "mtu"), "write at most %d, the mtu of zone.%s on the same port", under.MTU, under.Zone)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
