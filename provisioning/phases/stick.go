package phases

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning/signature"
)

// The largest files that are read from what somebody brought.
const (
	maxSite        = 256 << 10
	maxSignature   = 1 << 10
	maxRoster      = 32 << 20
	maxCertificate = 256 << 10
)

const (
	// stickMount is the unit that mounts the stick, read-only and only while it is read. systemd mounts: this process may not.
	stickMount = `run-sallyport-stick.mount`
	// stickModule loads the driver of sticks. It is not loaded by a stick being plugged in, and after somebody has claimed
	// the box not by us either.
	stickModule = "sallyport-stick.service"
	stickWithin = 20 * time.Second
)

// findSeed looks for a seed once a run: on a stick first, then in what the firmware handed over.
func (m *Machine) findSeed(ctx context.Context) (*seed, error) {
	if m.looked {
		return m.found, nil
	}
	s, err := m.fromStick(ctx)
	if err != nil {
		return nil, err
	}
	if s == nil {
		if s, err = m.fromFirmware(); err != nil {
			return nil, err
		}
	}
	m.looked, m.found = true, s
	return s, nil
}

// fromFirmware reads the credentials "site", "site.sig" and "roster", which systemd imports from SMBIOS.
func (m *Machine) fromFirmware() (*seed, error) {
	if m.Credentials == "" {
		return nil, nil
	}
	return readSeed(m.Credentials, fromFirmware, map[string]string{"site.toml": "site", "site.sig": "site.sig", "roster.csv": "roster"})
}

func (m *Machine) fromStick(ctx context.Context) (*seed, error) {
	there, err := m.stickThere(ctx)
	if err != nil || !there {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, stickWithin)
	defer cancel()
	if _, err := m.Tool(within, nil, "systemctl", "start", stickMount); err != nil {
		return nil, fault.New("phases.seed", fault.Unavailable,
			"The stick SALLYPORT cannot be read. Format it as FAT32 with the label SALLYPORT and copy site.toml onto it.").WithCode("seed.stick").Because(err)
	}
	s, err := readSeed(filepath.Join(m.Run, "stick"), fromStick, nil)
	// Without the caller's deadline: a stick that stays mounted would be written to by nobody, but shown to nobody either.
	_, uerr := m.Tool(context.WithoutCancel(ctx), nil, "systemctl", "stop", stickMount)
	if err != nil {
		return nil, err
	}
	if uerr != nil {
		m.Log.Warn("the stick stays mounted", "op", "phases.seed", "err", uerr)
	}
	return s, nil
}

// stickThere tells whether a stick with our label is plugged in. Only where something that stores is on USB, and nobody has
// claimed the box, is the driver loaded and the label waited for.
func (m *Machine) stickThere(ctx context.Context) (bool, error) {
	label := filepath.Join(m.Dev, "disk/by-label/SALLYPORT")
	if _, err := os.Stat(label); err == nil {
		return true, nil
	}
	if m.Claimed() || !m.storesOnUSB() {
		return false, nil
	}
	if _, err := m.Tool(ctx, nil, "systemctl", "start", stickModule); err != nil {
		return false, fault.New("phases.seed", fault.Unavailable, "The driver of sticks cannot be loaded.").WithCode("seed.driver").Because(err)
	}
	if !Appears(ctx, label) {
		m.Log.Info("nothing on USB has the label SALLYPORT", "op", "phases.seed")
		return false, nil
	}
	return true, nil
}

// namedWithin is how long the driver of sticks and udev get to find a stick and to name it.
const namedWithin = 10 * time.Second

// Appears waits until udev has made a name in /dev, 10 s at most, and tells whether it is there. It looks again and again:
// who reads sticks has no network, and udev tells its news, which "udevadm wait" hears, over one.
func Appears(ctx context.Context, name string) bool {
	within, cancel := context.WithTimeout(ctx, namedWithin)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(name); err == nil {
			return true
		}
		select {
		case <-within.Done():
			return false
		case <-tick.C:
		}
	}
}

// storesOnUSB looks for an interface of the class "mass storage".
func (m *Machine) storesOnUSB() bool {
	classes, err := filepath.Glob(filepath.Join(m.Sys, "bus/usb/devices/*/bInterfaceClass"))
	if err != nil {
		return false
	}
	for _, path := range classes {
		if b, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(b)) == "08" {
			return true
		}
	}
	return false
}

// readSeed reads a seed from a folder; nil when there is no site file in it. Names are looked up in called first. Nothing
// outside the folder is opened, whatever its links say.
func readSeed(dir, from string, called map[string]string) (*seed, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the seed: %w", err)
	}
	defer root.Close()
	read := func(name string, most int64) ([]byte, error) {
		at := name
		if c, ok := called[name]; ok {
			at = c
		}
		return readAtMost(root, at, most)
	}
	s := &seed{from: from, certificates: map[string][]byte{}}
	if s.site, err = read("site.toml", maxSite); err != nil || s.site == nil {
		return nil, err
	}
	if s.sig, err = read("site.sig", maxSignature); err != nil {
		return nil, err
	}
	if s.sig != nil {
		s.sig = plainSignature(s.sig)
	}
	if s.roster, err = read("roster.csv", maxRoster); err != nil {
		return nil, err
	}
	for _, name := range []string{givenInternet, givenStaff, givenManagement} {
		text, err := read("certificates/"+name+".pem", maxCertificate)
		if err != nil {
			return nil, err
		}
		if text != nil {
			s.certificates[name] = text
		}
	}
	return s, nil
}

// readAtMost returns nil for a file that is not there, and Invalid for one that is too large to be what its name says.
func readAtMost(root *os.Root, name string, most int64) ([]byte, error) {
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of the seed: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fault.Newf("phases.seed", fault.Unavailable, "%s cannot be read. Copy it once more, or take another stick.", name).
			WithCode("seed.unread").WithParam("file", name).Because(err)
	}
	if int64(len(b)) > most {
		return nil, fault.Newf("phases.seed", fault.Invalid, "%s has more than %d KiB, which is too large to be one.", name, most>>10).
			WithCode("seed.large").WithParam("file", name).WithParam("kib", most>>10)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// plainSignature takes the signature as bytes or in base 64.
func plainSignature(b []byte) []byte {
	if len(b) == signature.Size {
		return b
	}
	if plain, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b))); err == nil {
		return plain
	}
	return b
}
