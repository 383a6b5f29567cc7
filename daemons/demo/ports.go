package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"strconv"
	"syscall"

	spare "sallyport/appliance/unit/ports"
)

// port is one address of the evaluation and the flag that moves it.
type port struct {
	name    string // of the flag
	network string // tcp, udp, both
	number  *int
	what    string
}

// ports are the addresses of the evaluation; all of them on the loopback interface.
type ports struct {
	visitor, kiosk, staff, setup   int
	signaling, media, turn         int
	mailbox, smtp, etcd, etcdPeers int
}

func (p *ports) flags(fs *flag.FlagSet) []port {
	list := []port{
		{"visitor-port", "tcp", &p.visitor, "the visitors' pages"},
		{"kiosk-port", "tcp", &p.kiosk, "the kiosk"},
		{"staff-port", "tcp", &p.staff, "the staff console"},
		{"setup-port", "tcp", &p.setup, "set-up and health"},
		{"signaling-port", "tcp", &p.signaling, "signaling of calls"},
		{"media-port", "udp", &p.media, "media of calls"},
		{"turn-port", "both", &p.turn, "the relay"},
		{"mailbox-port", "tcp", &p.mailbox, "the mailbox page"},
		{"smtp-port", "tcp", &p.smtp, "the mail server"},
		{"etcd-port", "tcp", &p.etcd, "the central etcd"},
		{"etcd-peer-port", "tcp", &p.etcdPeers, "peers of the central etcd"},
	}
	defaults := []int{8080, 8081, 8082, 8083, 8090, 50000, 13478, 8025, 8026, 12379, 12380}
	for i := range list {
		fs.IntVar(list[i].number, list[i].name, defaults[i], "port of "+list[i].what)
	}
	return list
}

// check finds out before anything starts whether every port is free, and names the port and the flag when one is not.
func check(list []port) error {
	var wrong []error
	for _, p := range list {
		if err := free(p.network, *p.number); err != nil {
			if errors.Is(err, syscall.EADDRINUSE) {
				err = fmt.Errorf("port %d (%s) is in use: stop the other program, or choose another port with -%s", *p.number, p.what, p.name)
			}
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

func free(network string, number int) error {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(number))
	if network != "tcp" {
		c, err := net.ListenPacket("udp4", addr)
		if err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	if network != "udp" {
		l, err := net.Listen("tcp4", addr)
		if err != nil {
			return err
		}
		return l.Close()
	}
	return nil
}

// choose gives every port a number of its own, for tests that run beside other copies.
func choose(list []port) (err error) {
	for _, p := range list {
		if *p.number, err = spare.Take(); err != nil {
			return fmt.Errorf("%s: %w", p.what, err)
		}
	}
	return nil
}
