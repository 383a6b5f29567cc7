package provisioning

import _ "embed"

// Sample is a whole site file: every key, with a comment each.
//
//go:embed site.toml
var Sample []byte

// Site is a site file. Secrets are never in it.
type Site struct {
	Schema   int             `toml:"schema"`
	Facility Facility        `toml:"facility"`
	Policy   Policy          `toml:"policy"`
	Claim    Claim           `toml:"claim"`
	Recovery Recovery        `toml:"recovery"`
	Central  Central         `toml:"central"`
	DNS      DNS             `toml:"dns"`
	Time     Time            `toml:"time"`
	Mail     Mail            `toml:"mail"`
	SMS      SMS             `toml:"sms"`
	Push     Push            `toml:"push"`
	Payment  Payment         `toml:"payment"`
	Roster   Roster          `toml:"roster"`
	Updates  Updates         `toml:"updates"`
	Backup   Backup          `toml:"backup"`
	Logs     Logs            `toml:"logs"`
	Console  Console         `toml:"console"`
	Ports    map[string]Port `toml:"port"`
	Zones    Zones           `toml:"zone"`
	Leases   []Lease         `toml:"lease"`
}

// Facility is whose box it is.
type Facility struct {
	ID        string   `toml:"id"` // never changes
	Name      string   `toml:"name"`
	Kind      string   `toml:"kind"` // jail or prison: the words that people see
	TimeZone  string   `toml:"time_zone"`
	Languages []string `toml:"languages"` // the first is the default
	Currency  string   `toml:"currency"`
}

// Policy names the rules that the facility begins with; afterwards staff edit them.
type Policy struct {
	Preset string `toml:"preset"`
}

// Claim is the hash of a claim code that somebody has in hand already.
type Claim struct {
	SHA256 string `toml:"sha256"`
}

// Recovery is who else may open the disk.
type Recovery struct {
	Recipient string `toml:"recipient"` // age recipient of a sealed copy of the recovery key
}

// Central says whether the box belongs to a central site; how to reach it is in the enrolment file.
type Central struct {
	Enabled bool `toml:"enabled"`
}

// DNS is where the box itself looks up names; the inmates' networks have no resolver.
type DNS struct {
	Servers []string `toml:"servers"`
}

// Time is where the box gets its time, and whether it tells the inmates' devices.
type Time struct {
	Servers []string `toml:"servers"`
	Serve   bool     `toml:"serve"`
}

// Mail is the facility's mail relay; without a host no e-mail is sent. The password is a credential.
type Mail struct {
	Host  string `toml:"host"`
	Port  int    `toml:"port"`
	TLS   string `toml:"tls"` // starttls, implicit, or none to a private address
	Login string `toml:"login"`
	From  string `toml:"from"`
}

// SMS is a gateway for text messages.
type SMS struct {
	URL string `toml:"url"`
}

// Push is web push to visitors' browsers.
type Push struct {
	Enabled bool     `toml:"enabled"`
	Hosts   []string `toml:"hosts"`
}

// Payment is who takes money.
type Payment struct {
	Provider string `toml:"provider"`
}

// Roster is how inmates come from the jail management system.
type Roster struct {
	Mode    string `toml:"mode"` // none, push, pull
	Format  string `toml:"format"`
	Source  string `toml:"source"`
	Profile string `toml:"profile"`
	Every   string `toml:"every"`
}

// Updates is where new versions come from and when they may be installed.
type Updates struct {
	Source  string `toml:"source"`
	URL     string `toml:"url"`
	Install string `toml:"install"`
	Window  string `toml:"window"`
}

// Backup is where sealed copies go.
type Backup struct {
	Recipient  string `toml:"recipient"`
	Target     string `toml:"target"`
	Every      string `toml:"every"`
	Keep       int    `toml:"keep"`
	Recordings bool   `toml:"recordings"`
	Disk       string `toml:"disk"`
}

// Logs is where logs are forwarded to.
type Logs struct {
	Forward string `toml:"forward"`
}

// Console is what the screen of the box shows.
type Console struct {
	Show string `toml:"show"`
}

// Port is one physical port, known by its hardware address or by its place.
type Port struct {
	MAC  string `toml:"mac"`
	Path string `toml:"path"`
}

// Zones are the five networks; a jail without tablets leaves Tablet out.
type Zones struct {
	Internet   Internet   `toml:"internet"`
	Kiosk      Inmates    `toml:"kiosk"`
	Tablet     *Inmates   `toml:"tablet"`
	Staff      Staff      `toml:"staff"`
	Management Management `toml:"management"`
}

// Link is a zone's place on the wire.
type Link struct {
	Port string `toml:"port"`
	VLAN int    `toml:"vlan"` // 0: untagged
	MTU  int    `toml:"mtu"`
}

// Internet is where visitors come from.
type Internet struct {
	Link
	Address       []string `toml:"address"` // "dhcp", or addresses with their prefix
	Gateway       []string `toml:"gateway"`
	SiteName      string   `toml:"site_name"`
	MediaName     string   `toml:"media_name"`
	TURNName      string   `toml:"turn_name"`
	PublicAddress string   `toml:"public_address"` // what visitors reach, where a NAT is in front
	Certificate   string   `toml:"certificate"`
	ACMEDirectory string   `toml:"acme_directory"`
	ACMEContact   string   `toml:"acme_contact"`
	Proxy         string   `toml:"proxy"`
}

// Inmates is a network of kiosks or tablets: the box is its only neighbour with an address of its own.
type Inmates struct {
	Link
	Address string `toml:"address"`
	Pool    string `toml:"pool"`
	Lease   string `toml:"lease"`
	Name    string `toml:"name"`
}

// Staff is the network of staff.
type Staff struct {
	Link
	Address     []string `toml:"address"`
	Gateway     []string `toml:"gateway"`
	From        []string `toml:"from"` // networks that may ask
	Name        string   `toml:"name"`
	Certificate string   `toml:"certificate"`
}

// Management is the network of the setup door.
type Management struct {
	Link
	Address     []string `toml:"address"`
	Gateway     []string `toml:"gateway"`
	From        []string `toml:"from"`
	Name        string   `toml:"name"`
	Certificate string   `toml:"certificate"`
}

// Lease is the fixed address of one station.
type Lease struct {
	Zone    string `toml:"zone"`
	MAC     string `toml:"mac"`
	Address string `toml:"address"`
	Station string `toml:"station"`
}

// defaults is a site file of which nothing is written yet. Only what has a sensible value everywhere has one.
func defaults() *Site {
	link := Link{MTU: 1500}
	return &Site{
		Time: Time{Serve: true}, Mail: Mail{Port: 587, TLS: "starttls"}, Payment: Payment{Provider: "none"},
		Roster:  Roster{Mode: "none", Format: "csv", Profile: "default", Every: "15m"},
		Updates: Updates{Source: "manual", Install: "ask", Window: "Sun 02:00-04:00"},
		Backup:  Backup{Every: "15m", Keep: 14}, Console: Console{Show: "status"},
		Zones: Zones{
			Internet: Internet{Link: link, Certificate: "local"}, Kiosk: Inmates{Link: link, Lease: "12h"},
			Staff: Staff{Link: link, Certificate: "local"}, Management: Management{Link: link, Certificate: "local"},
		},
	}
}

// newInmates is a zone of tablets of which nothing is written yet.
func newInmates() *Inmates { return &Inmates{Link: Link{MTU: 1500}, Lease: "2h"} }
