package record

import (
	"crypto/sha256"
	"encoding/binary"
)

// Chain is the hash of a site's whole history up to one sequence; zero before the first row.
type Chain [sha256.Size]byte

// Link is the hash after one more row of the outbox. Two appliances that share a sequence and its chain share everything
// before it: that is how a clone or a restored copy is told from the original.
func (c Chain) Link(seq int64, path string, e *Envelope) Chain {
	h := sha256.New()
	h.Write(c[:])
	var n [8]byte
	number := func(v uint64) {
		binary.BigEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	number(uint64(seq))
	number(uint64(len(path)))
	h.Write([]byte(path))
	number(e.GetEpoch())
	number(e.GetVer())
	if e.GetDeleted() {
		h.Write([]byte{1})
	} else {
		h.Write([]byte{0})
	}
	sum := sha256.Sum256(e.GetSealed())
	h.Write(sum[:])
	return Chain(h.Sum(nil))
}

// ParseChain reads a chain's hash; it returns Invalid when b is not 32 bytes. Nothing stands for the zero chain.
func ParseChain(b []byte) (Chain, error) {
	if len(b) == 0 {
		return Chain{}, nil
	}
	if len(b) != sha256.Size {
		return Chain{}, invalid("record.ParseChain", "This is not a chain's hash.")
	}
	return Chain(b), nil
}
