//go:build image

package images_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// documented are the ports of each zone: everything else is dropped.
var documented = []struct {
	zone, address string
	tcp           []int
}{
	{"internet", "10.0.2.15", []int{443, 3478}},
	{"kiosk", "10.20.0.1", []int{443}},
	{"tablet", "10.21.0.1", []int{443}},
	{"staff", "10.1.30.5", []int{443}},
	{"management", "10.1.99.5", []int{443}},
}

// tempting are UDP ports on which something of a Debian machine could answer: names, DHCP, files, NetBIOS, management,
// keys, printers, plug and play, names by multicast; and the neighbours of our own.
var tempting = []int{53, 67, 68, 69, 111, 123, 137, 161, 500, 514, 631, 1900, 3478, 3479, 4500, 5353, 5355, 49999, 50000, 50001}

// scanUDP sends to the tempting ports of every zone. A dropped packet is silence; a port that is only closed says so, which
// is a finding, and so is an answer where nothing is documented.
func (c *container) scanUDP(t *testing.T) {
	open := map[string][]int{
		"internet": {3478, 50000}, "kiosk": {53, 67, 123, 50000}, "tablet": {53, 67, 123, 50000}, "staff": {50000}, "management": nil,
	}
	for _, z := range documented {
		for _, port := range tempting {
			if slices.Contains(open[z.zone], port) {
				continue
			}
			if err := c.inside(func() error { return silent(z.address, port) }); err != nil {
				t.Errorf("%s: UDP port %d: %v", z.zone, port, err)
			}
		}
	}
}

// silent sends a datagram and wants nothing back.
func silent(address string, port int) error {
	conn, err := net.Dial("udp4", net.JoinHostPort(address, fmt.Sprint(port)))
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("is anybody there?")); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond)); err != nil {
		return err
	}
	n, err := conn.Read(make([]byte, 1500))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err == nil {
		return fmt.Errorf("answers %d bytes", n)
	}
	return err
}

// scan tries every TCP port of every zone, and those of another zone from here. Every port that answers must be documented,
// and every documented one must answer.
func (c *container) scan(t *testing.T) {
	for _, z := range documented {
		began := time.Now()
		var open []int
		if err := c.inside(func() (err error) { open, err = openPorts(z.address); return err }); err != nil {
			t.Fatal(err)
		}
		t.Logf("%-10s %-12s TCP %v of 65535, %.0f s", z.zone, z.address, open, time.Since(began).Seconds())
		if !slices.Equal(open, z.tcp) {
			t.Errorf("%s: the TCP ports %v answer, want %v", z.zone, open, z.tcp)
		}
	}
}

// openPorts connects to all TCP ports of an address, many at once, and returns those that accept or refuse: a closed port
// that says so is as much a finding as an open one.
func openPorts(address string) (open []int, err error) {
	ip := net.ParseIP(address).To4()
	const batch = 4096
	for first := 1; first <= 65535; first += batch {
		var polls []unix.PollFd
		ports := map[int32]int{}
		for port := first; port < first+batch && port <= 65535; port++ {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return nil, fmt.Errorf("a socket: %w", err)
			}
			sa := &unix.SockaddrInet4{Port: port, Addr: [4]byte(ip)}
			if err := unix.Connect(fd, sa); err != nil && err != unix.EINPROGRESS {
				open = append(open, port) // refused at once
			}
			ports[int32(fd)] = port
			polls = append(polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT})
		}
		open = append(open, answered(polls, ports, 1500*time.Millisecond)...)
		for fd := range ports {
			_ = unix.Close(int(fd))
		}
	}
	slices.Sort(open)
	return slices.Compact(open), nil
}

// answered returns the ports whose connection came about or was refused in time.
func answered(polls []unix.PollFd, ports map[int32]int, within time.Duration) (open []int) {
	end := time.Now().Add(within)
	for left := time.Until(end); left > 0; left = time.Until(end) {
		n, err := unix.Poll(polls, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			return open
		}
		if n <= 0 {
			continue
		}
		polls = slices.DeleteFunc(polls, func(p unix.PollFd) bool {
			if p.Revents == 0 {
				return false
			}
			open = append(open, ports[p.Fd])
			return true
		})
	}
	return open
}
