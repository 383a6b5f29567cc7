package phases

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"sallyport/appliance/fault"
)

// terminal is a console with somebody in front of it.
type terminal struct {
	io.Reader
	bytes.Buffer
}

func (s *terminal) Read(b []byte) (int, error)  { return s.Reader.Read(b) }
func (s *terminal) Write(b []byte) (int, error) { return s.Buffer.Write(b) }

func TestDiskWithoutTPM(t *testing.T) {
	const long = "correct horse battery staple"
	for _, tt := range []struct {
		name   string
		tpm    bool
		there  bool // the data partition
		given  map[string]string
		types  string
		key    string // that the disk is made with; "": by the TPM
		waits  bool   // nobody decides
		screen string
	}{
		{name: "TPM", tpm: true},
		{name: "made already", there: true},
		{name: "nobody decides", waits: true, screen: "This machine has no TPM"},
		{name: "something else is typed", types: "yes\n\n", waits: true, screen: "type the word passphrase"},
		{name: "a person decides", types: "passphrase\n" + long + "\n" + long + "\n", key: long},
		{name: "too short, then different, then right", types: "passphrase\nshort\n" + long + "\nother\n" + long + "\n" + long + "\n", key: long, screen: "They differ."},
		{name: "the firmware decides", given: map[string]string{withoutTPM: "passphrase"}, types: long + "\n" + long + "\n", key: long},
		{name: "nobody is asked", given: map[string]string{withoutTPM: "passphrase\n", passphraseCredential: long}, key: long},
		{name: "a passphrase alone is no decision", given: map[string]string{passphraseCredential: long}, waits: true},
		{name: "too short a credential", given: map[string]string{withoutTPM: "passphrase", passphraseCredential: "short"}, types: long + "\n" + long + "\n", key: long},
		{name: "another word", given: map[string]string{withoutTPM: "whatever"}, waits: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard(t)
			if tt.there {
				b.disks()
			}
			if tt.tpm {
				b.write("dev/tpmrm0", "")
			}
			for name, text := range tt.given {
				b.write("credentials/"+name, text)
			}
			b.write("usr/repart.d/10-esp.conf", "[Partition]\nType=esp\n")
			b.write("usr/repart.d/50-var.conf", "[Partition]\nType=var\nEncrypt=tpm2\n")
			m := b.boot()
			m.Definitions = b.path("usr/repart.d")
			var ran [][]string
			m.Tool = func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
				ran = append(ran, append([]string{name}, args...))
				return nil, nil
			}
			console := &terminal{Reader: strings.NewReader(tt.types)}
			// At a second console nobody ever answers, as at the serial line of a server with a screen.
			silent, _ := io.Pipe()
			t.Cleanup(func() { _ = silent.Close() })
			consoles := []io.ReadWriter{console}
			if !tt.waits {
				consoles = append(consoles, &terminal{Reader: silent})
			}
			err := m.MakeDisk(t.Context(), consoles...)
			if !strings.Contains(console.String(), tt.screen) {
				t.Errorf("the console shows %q, want %q", console.String(), tt.screen)
			}
			if tt.waits {
				if !fault.Is(err, fault.TooSoon) || len(ran) > 0 {
					t.Errorf("MakeDisk = %v, ran %v", err, ran)
				}
				return
			}
			if err != nil || len(ran) != 1 {
				t.Fatalf("MakeDisk = %v, ran %v", err, ran)
			}
			keyed := strings.Contains(strings.Join(ran[0], " "), "--key-file=")
			if keyed != (tt.key != "") {
				t.Errorf("ran %v", ran[0])
			}
			if strings.Contains(strings.Join(ran[0], " "), long) || strings.Contains(console.String(), long) {
				t.Error("the passphrase can be read by others")
			}
			if !keyed {
				return
			}
			key, err := os.ReadFile(b.path("run/disk.key"))
			definition, derr := os.ReadFile(b.path("run/repart.d/50-var.conf"))
			if err != nil || derr != nil || string(key) != tt.key || !strings.Contains(string(definition), "Encrypt=key-file\n") {
				t.Errorf("key %q, definition %q, %v", key, definition, errors.Join(err, derr))
			}
			if _, err := os.Stat(b.path("run/repart.d/10-esp.conf")); err != nil {
				t.Error("the other partitions are forgotten:", err)
			}
		})
	}
}

// A partition file that the image calls otherwise must not leave the data unencrypted.
func TestDiskOfAnotherImage(t *testing.T) {
	b := newBoard(t)
	m := b.boot()
	m.Definitions = b.path("usr/repart.d")
	b.write("usr/repart.d/50-var.conf", "[Partition]\nType=var\n")
	if _, err := m.writePassphrase([]byte("x")); err == nil {
		t.Error("a disk that nobody encrypts is made")
	}
}
