// Package egress owns the way out of the box: which user may reach which named host, and for how long the firewall lets it.
//
// It must not know what is said there. The firewall knows addresses, the site file knows names: a user asks for a host on
// its list, the name is looked up here, its addresses go into that user's set for ten minutes, and the user connects to
// exactly those. A name that leads inside is refused, because whoever answers for a name must not open the facility's own
// networks.
package egress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/time/rate"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

// OpenFor is how long new connections may be made; what is connected stays so.
const OpenFor = 10 * time.Minute

// Limits: a list has a few hosts, and one that is open is not asked for again before long.
const (
	addressesMax = 16
	asksEach     = time.Second
	asksAtOnce   = 30
)

// rule is one line of the list that follows from the site file.
type rule struct {
	User string `toml:"user"`
	Host string `toml:"host"` // a name, or an address where it is meant as such
	Port int    `toml:"port"`
}

// Gate opens the firewall. Its fields are set once.
type Gate struct {
	List  string                                                       // file of the rules, read at each question: a new site holds at once
	Users func(uid int) (name string, ok bool)                         // who has which set
	Look  func(ctx context.Context, host string) ([]netip.Addr, error) // looks a name up
	Load  func(ctx context.Context, commands string) error             // hands commands to the firewall, all or nothing
	Log   *slog.Logger

	mu    sync.Mutex // guards asked
	asked map[int]*rate.Limiter
}

// Open lets the user with this uid out to one host. It returns Forbidden when that is not on its list, or leads inside;
// TooMany, Unavailable when nobody knows the name or the firewall does not answer.
func (g *Gate) Open(ctx context.Context, uid int, ask linkspec.EgressOpen) (linkspec.Egress, error) {
	const op = "egress.Open"
	user, ok := g.Users(uid)
	if !ok {
		return linkspec.Egress{}, fault.New(op, fault.Forbidden, "This user has no way out.").WithCode("egress.user")
	}
	if !g.admits(uid) {
		return linkspec.Egress{}, fault.New(op, fault.TooMany, "Too many questions; ask again in a second.").WithParam("retry_ms", 1000)
	}
	rules, err := g.rules()
	if err != nil {
		return linkspec.Egress{}, err
	}
	if !slices.Contains(rules, rule{User: user, Host: ask.Host, Port: ask.Port}) {
		return linkspec.Egress{}, fault.New(op, fault.Forbidden, "This host is not on the list of the site file.").WithCode("egress.host")
	}
	addrs, err := g.addresses(ctx, ask.Host)
	if err != nil {
		return linkspec.Egress{}, err
	}
	if err := g.Load(ctx, commands(user, addrs, ask.Port)); err != nil {
		return linkspec.Egress{}, fault.New(op, fault.Unavailable, "The firewall did not take the addresses.").Because(err)
	}
	out := linkspec.Egress{Seconds: int(OpenFor / time.Second)}
	for _, a := range addrs {
		out.Addresses = append(out.Addresses, a.String())
	}
	return out, nil
}

func (g *Gate) admits(uid int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = map[int]*rate.Limiter{}
	}
	if g.asked[uid] == nil {
		g.asked[uid] = rate.NewLimiter(rate.Every(asksEach), asksAtOnce)
	}
	return g.asked[uid].Allow()
}

// rules reads the list; no file is a box without a site, from which nobody goes anywhere.
func (g *Gate) rules() ([]rule, error) {
	text, err := os.ReadFile(g.List)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read who may go where: %w", err)
	}
	var list struct {
		Allow []rule `toml:"allow"`
	}
	if _, err := toml.Decode(string(text), &list); err != nil {
		return nil, fmt.Errorf("read who may go where: %w", err)
	}
	return list.Allow, nil
}

// addresses are those of a host, without any that would open more than a name on the internet should.
func (g *Gate) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	const op = "egress.addresses"
	if a, err := netip.ParseAddr(host); err == nil {
		if a = a.Unmap(); !a.IsPrivate() && !outside(a) {
			return nil, fault.New(op, fault.Forbidden, "This address is nobody's outside of the box.").WithCode("egress.inside")
		}
		return []netip.Addr{a}, nil // listed as an address: a private one is meant
	}
	found, err := g.Look(ctx, host)
	var nobody *net.DNSError
	switch {
	case errors.As(err, &nobody) || err == nil && len(found) == 0:
		return nil, fault.New(op, fault.Unavailable, "The name servers of the site file do not know this host.").WithCode("egress.name").Because(err)
	case err != nil:
		return nil, fault.New(op, fault.Unavailable, "No name server answers.").WithCode("egress.resolver").Because(err)
	}
	var good []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); outside(a) && !slices.Contains(good, a) && len(good) < addressesMax {
			good = append(good, a)
		}
	}
	if len(good) == 0 {
		return nil, fault.New(op, fault.Forbidden,
			"This name leads inside; write the address itself into the site file if it is meant.").WithCode("egress.inside")
	}
	return good, nil
}

// outside says whether an address may be somebody's on the internet.
func outside(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && a.WithZone("") == a && !slices.ContainsFunc(reserved(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// reserved are networks that a name on the internet never leads to: shared by carriers, protocol assignments, tests and
// reserved ones of IPv4; the ways of IPv6 to address an IPv4 host.
func reserved() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "fec0::/10"} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// commands puts addresses into a user's sets. Each is taken out and put in again in one step, because adding one that is
// there already would not let it stay longer.
func commands(user string, addrs []netip.Addr, port int) string {
	var b strings.Builder
	for _, a := range addrs {
		set := user + "_to4"
		if a.Is6() {
			set = user + "_to6"
		}
		member := a.String() + " . " + strconv.Itoa(port)
		long := fmt.Sprintf("{ %s timeout %ds }", member, int(OpenFor/time.Second))
		fmt.Fprintf(&b, "add element inet sallyport %s %s\n", set, long)
		fmt.Fprintf(&b, "delete element inet sallyport %s { %s }\n", set, member)
		fmt.Fprintf(&b, "add element inet sallyport %s %s\n", set, long)
	}
	return b.String()
}
