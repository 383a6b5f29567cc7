// Package bundle owns the format of an update: one file with a signed manifest, the boot image, the root partition and
// its verity tree. The same file comes by stick, by the setup page, by HTTPS and from the centre.
//
// It must not know what runs on the box, or where an update goes: whether a version may be installed is decided by
// provisioning/update, and a caller of [Reader.Unpack] says where the parts are written. It stands in provisioning and not
// in the house, because no daemon ever reads an update: only sallyportctl does, and the machine that makes a release.
//
// A bundle is a tar of manifest.json, manifest.sig, uki.efi, root.raw.zst, verity.raw.zst and loader.efi, in this order and
// nothing else. It is read as a stream and believed from the front: the signature covers the manifest, the manifest gives the
// size and hash of each part before and after decompression, and no byte is taken that it does not account for. The tar's
// own headers are not signed, so that nothing but name and size is read from them, and both must be the manifest's.
package bundle

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sallyport/appliance/fault"
)

// Product is what every manifest of ours is for.
const Product = "sallyport"

const (
	maxManifest = 64 << 10
	maxPart     = 16 << 30 // far over a slot; a size above it is a mistake or an attack
)

// Version is a release: three numbers.
type Version struct{ Major, Minor, Patch int }

var versionForm = regexp.MustCompile(`^(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})$`)

// ParseVersion reads a version such as 1.5.0.
func ParseVersion(text string) (v Version, err error) {
	m := versionForm.FindStringSubmatch(text)
	if m == nil {
		return v, fault.Newf("bundle.ParseVersion", fault.Invalid, "%.20q is not a version: it has three numbers, as 1.5.0.", text)
	}
	for i, to := range []*int{&v.Major, &v.Minor, &v.Patch} {
		if *to, err = strconv.Atoi(m[i+1]); err != nil {
			return Version{}, err
		}
	}
	return v, nil
}

// String returns the version as people write it.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Zero tells whether it is no version at all.
func (v Version) Zero() bool { return v == Version{} }

// Older tells whether v came before other.
func (v Version) Older(other Version) bool {
	switch {
	case v.Major != other.Major:
		return v.Major < other.Major
	case v.Minor != other.Minor:
		return v.Minor < other.Minor
	}
	return v.Patch < other.Patch
}

// MarshalText writes the version into JSON and command lines.
func (v Version) MarshalText() ([]byte, error) {
	if v.Zero() {
		return nil, nil
	}
	return []byte(v.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (v *Version) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*v = Version{}
		return nil
	}
	*v, err = ParseVersion(string(text))
	return err
}

// Release describes one version. The image carries its own as /usr/share/sallyport/release.json.
type Release struct {
	Product string            `json:"product"`
	Version Version           `json:"version"`
	Minimum Version           `json:"minimum"` // the oldest version that may go straight to this one
	Floor   int               `json:"floor"`   // a box never goes to a lower one: raised by a security release
	Schema  int               `json:"schema"`  // level of the database, the number of its migrations
	Reads   [2]int            `json:"reads"`   // levels of programs that can work with a database which this version has written
	Built   string            `json:"built"`   // date, yyyy-mm-dd
	Notes   map[string]string `json:"notes,omitempty"`
}

// Validate returns Invalid with the first key that is wrong.
func (r Release) Validate() error {
	bad := func(key, say string) error {
		return fault.Newf("bundle.Release", fault.Invalid, "The description of this version is not correct: %s %s.", key, say).WithCode("update.manifest")
	}
	switch {
	case r.Product != Product:
		return fault.Newf("bundle.Release", fault.Invalid, "This is an update of another product (%.40q).", r.Product).WithCode("update.product")
	case r.Version.Zero():
		return bad("version", "is missing")
	case r.Version.Older(r.Minimum):
		return bad("minimum", "is newer than the version itself")
	case r.Floor < 0:
		return bad("floor", "is negative")
	case r.Schema < 1:
		return bad("schema", "must be at least 1")
	case r.Reads[0] < 1 || r.Reads[0] > r.Reads[1] || r.Reads[1] != r.Schema:
		return bad("reads", "must be two levels, the second one that of the schema")
	}
	if _, err := time.Parse(time.DateOnly, r.Built); err != nil {
		return bad("built", "is not a date")
	}
	return nil
}

