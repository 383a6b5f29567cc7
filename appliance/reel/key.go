package reel

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"filippo.io/age"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// DataKey opens the chunks of one segment. It prints as [redacted].
type DataKey [32]byte

// String hides the key.
func (DataKey) String() string { return "[redacted]" }

// GoString hides the key.
func (DataKey) GoString() string { return "[redacted]" }

// LogValue hides the key.
func (DataKey) LogValue() slog.Value { return slog.StringValue("[redacted]") }

func (k DataKey) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // the size is fixed
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

// Keys are the data keys of a recording, by segment.
type Keys map[uint32]DataKey

// keyFile is what a NNNN.key holds inside its wrapping: it names its place, so that keys cannot be swapped.
type keyFile struct {
	Recording ident.Recording `json:"recording"`
	Segment   uint32          `json:"segment"`
	Key       []byte          `json:"key"`
}

// wrapKey wraps a data key to age recipients.
func wrapKey(h Header, key DataKey, to []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(w).Encode(keyFile{h.Recording, h.Segment, key[:]}); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Recipients parses age recipients ("age1..."). It returns Unavailable when there is none, Invalid for anything else.
func Recipients(texts []string) ([]age.Recipient, error) {
	if len(texts) == 0 {
		return nil, fault.New("reel.Recipients", fault.Unavailable, "There is no intake key yet, so nothing can be recorded.").WithCode("recorder_keys")
	}
	var out []age.Recipient
	for _, text := range texts {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fault.New("reel.Recipients", fault.Invalid, "An intake key cannot be read.").WithCode("recorder_keys").Because(err)
		}
		out = append(out, r)
	}
	return out, nil
}

// OpenKeys unwraps every NNNN.key of a recording's folder with the intake identities. It returns Unauthenticated when
// one of them was wrapped to somebody else or belongs to another place, NotFound when the folder holds none.
func OpenKeys(folder string, with ...age.Identity) (Keys, error) {
	segments, err := segmentsOf(folder)
	if err != nil {
		return nil, err
	}
	keys := Keys{}
	for _, n := range segments {
		raw, err := os.ReadFile(filepath.Join(folder, KeyName(n)))
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read key of segment %d: %w", n, err)
		}
		h, err := headerOf(filepath.Join(folder, SegmentName(n)))
		if err != nil {
			return nil, err
		}
		key, err := unwrapKey(raw, h, with)
		if err != nil {
			return nil, err
		}
		keys[n] = key
	}
	if len(keys) == 0 {
		return nil, fault.New("reel.OpenKeys", fault.NotFound, "This recording holds no keys: they are in the keyring or erased.").WithCode("recording_keys")
	}
	return keys, nil
}

func unwrapKey(raw []byte, h Header, with []age.Identity) (DataKey, error) {
	refuse := func(err error) (DataKey, error) {
		return DataKey{}, fault.Newf("reel.unwrapKey", fault.Unauthenticated, "The key of segment %d does not open.", h.Segment).WithCode("recording_key").Because(err)
	}
	r, err := age.Decrypt(bytes.NewReader(raw), with...)
	if err != nil {
		return refuse(err)
	}
	body, err := io.ReadAll(io.LimitReader(r, 4<<10))
	if err != nil {
		return refuse(err)
	}
	var f keyFile
	if err := json.Unmarshal(body, &f); err != nil {
		return refuse(err)
	}
	if f.Recording != h.Recording || f.Segment != h.Segment || len(f.Key) != len(DataKey{}) {
		return refuse(fmt.Errorf("it belongs to another segment"))
	}
	return DataKey(f.Key), nil
}

// DropKeyFiles deletes every NNNN.key of a folder, once the keys are in the keyring.
func DropKeyFiles(folder string) error {
	names, err := filepath.Glob(filepath.Join(folder, "*.key"))
	if err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("drop key: %w", err)
		}
	}
	return syncDir(folder)
}

// Wrap seals the keys under a keyring key of 32 bytes, bound to the recording: a row of the keyring. Rotation opens and
// wraps again; media never changes. It returns Invalid for a keyring key of another size.
func (k Keys) Wrap(ring []byte, of ident.Recording) ([]byte, error) {
	gcm, err := ringAEAD(ring)
	if err != nil {
		return nil, err
	}
	type entry struct {
		Segment uint32 `json:"segment"`
		Key     []byte `json:"key"`
	}
	var list []entry
	for n, key := range k {
		list = append(list, entry{n, key[:]})
	}
	slices.SortFunc(list, func(a, b entry) int { return int(a.Segment) - int(b.Segment) })
	body, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("write keys: %w", err)
	}
	n := make([]byte, gcm.NonceSize())
	rand.Read(n)
	return gcm.Seal(n, n, body, ringBound(of)), nil
}

// UnwrapKeys opens a row of the keyring. It returns Unauthenticated when the keyring key or the recording is another.
func UnwrapKeys(ring, wrapped []byte, of ident.Recording) (Keys, error) {
	gcm, err := ringAEAD(ring)
	if err != nil {
		return nil, err
	}
	refuse := func(err error) (Keys, error) {
		return nil, fault.New("reel.UnwrapKeys", fault.Unauthenticated, "The keyring does not open this recording.").WithCode("recording_key").Because(err)
	}
	if len(wrapped) < gcm.NonceSize() {
		return refuse(io.ErrUnexpectedEOF)
	}
	body, err := gcm.Open(nil, wrapped[:gcm.NonceSize()], wrapped[gcm.NonceSize():], ringBound(of))
	if err != nil {
		return refuse(err)
	}
	var list []struct {
		Segment uint32 `json:"segment"`
		Key     []byte `json:"key"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return refuse(err)
	}
	keys := Keys{}
	for _, e := range list {
		if len(e.Key) != len(DataKey{}) {
			return refuse(fmt.Errorf("a key of %d bytes", len(e.Key)))
		}
		keys[e.Segment] = DataKey(e.Key)
	}
	return keys, nil
}

func ringBound(of ident.Recording) []byte { return []byte("sallyport keyring\x00" + string(of)) }

func ringAEAD(ring []byte) (cipher.AEAD, error) {
	if len(ring) != len(DataKey{}) {
		return nil, fault.New("reel.ringAEAD", fault.Invalid, "A keyring key has 32 bytes.").WithCode("keyring_key")
	}
	return DataKey(ring).aead(), nil
}
