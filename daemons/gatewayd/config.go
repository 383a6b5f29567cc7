package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"sallyport/appliance/reel"
	"sallyport/appliance/sfu"
	"sallyport/appliance/unit"
	"sallyport/appliance/vault"
)

// config is gatewayd.toml. An address may be empty where systemd opens the socket.
type config struct {
	State     string        `toml:"state"`         // folder of calls, spool and recordings
	Link      string        `toml:"link"`          // bookingd's socket
	Signaling string        `toml:"signaling"`     // address of the call clients' socket, without the split
	Proxy     bool          `toml:"proxy"`         // call clients come through the split: signal-DOOR and turn-tls, handed over by systemd
	TLS       bool          `toml:"tls"`           // TLS ends here, with the credentials tls-media and tls-turn
	Media     []mediaConfig `toml:"media"`         // a UDP socket for each network
	TURNUDP   string        `toml:"turn_udp"`      // the relay's sockets, for visitors only
	TURNTCP   string        `toml:"turn_tcp"`      //
	Seats     int           `toml:"visitor_seats"` // bounds the relay
}

// mediaConfig is the media socket of one network. A door may have several: a client gets the one whose address its
// signaling reached.
type mediaConfig struct {
	Doors  []string `toml:"doors"`  // whose seats: visitor, kiosk, staff
	Listen string   `toml:"listen"` // UDP address; clients are told its host, so it is 0.0.0.0 only beside device
	Device string   `toml:"device"` // interface whose present address clients are told: where addresses are given out
	Public string   `toml:"public"` // told in place of it, behind a port forwarding
}

func defaults() config {
	return config{
		State: "/var/lib/sallyport/gateway", Link: "/run/sallyport/link.sock", Signaling: "127.0.0.1:8090",
		TURNUDP: "127.0.0.1:13478", TURNTCP: "127.0.0.1:13478", Seats: 200,
	}
}

// media are the media sockets; without any, one of this machine for all doors.
func (c config) media() []mediaConfig {
	if len(c.Media) > 0 {
		return c.Media
	}
	return []mediaConfig{{Doors: doors(), Listen: "127.0.0.1:50000"}}
}

// doors are those whose people take part in calls.
func doors() []string { return []string{"visitor", "kiosk", "staff"} }

// Validate names the first key that is wrong and what it should be.
func (c config) Validate() error {
	for _, k := range []struct{ name, value string }{{"state", c.State}, {"link", c.Link}} {
		if k.value == "" {
			return unit.BadSetting(k.name, "must not be empty")
		}
	}
	if err := c.validateMedia(); err != nil {
		return err
	}
	for _, k := range []struct{ name, value string }{{"signaling", c.Signaling}, {"turn_udp", c.TURNUDP}, {"turn_tcp", c.TURNTCP}} {
		if _, _, err := net.SplitHostPort(k.value); err != nil && k.value != "" {
			return unit.BadSetting(k.name, "must be an address with a port, or empty where systemd opens it")
		}
	}
	if c.Proxy && c.Signaling != "" {
		return unit.BadSetting("proxy", "needs an empty signaling: only the split may tell a client's address")
	}
	if c.Seats < 1 || c.Seats > 2000 {
		return unit.BadSetting("visitor_seats", "must be from 1 to 2000")
	}
	return nil
}

