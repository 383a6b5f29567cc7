package phases

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"sallyport/appliance/fault"
	"sallyport/appliance/vault"
)

// secretMode lets root read: the daemons get copies from systemd.
const secretMode = 0o400

// SecretNames are the secrets of a box: one file each, made on its first boot and never again.
func SecretNames() []string { return append(vault.AllCredentials(), "recorder-key", "token-key") }

func secretsDone(_ context.Context, m *Machine) (string, error) {
	for _, name := range SecretNames() {
		info, err := os.Stat(m.secret(name))
		if errors.Is(err, fs.ErrNotExist) {
			return "", missing(Secrets, "The secret %s is not made yet.", name)
		}
		if err != nil {
			return "", fmt.Errorf("look at the secret %s: %w", name, err)
		}
		if info.Mode().Perm() != secretMode {
			return "", missing(Secrets, "The secret %s is open to more than its owner.", name)
		}
		if err := vault.OpenCredentials(m.secret("")).Check(name); err != nil {
			// Made anew it would lock everything away that the old one opens: only a person may decide that.
			return "", fault.Newf("phases.secrets", fault.Conflict, "The secret %s is damaged. Restore a backup; a new one would not open this box's data.", name).
				WithCode("secrets.damaged").WithParam("name", name).Because(err)
		}
	}
	return fmt.Sprintf("%d secrets, each for its owner alone", len(SecretNames())), nil
}

func secretsDo(_ context.Context, m *Machine) error {
	if err := m.folders(); err != nil {
		return err
	}
	for _, name := range SecretNames() {
		path := m.secret(name)
		_, err := os.Stat(path)
		switch {
		case err == nil:
			if err := os.Chmod(path, secretMode); err != nil {
				return err
			}
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("look at the secret %s: %w", name, err)
		}
		text, err := vault.NewCredential(name)
		if err != nil {
			return err
		}
		if err := m.Disk.Write(path, text, secretMode); err != nil {
			return err
		}
	}
	return nil
}

// hostFile has the name of the box on its networks.
const hostFile = "hostname"

// HostName is the name of the box: four letters of its own key, so that it is the same whenever it is asked.
func (m *Machine) HostName() (string, error) {
	seed, err := vault.OpenCredentials(m.secret("")).Key(vault.SiteSigningKey)
	if err != nil {
		return "", err
	}
	party, err := vault.NewParty(seed)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte("sallyport host name\n" + party.Peer().String()))
	return "sallyport-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:4]), nil
}

func identityDone(_ context.Context, m *Machine) (string, error) {
	want, err := m.HostName()
	if err != nil {
		return "", err
	}
	has, err := os.ReadFile(m.site(hostFile))
	if err != nil || strings.TrimSpace(string(has)) != want {
		return "", missing(Identity, "The box has no name yet.")
	}
	return want, nil
}

func identityDo(_ context.Context, m *Machine) error {
	if err := m.folders(); err != nil {
		return err
	}
	name, err := m.HostName()
	if err != nil {
		return err
	}
	return m.Disk.Write(m.site(hostFile), []byte(name+"\n"), 0o644)
}
