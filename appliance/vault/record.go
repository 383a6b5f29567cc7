package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/record"
)

// Party is one side of replication, a site or the centre: it signs what it says and opens the keys that are wrapped to it.
type Party struct {
	sign ed25519.PrivateKey
	wrap hpke.PrivateKey
	peer Peer
}

// Peer is the public half of a [Party]; both sides pin the other's at commissioning.
type Peer struct {
	Verify ed25519.PublicKey
	Wrap   []byte
}

// DataKey seals the records of one writer, direction and quarter.
type DataKey struct {
	ID   string
	raw  []byte
	aead cipher.AEAD
}

const wrapInfo = "sallyport/data-key/1"

// NewParty derives both key pairs of a side from its secret of at least 32 bytes.
func NewParty(secret []byte) (*Party, error) {
	if len(secret) < 32 {
		return nil, fault.New("vault.NewParty", fault.Invalid, "The signing secret is shorter than 32 bytes.")
	}
	seed, err := hkdf.Key(sha256.New, secret, nil, "sallyport/party/sign", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive signing key: %w", err)
	}
	ikm, err := hkdf.Key(sha256.New, secret, nil, "sallyport/party/wrap", 32)
	if err != nil {
		return nil, fmt.Errorf("derive wrapping key: %w", err)
	}
	wrap, err := hpke.MLKEM768X25519().DeriveKeyPair(ikm)
	if err != nil {
		return nil, fmt.Errorf("derive wrapping key: %w", err)
	}
	p := &Party{sign: ed25519.NewKeyFromSeed(seed), wrap: wrap}
	p.peer = Peer{Verify: p.sign.Public().(ed25519.PublicKey), Wrap: wrap.PublicKey().Bytes()}
	return p, nil
}

// Peer returns the public half.
func (p *Party) Peer() Peer { return p.peer }

// String prints the public keys as one word, for configuration and paper.
func (p Peer) String() string {
	return base64.RawURLEncoding.EncodeToString(append(append([]byte{}, p.Verify...), p.Wrap...))
}

// ParsePeer reads what [Peer.String] printed. It returns Invalid when it is not that.
func ParsePeer(s string) (Peer, error) {
	bad := fault.New("vault.ParsePeer", fault.Invalid, "These are not the public keys of a site or of the centre.")
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(raw) <= ed25519.PublicKeySize {
		return Peer{}, bad.Because(err)
	}
	p := Peer{Verify: raw[:ed25519.PublicKeySize:ed25519.PublicKeySize], Wrap: raw[ed25519.PublicKeySize:]}
	if _, err := hpke.MLKEM768X25519().NewPublicKey(p.Wrap); err != nil {
		return Peer{}, bad.Because(err)
	}
	return p, nil
}

