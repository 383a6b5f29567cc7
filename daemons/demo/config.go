package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sallyport/appliance/linkspec"
	"sallyport/daemons/demo/centre"
)

// centreKey is the name of the central site's secret, as centrald reads it.
const centreKey = "centre-signing-key"

// writeConfigs writes what the appliance's first boot would write from its site file.
func (s *stage) writeConfigs(context.Context) error {
	cert, key, ca, err := s.centre.Files(centre.Router)
	if err != nil {
		return err
	}
	rootCert, rootKey, _, err := s.centre.Files(centre.Root)
	if err != nil {
		return err
	}
	p := s.o.ports
	signal := fmt.Sprintf("ws://localhost:%d/signal", p.signaling)
	origin := func(port int) string { return fmt.Sprintf("http://localhost:%d", port) }
	door := func(name string, port int) []string {
		return []string{"", "[" + name + "]", pair("listen", fmt.Sprintf("127.0.0.1:%d", port)), pair("origin", origin(port))}
	}
	booking := []string{
		pair("state", s.dir("booking")), pair("recordings", s.dir("gateway", "recordings")), pair("credentials", s.dir("credentials")),
	}
	for _, d := range []struct {
		name string
		port int
	}{{"visitor", p.visitor}, {"kiosk", p.kiosk}, {"staff", p.staff}, {"setup", p.setup}} {
		booking = append(booking, door(d.name, d.port)...)
	}
	booking = append(booking,
		"", "[link]", pair("listen", "unix:"+s.link()),
		"", "[smtp]", pair("host", "127.0.0.1"), fmt.Sprintf("port = %d", p.smtp), pair("tls", "none"), pair("from", "visits@localhost"), pair("name", "localhost"),
		"", "[media]", pair("visitor", signal), pair("kiosk", signal), pair("staff", signal),
		fmt.Sprintf("relay = [%q, %q]", fmt.Sprintf("turn:127.0.0.1:%d?transport=udp", p.turn), fmt.Sprintf("turn:127.0.0.1:%d?transport=tcp", p.turn)),
		"", "[central]", pair("peer", s.keys),
	)
	gateway := []string{
		pair("state", s.dir("gateway")), pair("link", s.link()),
		pair("signaling", fmt.Sprintf("127.0.0.1:%d", p.signaling)),
		pair("turn_udp", fmt.Sprintf("127.0.0.1:%d", p.turn)), pair("turn_tcp", fmt.Sprintf("127.0.0.1:%d", p.turn)),
		"", "[[media]]", `doors = ["visitor", "kiosk", "staff"]`, pair("listen", fmt.Sprintf("127.0.0.1:%d", p.media)),
	}
	central := []string{
		fmt.Sprintf("endpoints = [%q]", s.centre.Endpoints()[0]), pair("authority", ca), pair("certificate", cert), pair("key", key),
		pair("root_certificate", rootCert), pair("root_key", rootKey), pair("listen", "unix:"+s.dir("run", linkspec.CentralSocket)),
	}
	for name, lines := range map[string][]string{"bookingd": booking, "gatewayd": gateway, "centrald": central} {
		if err := s.write(name, lines); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) writeSyncd(site string) error {
	cert, key, ca, err := s.centre.Files(centre.SiteName(site))
	if err != nil {
		return err
	}
	at := s.centre.Endpoints()[0]
	if s.o.via != "" {
		at = "https://" + s.o.via
	}
	return s.write("syncd", []string{
		pair("site", site), pair("link", s.link()), fmt.Sprintf("endpoints = [%q]", at),
		pair("authority", ca), pair("certificate", cert), pair("key", key),
	})
}

func pair(key, value string) string { return fmt.Sprintf("%s = %q", key, value) }

func (s *stage) write(name string, lines []string) error {
	if err := os.MkdirAll(s.o.state, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.o.state, name+".toml"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}
