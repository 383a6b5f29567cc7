package phases

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning"
	"sallyport/provisioning/signature"
)

// Where a seed comes from.
const (
	fromStick    = "the stick SALLYPORT"
	fromFirmware = "the firmware"
)

// way is where it comes from, as a code.
func (s *seed) way() string {
	if s.from == fromStick {
		return "stick"
	}
	return "firmware"
}

// seed is what somebody brought: a site file and what goes with it.
type seed struct {
	from         string
	site         []byte
	sig          []byte            // of site; nil: unsigned
	roster       []byte            // nil: none
	certificates map[string][]byte // by name: internet, staff, management
}

// sum tells two seeds apart, whatever part of them differs.
func (s *seed) sum() string {
	h := sha256.New()
	put := func(name string, b []byte) { fmt.Fprintf(h, "%s %d\n", name, len(b)); h.Write(b) }
	put("site", s.site)
	put("roster", s.roster)
	for _, name := range sortedKeys(s.certificates) {
		put(name, s.certificates[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// taken is the note about the last seed that was taken. A seed is taken once: what the setup door changed since is not
// undone by a credential that the firmware shows again at every boot.
type taken struct {
	Sum    string    `json:"sha256"`
	From   string    `json:"from"`
	Signed string    `json:"signed,omitempty"` // name of the key
	At     time.Time `json:"at"`
}

const (
	takenFile  = "seed.json"
	rosterFile = "roster.csv"
)

func (m *Machine) taken() (taken, error) {
	var t taken
	raw, err := os.ReadFile(m.provision(takenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(raw, &t)
}

func seedDone(ctx context.Context, m *Machine) (string, error) {
	s, err := m.findSeed(ctx)
	if err != nil {
		return "", err
	}
	t, err := m.taken()
	if err != nil {
		return "", err
	}
	switch {
	case s == nil && t.Sum == "":
		return "none: the setup door asks for everything", nil
	case s == nil || s.sum() == t.Sum:
		signed := "unsigned: anybody who was at this machine could have brought it"
		if t.Signed != "" {
			signed = "signed by the key " + t.Signed
		}
		return fmt.Sprintf("taken from %s on %s, %s", t.From, t.At.Format(time.DateOnly), signed), nil
	case s.sig == nil && m.Claimed():
		return fmt.Sprintf("the seed from %s is ignored: it is not signed, and this box has an administrator", s.from), nil
	}
	return "", missing(Seed, "A seed from %s waits.", s.from)
}

func seedDo(ctx context.Context, m *Machine) error {
	s, err := m.findSeed(ctx)
	if err != nil || s == nil {
		return err
	}
	t := taken{Sum: s.sum(), From: s.from, At: m.Clock.Now().UTC().Truncate(time.Second)}
	if s.sig != nil {
		keys, err := signature.Load(filepath.Join(m.Image, "keys"))
		if err != nil {
			return err
		}
		if t.Signed, err = keys.Verify(signature.Seed, s.site, s.sig); err != nil {
			return fault.Newf("phases.seed", fault.Forbidden,
				"The seed from %s is refused: site.sig does not fit site.toml. Bring the pair as it was signed, or before anybody has claimed this box no site.sig at all.", s.from).
				WithCode("seed.signature").WithParam("from", s.way()).Because(err)
		}
	}
	if _, problems := provisioning.Read(s.site); problems != nil {
		return fault.Newf("phases.seed", fault.Invalid, "The site file from %s is not correct:\n%s", s.from, listed(problems)).
			WithCode("seed.site").WithParam("from", s.way()).WithParam("lines", listed(problems))
	}
	if err := m.folders(); err != nil {
		return err
	}
	for _, name := range sortedKeys(s.certificates) {
		if err := m.Disk.Write(m.secret("given-"+name), s.certificates[name], secretMode); err != nil {
			return err
		}
	}
	if s.roster != nil {
		if err := m.Disk.Write(m.provision(rosterFile), s.roster, secretMode); err != nil {
			return err
		}
	}
	if err := m.Disk.Write(m.site(proposed), s.site, 0o644); err != nil {
		return err
	}
	note, err := json.Marshal(t)
	if err != nil {
		return err
	}
	// Last: a cut before this takes the same seed once more, which changes nothing.
	return m.Disk.Write(m.provision(takenFile), note, 0o600)
}

// listed is every problem on a line of its own.
func listed(problems provisioning.Problems) string {
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func siteDone(_ context.Context, m *Machine) (string, error) {
	if _, err := os.Stat(m.site(proposed)); err == nil {
		return "", missing(Site, "The seed's site file does not rule yet.")
	}
	site, err := m.Ruling()
	switch {
	case err != nil:
		return "", err
	case site == nil:
		return "", fault.New("phases.site", fault.TooSoon,
			"There is no site file. Bring one on a stick with the label SALLYPORT; until then only the setup door answers.").WithCode("site.none")
	}
	return site.Facility.Name, nil
}

// siteDo lets the proposal rule. It was checked before it became a proposal, and renaming it is one step.
func siteDo(_ context.Context, m *Machine) error {
	text, err := os.ReadFile(m.site(proposed))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // what is wrong with the one that rules, Done says
	}
	if err != nil {
		return err
	}
	if _, problems := provisioning.Read(text); problems != nil {
		// An update may know more about site files than the version that took the seed.
		return errors.Join(m.Disk.Remove(m.site(proposed)), problems.Fault())
	}
	return m.Disk.Move(m.site(proposed), filepath.Join(m.State, SiteFile))
}

// sum is the hash of a file.
func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func sortedKeys(all map[string][]byte) []string {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
