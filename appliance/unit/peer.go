package unit

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
)

// PeerUID returns the user id of the process at the other end of a unix socket, as the kernel knows it. It returns
// Unauthenticated for any other connection.
func PeerUID(conn net.Conn) (int, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, fault.New("unit.PeerUID", fault.Unauthenticated, "Only programs on this machine may ask here.")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("ask who is at the other end: %w", err)
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) { cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, fmt.Errorf("ask who is at the other end: %w", err)
	}
	if cerr != nil {
		return 0, fmt.Errorf("ask who is at the other end: %w", cerr)
	}
	return int(cred.Uid), nil
}
