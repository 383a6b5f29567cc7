package phases

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"filippo.io/age"
	"filippo.io/age/armor"

	"sallyport/appliance/fault"
)

const (
	// confirmedFile notes which recovery key somebody has written down: the disk and the slot, nothing of the key.
	confirmedFile = "recovery.json"
	// sealedFile is the copy of the key that only the owner of the site file's recipient can open.
	sealedFile = "recovery-key.age"
	// shownFolder is in memory: what the console shows is gone with the power.
	shownFolder = "console"
	shownFile   = "recovery-key"
	// KeyGroups is how many groups a recovery key has.
	KeyGroups = 8
)

// luks is what the header of the disk says, as cryptsetup prints it.
type luks struct {
	UUID   string
	Tokens map[string]struct {
		Type     string   `json:"type"`
		Keyslots []string `json:"keyslots"`
	} `json:"tokens"`
}

// slot is the first key slot of a token type, "" when there is none.
func (l luks) slot(kind string) string {
	for _, t := range l.Tokens {
		if t.Type == kind && len(t.Keyslots) > 0 {
			return t.Keyslots[0]
		}
	}
	return ""
}

const (
	tokenTPM      = "systemd-tpm2"
	tokenRecovery = "systemd-recovery"
)

// confirmed is the note about a key that somebody has written down.
type confirmed struct {
	UUID string    `json:"uuid"`
	Slot string    `json:"slot"`
	At   time.Time `json:"at"`
}

func (m *Machine) varDevice() string { return filepath.Join(m.Dev, "disk/by-partlabel", varName) }

func (m *Machine) header(ctx context.Context) (luks, error) {
	var l luks
	raw, err := m.Tool(ctx, nil, "cryptsetup", "luksDump", "--dump-json-metadata", m.varDevice())
	if err != nil {
		return l, fmt.Errorf("read the header of the disk: %w", err)
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, fmt.Errorf("read the header of the disk: %w", err)
	}
	id, err := m.Tool(ctx, nil, "cryptsetup", "luksUUID", m.varDevice())
	l.UUID = strings.TrimSpace(string(id))
	return l, err
}

func recoveryDone(ctx context.Context, m *Machine) (string, error) {
	if m.Contained {
		return "a container has no disk of its own", nil
	}
	l, err := m.header(ctx)
	if err != nil {
		return "", err
	}
	if l.slot(tokenTPM) == "" {
		return "this machine seals nothing in a TPM: its disk opens by the passphrase that was chosen, at every start", nil
	}
	slot := l.slot(tokenRecovery)
	note, err := m.confirmation()
	if err != nil {
		return "", err
	}
	if slot != "" && note.UUID == l.UUID && note.Slot == slot {
		return "written down by somebody on " + note.At.Format(time.DateOnly), nil
	}
	switch {
	case slot != "" && m.RecoveryKey() != "":
		return "", fault.New("phases.recovery", fault.TooSoon, "Write the recovery key on this screen down and type two of its groups. Until then each start makes a new one.").WithCode("recovery.write")
	case slot != "" && m.Claimed():
		// Whoever claimed the box has seen the screen with the key. A new one at every start would show the way into the disk to
		// everybody who can switch the box off and on.
		return "", fault.New("phases.recovery", fault.TooSoon, "A recovery key was shown on this screen, and nobody has said that it is written down. Type the whole key once to say so.").WithCode("recovery.confirm")
	}
	return "", missing(Recovery, "The disk has no recovery key that anybody has seen.")
}

func (m *Machine) confirmation() (confirmed, error) {
	var c confirmed
	raw, err := os.ReadFile(m.provision(confirmedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read who has confirmed the recovery key: %w", err)
	}
	return c, json.Unmarshal(raw, &c)
}

// Confirmed tells whether somebody has said of a recovery key that it is written down.
func (m *Machine) Confirmed() bool {
	c, err := m.confirmation()
	return err == nil && c.UUID != ""
}

// recoveryDo makes a new recovery key, ends all earlier ones, and leaves it where the console shows it. It is in no file
// that outlives the power.
func recoveryDo(ctx context.Context, m *Machine) error {
	if err := m.folders(); err != nil {
		return err
	}
	// First: the note must not be taken for one about the new key, which may get the same slot.
	if err := m.Disk.Remove(m.provision(confirmedFile)); err != nil {
		return err
	}
	out, err := m.Tool(ctx, nil, "systemd-cryptenroll", "--unlock-tpm2-device=auto", "--recovery-key", "--wipe-slot=recovery", m.varDevice())
	if err != nil {
		return fault.New("phases.recovery", fault.Unavailable,
			"No recovery key can be made, because the TPM of this machine does not open its disk. Enter the earlier recovery key at the start, then seal the disk anew.").
			WithCode("recovery.tpm").Because(err)
	}
	key := strings.TrimSpace(string(out))
	if strings.Count(key, "-") != KeyGroups-1 {
		return fault.New("phases.recovery", fault.Internal, "The recovery key does not look like one.")
	}
	if err := m.sealCopy(key); err != nil {
		return err
	}
	folder := filepath.Join(m.Run, shownFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, shownFile), []byte(key+"\n"), 0o400)
}

