package images_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
)

// patience is how long one answer may take on an emulated processor.
const patience = 2 * time.Minute

// dialer reaches a door, whatever its name resolves to here.
type dialer func(ctx context.Context) (net.Conn, error)

// newDoor makes a door that is reached by dial and believed only when the appliance's own authority says who it is.
func newDoor(t *testing.T, name, origin string, dial dialer, roots *x509.CertPool) doortest.Door {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return doortest.Door{Name: name, Origin: origin, Client: &http.Client{Transport: transport}, Patience: patience}
}

// at dials an address of this machine that is asked for at each connection: after a restart it may be another.
func at(address func() string) dialer {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address())
	}
}
