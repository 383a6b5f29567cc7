package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/notices"
	"sallyport/appliance/unit"
)

// mailPassword is the credential of the account at the mail relay.
const mailPassword = "mail-password"

// post is the way to the facility's mail relay; nil when there is none, or no password where it wants one, and mails wait:
// visits do not.
func (h *house) post(env *unit.Env) (*notices.Post, error) {
	s := h.cfg.SMTP
	if s.Host == "" {
		env.Log.Warn("there is no mail relay; mails wait", "op", "bookingd")
		return nil, nil
	}
	p := &notices.Post{Host: s.Host, Port: s.Port, TLS: s.TLS, From: s.From, Name: s.Name, Username: s.Login}
	if s.Login != "" {
		raw, err := os.ReadFile(filepath.Join(h.credentials(env), mailPassword))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, unit.BadSetting("smtp.login", "needs the credential %s", mailPassword).Because(err)
		}
		if p.Password = strings.TrimSpace(string(raw)); p.Password == "" {
			env.Log.Error("the mail relay wants a password and there is none; mails wait", "op", "bookingd", "credential", mailPassword)
			return nil, nil
		}
	}
	if s.Egress != "" {
		p.Dial = wayOut(linkclient.Dial(s.Egress))
	}
	return p, nil
}

// wayOut dials through the firewall: the box's root daemon looks whether this program may speak to the host, opens the way
// for a while and says to which addresses; exactly those are dialled.
func wayOut(host *linkclient.Client) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		name, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		var open linkspec.Egress
		if err := host.Post(ctx, linkspec.RouteEgressOpen, linkspec.EgressOpen{Host: name, Port: number}, &open); err != nil {
			return nil, err
		}
		tried := errors.New("the way out has no address")
		for _, a := range open.Addresses {
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, net.JoinHostPort(a, port))
			if err == nil {
				return conn, nil
			}
			tried = err
		}
		return nil, tried
	}
}
