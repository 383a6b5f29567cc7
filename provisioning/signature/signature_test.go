package signature_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/appliance/fault"
	"sallyport/provisioning/signature"
)

// pair makes a key called name in a folder.
func pair(t *testing.T, folder, name string) signature.Signer {
	t.Helper()
	s, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(filepath.Join(folder, name)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerify(t *testing.T) {
	folder := t.TempDir()
	current, next := pair(t, folder, "current"), pair(t, folder, "next")
	stranger := pair(t, t.TempDir(), "stranger")
	keys, err := signature.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("version 1.5.0")
	for _, tt := range []struct {
		name string
		sig  []byte
		want string
	}{
		{"current", current.Sign(signature.Update, message), "current"},
		{"next", next.Sign(signature.Update, message), "next"},
		{"stranger", stranger.Sign(signature.Update, message), ""},
		{"other purpose", current.Sign(signature.Seed, message), ""},
		{"other message", current.Sign(signature.Update, append(message, '1')), ""},
		{"empty", nil, ""},
		{"short", current.Sign(signature.Update, message)[:63], ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := keys.Verify(signature.Update, message, tt.sig)
			if got != tt.want || (tt.want == "") != fault.Is(err, fault.Forbidden) {
				t.Errorf("Verify = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestKeyFiles(t *testing.T) {
	folder := t.TempDir()
	made := pair(t, folder, "current")
	if err := made.Write(filepath.Join(folder, "current")); !fault.Is(err, fault.Conflict) {
		t.Errorf("over another key: %v", err)
	}
	private := filepath.Join(folder, "current.key")
	read, err := signature.OpenSigner(private)
	if err != nil || !read.Public().Equal(made.Public()) {
		t.Fatalf("OpenSigner = %v", err)
	}
	if err := os.Chmod(private, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := signature.OpenSigner(private); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a key that others may read: %v", err)
	}
	if _, err := signature.Load(t.TempDir()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no keys: %v", err)
	}
	const secret = "c2VjcmV0"
	if err := os.WriteFile(filepath.Join(folder, "next.pub"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signature.Load(folder); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), secret) {
		t.Errorf("rubbish: %v", err)
	}
}
