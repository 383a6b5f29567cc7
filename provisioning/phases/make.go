package phases

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
)

const (
	// withoutTPM is the credential by which the firmware of a machine without a TPM may choose.
	withoutTPM = "sallyport.no-tpm"
	// passphraseCredential is systemd's own: it opens the disk without a person, in machines that somebody else guards.
	passphraseCredential = "cryptsetup.passphrase"
	passphraseMin        = 12
	// noDisk is what systemd-repart ends with when the system does not lie on a disk of its own, as on a stick.
	noDisk = 77
)

const noTPM = `
This machine has no TPM, so its disk cannot open by itself.

What to do: switch a TPM 2.0 on in the firmware (it may be called PTT, fTPM or Security Device), save, and start again.

If there is none, the disk can open by a passphrase instead. Somebody then has to type it at EVERY start, also after a
power cut in the night, before any visit can take place. To go on like that, type the word passphrase and press Enter.
`

// MakeDisk makes the partitions that a device lacks: the second slot and the data, encrypted. The data is sealed in the TPM.
// Without one it stops and says what to do, until somebody at one of the consoles, or the firmware, chooses a passphrase.
func (m *Machine) MakeDisk(ctx context.Context, consoles ...io.ReadWriter) error {
	if m.Contained {
		return nil
	}
	there, err := m.partitions(varName)
	if err != nil {
		return err
	}
	args := []string{"--dry-run=no"}
	if len(there) == 0 && !m.hasTPM(ctx) {
		m.Log.Warn("there is no TPM; somebody has to choose", "op", "phases.MakeDisk")
		key, err := m.askAll(ctx, consoles)
		if err != nil {
			return err
		}
		keyed, err := m.writePassphrase(key)
		if err != nil {
			return err
		}
		args = append(args, keyed...)
	}
	_, err = m.Tool(ctx, nil, "systemd-repart", args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == noDisk {
		return nil
	}
	if err != nil {
		return fault.New("phases.MakeDisk", fault.Unavailable, "The partitions of the disk could not be made.").Because(err)
	}
	return nil
}

// hasTPM waits for the driver where the firmware says that there is one.
func (m *Machine) hasTPM(ctx context.Context) bool {
	node := filepath.Join(m.Dev, "tpmrm0")
	if _, err := os.Stat(node); err == nil {
		return true
	}
	if _, err := os.Stat(filepath.Join(m.Sys, "firmware/acpi/tables/TPM2")); err != nil {
		return false
	}
	if _, err := m.Tool(ctx, nil, "udevadm", "wait", "--timeout=60", node); err != nil {
		m.Log.Error("the firmware tells of a TPM that does not answer", "op", "phases.MakeDisk", "err", err)
		return false
	}
	return true
}

// askAll asks at every console at once; the first whole answer counts. Who does not answer is left waiting: the process ends
// soon afterwards.
func (m *Machine) askAll(ctx context.Context, consoles []io.ReadWriter) (key []byte, err error) {
	type answer struct {
		key []byte
		err error
	}
	answers := make(chan answer, len(consoles))
	for _, c := range consoles {
		go func() {
			key, err := m.choosePassphrase(c)
			answers <- answer{key, err}
		}()
	}
	err = fault.New("phases.MakeDisk", fault.TooSoon, "There is no console at which anybody could choose to go on without a TPM.")
	for range consoles {
		select {
		case a := <-answers:
			if a.err == nil {
				return a.key, nil
			}
			err = a.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, err
}

// choosePassphrase asks until there is a passphrase; without an answer the machine stays where it is.
func (m *Machine) choosePassphrase(console io.ReadWriter) ([]byte, error) {
	in := bufio.NewReader(console)
	if chosen, err := os.ReadFile(filepath.Join(m.Credentials, withoutTPM)); m.Credentials == "" || err != nil || strings.TrimSpace(string(chosen)) != "passphrase" {
		if _, err := fmt.Fprint(console, noTPM); err != nil {
			return nil, err
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return nil, fault.New("phases.MakeDisk", fault.TooSoon, "Nobody at the console has chosen to go on without a TPM.").Because(err)
			}
			if strings.TrimSpace(line) == "passphrase" {
				break
			}
			fmt.Fprintln(console, "To go on without a TPM, type the word passphrase and press Enter.")
		}
	}
	if key, err := os.ReadFile(filepath.Join(m.Credentials, passphraseCredential)); m.Credentials != "" && err == nil {
		if key = []byte(strings.TrimRight(string(key), "\n")); len(key) >= passphraseMin {
			return key, nil
		}
	}
	defer quiet(console)()
	for {
		fmt.Fprintf(console, "A passphrase of %d letters or more: ", passphraseMin)
		first, err := in.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("ask for a passphrase: %w", err)
		}
		if first = strings.TrimRight(first, "\r\n"); len(first) < passphraseMin {
			fmt.Fprintln(console, "\nThat is too short.")
			continue
		}
		fmt.Fprint(console, "\nThe same once more: ")
		again, err := in.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("ask for a passphrase: %w", err)
		}
		fmt.Fprintln(console)
		if strings.TrimRight(again, "\r\n") == first {
			return []byte(first), nil
		}
		fmt.Fprintln(console, "They differ.")
	}
}

// quiet shows nothing of what is typed, where the console is one; the result ends that.
func quiet(console io.ReadWriter) func() {
	f, ok := console.(*os.File)
	if !ok {
		return func() {}
	}
	old, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return func() {}
	}
	shy := *old
	shy.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &shy); err != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, old) }
}

// writePassphrase has systemd-repart encrypt by a passphrase instead of the TPM: it takes a file of ours for that of the
// image. Both files are in memory.
func (m *Machine) writePassphrase(key []byte) (args []string, err error) {
	definitions := filepath.Join(m.Run, "repart.d")
	if err := os.MkdirAll(definitions, 0o700); err != nil {
		return nil, err
	}
	given, err := filepath.Glob(filepath.Join(m.Definitions, "*.conf"))
	if err != nil {
		return nil, err
	}
	changed := 0
	for _, path := range given {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(text), "Encrypt=tpm2") {
			changed++
			text = []byte(strings.ReplaceAll(string(text), "Encrypt=tpm2", "Encrypt=key-file"))
		}
		if err := os.WriteFile(filepath.Join(definitions, filepath.Base(path)), text, 0o600); err != nil {
			return nil, err
		}
	}
	if changed != 1 {
		return nil, errors.New("the image does not say which partition is encrypted")
	}
	file := filepath.Join(m.Run, "disk.key")
	if err := os.WriteFile(file, key, 0o400); err != nil {
		return nil, err
	}
	return []string{"--definitions=" + definitions, "--key-file=" + file}, nil
}
