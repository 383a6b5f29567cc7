package main

import (
	"encoding/hex"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/policy"
	"sallyport/appliance/unit"
)

// config is bookingd.toml. Every key has a default that fits the evaluation; the appliance writes its own file from
// site.toml. Secrets are never in it: they are credential files.
type config struct {
	State       string         `toml:"state"`        // folder of the database and the sealed blobs
	Recordings  string         `toml:"recordings"`   // folder of sealed recordings, written by gatewayd
	RecorderKey string         `toml:"recorder_key"` // file with the public key of the recorder; empty: recorder.pub beside recordings
	Credentials string         `toml:"credentials"`  // folder of secrets; empty: $CREDENTIALS_DIRECTORY
	MakeSecrets bool           `toml:"make_secrets"` // make missing credentials: for the evaluation only
	Visitor     doorConfig     `toml:"visitor"`
	Kiosk       doorConfig     `toml:"kiosk"`
	Staff       doorConfig     `toml:"staff"`
	Setup       doorConfig     `toml:"setup"`
	Link        linkConfig     `toml:"link"`
	Central     centralConfig  `toml:"central"`
	SMTP        smtpConfig     `toml:"smtp"`
	Media       mediaConfig    `toml:"media"`
	Claim       string         `toml:"claim_file"` // where the first administrator's claim code is written on first start
	Facility    foundConfig    `toml:"facility"`
	Versions    versionsConfig `toml:"versions"`
}

// foundConfig is what a site file says about the facility. It is read once, when the database has none; afterwards
// administrators change the facility and its rules.
type foundConfig struct {
	ID        string   `toml:"id"` // of the site file; the database has an id of its own
	Name      string   `toml:"name"`
	Kind      string   `toml:"kind"` // jail, prison
	Zone      string   `toml:"zone"`
	Languages []string `toml:"languages"` // the first is the default
	Currency  string   `toml:"currency"`
	Preset    string   `toml:"preset"`       // county-jail, prison
	ClaimSHA  string   `toml:"claim_sha256"` // of a claim code that the installer has in hand
	Phases    string   `toml:"phases"`       // folder of the results of first boot; empty: this is no appliance
}

// doorConfig is one door.
type doorConfig struct {
	Listen    string   `toml:"listen"`     // host:port; a socket that systemd hands over by the door's name comes first; "": there is no other
	Origin    string   `toml:"origin"`     // as browsers see it: https://visits.example.org
	Origins   []string `toml:"origins"`    // further ones: the same door may have a name in each of its networks
	ByAddress bool     `toml:"by_address"` // of the setup door: it may be asked for by the address that was reached, as before it has a name
	Proxy     bool     `toml:"proxy"`      // connections come through the split, which tells the client's address; unix sockets only
	TLS       bool     `toml:"tls"`        // TLS ends here, with the credential tls-DOOR
	Limit     int      `toml:"limit"`      // requests a minute from one address; 0: no limit
}

// linkConfig is the unix socket and who may ask what on it.
type linkConfig struct {
	Listen    string `toml:"listen"`
	Gateway   []int  `toml:"gateway_uids"`
	Sync      []int  `toml:"sync_uids"`
	Operators []int  `toml:"operator_uids"`
}

// centralConfig is the site's place at the centre; empty until commissioning.
type centralConfig struct {
	Site string `toml:"site"` // id of the facility; empty: made at the first start
	Peer string `toml:"peer"` // the centre's public keys, as it printed them
}

// smtpConfig is the mail relay of the facility. Without a host no mail is sent: mails wait.
type smtpConfig struct {
	Host   string `toml:"host"`
	Port   int    `toml:"port"`
	TLS    string `toml:"tls"`   // required, implicit, none (this machine or a private address)
	Login  string `toml:"login"` // its password is the credential mail-password
	From   string `toml:"from"`
	Name   string `toml:"name"`   // the name beside it
	Egress string `toml:"egress"` // socket of the daemon that opens the firewall to the relay; empty: nothing is in the way
}

// mediaConfig is where browsers find gatewayd.
type mediaConfig struct {
	Visitor string   `toml:"visitor"` // wss address of signaling for each door
	Kiosk   string   `toml:"kiosk"`
	Staff   string   `toml:"staff"`
	Relay   []string `toml:"relay"` // turn: and turns: addresses, told to visitors only
}

func defaults() config {
	me := os.Getuid()
	return config{
		State: "state/booking", Recordings: "state/gateway/recordings",
		Visitor: doorConfig{Listen: "127.0.0.1:8080", Origin: "http://localhost:8080", Limit: 600},
		Kiosk:   doorConfig{Listen: "127.0.0.1:8081", Origin: "http://localhost:8081"},
		Staff:   doorConfig{Listen: "127.0.0.1:8082", Origin: "http://localhost:8082"},
		Setup:   doorConfig{Listen: "127.0.0.1:8083", Origin: "http://localhost:8083", Limit: 600},
		Link:    linkConfig{Listen: "unix:" + filepath.Join("state", linkspec.Socket), Gateway: []int{me}, Sync: []int{me}, Operators: []int{me}},
		SMTP:    smtpConfig{Host: "127.0.0.1", Port: 8025, TLS: "none", From: "visits@localhost", Name: "Video visits"},
		Media: mediaConfig{
			Visitor: "ws://localhost:8090/signal", Kiosk: "ws://localhost:8090/signal", Staff: "ws://localhost:8090/signal",
			Relay: []string{"turn:localhost:13478?transport=udp", "turn:localhost:13478?transport=tcp"},
		},
	}
}

