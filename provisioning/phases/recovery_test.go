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

// The recovery key lies in a file for as long as the tool reads it, and nobody is told that all is well while it still may.
func TestResealLeavesNoKeyBehind(t *testing.T) {
	const typed = " CDEFGHIJ-cdefghij \n"
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
			b := newBoard(t)
			m := b.boot()
			file := b.path("run/" + shownFolder + "/unlock")
			m.Tool = func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
				if name != "systemd-cryptenroll" || !slices.Contains(args, "--unlock-key-file="+file) {
					t.Errorf("called %s %v", name, args)
				}
				if key, err := os.ReadFile(file); err != nil || string(key) != strings.ToLower(strings.TrimSpace(typed)) {
					t.Errorf("the tool reads %q, %v", key, err)
				}
				return nil, tt.tool(file)
			}
			err := m.Reseal(t.Context(), typed)
			switch {
			case tt.kind != 0 && fault.KindOf(err) != tt.kind, tt.want != nil && !errors.Is(err, tt.want), tt.kind == 0 && tt.want == nil && err != nil:
				t.Errorf("Reseal = %v, want %v %v", err, tt.kind, tt.want)
			}
			if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the key is still there: %v", err)
			}
		})
	}
}