// sealCopy leaves a copy that only the recipient of the site file can open.
func (m *Machine) sealCopy(key string) error {
	site, err := m.Ruling()
	if err != nil || site == nil || site.Recovery.Recipient == "" {
		return m.Disk.Remove(m.provision(sealedFile)) // an earlier key's copy would mislead
	}
	to, err := age.ParseX25519Recipient(site.Recovery.Recipient)
	if err != nil {
		return fault.New("phases.recovery", fault.Invalid, "[recovery] recipient of the site file is not an age recipient.").WithCode("recovery.recipient").Because(err)
	}
	var sealed bytes.Buffer
	text := armor.NewWriter(&sealed)
	w, err := age.Encrypt(text, to)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, key)
	if err := errors.Join(err, w.Close(), text.Close()); err != nil {
		return fmt.Errorf("seal the copy of the recovery key: %w", err)
	}
	return m.Disk.Write(m.provision(sealedFile), sealed.Bytes(), 0o600)
}

// RecoveryKey is the key that waits to be written down, "" when there is none.
func (m *Machine) RecoveryKey() string {
	b, err := os.ReadFile(filepath.Join(m.Run, shownFolder, shownFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Confirm takes two groups of the recovery key, the first and the last, from somebody who has written it down, and shows it
// to nobody any more; when it is not shown any more, the whole key. Invalid when that is not right.
func (m *Machine) Confirm(ctx context.Context, said string) error {
	all, typed := strings.Split(m.RecoveryKey(), "-"), groups(said)
	l, err := m.header(ctx)
	if err != nil {
		return err
	}
	slot := l.slot(tokenRecovery)
	switch {
	case slot == "":
		return fault.New("phases.Confirm", fault.Invalid, "The disk of this machine has no recovery key.")
	case len(typed) == KeyGroups:
		if err := m.opens(ctx, strings.Join(typed, "-"), slot); err != nil {
			return fault.New("phases.Confirm", fault.Invalid, "That key does not open the disk.").Because(err)
		}
	case len(all) != KeyGroups:
		return fault.New("phases.Confirm", fault.Invalid, "Type the whole recovery key: eight groups of eight letters.")
	case len(typed) != 2 || typed[0] != all[0] || typed[1] != all[KeyGroups-1]:
		return fault.New("phases.Confirm", fault.Invalid, "That is not its first and its last group. Look at what you have written down.")
	}
	note, err := json.Marshal(confirmed{UUID: l.UUID, Slot: slot, At: m.Clock.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if err := m.Disk.Write(m.provision(confirmedFile), note, 0o600); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(m.Run, shownFolder, shownFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return m.recoveryConfirmed(ctx)
}

// groups are those of a key as people type it.
func groups(said string) []string {
	return strings.FieldsFunc(strings.ToLower(said), func(r rune) bool { return r == '-' || unicode.IsSpace(r) })
}

// opens tries a key on one slot of the disk and no other way in: cryptsetup asks the tokens of the disk first, and the TPM
// opens it whatever is typed.
func (m *Machine) opens(ctx context.Context, key, slot string) error {
	_, err := m.Tool(ctx, []byte(key), "cryptsetup", "open", "--test-passphrase", "--disable-external-tokens",
		"--key-slot="+slot, "--key-file=-", m.varDevice())
	return err
}

// recoveryConfirmed makes the phase of this boot say so: it waited for nothing else, and does not run again.
func (m *Machine) recoveryConfirmed(ctx context.Context) error {
	found, err := recoveryDone(ctx, m)
	if err != nil {
		return err
	}
	results, err := Read(m.Run)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(results, func(r Result) bool { return r.Phase == Recovery })
	if i < 0 {
		return nil
	}
	results[i] = Result{Phase: Recovery, State: Done, Says: found, Took: results[i].Took, At: m.Clock.Now()}
	return m.keep(results)
}

// Reseal makes the TPM of this machine open the disk again, by a recovery key that somebody types: after a new board, new
// firmware or a new list of revoked loaders. A cut on the way leaves a disk that opens by the recovery key, and the same may be
// typed again.
func (m *Machine) Reseal(ctx context.Context, said string) (err error) {
	key := strings.Join(groups(said), "-")
	l, err := m.header(ctx)
	if err != nil {
		return err
	}
	slot := l.slot(tokenRecovery)
	if slot == "" {
		return fault.New("phases.Reseal", fault.Invalid, "The disk of this machine has no recovery key.")
	}
	if err := m.opens(ctx, key, slot); err != nil {
		return fault.New("phases.Reseal", fault.Invalid, "That key does not open the disk.").Because(err)
	}
	refused := func(err error) error {
		return fault.New("phases.Reseal", fault.Unavailable, "The disk was not sealed anew, because the TPM of this machine does not answer. It opens by its recovery key.").Because(err)
	}
	folder := filepath.Join(m.Run, shownFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file := filepath.Join(folder, "unlock")
	if err := os.WriteFile(file, []byte(key), 0o400); err != nil {
		return err
	}
	// A key that stays behind would open the disk for whoever reads it.
	defer func() { err = errors.Join(err, os.Remove(file)) }()
	// First the old one: two boards in the same state have the same PCRs, and systemd-cryptenroll would take the key of the
	// other board's TPM for what it is asked to make.
	if l.slot(tokenTPM) != "" {
		if _, err := m.Tool(ctx, nil, "systemd-cryptenroll", "--wipe-slot=tpm2", m.varDevice()); err != nil {
			return refused(err)
		}
	}
	if _, err := m.Tool(ctx, nil, "systemd-cryptenroll", "--unlock-key-file="+file, "--tpm2-device=auto", "--tpm2-pcrs=7", m.varDevice()); err != nil {
		return refused(err)
	}
	return nil
}
