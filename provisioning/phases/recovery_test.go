package phases

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"sallyport/appliance/fault"
)

// moved is a box whose disk has come to another board, with its recovery key.
func moved(t *testing.T) (*board, *Machine, string) {
	t.Helper()
	b := newBoard(t)
	b.disks()
	ran(t, b.boot(), List())
	b.foreign = true
	return b, b.boot(), b.slots[0]
}

func TestResealMovesTheDiskToThisBoard(t *testing.T) {
	b, m, key := moved(t)
	wrong := strings.Repeat("c", len(key))
	if err := m.Reseal(t.Context(), wrong); !fault.Is(err, fault.Invalid) || !b.foreign || !b.sealed {
		t.Errorf("a wrong key: %v, sealed %v to another board %v", err, b.sealed, b.foreign)
	}
	b.tpm = false
	if err := m.Reseal(t.Context(), key); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a TPM that does not answer: %v", err)
	}
	b.tpm = true
	if err := m.Reseal(t.Context(), " "+strings.ToUpper(strings.ReplaceAll(key, "-", " "))+"\n"); err != nil {
		t.Errorf("the key as people type it: %v", err)
	}
	if !b.sealed || b.foreign {
		t.Errorf("sealed %v, to another board %v", b.sealed, b.foreign)
	}
	if err := m.Reseal(t.Context(), key); err != nil || !b.sealed || b.foreign {
		t.Errorf("once more: %v", err)
	}
	b.slots = nil
	if err := m.Reseal(t.Context(), key); !fault.Is(err, fault.Invalid) || !b.sealed {
		t.Errorf("a disk without a recovery key: %v", err)
	}
}

// The recovery key lies in a file for as long as the tool reads it, and nobody is told that all is well while it still may.
func TestResealLeavesNoKeyBehind(t *testing.T) {
	for _, tt := range []struct {
		name string
		tool func(file string) error
		kind fault.Kind
		want error
	}{
		{"sealed", func(string) error { return nil }, 0, nil},
		{"refused", func(string) error { return errors.New("no such key") }, fault.Unavailable, nil},
		{"key went elsewhere", os.Remove, 0, fs.ErrNotExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, m, key := moved(t)
			file, asked := b.path("run/"+shownFolder+"/unlock"), 0
			m.Tool = func(ctx context.Context, input []byte, name string, args ...string) ([]byte, error) {
				if !slices.Contains(args, "--unlock-key-file="+file) {
					return b.tool(ctx, input, name, args...)
				}
				asked++
				if got, err := os.ReadFile(file); err != nil || string(got) != key {
					t.Errorf("the tool reads %q, %v", got, err)
				}
				return nil, tt.tool(file)
			}
			err := m.Reseal(t.Context(), key)
			switch {
			case tt.kind != 0 && fault.KindOf(err) != tt.kind, tt.want != nil && !errors.Is(err, tt.want), tt.kind == 0 && tt.want == nil && err != nil:
				t.Errorf("Reseal = %v, want %v %v", err, tt.kind, tt.want)
			}
			if _, err := os.Stat(file); asked != 1 || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("asked %d times, and the key is still there: %v", asked, err)
			}
		})
	}
}
