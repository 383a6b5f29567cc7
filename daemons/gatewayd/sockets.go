package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"sallyport/appliance/entry"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/relay"
	"sallyport/appliance/unit"
)

// The credentials with which TLS ends here.
const (
	mediaCertificate = "tls-media" // of signaling, for every network's media name
	turnCertificate  = "tls-turn"
)

// signalSockets are the listeners of call clients by door, or one under "" that all doors share.
func (g *gateway) signalSockets(env *unit.Env, c config) (all map[string]net.Listener, err error) {
	all = map[string]net.Listener{}
	defer func() {
		if err != nil {
			for _, ln := range all {
				_ = ln.Close()
			}
		}
	}()
	if c.Signaling != "" {
		ln, err := env.Listener("signaling", c.Signaling)
		if err == nil {
			all[""], err = g.ready(env, c, ln, mediaCertificate)
		}
		return all, err
	}
	for _, door := range doors() {
		ln, err := env.Given("signal-" + door)
		switch {
		case err != nil:
			return all, err
		case ln == nil:
			return all, fault.Newf("gatewayd.sockets", fault.Unavailable, "systemd gave no socket signal-%s.", door).WithCode("unit.no_socket")
		}
		if all[door], err = g.ready(env, c, ln, mediaCertificate); err != nil {
			return all, err
		}
	}
	return all, nil
}

// ready is a listener behind which header and handshake are done. It takes ln over.
func (g *gateway) ready(env *unit.Env, c config, ln net.Listener, certificate string) (net.Listener, error) {
	if !c.Proxy && !c.TLS {
		return ln, nil
	}
	var err error
	o := entry.Options{Proxied: c.Proxy}
	if c.TLS {
		o.Certificate, err = entry.OpenCertificate(filepath.Join(env.Credentials, certificate), g.clock, env.Log)
	}
	out := ln
	if err == nil {
		out, err = entry.Listen(ln, o)
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return out, nil
}

// serveSignals is the part that serves call clients on one listener.
func (g *gateway) serveSignals(door string, ln net.Listener) func(context.Context) error {
	web := &http.Server{
		Handler: g.signals.Door(door), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // its lines hold clients' addresses
	}
	return unit.HTTP(ln, func(l net.Listener) error {
		if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, web.Shutdown)
}

// relaySockets are the relay's ways in: UDP, TCP, and TLS through the split.
func (g *gateway) relaySockets(env *unit.Env, c config) (packets []net.PacketConn, streams []net.Listener, err error) {
	defer func() {
		if err != nil {
			closeRelay(packets, streams)
		}
	}()
	udp, err := env.GivenPacket("turn-udp")
	if udp == nil && err == nil && c.TURNUDP != "" {
		udp, err = env.PacketConn("turn-udp", c.TURNUDP)
	}
	if err != nil {
		return packets, streams, err
	}
	if udp != nil {
		packets = append(packets, udp)
	}
	tcp, err := env.Given("turn-tcp")
	if tcp == nil && err == nil && c.TURNTCP != "" {
		tcp, err = env.Listener("turn-tcp", c.TURNTCP)
	}
	if err != nil {
		return packets, streams, err
	}
	if tcp != nil {
		streams = append(streams, tcp)
	}
	if !c.Proxy || !c.TLS {
		return packets, streams, nil
	}
	secure, err := env.Given("turn-tls")
	if secure == nil || err != nil {
		return packets, streams, err
	}
	if secure, err = g.ready(env, c, secure, turnCertificate); err != nil {
		return packets, streams, err
	}
	return packets, append(streams, secure), nil
}

func closeRelay(packets []net.PacketConn, streams []net.Listener) {
	for _, p := range packets {
		_ = p.Close()
	}
	for _, s := range streams {
		_ = s.Close()
	}
}

// openRelay opens the relay of the visitors' door, whose only peer is the visitors' media socket.
func (g *gateway) openRelay(env *unit.Env, c config, visitors sight) (*relay.Server, error) {
	packets, streams, err := g.relaySockets(env, c)
	if err != nil {
		return nil, err
	}
	s, err := relay.New(relay.Config{
		Peer: visitors.peer, Media: visitors.media, Here: visitors.here, Relayed: visitors.peer.Addr(), Doors: []string{"visitor"}, Seats: c.Seats, Clock: g.clock,
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
	}, packets, streams)
	if err != nil {
		closeRelay(packets, streams)
		return nil, err
	}
	return s, nil
}
