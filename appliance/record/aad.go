package record

import (
	"crypto/sha256"
	"encoding/binary"

	"google.golang.org/protobuf/proto"
)

// Bytes is the fence as it stands in etcd: 8 bytes epoch, 16 bytes incarnation.
func (f Fence) Bytes() []byte {
	return append(binary.BigEndian.AppendUint64(nil, f.Epoch), f.Incarnation[:]...)
}

// ParseFence reads a fence; it returns Invalid when b is not 24 bytes.
func ParseFence(b []byte) (Fence, error) {
	if len(b) != 24 {
		return Fence{}, invalid("record.ParseFence", "This is not a fence.")
	}
	return Fence{Epoch: binary.BigEndian.Uint64(b), Incarnation: [16]byte(b[8:])}, nil
}

// AAD returns the bytes that bind a ciphertext to its place and version. Each field carries its length, so that no two
// different envelopes have the same bytes.
func AAD(path string, e *Envelope) []byte {
	b := append(make([]byte, 0, 256), "sallyport/record/1"...)
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	text(path)
	b = binary.AppendUvarint(b, uint64(e.GetMajor()))
	b = binary.AppendUvarint(b, uint64(e.GetMinor()))
	text(e.GetType())
	text(e.GetId())
	text(e.GetOwner())
	b = binary.AppendUvarint(b, e.GetEpoch())
	b = binary.AppendUvarint(b, e.GetVer())
	if e.GetDeleted() {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendVarint(b, e.GetDeletedMs())
	text(e.GetCmd())
	text(e.GetKeyId())
	return b
}

// Signed returns the bytes that an envelope's signature covers: its binding and its ciphertext.
func Signed(path string, e *Envelope) []byte {
	sum := sha256.Sum256(e.GetSealed())
	return append(append([]byte("sallyport/envelope/1\x00"), AAD(path, e)...), sum[:]...)
}

// SignedCursor returns the bytes that a cursor's signature covers. The resync's progress is syncd's own and is left out.
func SignedCursor(site string, c *Cursor) []byte {
	b := append([]byte("sallyport/cursor/1\x00"), byte(len(site)))
	b = append(b, site...)
	b = binary.BigEndian.AppendUint64(b, c.GetEpoch())
	b = binary.BigEndian.AppendUint64(b, uint64(c.GetSeq()))
	b = binary.AppendUvarint(b, uint64(len(c.GetIncarnation())))
	b = append(b, c.GetIncarnation()...)
	return append(b, c.GetChain()...)
}

// Marshal returns the canonical bytes of a message: the same message always gives the same bytes.
func Marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// Decode reads a message of the centre's or a site's making: size and nesting are checked before anything is allocated.
func Decode(raw []byte, m proto.Message) error { return decode(raw, m) }

// DecodeEnvelope reads an envelope and checks its shape against the path it was found under. It returns Invalid, with the
// code sync.schema when the envelope is of a newer major version.
func DecodeEnvelope(path string, raw []byte) (*Envelope, Key, error) {
	_, _, k, err := ParsePath(path)
	if err != nil {
		return nil, Key{}, err
	}
	e := &Envelope{}
	if err := decode(raw, e); err != nil {
		return nil, k, err
	}
	switch {
	case e.GetMajor() > Major:
		return nil, k, invalid("record.DecodeEnvelope", "This record needs an update of this appliance.").WithCode("sync.schema")
	case e.GetMajor() == 0, Type(e.GetType()) != k.Type, e.GetId() != k.ID:
		return nil, k, invalid("record.DecodeEnvelope", "The record does not belong under its key.").WithCode("sync.key")
	case len(e.GetSealed()) > MaxSealed, e.GetVer() == 0:
		return nil, k, invalid("record.DecodeEnvelope", "The record is out of bounds.").WithCode("sync.bounds")
	}
	return e, k, nil
}

func decode(raw []byte, m proto.Message) error {
	if len(raw) > MaxEnvelope {
		return invalid("record.Decode", "The record is too large.").WithCode("sync.bounds")
	}
	opts := proto.UnmarshalOptions{RecursionLimit: MaxNesting}
	if err := opts.Unmarshal(raw, m); err != nil {
		return invalid("record.Decode", "The record is damaged.").WithCode("sync.damaged").Because(err)
	}
	return nil
}

// block is what plaintexts are padded to, so that lengths tell little.
const block = 64

// Pad returns a plaintext padded to the next block: a one bit, then zeros.
func Pad(plain []byte) []byte {
	n := (len(plain)/block + 1) * block
	out := make([]byte, n)
	copy(out, plain)
	out[len(plain)] = 0x80
	return out
}

// Unpad removes the padding; it returns Invalid when there is none.
func Unpad(padded []byte) ([]byte, error) {
	i := len(padded) - 1
	for i >= 0 && padded[i] == 0 {
		i--
	}
	if i < 0 || padded[i] != 0x80 {
		return nil, invalid("record.Unpad", "The record is damaged.").WithCode("sync.damaged")
	}
	return padded[:i], nil
}