// Fingerprint is what people compare on both screens at commissioning.
func (p Peer) Fingerprint() string {
	h := sha256.New()
	h.Write(p.Verify)
	h.Write(p.Wrap)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Quarter names the quarter of a time, "2026q4": the life of a data key.
func Quarter(at time.Time) string {
	at = at.UTC()
	return fmt.Sprintf("%dq%d", at.Year(), (int(at.Month())+2)/3)
}

// NewDataKey makes a fresh data key for a quarter. Its name is random, so that a restored copy cannot make it twice.
func NewDataKey(quarter string) (*DataKey, error) {
	raw := make([]byte, 32)
	rand.Read(raw)
	return newDataKey("k"+quarter+"_"+ident.Secret()[:26], raw)
}

func newDataKey(id string, raw []byte) (*DataKey, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fault.New("vault.DataKey", fault.Invalid, "This is not a data key.").Because(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make data key: %w", err)
	}
	return &DataKey{ID: id, raw: raw, aead: aead}, nil
}

// Wrap returns the data key, readable by the peers and nobody else.
func (k *DataKey) Wrap(quarter string, to ...Peer) (*record.KeyWrap, error) {
	w := &record.KeyWrap{Quarter: quarter}
	for _, p := range to {
		pub, err := hpke.MLKEM768X25519().NewPublicKey(p.Wrap)
		if err != nil {
			return nil, fault.New("vault.Wrap", fault.Invalid, "The reader's public key is not one.").Because(err)
		}
		sealed, err := hpke.Seal(pub, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(wrapInfo+"/"+k.ID), k.raw)
		if err != nil {
			return nil, fmt.Errorf("wrap data key: %w", err)
		}
		w.To = append(w.To, &record.Wrapped{Reader: p.Fingerprint(), Key: sealed})
	}
	return w, nil
}

// Unwrap opens a data key. It returns Forbidden when it is not wrapped to this party, or not under this name.
func (p *Party) Unwrap(id string, w *record.KeyWrap) (*DataKey, error) {
	for _, one := range w.GetTo() {
		if one.GetReader() != p.peer.Fingerprint() {
			continue
		}
		raw, err := hpke.Open(p.wrap, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(wrapInfo+"/"+id), one.GetKey())
		if err != nil {
			return nil, fault.New("vault.Unwrap", fault.Forbidden, "The data key does not open.").Because(err)
		}
		return newDataKey(id, raw)
	}
	return nil, fault.New("vault.Unwrap", fault.Forbidden, "The data key is not for this side.")
}

// SealRecord puts plain into e, bound to the path and to every clear field of e. The nonce is random: a counter in a
// database would repeat after a restore. It returns Invalid when the body is too large.
func (k *DataKey) SealRecord(path string, e *record.Envelope, plain *record.Plain) error {
	raw, err := record.Marshal(plain)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	e.KeyId = k.ID
	e.Sealed = k.aead.Seal(nil, nil, record.Pad(raw), record.AAD(path, e))
	if len(e.Sealed) > record.MaxSealed {
		return fault.New("vault.SealRecord", fault.Invalid, "The record is too large to replicate.").WithCode("sync.bounds")
	}
	return nil
}

// OpenRecord returns what was sealed. It returns Forbidden when the value was moved, altered or sealed with another key.
func (k *DataKey) OpenRecord(path string, e *record.Envelope) (*record.Plain, error) {
	if e.GetKeyId() != k.ID {
		return nil, fault.New("vault.OpenRecord", fault.Forbidden, "The record is sealed with another key.")
	}
	padded, err := k.aead.Open(nil, nil, e.GetSealed(), record.AAD(path, e))
	if err != nil {
		return nil, fault.New("vault.OpenRecord", fault.Forbidden, "The record does not open under its key.").WithCode("sync.sealed").Because(err)
	}
	raw, err := record.Unpad(padded)
	if err != nil {
		return nil, err
	}
	plain := &record.Plain{}
	if err := record.Decode(raw, plain); err != nil {
		return nil, err
	}
	return plain, nil
}

// SignRecord proves who wrote the envelope. Seal first: the signature covers the ciphertext.
func (p *Party) SignRecord(path string, e *record.Envelope) {
	e.Sig = ed25519.Sign(p.sign, record.Signed(path, e))
}

// VerifyRecord returns Forbidden when the envelope under path was not signed by this peer.
func (p Peer) VerifyRecord(path string, e *record.Envelope) error {
	if len(p.Verify) != ed25519.PublicKeySize || !ed25519.Verify(p.Verify, record.Signed(path, e), e.GetSig()) {
		return fault.New("vault.VerifyRecord", fault.Forbidden, "The record is not signed by whom it should be.").WithCode("sync.signature")
	}
	return nil
}

// SignCursor proves that this site's history stands at the cursor.
func (p *Party) SignCursor(site string, c *record.Cursor) {
	c.Sig = ed25519.Sign(p.sign, record.SignedCursor(site, c))
}

// VerifyCursor returns Forbidden when the cursor was not signed by this peer.
func (p Peer) VerifyCursor(site string, c *record.Cursor) error {
	if len(p.Verify) != ed25519.PublicKeySize || !ed25519.Verify(p.Verify, record.SignedCursor(site, c), c.GetSig()) {
		return fault.New("vault.VerifyCursor", fault.Forbidden, "The cursor is not signed by its site.").WithCode("sync.signature")
	}
	return nil
}
