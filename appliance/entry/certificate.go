package entry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
)

// lookEvery is how often a file may be looked at for another certificate.
const lookEvery = 10 * time.Second

// Certificate is a PEM file of one or more chains, each with its key, which may be replaced while it is in use. A
// client gets the first chain that is for the name it asks for; a facility may bring a certificate for the internet's
// names of a door and have its own authority vouch for the others.
type Certificate struct {
	path  string
	clock clock.Clock
	log   *slog.Logger

	mu     sync.Mutex // guards the rest
	looked time.Duration
	stamp  stamp
	pairs  []tls.Certificate // never empty
}

// stamp tells one content of a file from another without reading it.
type stamp struct {
	at   time.Time
	size int64
}

// OpenCertificate reads a credential. It returns Invalid, naming it, when it is missing or holds no chain with its key.
func OpenCertificate(path string, c clock.Clock, log *slog.Logger) (*Certificate, error) {
	cert := &Certificate{path: path, clock: c, log: log, looked: c.Boot()}
	if err := cert.load(); err != nil {
		return nil, err
	}
	return cert, nil
}

// load reads the file. c.mu is held, or nobody else knows c.
func (c *Certificate) load() error {
	bad := func(why string) *fault.Error {
		return fault.Newf("entry.OpenCertificate", fault.Invalid, "The credential %s %s.", filepath.Base(c.path), why).WithCode("config.credential")
	}
	info, err := os.Stat(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return bad("is missing")
	}
	if err != nil {
		return fmt.Errorf("read a certificate: %w", err)
	}
	text, err := os.ReadFile(c.path)
	if err != nil {
		return fmt.Errorf("read a certificate: %w", err)
	}
	found, err := pairs(text)
	if err != nil {
		return bad("does not hold a certificate with its key in PEM").Because(err)
	}
	c.pairs, c.stamp = found, stamp{info.ModTime(), info.Size()}
	return nil
}

// get returns the certificate of the moment for a client. A new file that cannot be read changes nothing: the old one serves on.
func (c *Certificate) get(client *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock.Boot(); now-c.looked >= lookEvery {
		c.looked = now
		if info, err := os.Stat(c.path); err == nil && (stamp{info.ModTime(), info.Size()}) != c.stamp {
			if err := c.load(); err != nil {
				c.log.Error("a new certificate cannot be used", "op", "entry.certificate", "credential", filepath.Base(c.path), "err", err)
			}
		}
	}
	for i := range c.pairs {
		if len(c.pairs) > 1 && client.SupportsCertificate(&c.pairs[i]) == nil {
			return &c.pairs[i], nil
		}
	}
	return &c.pairs[0], nil
}

// config is TLS 1.3, or 1.2 with ciphers that authenticate, and HTTP/1.1 or a protocol without a name.
func (c *Certificate) config() *tls.Config {
	return &tls.Config{
		GetCertificate: c.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
}
