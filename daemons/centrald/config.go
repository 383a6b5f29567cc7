package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"

	"sallyport/appliance/unit"
)

// config is centrald.toml.
type config struct {
	Endpoints       []string `toml:"endpoints"` // https addresses of the central etcd
	Authority       string   `toml:"authority"`
	Certificate     string   `toml:"certificate"` // named centrald
	Key             string   `toml:"key"`
	RootCertificate string   `toml:"root_certificate"` // named root; needed to admit sites from here, may be absent
	RootKey         string   `toml:"root_key"`
	Credentials     string   `toml:"credentials"` // folder of centre-signing-key; empty: $CREDENTIALS_DIRECTORY
	Listen          string   `toml:"listen"`      // unix socket of operators
	Operators       []int    `toml:"operator_uids"`
}

// Validate names the first key that is wrong and what it should be.
func (c config) Validate() error {
	for _, k := range []struct{ name, value string }{
		{"authority", c.Authority}, {"certificate", c.Certificate}, {"key", c.Key}, {"listen", c.Listen},
	} {
		if k.value == "" {
			return unit.BadSetting(k.name, "must not be empty")
		}
	}
	if len(c.Endpoints) == 0 {
		return unit.BadSetting("endpoints", "must name at least one address of the central etcd")
	}
	for _, e := range c.Endpoints {
		if u, err := url.Parse(e); err != nil || u.Scheme != "https" || u.Port() == "" {
			return unit.BadSetting("endpoints", "must be https addresses with a port; there is no mode without TLS")
		}
	}
	if (c.RootCertificate == "") != (c.RootKey == "") {
		return unit.BadSetting("root_key", "goes with root_certificate")
	}
	return nil
}

func (c config) tls(certificate, key string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
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
