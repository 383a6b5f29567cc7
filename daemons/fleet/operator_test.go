package fleet

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/appliance/store"
)

// operator uses the command line on the running house, and finds a flipped byte in a recording and in the audit.
func (c *calm) operator(t *testing.T) {
	ctl := func(want int, says string, args ...string) {
		t.Helper()
		code, said := runs(t, "sallyportctl", append([]string{"--link", c.Link}, args...)...)
		if code != want || !strings.Contains(said, says) {
			t.Errorf("sallyportctl %s ended with %d, want %d and %q: %s", strings.Join(args, " "), code, want, says, said)
		}
	}
	ctl(0, "gatewayd", "status")
	ctl(0, "whole", "audit", "verify")

	found, err := filepath.Glob(filepath.Join(c.state, "gateway", "recordings", "*", c.recording))
	if err != nil || len(found) != 1 {
		t.Fatalf("the folder of recording %s: %v, %v", c.recording, found, err)
	}
	ctl(0, "whole", "recording", "verify", found[0])
	folder := filepath.Join(t.TempDir(), c.recording)
	if err := os.CopyFS(folder, os.DirFS(found[0])); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(folder, "*.reel"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("the recording has the segments %v, %v", segments, err)
	}
	raw, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(segments[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	ctl(1, "altered: ", "recording", "verify", folder)

	// The table refuses changes; somebody who owns the file does not ask the table.
	c.stop(t)
	c.edit(t, func(ctx context.Context, db *store.DB) error {
		return db.Update(ctx, func(tx *store.Tx) error {
			if err := tx.Exec(`DROP TRIGGER audit_row_fixed`); err != nil {
				return err
			}
			return tx.Exec(`UPDATE audit_row SET subject = subject || 'x' WHERE seq = 25`)
		})
	})
	c.house.start(t)
	ctl(1, "row 25", "audit", "verify")
}
