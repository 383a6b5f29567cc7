package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"sallyport/appliance/ident"
	"sallyport/appliance/unit"
)

// config is syncd.toml. The private key is a credential, never part of it.
type config struct {
	Site        string   `toml:"site"`      // the facility's id at the centre; the certificate's name is site-<id>
	Link        string   `toml:"link"`      // bookingd's socket
	Endpoints   []string `toml:"endpoints"` // https addresses of the central etcd, all members
	Authority   string   `toml:"authority"` // PEM of who issues the centre's certificates
	Certificate string   `toml:"certificate"`
	Key         string   `toml:"key"` // empty: the credential sync-key
}

// Validate names the first key that is wrong and what it should be.
func (c config) Validate() error {
	if _, err := ident.Parse[ident.Facility](c.Site); err != nil {
		return unit.BadSetting("site", "must be the facility's id, as the setup page shows it")
	}
	for _, k := range []struct{ name, value string }{{"link", c.Link}, {"authority", c.Authority}, {"certificate", c.Certificate}} {
		if k.value == "" {
			return unit.BadSetting(k.name, "must not be empty")
		}
	}
	if len(c.Endpoints) == 0 {
		return unit.BadSetting("endpoints", "must name at least one address of the central etcd")
	}
	for _, e := range c.Endpoints {
		u, err := url.Parse(e)
		if err != nil || u.Scheme != "https" || u.Port() == "" {
			return unit.BadSetting("endpoints", "must be https addresses with a port; there is no mode without TLS")
		}
		if _, _, err := net.SplitHostPort(u.Host); err != nil {
			return unit.BadSetting("endpoints", "must be https addresses with a port")
		}
	}
	return nil
}

// tls loads the site's certificate and the centre's authority.
func (c config) tls(credentials string) (*tls.Config, error) {
	key := c.Key
	if key == "" {
		key = filepath.Join(credentials, "sync-key")
	}
	pair, err := tls.LoadX509KeyPair(c.Certificate, key)
	if err != nil {
		return nil, unit.BadSetting("certificate", "and its key cannot be read").Because(err)
	}
	pem, err := os.ReadFile(c.Authority)
	if err != nil {
		return nil, unit.BadSetting("authority", "cannot be read").Because(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, unit.BadSetting("authority", "holds no certificate")
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}
