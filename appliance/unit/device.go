package unit

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// AddressOf returns the first IPv4 address that a network interface has now, the zero address when it has none or is not
// there. It asks the kernel each time: an address that comes by DHCP may come late and may change.
func AddressOf(device string) netip.Addr {
	request, err := unix.NewIfreq(device)
	if err != nil {
		return netip.Addr{}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFADDR, request); err != nil {
		return netip.Addr{}
	}
	b, err := request.Inet4Addr()
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}