func (c config) validateMedia() error {
	served, at := map[string]int{}, map[string]bool{}
	for i, m := range c.media() {
		key := fmt.Sprintf("media.%d", i)
		a, err := netip.ParseAddrPort(m.Listen)
		switch {
		case err != nil || !a.Addr().Unmap().Is4() || a.Addr().IsUnspecified() && m.Device == "":
			return unit.BadSetting(key+".listen", "must be one IPv4 address with a port, such as 192.0.2.10:50000: clients are told it")
		case m.Device != "" && !a.Addr().IsUnspecified():
			return unit.BadSetting(key+".device", "is for listen = \"0.0.0.0:50000\" only")
		case m.Device != "" && !slices.Equal(m.Doors, []string{"visitor"}):
			return unit.BadSetting(key+".device", "is for the visitor door only")
		}
		if at[m.Listen] {
			return unit.BadSetting(key+".listen", "is there twice; one socket may serve several doors")
		}
		at[m.Listen] = true
		if p, err := netip.ParseAddr(m.Public); m.Public != "" && (err != nil || !p.Is4()) {
			return unit.BadSetting(key+".public", "must be an IPv4 address")
		}
		if len(m.Doors) == 0 {
			return unit.BadSetting(key+".doors", "must name a door: visitor, kiosk or staff")
		}
		for _, d := range m.Doors {
			if !slices.Contains(doors(), d) {
				return unit.BadSetting(key+".doors", "must be of visitor, kiosk and staff")
			}
			served[d]++
		}
	}
	for _, d := range doors() {
		if served[d] == 0 {
			return unit.BadSetting("media", "has no address for the %s door", d)
		}
	}
	if served["visitor"] > 1 {
		return unit.BadSetting("media", "may have one address for visitors: the relay has one peer")
	}
	return nil
}

// sight is the visitors' media socket as the relay sees it.
type sight struct {
	media netip.AddrPort    // where it is on this machine
	peer  netip.AddrPort    // how clients are told it
	here  func() netip.Addr // where its address comes and goes: the present one
}

// zones opens the media sockets.
func (c config) zones(env *unit.Env) (zones []sfu.Zone, visitors sight, err error) {
	shared := slices.ContainsFunc(c.media(), func(m mediaConfig) bool { return m.Device != "" })
	for _, m := range c.media() {
		conn, err := m.open(env, shared)
		if err != nil {
			for _, z := range zones {
				_ = z.Conn.Close()
			}
			return nil, sight{}, err
		}
		z := sfu.Zone{Doors: m.Doors, Conn: conn}
		bound := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		seen := sight{media: bound, peer: bound}
		if m.Device != "" {
			z.Here = func() netip.Addr { return unit.AddressOf(m.Device) }
			seen = sight{media: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), bound.Port()), peer: bound, here: z.Here}
		}
		if m.Public != "" {
			z.Public = netip.MustParseAddr(m.Public)
			seen.peer, seen.here = netip.AddrPortFrom(z.Public, bound.Port()), nil
		}
		if slices.Contains(m.Doors, "visitor") {
			visitors = seen
		}
		zones = append(zones, z)
	}
	return zones, visitors, nil
}

// open opens one media socket, also before the network has given the machine its address.
func (m mediaConfig) open(env *unit.Env, shared bool) (net.PacketConn, error) {
	options := []unit.SocketOption{unit.Early}
	if shared {
		options = append(options, unit.Shared)
	}
	return env.PacketConn("media", m.Listen, options...)
}

// The names of gatewayd's key files.
const (
	recorderKey = "recorder-key" // Ed25519 seed that signs manifests
	tokenKey    = "token-key"    // MAC key of resume tokens
)

// keysOf returns the recorder's signer and the key of resume tokens, from the credentials or, in the evaluation, from files
// that the first start makes. It writes the signer's public half beside the state, for whoever verifies recordings.
func keysOf(credentials, state string) (reel.Signer, []byte, error) {
	store := vault.OpenCredentials(credentials)
	if credentials == "" {
		var err error
		if store, err = vault.CreateCredentials(filepath.Join(state, "keys"), recorderKey, tokenKey); err != nil {
			return reel.Signer{}, nil, err
		}
	}
	key, err := store.Signer(recorderKey)
	if err != nil {
		return reel.Signer{}, nil, err
	}
	token, err := store.Key(tokenKey)
	if err != nil {
		return reel.Signer{}, nil, err
	}
	public := key.Public().(ed25519.PublicKey)
	name := sha256.Sum256(public)
	text := []byte(base64.StdEncoding.EncodeToString(public) + "\n")
	file := filepath.Join(state, "recorder.pub")
	if old, err := os.ReadFile(file); err != nil || !slices.Equal(old, text) {
		if err := replaceFile(file, text, 0o644); err != nil {
			return reel.Signer{}, nil, err
		}
	}
	return reel.Signer{KID: "rec-" + hex.EncodeToString(name[:4]), Key: key}, token, nil
}
