package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/unit"
	"sallyport/provisioning/egress"
)

// hostCmd is the small daemon of the box that opens ways out.
type hostCmd struct {
	List string `help:"Who may go where." default:"/run/sallyport/egress.toml" type:"path"`
}

// Run serves as a daemon and does not come back.
func (c hostCmd) Run(*tool) error {
	unit.Main("sallyport-host", func(ctx context.Context, env *unit.Env) error {
		ln, err := env.Listener("host", "unix:/run/sallyport/"+linkspec.HostSocket)
		if err != nil {
			return err
		}
		gate := &egress.Gate{List: c.List, Users: goingOut, Look: look, Load: load, Log: env.Log}
		env.Probe("firewall", func(ctx context.Context) error { return load(ctx, "list set inet sallyport booking_to4\n") })
		env.Ready()
		var group unit.Group
		group.Add("host", func(ctx context.Context) error { return gate.Serve(ctx, ln) })
		return group.Serve(ctx)
	})
	return nil
}

// goingOut are the users that have a set in the firewall.
func goingOut(uid int) (string, bool) {
	for _, name := range []string{"booking", "syncd", "courier"} {
		if u, err := user.Lookup(name); err == nil && u.Uid == strconv.Itoa(uid) {
			return name, true
		}
	}
	return "", false
}

// look asks the resolver of the box, which alone may ask the site's name servers.
func look(ctx context.Context, host string) ([]netip.Addr, error) {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, "127.0.0.53:53")
	}}
	return resolver.LookupNetIP(ctx, "ip", host)
}

// load hands commands to the firewall.
func load(ctx context.Context, commands string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(commands), &complaints
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(complaints.String()))
	}
	return nil
}
