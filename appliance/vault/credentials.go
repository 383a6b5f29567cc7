package vault

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"sallyport/appliance/fault"
)

// The names of the key files. Each holds 32 bytes in base 64, but for IntakeIdentity, which is an age identity.
const (
	PINPepper      = "pin-pepper"       // pepper of [NewHasher]
	BlobKey        = "blob-key"         // key of [OpenBlobs]
	GrantKey       = "grant-key"        // Ed25519 seed that signs join grants
	TURNSecret     = "turn-secret"      // HMAC key of TURN credentials
	IntakeIdentity = "intake-identity"  // age X25519: opens the keys of recordings
	KeyringKey     = "keyring-key"      // seals the keys of recordings in the database
	SessionKey     = "session-key"      // signs what browsers keep
	SyncDataKey    = "sync-data-key"    // secret of the replication keys
	SiteSigningKey = "site-signing-key" // secret of the site's Party
)

// AllCredentials are the names of all key files.
func AllCredentials() []string {
	return []string{PINPepper, BlobKey, GrantKey, TURNSecret, IntakeIdentity, KeyringKey, SessionKey, SyncDataKey, SiteSigningKey}
}

// Credentials reads the key files of a folder: $CREDENTIALS_DIRECTORY under systemd, a folder of the state otherwise.
type Credentials struct{ dir string }

// OpenCredentials returns the credentials of a folder. Nothing is read yet.
func OpenCredentials(dir string) *Credentials { return &Credentials{dir: dir} }

// CreateCredentials makes those key files that are missing, readable for their owner only, and leaves the others as they
// are. It is for the evaluation and for first boot; without names it makes all.
func CreateCredentials(dir string, names ...string) (*Credentials, error) {
	if len(names) == 0 {
		names = AllCredentials()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make credentials: %w", err)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		text, err := NewCredential(name)
		if err != nil {
			return nil, err
		}
		if err := writeFile(path, text); err != nil {
			return nil, fmt.Errorf("make credential %s: %w", name, err)
		}
	}
	return OpenCredentials(dir), nil
}

// NewCredential returns the text of a new key file of this name.
func NewCredential(name string) ([]byte, error) {
	if name != IntakeIdentity {
		return []byte(base64.StdEncoding.EncodeToString(randomKey()) + "\n"), nil
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make credential %s: %w", name, err)
	}
	return []byte(id.String() + "\n"), nil
}

// Check returns Invalid when a key file is missing or does not hold what its name promises.
func (c *Credentials) Check(name string) error {
	if name == IntakeIdentity {
		_, err := c.Identity(name)
		return err
	}
	_, err := c.Key(name)
	return err
}

// Key returns the 32 bytes of a key file. It returns Invalid, with what to do, when it is missing or not a key.
func (c *Credentials) Key(name string) ([]byte, error) {
	text, err := c.read(name)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != 32 {
		return nil, c.refuse(name, "does not hold 32 bytes in base 64") // the cause would show part of the key
	}
	return key, nil
}

// Signer returns the Ed25519 key whose seed is in a key file.
func (c *Credentials) Signer(name string) (ed25519.PrivateKey, error) {
	seed, err := c.Key(name)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Identity returns the age identity in a key file.
func (c *Credentials) Identity(name string) (*age.X25519Identity, error) {
	text, err := c.read(name)
	if err != nil {
		return nil, err
	}
	id, err := age.ParseX25519Identity(text)
	if err != nil {
		return nil, c.refuse(name, "is not an age identity")
	}
	return id, nil
}

func (c *Credentials) read(name string) (string, error) {
	path := filepath.Join(c.dir, filepath.Base(name))
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", c.refuse(name, "is missing")
	case err != nil:
		return "", fmt.Errorf("read credential %s: %w", name, err)
	case info.Mode().Perm()&0o007 != 0:
		return "", c.refuse(name, "is readable for everybody")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read credential %s: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}

func (c *Credentials) refuse(name, why string) error {
	return fault.Newf("vault.Credentials", fault.Invalid, "The credential %s in %s %s.", name, c.dir, why).WithCode("config.credential")
}
