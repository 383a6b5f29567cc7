package entry

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"slices"
)

var errPairs = errors.New("there is no certificate with its key")

// pairs reads the chains with their keys that are in a PEM text, in the order of the leaves. A facility may bring a
// certificate for the names that the world sees, while the box signs for those inside: both are in one file. A chain ends
// where the next leaf begins; keys may stand anywhere.
func pairs(text []byte) ([]tls.Certificate, error) {
	var certs, keys [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certs = append(certs, pem.EncodeToMemory(block))
		} else {
			keys = append(keys, pem.EncodeToMemory(block))
		}
	}
	byLeaf := make([]*tls.Certificate, len(certs))
	for _, key := range keys {
		found := false
		for i := range certs {
			if pair, err := tls.X509KeyPair(slices.Concat(certs[i:]...), key); err == nil {
				byLeaf[i], found = &pair, true
				break
			}
		}
		if !found {
			return nil, errPairs
		}
	}
	var all []tls.Certificate
	end := len(certs)
	for i, pair := range slices.Backward(byLeaf) {
		if pair == nil {
			continue
		}
		pair.Certificate = pair.Certificate[:end-i]
		all, end = append(all, *pair), i
	}
	if len(all) == 0 || end != 0 { // what stands before the first leaf belongs to nobody
		return nil, errPairs
	}
	slices.Reverse(all)
	return all, nil
}
