package phases

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning"
	"sallyport/provisioning/authority"
)

// The files of the local authority. The certificate is handed out, the key never leaves the box.
const (
	authorityKey  = "authority.key"
	authorityCert = "authority.crt"
)

// given maps each file of certificates/ on a stick to the names that it has to be for.
const (
	givenInternet   = "internet"
	givenStaff      = "staff"
	givenManagement = "management"
)

// TLSNames are the credentials of the doors that end TLS: each is chain and key in one file, and each always exists, so that
// no daemon has to wait for a site file.
func TLSNames() []string {
	return []string{"tls-visitor", "tls-kiosk", "tls-staff", "tls-setup", "tls-media", "tls-turn"}
}

// credential is what one tls-* file has to hold: leaves of the local authority for some names, certificates that were
// brought for others.
type credential struct {
	name  string
	local authority.Names
	given string // "": none
}

// wanted is what the tls-* files must be for: the site's names, or before there is a site the name of the box.
func (m *Machine) wanted() (owner string, all []credential, err error) {
	host, err := m.HostName()
	if err != nil {
		return "", nil, err
	}
	site, err := m.Ruling()
	if err != nil {
		m.Log.Error("the site file cannot be read; certificates are for the name of the box", "op", "phases.authority", "err", err)
	}
	if site == nil {
		for _, name := range TLSNames() {
			all = append(all, credential{name: name, local: authority.Names{DNS: []string{host}}})
		}
		return host, all, nil
	}
	names := site.Names()
	for _, name := range TLSNames() {
		c := credential{name: name, local: authority.Names{DNS: names[name]}}
		if name == "tls-setup" {
			c.local.DNS = append(c.local.DNS, host)
			c.local.IP = fixed(site.Zones.Management.Address)
		}
		m.addGiven(site, &c)
		c.local = c.local.Norm()
		all = append(all, c)
	}
	return site.Facility.Name, all, nil
}

// addGiven uses a certificate that the facility brought where the site file says so and it is good. Where it is not, the
// local one serves: a page with a warning is better than none, and the phase says what is wrong.
func (m *Machine) addGiven(site *provisioning.Site, c *credential) {
	for _, g := range m.brought(site) {
		if g.err == nil && slices.Contains(g.credentials, c.name) {
			c.given = g.file
			c.local.DNS = slices.DeleteFunc(slices.Clone(c.local.DNS), func(n string) bool { return slices.Contains(g.names, n) })
		}
	}
}

// bring is one certificate that the site file says the facility brings.
type bring struct {
	file        string
	names       []string
	credentials []string
	err         error
}

func (m *Machine) brought(site *provisioning.Site) []bring {
	var all []bring
	z := site.Zones
	for _, b := range []struct {
		how string
		bring
	}{
		{z.Internet.Certificate, bring{
			file: givenInternet, names: []string{z.Internet.SiteName, z.Internet.MediaName, z.Internet.TURNName},
			credentials: []string{"tls-visitor", "tls-media", "tls-turn"},
		}},
		{z.Staff.Certificate, bring{
			file: givenStaff, names: []string{z.Staff.Name, site.StaffMedia()}, credentials: []string{"tls-staff", "tls-media"},
		}},
		{z.Management.Certificate, bring{file: givenManagement, names: []string{z.Management.Name}, credentials: []string{"tls-setup"}}},
	} {
		if b.how != "file" {
			continue
		}
		text, err := os.ReadFile(m.secret("given-" + b.file))
		if errors.Is(err, os.ErrNotExist) {
			err = fault.New("phases.authority", fault.NotFound, "it is not there")
		}
		if err == nil {
			err = authority.Given(text, b.names, m.Clock.Now())
		}
		b.bring.err = err
		all = append(all, b.bring)
	}
	return all
}

// fixed are the addresses that do not come from somebody else's server.
func fixed(address []string) []netip.Addr {
	var all []netip.Addr
	for _, a := range address {
		if p, err := netip.ParsePrefix(a); err == nil {
			all = append(all, p.Addr())
		}
	}
	return all
}

// scope is every name of the local leaves: what the authority may sign for.
func scope(all []credential) authority.Names {
	var n authority.Names
	for _, c := range all {
		n.DNS, n.IP = append(n.DNS, c.local.DNS...), append(n.IP, c.local.IP...)
	}
	return n.Norm()
}

