package reel

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// Manifest says what belongs to a recording. It is written once, at the end, and signed by the recorder.
type Manifest struct {
	Version      int             `json:"version"`
	Facility     ident.Facility  `json:"facility"`
	Recording    ident.Recording `json:"recording"`
	Call         ident.Call      `json:"call"`
	Segments     []Part          `json:"segments"`
	Tracks       []TrackInfo     `json:"tracks"`
	Counts       Counts          `json:"counts"`
	CountedFrom  uint32          `json:"counted_from"` // first segment that tracks, counts and pauses cover; 0 for none: a later run cannot read what an earlier one wrote
	Pauses       []Span          `json:"pauses"`
	Gaps         []Span          `json:"gaps"`
	Start        time.Time       `json:"start"`
	End          time.Time       `json:"end"`
	LengthMS     int64           `json:"length_ms"`
	Code         string          `json:"code"` // why the call ended
	Recovered    bool            `json:"recovered,omitempty"`
	PolicyDigest string          `json:"policy_digest,omitempty"`
	Program      string          `json:"program,omitempty"`
	KID          string          `json:"kid"` // name of the recorder's key
	Signature    []byte          `json:"signature,omitempty"`
}

// Part is one segment as the manifest fixes it.
type Part struct {
	Segment uint32 `json:"segment"`
	Bytes   int64  `json:"bytes"` // whole chunks and header
	Torn    int64  `json:"torn,omitempty"`
	Chunks  uint32 `json:"chunks"`
	First   string `json:"first"` // L0, hex
	Last    string `json:"last"`  // hex
}

// Counts of records.
type Counts struct {
	Audio int64 `json:"audio"`
	Video int64 `json:"video"`
	Marks int64 `json:"marks"`
	Lost  int64 `json:"lost"` // frames flagged Loss
}

// Span is a stretch of a recording's time line.
type Span struct {
	FromMS int64  `json:"from_ms"`
	ToMS   int64  `json:"to_ms"`
	Reason string `json:"reason,omitempty"`
}

// Signer is the recorder's key with its name.
type Signer struct {
	KID string
	Key ed25519.PrivateKey
}

const manifestDomain = "sallyport manifest 1\n"

// canonical returns v as JSON with sorted keys and no spaces.
func canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func (m Manifest) signed() ([]byte, error) {
	m.Signature = nil
	body, err := canonical(m)
	return append([]byte(manifestDomain), body...), err
}

// Seal signs m, fills in its segments from the folder and writes manifest.json durably. It returns the manifest's
// SHA-256 in hex, and Conflict when the recording is sealed already.
func Seal(folder string, m Manifest, with Signer) (string, error) {
	if len(with.Key) != ed25519.PrivateKeySize {
		return "", fault.New("reel.Seal", fault.Unavailable, "The recorder has no key to sign with.").WithCode("recorder_keys")
	}
	numbers, err := segmentsOf(folder)
	if err != nil {
		return "", err
	}
	m.Version, m.KID, m.Segments = version, with.KID, nil
	for _, n := range numbers {
		s, err := scanFile(filepath.Join(folder, SegmentName(n)), nil, nil)
		if fault.Is(err, fault.Invalid) {
			continue // its header never became durable: nothing of it was promised to anybody
		}
		if err != nil {
			return "", err
		}
		m.Segments = append(m.Segments, partOf(n, s))
	}
	if m.Segments == nil {
		return "", fault.New("reel.Seal", fault.Conflict, "Nothing of this recording became durable.").WithCode("recording_empty")
	}
	body, err := m.signed()
	if err != nil {
		return "", fmt.Errorf("write manifest: %w", err)
	}
	m.Signature = ed25519.Sign(with.Key, body)
	file, err := canonical(m)
	if err != nil {
		return "", fmt.Errorf("write manifest: %w", err)
	}
	// Written beside and renamed: a manifest is there as a whole or not at all.
	temp := filepath.Join(folder, ManifestName+".part")
	if err := os.Remove(temp); err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("drop half a manifest: %w", err)
	}
	if _, err := os.Stat(filepath.Join(folder, ManifestName)); err == nil {
		return "", fault.New("reel.Seal", fault.Conflict, "This recording is sealed already.").WithCode("recording_sealed")
	}
	if err := writeDurably(temp, file); err != nil {
		return "", err
	}
	if err := os.Rename(temp, filepath.Join(folder, ManifestName)); err != nil {
		return "", fmt.Errorf("name manifest: %w", err)
	}
	return Hash(file), syncDir(folder)
}

func partOf(n uint32, s Segment) Part {
	return Part{
		Segment: n, Bytes: s.Bytes, Torn: s.Rest, Chunks: s.Chunks,
		First: hex.EncodeToString(s.First[:]), Last: hex.EncodeToString(s.Last[:]),
	}
}

// Hash returns the SHA-256 of a manifest file in hex.
func Hash(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return hex.EncodeToString(sum[:])
}

const maxManifest = 4 << 20

// ReadManifest reads a folder's manifest and returns it with its hash. With a key it checks the signature: Conflict when
// it does not fit. It returns NotFound when the recording is not sealed, Invalid for what is no manifest.
func ReadManifest(folder string, by ed25519.PublicKey) (Manifest, string, error) {
	info, err := os.Stat(filepath.Join(folder, ManifestName))
	if os.IsNotExist(err) {
		return Manifest{}, "", fault.New("reel.ReadManifest", fault.NotFound, "This recording is not sealed yet.").WithCode("recording_open")
	}
	if err != nil {
		return Manifest{}, "", fmt.Errorf("read manifest: %w", err)
	}
	if info.Size() > maxManifest {
		return Manifest{}, "", fault.New("reel.ReadManifest", fault.Invalid, "The manifest is too long.").WithCode("manifest_bad")
	}
	raw, err := os.ReadFile(filepath.Join(folder, ManifestName))
	if err != nil {
		return Manifest{}, "", fmt.Errorf("read manifest: %w", err)
	}
	m, err := ParseManifest(raw, by)
	return m, Hash(raw), err
}

// ParseManifest reads a manifest. With a key it checks the signature: Conflict when it does not fit. Anything that is
// not in canonical form is Invalid, so that one manifest has one hash.
func ParseManifest(raw []byte, by ed25519.PublicKey) (Manifest, error) {
	bad := func(err error) (Manifest, error) {
		return Manifest{}, fault.New("reel.ParseManifest", fault.Invalid, "The manifest cannot be read.").WithCode("manifest_bad").Because(err)
	}
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return bad(err)
	}
	again, err := canonical(m)
	if err != nil || !bytes.Equal(again, raw) {
		return bad(err)
	}
	if m.Version != version {
		return bad(fmt.Errorf("version %d", m.Version))
	}
	if by == nil {
		return m, nil
	}
	body, err := m.signed()
	if err != nil {
		return bad(err)
	}
	if len(by) != ed25519.PublicKeySize || !ed25519.Verify(by, body, m.Signature) {
		return m, fault.New("reel.ParseManifest", fault.Conflict, "The manifest was not signed by this recorder, or it was altered.").WithCode("manifest_signature")
	}
	return m, nil
}
