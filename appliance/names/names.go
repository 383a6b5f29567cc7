// Package names owns what the inmates' networks may look up: the few names of the box itself, one table a network.
//
// It must not ask anybody else. A resolver on such a network would be a way out for whoever writes questions, so there is
// none: a name of the table has its address, anything else is refused.
package names

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/appliance/fault"
)

const (
	maxQuery   = 512                   // of a question without extensions (RFC 1035); our answers are 16 bytes longer at most
	keepFor    = 60                    // seconds that an answer may be kept: a box may get another address
	acceptWait = 50 * time.Millisecond // after a passing error
)

// Table is the names of one network and their IPv4 addresses. Names are in lower case and without the last dot.
type Table map[string]netip.Addr

// Server answers on one socket.
type Server struct {
	conn  net.PacketConn
	table Table
}

// New returns a server over a UDP socket, which it takes over. It returns Invalid for an address that is not of IPv4.
func New(conn net.PacketConn, table Table) (*Server, error) {
	for name, addr := range table {
		if !addr.Is4() {
			return nil, fault.Newf("names.New", fault.Invalid, "The address of %s is not of IPv4.", name)
		}
	}
	return &Server{conn: conn, table: table}, nil
}

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	buf := make([]byte, maxQuery+1)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fault.New("names.Serve", fault.Internal, "The socket was closed.").Because(err)
		case err != nil: // such as a client that is not there any more
			select {
			case <-ctx.Done():
			case <-time.After(acceptWait):
			}
			continue
		}
		if out := s.table.Answer(buf[:n]); out != nil {
			_, _ = s.conn.WriteTo(out, from) // a lost answer is asked for again
		}
	}
}

// Answer returns the answer to a message, nil when it deserves none: what is not a question, or is too long to be one of
// ours, might make two servers talk for ever.
func (t Table) Answer(query []byte) []byte {
	if len(query) > maxQuery {
		return nil
	}
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil || head.Response {
		return nil
	}
	out := dnsmessage.Header{ID: head.ID, Response: true, OpCode: head.OpCode, RecursionDesired: head.RecursionDesired}
	if head.OpCode != 0 {
		out.RCode = dnsmessage.RCodeNotImplemented
		return pack(out, nil, nil)
	}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) != 1 {
		out.RCode = dnsmessage.RCodeFormatError
		return pack(out, nil, nil)
	}
	q := questions[0]
	addr, known := t[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	switch {
	case !known || q.Class != dnsmessage.ClassINET:
		out.RCode = dnsmessage.RCodeRefused
		return pack(out, &q, nil)
	case q.Type != dnsmessage.TypeA: // the name exists and has nothing of this kind
		out.Authoritative = true
		return pack(out, &q, nil)
	}
	out.Authoritative = true
	return pack(out, &q, &dnsmessage.AResource{A: addr.As4()})
}

// pack writes an answer. The question is repeated as it was asked, capitals included: clients look whether it was.
func pack(h dnsmessage.Header, q *dnsmessage.Question, a *dnsmessage.AResource) []byte {
	m := dnsmessage.Message{Header: h}
	if q != nil {
		m.Questions = []dnsmessage.Question{*q}
	}
	if a != nil {
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: keepFor}, Body: a}}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}
