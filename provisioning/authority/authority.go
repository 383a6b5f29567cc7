// Package authority owns the certificates that a facility makes for itself: a certificate authority that may sign for this
// box's own names and nothing else, and the leaves of its doors.
//
// It must not know files, doors or the site file: names and the time are arguments. The key of the authority is made once.
// Its certificate is made again, over the same key, when the names that it may sign for change; who trusts the key by the
// certificate's fingerprint is asked again then, and that is right, because they trust it for other names now.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/appliance/fault"
)

const (
	// LeafLife is how long a leaf is good; browsers refuse much longer ones.
	LeafLife = 90 * 24 * time.Hour
	// RenewBefore is how much of its life a leaf has left when it is made again: a box that is off for a month comes back
	// with good certificates.
	RenewBefore = 30 * 24 * time.Hour
	// life of the authority itself.
	life = 10 * 365 * 24 * time.Hour
	// backdate lets a station whose clock is behind accept a fresh certificate.
	backdate = 24 * time.Hour
)

// Names are what a certificate is for.
type Names struct {
	DNS []string
	IP  []netip.Addr
}

// Norm returns the names in one order, each once.
func (n Names) Norm() Names {
	out := Names{}
	for _, d := range n.DNS {
		if d = strings.ToLower(strings.TrimSuffix(d, ".")); d != "" {
			out.DNS = append(out.DNS, d)
		}
	}
	out.IP = slices.Clone(n.IP)
	slices.Sort(out.DNS)
	slices.SortFunc(out.IP, netip.Addr.Compare)
	out.DNS, out.IP = slices.Compact(out.DNS), slices.Compact(out.IP)
	return out
}

// Equal tells whether both are for the same.
func (n Names) Equal(o Names) bool {
	n, o = n.Norm(), o.Norm()
	return slices.Equal(n.DNS, o.DNS) && slices.Equal(n.IP, o.IP)
}

// Authority signs leaves.
type Authority struct {
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewKey makes the key of an authority or a leaf, in PEM.
func NewKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// New makes the authority's certificate over its key, for these names only. organisation stands in it, so that a person who
// installs it sees whose it is.
func New(keyPEM []byte, organisation string, names Names, now time.Time) (*Authority, error) {
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	names = names.Norm()
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{organisation}, CommonName: "Sallyport local authority"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: names.DNS,
	}
	for _, ip := range names.IP {
		t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())})
	}
	if len(names.IP) == 0 {
		// Without a permitted range any address would do; this one belongs to nobody.
		t.PermittedIPRanges = []*net.IPNet{{IP: net.IPv4(192, 0, 2, 0).To4(), Mask: net.CIDRMask(32, 32)}}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: cert, key: key}, nil
}

// Open reads an authority from its files. Invalid when the two do not belong together or are not whole.
func Open(certPEM, keyPEM []byte) (*Authority, error) {
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, broken("The certificate of the local authority cannot be read.")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, broken("The certificate of the local authority cannot be read.").Because(err)
	}
	if pub, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(key.Public()) {
		return nil, broken("Key and certificate of the local authority do not belong together.")
	}
	return &Authority{Certificate: cert, key: key}, nil
}

// PEM is the certificate for handing out.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
}

// Names are those that the authority may sign for.
func (a *Authority) Names() Names {
	n := Names{DNS: a.Certificate.PermittedDNSDomains}
	for _, r := range a.Certificate.PermittedIPRanges {
		if ip, ok := netip.AddrFromSlice(r.IP); ok && ip.String() != "192.0.2.0" {
			n.IP = append(n.IP, ip)
		}
	}
	return n.Norm()
}

// Good tells whether the authority will do for these names for as long as a leaf that it signs now.
func (a *Authority) Good(names Names, now time.Time) bool {
	c := a.Certificate
	return a.Names().Equal(names) && !now.Before(c.NotBefore) && now.Add(LeafLife).Before(c.NotAfter)
}

// Leaf signs a new certificate with a key of its own and returns chain and key in one PEM text. The authority's own
// certificate goes along: devices that pin it by fingerprint find it there.
func (a *Authority) Leaf(names Names, now time.Time) ([]byte, error) {
	names = names.Norm()
	if len(names.DNS)+len(names.IP) == 0 {
		return nil, fault.New("authority.Leaf", fault.Internal, "A certificate needs a name.")
	}
	keyPEM, err := NewKey()
	if err != nil {
		return nil, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), NotBefore: now.Add(-backdate), NotAfter: now.Add(LeafLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: names.DNS,
	}
	if len(names.DNS) > 0 && len(names.DNS[0]) <= 64 {
		t.Subject.CommonName = names.DNS[0]
	}
	for _, ip := range names.IP {
		t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.Certificate, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return slices.Concat(text, a.PEM(), keyPEM), nil
}

// Signed tells whether a leaf's text is whole, by this authority, for these names, and good for long enough.
func (a *Authority) Signed(text []byte, names Names, now time.Time) bool {
	leaf, ok := parseLeaf(text)
	if !ok || now.Before(leaf.NotBefore) || !now.Add(RenewBefore).Before(leaf.NotAfter) {
		return false
	}
	has := Names{DNS: leaf.DNSNames}
	for _, ip := range leaf.IPAddresses {
		if at, ok := netip.AddrFromSlice(ip); ok {
			has.IP = append(has.IP, at.Unmap())
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now})
	return err == nil && has.Equal(names)
}

// Expires is when the first certificate of a text ends; false when the text is not whole.
func Expires(text []byte) (time.Time, bool) {
	leaf, ok := parseLeaf(text)
	if !ok {
		return time.Time{}, false
	}
	return leaf.NotAfter, true
}

// Fingerprint is the SHA-256 of a certificate as people compare it: pairs of hex digits with colons.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	pairs := make([]string, len(sum))
	const digits = "0123456789ABCDEF"
	for i, b := range sum {
		pairs[i] = string([]byte{digits[b>>4], digits[b&15]})
	}
	return strings.Join(pairs, ":")
}

// parseLeaf reads the first certificate of a text whose key belongs to it.
func parseLeaf(text []byte) (*x509.Certificate, bool) {
	var leaf *x509.Certificate
	var key *ecdsa.PrivateKey
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE" && leaf == nil:
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, false
			}
			leaf = c
		case block.Type == "PRIVATE KEY":
			k, err := parseKey(pem.EncodeToMemory(block))
			if err != nil {
				return nil, false
			}
			key = k
		}
	}
	if leaf == nil || key == nil {
		return nil, false
	}
	pub, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	return leaf, ok && pub.Equal(key.Public())
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, broken("The key of the local authority cannot be read.")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, broken("The key of the local authority cannot be read.") // the cause would show part of it
	}
	return key, nil
}

func broken(msg string) *fault.Error {
	return fault.New("authority.Open", fault.Invalid, msg).WithCode("authority.broken")
}

// serial is a random number of 127 bits, as the rules for certificates want it.
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}
