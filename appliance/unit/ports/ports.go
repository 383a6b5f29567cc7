// Package ports hands out port numbers to programs that are started a moment later, for the evaluation and for tests.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Numbers lie below the range from which the kernel takes the ports of outgoing connections, so that none of those can sit
// on one between the choice and the start of the program that it is for.
const (
	lowest  = 20_000
	highest = 32_000
	tries   = 1_000
)

var (
	mu   sync.Mutex // guards mine
	mine []net.Listener
)

// Take returns a number whose TCP and UDP ports are free at every IPv4 address of this machine. Until this process ends no
// other one gets it from Take, whether something listens there yet, no longer, or never.
func Take() (int, error) {
	for range tries {
		n := lowest + rand.IntN(highest-lowest)
		// To see that a port is free does not keep it free. A name in the kernel does, among all who ask for it; it lives in
		// the same network namespace as the port and goes with the process, however that ends.
		claim, err := net.Listen("unix", "@sallyport-port-"+strconv.Itoa(n))
		if err != nil {
			continue
		}
		if !free(n) {
			_ = claim.Close()
			continue
		}
		mu.Lock()
		mine = append(mine, claim)
		mu.Unlock()
		return n, nil
	}
	return 0, fmt.Errorf("no free port between %d and %d", lowest, highest)
}

func free(n int) bool {
	at := net.JoinHostPort("0.0.0.0", strconv.Itoa(n))
	l, err := net.Listen("tcp4", at)
	if err != nil {
		return false
	}
	defer l.Close()
	c, err := net.ListenPacket("udp4", at)
	if err != nil {
		return false
	}
	defer c.Close()
	return true
}
