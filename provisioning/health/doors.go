package health

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"sallyport/appliance/entry"
	"sallyport/appliance/linkspec"
)

// door asks a door through its socket, as the split does for a client of this machine: header, handshake, one request.
func (b *Box) door(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		host, err := b.nameOf(name)
		if err != nil {
			return err
		}
		conn, err := b.enter(ctx, filepath.Join(b.Run, name+".sock"))
		if err != nil {
			return bad(name, "Its socket takes no connection.").Because(err)
		}
		defer conn.Close()
		// Who answers at this socket is decided by its owner; what names the certificate has, by the phase authority.
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: host, MinVersion: tls.VersionTLS12}) //nolint:gosec // see above
		if err := secure.HandshakeContext(ctx); err != nil {
			return bad(name, "It has no certificate to show.").Because(err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/api/"+name+"/session", nil)
		if err != nil {
			return err
		}
		if err := req.Write(secure); err != nil {
			return bad(name, "It takes no request.").Because(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(secure), req)
		if err != nil {
			return bad(name, "It does not answer.").Because(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)); err != nil {
			return bad(name, "It does not answer to the end.").Because(err)
		}
		// Nobody is signed in, which is an answer; anything else is not this door.
		if res.StatusCode != http.StatusUnauthorized {
			return bad(name, "It answers %d.", res.StatusCode)
		}
		return nil
	}
}

// enter connects to a socket behind the split.
func (b *Box) enter(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	here := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}
	head, err := entry.Header(here, here)
	if err == nil {
		if until, ok := ctx.Deadline(); ok {
			err = conn.SetDeadline(until)
		}
	}
	if err == nil {
		_, err = conn.Write(head)
	}
	if err != nil {
		return nil, fmt.Errorf("enter %s: %w", filepath.Base(path), firstOf(err, conn.Close()))
	}
	return conn, nil
}

func firstOf(err, _ error) error { return err }

// nameOf is the name of a door in bookingd's configuration.
func (b *Box) nameOf(door string) (string, error) {
	var all map[string]any
	if _, err := toml.DecodeFile(filepath.Join(b.Run, "bookingd.toml"), &all); err != nil {
		return "", bad(door, "The configuration of the booking service cannot be read.").Because(err)
	}
	section, _ := all[door].(map[string]any)
	origin, _ := section["origin"].(string)
	host, ok := strings.CutPrefix(origin, "https://")
	if !ok {
		return "", bad(door, "It has no name.")
	}
	return host, nil
}

// recorder: gatewayd has written and flushed where recordings are, not long ago.
func (b *Box) recorder(ctx context.Context) error {
	var text []byte
	if err := b.Link.Get(ctx, linkspec.RouteAllMetrics, &text); err != nil {
		return bad("recorder", "The booking service does not answer.").Because(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, linkspec.MetricRecorderWrites+" "); ok {
			if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && n == 1 {
				return nil
			}
			return bad("recorder", "Recordings cannot be written.")
		}
	}
	return bad("recorder", "The gateway has not told yet.")
}

// mediaSocket is what gatewayd.toml says of one.
type mediaSocket struct {
	Listen string `toml:"listen"`
	Device string `toml:"device"`
}

// media: each media socket answers STUN. One that is bound to a network card does not hear the box itself; that it is there
// is all that can be seen from inside.
func (b *Box) media(ctx context.Context) error {
	var cfg struct {
		Media []mediaSocket `toml:"media"`
	}
	if _, err := toml.DecodeFile(filepath.Join(b.Run, "gatewayd.toml"), &cfg); err != nil || len(cfg.Media) == 0 {
		return bad("media", "The configuration of the gateway cannot be read.").Because(err)
	}
	for _, m := range cfg.Media {
		at, err := netip.ParseAddrPort(m.Listen)
		if err != nil {
			return bad("media", "%q is no address.", m.Listen)
		}
		if m.Device != "" || at.Addr().IsUnspecified() {
			if err := bound(at.Port()); err != nil {
				return err
			}
			continue
		}
		if err := stun(ctx, at); err != nil {
			return bad("media", "Nobody answers at %s.", at).Because(err)
		}
	}
	return nil
}

// stun asks a media socket who we are. A request may be lost, even inside a machine.
func stun(ctx context.Context, at netip.AddrPort) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", at.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	request := make([]byte, 20) // a binding request without attributes: type 1, length 0, the cookie, a transaction
	request[1] = 1
	copy(request[4:], []byte{0x21, 0x12, 0xa4, 0x42})
	rand.Read(request[8:])
	for range 3 {
		if _, err = conn.Write(request); err != nil {
			return err
		}
		if err = conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		answer := make([]byte, 512)
		n, rerr := conn.Read(answer)
		if err = rerr; err != nil {
			continue
		}
		if n >= 20 && answer[0] == 1 && answer[1] == 1 && bytes.Equal(answer[4:20], request[4:20]) {
			return nil
		}
		err = fmt.Errorf("an answer of %d bytes that is none to the question", n)
	}
	return err
}

// bound looks whether somebody has a UDP port, in the kernel's own list.
func bound(port uint16) error {
	list, err := os.ReadFile("/proc/self/net/udp")
	if err != nil {
		return err
	}
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(string(list)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasSuffix(fields[1], suffix) {
			return nil
		}
	}
	return bad("media", "Nobody has the port %d.", port)
}
