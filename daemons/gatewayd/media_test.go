package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"sallyport/appliance/clock"
	"sallyport/appliance/sfu"
	"sallyport/appliance/unit"
)

// The visitors' socket hears on whatever address its interface gets; those of inner zones, on the same port, keep their own.
func TestMediaOfAnInterfaceBesideMediaOfAddresses(t *testing.T) {
	_, port, err := net.SplitHostPort(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := defaults()
	cfg.Media = []mediaConfig{
		{Doors: []string{"visitor"}, Listen: "0.0.0.0:" + port, Device: "lo"},
		{Doors: []string{"kiosk", "staff"}, Listen: "127.0.0.2:" + port},
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	zones, visitors, err := cfg.zones(unit.NewEnv("gatewayd", nil, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	local := netip.MustParseAddrPort("127.0.0.1:" + port)
	if visitors.media != local || visitors.here() != local.Addr() || visitors.peer.Port() != local.Port() {
		t.Errorf("the relay sees %v and %v, want %v", visitors.media, visitors.here(), local)
	}
	path, err := sfu.NewPionPath(clock.Real{}, zones...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(path.Shut)
	for _, at := range []string{"127.0.0.1", "127.0.0.2"} {
		if err := askSTUN(net.JoinHostPort(at, port)); err != nil {
			t.Errorf("media at %s: %v", at, err)
		}
	}
}

// askSTUN asks a media port whether it is there.
func askSTUN(at string) error {
	c, err := net.Dial("udp4", at)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw); err != nil {
		return err
	}
	b := make([]byte, 1500)
	n, err := c.Read(b)
	if err != nil {
		return err
	}
	m := stun.Message{Raw: b[:n]}
	if err := m.Decode(); err != nil || m.Type != stun.BindingSuccess {
		return fmt.Errorf("answered %v, %w", m.Type, err)
	}
	return nil
}