// Validate names the first key that is wrong and what it should be.
func (c config) Validate() error {
	for _, k := range []struct{ name, value string }{
		{"state", c.State}, {"recordings", c.Recordings}, {"link.listen", c.Link.Listen},
	} {
		if k.value == "" {
			return unit.BadSetting(k.name, "must not be empty")
		}
	}
	for _, d := range []struct {
		name string
		door doorConfig
	}{{"visitor", c.Visitor}, {"kiosk", c.Kiosk}, {"staff", c.Staff}, {"setup", c.Setup}} {
		if err := d.door.validate(d.name); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		name string
		uids []int
	}{{"link.gateway_uids", c.Link.Gateway}, {"link.sync_uids", c.Link.Sync}, {"link.operator_uids", c.Link.Operators}} {
		if len(l.uids) == 0 {
			return unit.BadSetting(l.name, "must name at least one uid")
		}
	}
	if err := c.SMTP.validate(); err != nil {
		return err
	}
	if c.Central.Site != "" {
		if _, err := ident.Parse[ident.Facility](c.Central.Site); err != nil {
			return unit.BadSetting("central.site", "must be a facility's id")
		}
	}
	if err := c.Facility.validate(); err != nil {
		return err
	}
	if (c.Versions.Board == "") != (c.Versions.Requests == "") {
		return unit.BadSetting("versions.requests", "and versions.board must both be folders, or both be left out")
	}
	return c.Media.validate()
}

func (f foundConfig) validate() error {
	if f.Name == "" {
		return nil
	}
	if _, ok := facility.CountryOf(f.Zone); !ok {
		return unit.BadSetting("facility.zone", "must be a time zone such as Europe/London")
	}
	if f.Kind != "jail" && f.Kind != "prison" {
		return unit.BadSetting("facility.kind", `must be "jail" or "prison"`)
	}
	if f.Preset != policy.CountyJail && f.Preset != policy.Prison {
		return unit.BadSetting("facility.preset", "must be %q or %q", policy.CountyJail, policy.Prison)
	}
	for _, l := range f.Languages {
		if l != "en" && l != "cy" && l != "es" {
			return unit.BadSetting("facility.languages", "must list en, cy or es")
		}
	}
	if sum, err := hex.DecodeString(f.ClaimSHA); err != nil || len(sum) != 0 && len(sum) != 32 {
		return unit.BadSetting("facility.claim_sha256", "must be a SHA-256 in hex")
	}
	return nil
}

func (s smtpConfig) validate() error {
	ip := net.ParseIP(s.Host)
	switch {
	case s.Host == "":
		return nil
	case s.From == "":
		return unit.BadSetting("smtp.from", "must not be empty")
	case s.Port < 1 || s.Port > 65535:
		return unit.BadSetting("smtp.port", "must be a port between 1 and 65535")
	case s.TLS != "required" && s.TLS != "implicit" && s.TLS != "none":
		return unit.BadSetting("smtp.tls", `must be "required", "implicit" or "none"`)
	case s.TLS == "none" && !loopback(s.Host) && (ip == nil || !ip.IsPrivate()):
		return unit.BadSetting("smtp.tls", `may be "none" only when smtp.host is this machine or a private address`)
	case s.TLS == "none" && s.Login != "":
		return unit.BadSetting("smtp.login", "needs encryption: a password is not sent without")
	}
	return nil
}

func (d doorConfig) validate(name string) error {
	_, _, err := net.SplitHostPort(d.Listen)
	switch {
	case d.Listen != "" && err != nil:
		return unit.BadSetting(name+".listen", "must be host:port, or empty where systemd opens the door")
	case d.Proxy && d.Listen != "":
		return unit.BadSetting(name+".proxy", "needs an empty listen: only the split may tell a client's address")
	case d.Proxy && d.Limit == 0 && name == "visitor":
		return unit.BadSetting(name+".limit", "must be set where the internet comes in")
	case d.ByAddress && name != "setup":
		return unit.BadSetting(name+".by_address", "is for the setup door only")
	case d.ByAddress && !d.TLS:
		return unit.BadSetting(name+".by_address", "needs tls")
	case d.Limit < 0:
		return unit.BadSetting(name+".limit", "must not be negative")
	}
	for _, origin := range d.all() {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" {
			return unit.BadSetting(name+".origin", "must be an origin such as https://visits.example.org, without a path")
		}
		if u.Scheme == "http" && !loopback(u.Hostname()) {
			return unit.BadSetting(name+".origin", "must be https: browsers give no camera to a plain page")
		}
		if u.Scheme == "http" && d.TLS {
			return unit.BadSetting(name+".origin", "must be https where tls is on")
		}
	}
	return nil
}

// all are the door's origins, the chief one first.
func (d doorConfig) all() []string { return append([]string{d.Origin}, d.Origins...) }

// recorderKey is the file with the recorder's public key; gatewayd writes it beside its recordings.
func (c config) recorderKey() string {
	if c.RecorderKey != "" {
		return c.RecorderKey
	}
	return filepath.Join(filepath.Dir(c.Recordings), "recorder.pub")
}

// host is the door's name without scheme and port.
func (d doorConfig) host() string {
	u, err := url.Parse(d.Origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (m mediaConfig) validate() error {
	for _, s := range []struct{ name, value string }{{"media.visitor", m.Visitor}, {"media.kiosk", m.Kiosk}, {"media.staff", m.Staff}} {
		u, err := url.Parse(s.value)
		if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
			return unit.BadSetting(s.name, "must be a ws or wss address")
		}
		if u.Scheme == "ws" && !loopback(u.Hostname()) {
			return unit.BadSetting(s.name, "must be wss on any machine but this one")
		}
	}
	for _, r := range m.Relay {
		if !strings.HasPrefix(r, "turn:") && !strings.HasPrefix(r, "turns:") {
			return unit.BadSetting("media.relay", "must list turn: or turns: addresses")
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
