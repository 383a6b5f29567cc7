package linkspec

// The routes of sallyport-host, the small daemon of the box that opens ways out, on a socket of its own. Who asks is decided by the
// caller's uid, as on the link.
const (
	HostSocket      = "host.sock"
	RouteEgressOpen = "/egress/open" // POST EgressOpen -> Egress; Forbidden when the name is not on the caller's list
)

// EgressOpen asks for the way out to one host on one port. The firewall knows addresses, the rule knows names.
type EgressOpen struct {
	Host string `json:"host"` // a name, or an address where the list has it so
	Port int    `json:"port"`
}

// Egress is open for a while: to these addresses and no others.
type Egress struct {
	Addresses []string `json:"addresses"` // in the order in which to try them
	Seconds   int      `json:"seconds"`   // for how long new connections may be made
}
