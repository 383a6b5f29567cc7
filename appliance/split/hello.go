package split

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
)

// maxHello is how much of a connection is read before it is known where it goes.
const maxHello = 16 << 10

var (
	errLong  = errors.New("split: the greeting is too long")
	errStop  = errors.New("split: that suffices")
	errHello = errors.New("split: not a greeting of TLS")
)

// hello reads a ClientHello, in however many records and segments it comes. It returns the name that is asked for, in
// lower case and "" when there is none, and every byte that was read.
//
// The standard library parses it, up to the point where it would choose a certificate. What it wants to answer is thrown
// away: TLS does not end here, and there is no key.
func hello(c net.Conn) (name string, read []byte, err error) {
	p := &peek{Conn: c}
	understood := false
	conf := &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			name, understood = strings.ToLower(h.ServerName), true
			return nil, errStop
		},
		MinVersion: tls.VersionTLS12,
	}
	err = tls.Server(p, conf).Handshake()
	switch {
	case understood:
		return name, p.read, nil
	case err == nil:
		return "", nil, errHello
	}
	return "", nil, err
}

// peek keeps what is read from a connection, and writes nothing.
type peek struct {
	net.Conn
	read []byte
}

// Read reads up to the limit.
func (p *peek) Read(b []byte) (int, error) {
	room := maxHello - len(p.read)
	if room <= 0 {
		return 0, errLong
	}
	n, err := p.Conn.Read(b[:min(len(b), room)])
	p.read = append(p.read, b[:n]...)
	if err == nil && n == 0 {
		err = io.ErrNoProgress
	}
	return n, err
}

// Write drops what is written.
func (p *peek) Write(b []byte) (int, error) { return len(b), nil }

// alert is the fatal answer to a name that nobody here has: unrecognized_name.
func alert() []byte { return []byte{21, 3, 3, 0, 2, 2, 112} }
