package linkclient

import (
	"context"
	"errors"
	"net"
	"strconv"

	"sallyport/appliance/linkspec"
)

// WayOut dials through the firewall: the box's root daemon looks whether this program may speak to the host, opens the way
// for a while and says to which addresses; exactly those are dialled.
func WayOut(host *Client) func(ctx context.Context, network, address string) (net.Conn, error) {
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
