package vault_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/appliance/fault"
	"sallyport/appliance/vault"
)

func openBlobs(t *testing.T) (*vault.Blobs, string) {
	t.Helper()
	dir := t.TempDir()
	b, err := vault.OpenBlobs(dir, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return b, dir
}

func TestBlobComesBackSealed(t *testing.T) {
	b, dir := openBlobs(t)
	data := []byte("a face")
	hash, err := b.Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Put(t.Context(), data)
	if err != nil || again != hash {
		t.Errorf("the same content is %q, then %q (%v)", hash, again, err)
	}
	got, err := b.Get(t.Context(), hash)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("Get = %q, %v", got, err)
	}
	path := filepath.Join(dir, hash[:2], hash)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, data) {
		t.Error("the file on the disk is in clear")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v", info.Mode(), err)
	}
	if err := b.Erase(hash); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), hash); !fault.Is(err, fault.NotFound) {
		t.Errorf("after Erase: %v", err)
	}
	if err := b.Erase(hash); err != nil {
		t.Errorf("Erase again: %v", err)
	}
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	b, dir := openBlobs(t)
	data := []byte("evidence")
	hash, err := b.Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, hash[:2], hash)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), hash); fault.CodeOf(err) != "blob.damaged" {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	if _, err := b.Put(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(t.Context(), hash); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Put did not mend the file: %v", err)
	}
}

func TestBlobUnderAnotherName(t *testing.T) {
	b, dir := openBlobs(t)
	one, _ := b.Put(t.Context(), []byte("one"))
	two, _ := b.Put(t.Context(), []byte("two"))
	if err := os.Rename(filepath.Join(dir, one[:2], one), filepath.Join(dir, two[:2], two)); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(t.Context(), two); fault.CodeOf(err) != "blob.damaged" {
		t.Errorf("a swapped file is taken: %q, %v", got, err)
	}
}

func TestBlobRefuses(t *testing.T) {
	b, _ := openBlobs(t)
	for _, hash := range []string{"", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("a", 63)} {
		if _, err := b.Get(t.Context(), hash); !fault.Is(err, fault.Invalid) {
			t.Errorf("Get(%q) = %v", hash, err)
		}
		if err := b.Erase(hash); !fault.Is(err, fault.Invalid) {
			t.Errorf("Erase(%q) = %v", hash, err)
		}
	}
	if _, err := b.Put(t.Context(), make([]byte, 64<<20+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("too large: %v", err)
	}
	if _, err := vault.OpenBlobs(t.TempDir(), []byte("short")); !fault.Is(err, fault.Invalid) {
		t.Errorf("short key: %v", err)
	}
}

func TestCredentialsAreMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	c, err := vault.CreateCredentials(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]string{}
	for _, name := range vault.AllCredentials() {
		if name == vault.IntakeIdentity {
			id, err := c.Identity(name)
			if err != nil {
				t.Fatal(err)
			}
			before[name] = id.String()
			continue
		}
		key, err := c.Key(name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = string(key)
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
	if c, err = vault.CreateCredentials(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range vault.AllCredentials() {
		if name == vault.IntakeIdentity {
			continue
		}
		if key, err := c.Key(name); err != nil || string(key) != before[name] {
			t.Errorf("%s changed: %v", name, err)
		}
	}
	if key, err := c.Signer(vault.GrantKey); err != nil || len(key) != 64 {
		t.Errorf("Signer = %d bytes, %v", len(key), err)
	}
}

func TestCredentialsRefuse(t *testing.T) {
	dir := t.TempDir()
	c := vault.OpenCredentials(dir)
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("short", "c2hvcnQ=", 0o600)
	write("open", strings.Repeat("A", 43)+"=", 0o644)
	write("age", "AGE-SECRET-KEY-1NOT", 0o600)
	for _, name := range []string{"absent", "short", "open", "age", "../" + filepath.Base(dir) + "/short"} {
		_, err := c.Key(name)
		if fault.CodeOf(err) != "config.credential" {
			t.Errorf("Key(%s) = %v", name, err)
		}
		if _, err := c.Identity(name); fault.CodeOf(err) != "config.credential" {
			t.Errorf("Identity(%s) = %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "c2hvcnQ") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}
