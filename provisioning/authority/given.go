package authority

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"sallyport/appliance/fault"
)

// Given looks at a certificate that the facility brought: chain and key in one PEM text. Invalid says what is wrong with it
// in words for whoever brought it. Whether browsers trust it is not asked: that depends on them.
func Given(text []byte, names []string, now time.Time) error {
	refuse := func(format string, args ...any) error {
		return fault.New("authority.Given", fault.Invalid, fmt.Sprintf(format, args...)).WithCode("authority.given")
	}
	var chain, key []byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			chain = append(chain, pem.EncodeToMemory(block)...)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if key != nil {
				return refuse("it holds more than one key; bring one certificate with its chain and its key in each file")
			}
			key = pem.EncodeToMemory(block)
		}
	}
	switch {
	case chain == nil:
		return refuse("it holds no certificate in PEM")
	case key == nil:
		return refuse("it holds no key in PEM; an encrypted one cannot be used")
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return refuse("certificate and key do not belong together; the box's own certificate comes first, then its chain")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return refuse("its first certificate cannot be read")
	}
	for _, name := range names {
		if leaf.VerifyHostname(name) != nil {
			return refuse("it is not for %s; it is for %s", name, strings.Join(leaf.DNSNames, ", "))
		}
	}
	switch {
	case now.After(leaf.NotAfter):
		return refuse("it ended on %s", leaf.NotAfter.Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		return refuse("it begins on %s; look at the clock of this machine as well", leaf.NotBefore.Format(time.DateOnly))
	}
	return nil
}
