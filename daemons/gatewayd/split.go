package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/names"
	"sallyport/appliance/split"
	"sallyport/appliance/unit"
)

// splitConfig is split.toml: which names each network may ask for, by the name of its socket.
type splitConfig struct {
	Routes []routeConfig `toml:"route"`
	Names  []nameConfig  `toml:"names"`
}

// routeConfig hands a name of one https socket on to a unix socket.
type routeConfig struct {
	Socket string `toml:"socket"` // https-visitor, https-kiosk, https-kiosk-tablet, https-staff
	Name   string `toml:"name"`   // as in the TLS greeting
	To     string `toml:"to"`     // path of the socket
}

// nameConfig answers for one name on one names socket.
type nameConfig struct {
	Socket  string `toml:"socket"` // names-kiosk, names-tablet
	Name    string `toml:"name"`
	Address string `toml:"address"` // IPv4
}

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Validate names the first key that is wrong and what it should be.
func (c splitConfig) Validate() error {
	if len(c.Routes) == 0 {
		return unit.BadSetting("route", "must be there at least once")
	}
	seen := map[string]bool{}
	check := func(key, kind, socket, name string) error {
		switch {
		case !strings.HasPrefix(socket, kind):
			return unit.BadSetting(key+".socket", "must be the name of a socket that begins with %s", kind)
		case len(name) > 253 || !hostName.MatchString(name):
			return unit.BadSetting(key+".name", "must be a host name in lower case")
		case seen[socket+" "+name]:
			return unit.BadSetting(key+".name", "is there twice on %s", socket)
		}
		seen[socket+" "+name] = true
		return nil
	}
	for i, r := range c.Routes {
		key := fmt.Sprintf("route.%d", i)
		if err := check(key, "https-", r.Socket, r.Name); err != nil {
			return err
		}
		if !filepath.IsAbs(r.To) || len(r.To) > 107 {
			return unit.BadSetting(key+".to", "must be the path of a unix socket, at most 107 bytes")
		}
	}
	for i, n := range c.Names {
		key := fmt.Sprintf("names.%d", i)
		if err := check(key, "names-", n.Socket, n.Name); err != nil {
			return err
		}
		if a, err := netip.ParseAddr(n.Address); err != nil || !a.Is4() {
			return unit.BadSetting(key+".address", "must be an IPv4 address")
		}
	}
	return nil
}

// runSplit splits port 443 and answers for names until ctx ends.
func runSplit(ctx context.Context, env *unit.Env) error {
	var cfg splitConfig
	if serve, err := env.Configure("/run/sallyport/split.toml", &cfg); err != nil || !serve {
		return err
	}
	var g unit.Group
	responders, err := cfg.responders(env)
	if err != nil {
		return err
	}
	for socket, r := range responders {
		g.Add(socket, r.Serve)
	}
	s, err := cfg.splitter(env)
	if err != nil {
		return err
	}
	g.Add("split", s.Serve)
	g.Add("status", func(ctx context.Context) error { return tellCounts(ctx, env, s) })
	env.Probe("split", func(context.Context) error { s.Counts(); return nil })
	env.Ready()
	return g.Serve(ctx)
}

// splitter takes the https sockets that systemd gave. A network that is not there has none; its routes wait for it.
func (c splitConfig) splitter(env *unit.Env) (*split.Server, error) {
	sockets, missing := map[string]net.Listener{}, map[string]bool{}
	var routes []split.Route
	for _, r := range c.Routes {
		if sockets[r.Socket] == nil && !missing[r.Socket] {
			ln, err := env.Given(r.Socket)
			switch {
			case err != nil:
				return nil, err
			case ln == nil:
				missing[r.Socket] = true
				env.Log.Warn("systemd gave no such socket", "op", "gatewayd.split", "socket", r.Socket)
			default:
				sockets[r.Socket] = ln
			}
		}
		if !missing[r.Socket] {
			routes = append(routes, split.Route{Socket: r.Socket, Name: r.Name, To: r.To})
		}
	}
	if len(sockets) == 0 {
		return nil, fault.New("gatewayd.split", fault.Unavailable, "systemd gave no socket to split.").WithCode("unit.no_socket")
	}
	return split.New(sockets, routes, env.Log)
}

// responders answer for names, each on its network's socket.
func (c splitConfig) responders(env *unit.Env) (map[string]*names.Server, error) {
	tables := map[string]names.Table{}
	for _, n := range c.Names {
		if tables[n.Socket] == nil {
			tables[n.Socket] = names.Table{}
		}
		tables[n.Socket][n.Name] = netip.MustParseAddr(n.Address)
	}
	all := map[string]*names.Server{}
	for socket, table := range tables {
		conn, err := env.GivenPacket(socket)
		if err != nil {
			return nil, err
		}
		if conn == nil {
			env.Log.Warn("systemd gave no such socket", "op", "gatewayd.split", "socket", socket)
			continue
		}
		if all[socket], err = names.New(conn, table); err != nil {
			return nil, err
		}
	}
	return all, nil
}

const countsEvery = 10 * time.Second

// tellCounts shows in systemctl status what the split does.
func tellCounts(ctx context.Context, env *unit.Env, s *split.Server) error {
	tick := time.NewTicker(countsEvery)
	defer tick.Stop()
	for {
		n := s.Counts()
		env.Status(fmt.Sprintf("%d connections; since the start %d for unknown names, %d silent, %d too many, %d not taken",
			n.Open, n.Unknown, n.Silent, n.Refused, n.Unserved))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
