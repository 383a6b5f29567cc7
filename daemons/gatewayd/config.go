package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/reel"
	"sallyport/appliance/relay"
	"sallyport/appliance/sfu"
	"sallyport/appliance/unit"
	"sallyport/appliance/vault"
)

// config is gatewayd.toml.
type config struct {
	State     string `toml:"state"`     // folder of calls, spool and recordings
	Link      string `toml:"link"`      // bookingd's socket
	Signaling string `toml:"signaling"` // address of the call clients' socket
	Media     string `toml:"media"`     // UDP address of media; its host is what clients are told, so it is never 0.0.0.0
	Kiosk     string `toml:"media_kiosk"`
	Staff     string `toml:"media_staff"`  // of these doors, where their zone has another address
	Public    string `toml:"media_public"` // told to visitors in place of the host of media, behind a port forwarding
	TURNUDP   string `toml:"turn_udp"`
	TURNTCP   string `toml:"turn_tcp"`
	Seats     int    `toml:"visitor_seats"` // bounds the relay
}

func defaults() config {
	return config{
		State: "/var/lib/sallyport/gateway", Link: "/run/sallyport/link.sock", Signaling: "127.0.0.1:8090", Media: "127.0.0.1:50000",
		TURNUDP: "127.0.0.1:13478", TURNTCP: "127.0.0.1:13478", Seats: 200,
	}
}

// Validate names the first key that is wrong and what it should be.
func (c config) Validate() error {
	for _, k := range []struct{ name, value string }{{"state", c.State}, {"link", c.Link}} {
		if k.value == "" {
			return unit.BadSetting(k.name, "must not be empty")
		}
	}
	for _, k := range []struct {
		name, value string
		may         bool
	}{{"media", c.Media, false}, {"media_kiosk", c.Kiosk, true}, {"media_staff", c.Staff, true}} {
		if k.value == "" && k.may {
			continue
		}
		a, err := netip.ParseAddrPort(k.value)
		if err != nil || a.Addr().IsUnspecified() || !a.Addr().Unmap().Is4() {
			return unit.BadSetting(k.name, "must be one IPv4 address with a port, such as 192.0.2.10:50000: clients are told it")
		}
	}
	if c.Public != "" {
		if a, err := netip.ParseAddr(c.Public); err != nil || !a.Is4() {
			return unit.BadSetting("media_public", "must be an IPv4 address")
		}
	}
	for _, k := range []struct{ name, value string }{{"signaling", c.Signaling}, {"turn_udp", c.TURNUDP}, {"turn_tcp", c.TURNTCP}} {
		if _, _, err := net.SplitHostPort(k.value); err != nil {
			return unit.BadSetting(k.name, "must be an address with a port")
		}
	}
	if c.Seats < 1 || c.Seats > 2000 {
		return unit.BadSetting("visitor_seats", "must be from 1 to 2000")
	}
	return nil
}

// zones opens the media sockets. peer is the visitors' one as they are told it: the relay's only peer.
func (c config) zones(env *unit.Env) (zones []sfu.Zone, peer netip.AddrPort, err error) {
	at := map[string]int{}
	for _, d := range []struct{ door, addr, key string }{{"visitor", c.Media, "media"}, {"kiosk", c.Kiosk, "media_kiosk"}, {"staff", c.Staff, "media_staff"}} {
		if d.addr == "" {
			d.addr = c.Media
		}
		if i, ok := at[d.addr]; ok {
			zones[i].Doors = append(zones[i].Doors, d.door)
			continue
		}
		conn, err := env.PacketConn(d.key, d.addr)
		if err != nil {
			for _, z := range zones {
				_ = z.Conn.Close()
			}
			return nil, peer, err
		}
		at[d.addr] = len(zones)
		zones = append(zones, sfu.Zone{Doors: []string{d.door}, Conn: conn})
	}
	peer = zones[0].Conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if c.Public != "" {
		zones[0].Public = netip.MustParseAddr(c.Public)
		peer = netip.AddrPortFrom(zones[0].Public, peer.Port())
	}
	return zones, peer, nil
}

// openRelay opens the relay of the visitors' door.
func (g *gateway) openRelay(env *unit.Env, c config, peer netip.AddrPort) (*relay.Server, error) {
	udp, err := env.PacketConn("turn_udp", c.TURNUDP)
	if err != nil {
		return nil, err
	}
	tcp, err := env.Listener("turn_tcp", c.TURNTCP)
	if err != nil {
		_ = udp.Close()
		return nil, err
	}
	s, err := relay.New(relay.Config{
		Peer: peer, Relayed: peer.Addr(), Doors: []string{"visitor"}, Seats: c.Seats, Clock: g.clock,
		Secrets: func() []linkspec.TURNSecret { return g.link.keys().TURN },
		In: func(call ident.Call, seat ident.Seat, door string) bool {
			return door == "visitor" && g.hall.Seated(call, seat)
		},
		Refused: func(call ident.Call, seat ident.Seat, code string) {
			select {
			case g.refused <- linkspec.Event{Kind: linkspec.RelayRefused, Call: call, Seat: seat, Data: mustJSON(linkspec.SeatData{Why: code})}:
			default: // a flood is counted by the relay itself
			}
		},
	}, []net.PacketConn{udp}, []net.Listener{tcp})
	if err != nil {
		_ = udp.Close()
		_ = tcp.Close()
	}
	return s, err
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