func authorityDone(_ context.Context, m *Machine) (string, error) {
	_, all, err := m.wanted()
	if err != nil {
		return "", err
	}
	now := m.Clock.Now()
	a, err := m.openAuthority()
	if err != nil || !a.Good(scope(all), now) {
		return "", missing(Authority, "The local authority is not made yet.")
	}
	first := now.Add(authority.LeafLife)
	for _, c := range all {
		ends, ok := m.holds(a, c, now)
		if !ok {
			return "", missing(Authority, "The certificate %s is missing, or has less than %d days left.", c.name, int(authority.RenewBefore.Hours()/24))
		}
		if ends.Before(first) {
			first = ends
		}
	}
	out, err := os.ReadFile(m.site(authorityCert))
	if err != nil || !bytes.Equal(out, a.PEM()) {
		return "", missing(Authority, "The certificate of the authority is not handed out yet.")
	}
	says := fmt.Sprintf("fingerprint %s, certificates good until %s", authority.Fingerprint(a.Certificate), first.Format(time.DateOnly))
	if wrong := m.wrongGiven(); wrong != "" {
		return "", fault.New("phases.authority", fault.TooSoon, wrong).WithCode("authority.given").WithParam("lines", wrong)
	}
	return says, nil
}

// wrongGiven says which certificates of the facility are not used and why.
func (m *Machine) wrongGiven() string {
	site, err := m.Ruling()
	if err != nil || site == nil {
		return ""
	}
	var wrong []string
	for _, b := range m.brought(site) {
		if b.err != nil {
			wrong = append(wrong, fmt.Sprintf("certificates/%s.pem on the seed stick: %s; until then the local authority signs", b.file, Words(b.err)))
		}
	}
	return strings.Join(wrong, ". ")
}

// openAuthority reads the authority from its files.
func (m *Machine) openAuthority() (*authority.Authority, error) {
	key, err := os.ReadFile(m.secret(authorityKey))
	if err != nil {
		return nil, err
	}
	cert, err := os.ReadFile(m.secret(authorityCert))
	if err != nil {
		return nil, err
	}
	return authority.Open(cert, key)
}

// holds tells whether a tls-* file holds what it should, and until when.
func (m *Machine) holds(a *authority.Authority, c credential, now time.Time) (time.Time, bool) {
	info, err := os.Stat(m.secret(c.name))
	if err != nil || info.Mode().Perm() != secretMode {
		return time.Time{}, false
	}
	text, err := os.ReadFile(m.secret(c.name))
	if err != nil {
		return time.Time{}, false
	}
	if c.given != "" {
		own, err := os.ReadFile(m.secret("given-" + c.given))
		if err != nil {
			return time.Time{}, false
		}
		rest, ok := bytes.CutPrefix(text, own)
		if !ok || len(c.local.DNS) == 0 {
			ends, read := authority.Expires(own)
			return ends, ok && read && len(rest) == 0
		}
		text = rest
	}
	ends, ok := authority.Expires(text)
	return ends, ok && a.Signed(text, c.local, now)
}

func authorityDo(_ context.Context, m *Machine) error {
	if err := m.folders(); err != nil {
		return err
	}
	owner, all, err := m.wanted()
	if err != nil {
		return err
	}
	now := m.Clock.Now()
	a, err := m.makeAuthority(owner, scope(all), now)
	if err != nil {
		return err
	}
	for _, c := range all {
		if _, ok := m.holds(a, c, now); ok {
			continue
		}
		var text []byte
		if c.given != "" {
			if text, err = os.ReadFile(m.secret("given-" + c.given)); err != nil {
				return err
			}
		}
		if len(c.local.DNS)+len(c.local.IP) > 0 {
			leaf, err := a.Leaf(c.local, now)
			if err != nil {
				return err
			}
			text = append(text, leaf...)
		}
		if err := m.Disk.Write(m.secret(c.name), text, secretMode); err != nil {
			return err
		}
	}
	return m.Disk.Write(m.site(authorityCert), a.PEM(), 0o644)
}

// makeAuthority returns the authority for these names; its key is made once, its certificate anew when the names change.
func (m *Machine) makeAuthority(owner string, names authority.Names, now time.Time) (*authority.Authority, error) {
	if a, err := m.openAuthority(); err == nil && a.Good(names, now) {
		return a, nil
	}
	key, err := os.ReadFile(m.secret(authorityKey))
	var a *authority.Authority
	if err == nil {
		a, err = authority.New(key, owner, names, now)
	}
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			m.Log.Error("the local authority is made anew; its stations must be told", "op", "phases.authority", "err", err)
		}
		if key, err = authority.NewKey(); err != nil {
			return nil, err
		}
		if err := m.Disk.Write(m.secret(authorityKey), key, secretMode); err != nil {
			return nil, err
		}
		if a, err = authority.New(key, owner, names, now); err != nil {
			return nil, err
		}
	}
	return a, m.Disk.Write(m.secret(authorityCert), a.PEM(), secretMode)
}