// ReadRelease reads a release from JSON.
func ReadRelease(raw []byte) (r Release, err error) {
	if len(raw) > maxManifest {
		return r, fault.New("bundle.ReadRelease", fault.Invalid, "The description of this version is too long.").WithCode("update.manifest")
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fault.New("bundle.ReadRelease", fault.Invalid, "The description of this version cannot be read.").WithCode("update.manifest").Because(err)
	}
	return r, r.Validate()
}

// Manifest is what is signed: the release and its parts.
type Manifest struct {
	Release
	Artifacts []Artifact `json:"artifacts"`
}

// Artifact is one part of the bundle.
type Artifact struct {
	File      string `json:"file"` // in the bundle
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	RawSize   int64  `json:"raw_size"` // unpacked
	RawSHA256 string `json:"raw_sha256"`
	RawUsed   int64  `json:"raw_used"` // what it takes on a disk that leaves out empty blocks
	As        string `json:"as"`       // name of the unpacked file, by which systemd-sysupdate knows slot and version
}

// parts are the artifacts that every bundle has, in order; as is the form of the unpacked name after product and version.
func parts() []part {
	const uuid = `[0-9a-f]{32}`
	return []part{
		{"uki.efi", regexp.MustCompile(`^\.efi$`)},
		{"root.raw.zst", regexp.MustCompile(`^\.root-x86-64\.` + uuid + `\.raw$`)},
		{"verity.raw.zst", regexp.MustCompile(`^\.root-x86-64-verity\.` + uuid + `\.raw$`)},
		{"loader.efi", regexp.MustCompile(`^\.loader$`)},
	}
}

type part struct {
	file string
	as   *regexp.Regexp
}

func (p part) packed() bool { return strings.HasSuffix(p.file, ".zst") }

// named tells whether as is the name of this part of a version.
func (p part) named(v Version, as string) bool {
	rest, ok := strings.CutPrefix(as, Product+"_"+v.String())
	return ok && p.as.MatchString(rest)
}

var sumForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate returns Invalid with what is wrong: a signed manifest may still be a mistake of the build.
func (m Manifest) Validate() error {
	if err := m.Release.Validate(); err != nil {
		return err
	}
	bad := func(format string, args ...any) error {
		return fault.New("bundle.Manifest", fault.Invalid, "The list of this update's parts is not correct: "+fmt.Sprintf(format, args...)+".").WithCode("update.manifest")
	}
	all := parts()
	if len(m.Artifacts) != len(all) {
		return bad("%d parts instead of %d", len(m.Artifacts), len(all))
	}
	for i, a := range m.Artifacts {
		p := all[i]
		switch {
		case a.File != p.file:
			return bad("part %d is not %s", i+1, p.file)
		case !p.named(m.Version, a.As):
			return bad("the unpacked name of %s", p.file)
		case a.Size < 1 || a.Size > maxPart || a.RawSize < 1 || a.RawSize > maxPart || a.RawUsed < 0 || a.RawUsed > a.RawSize+block:
			return bad("the sizes of %s", p.file)
		case !sumForm.MatchString(a.SHA256) || !sumForm.MatchString(a.RawSHA256):
			return bad("the hashes of %s", p.file)
		case !p.packed() && (a.Size != a.RawSize || a.SHA256 != a.RawSHA256):
			return bad("%s is not packed, and differs unpacked", p.file)
		}
	}
	return nil
}

// Size returns the bytes of all parts as they travel.
func (m Manifest) Size() (n int64) {
	for _, a := range m.Artifacts {
		n += a.Size
	}
	return n
}

// Used returns the bytes that the unpacked parts take on a disk.
func (m Manifest) Used() (n int64) {
	for _, a := range m.Artifacts {
		n += a.RawUsed
	}
	return n
}
