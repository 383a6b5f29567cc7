package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport/appliance/fault"
)

const (
	blobMagic = "SPB1"
	maxBlob   = 64 << 20
)

// Blobs keeps files sealed with AES-256-GCM under the hash of their content. The hash is keyed, so that nobody who sees
// a file name can tell whether it is a picture that he has too. The same content has one file: who erases it must know
// that nobody else refers to it.
type Blobs struct {
	dir  string
	name []byte // key of the hash
	aead cipher.AEAD
}

// OpenBlobs returns the blobs in a folder, which it makes when it is missing. The key has 32 bytes.
func OpenBlobs(dir string, key []byte) (*Blobs, error) {
	if len(key) != 32 {
		return nil, fault.New("vault.OpenBlobs", fault.Invalid, "The key of the blobs must have 32 bytes.")
	}
	seal, err := hkdf.Key(sha256.New, key, nil, "sallyport blob seal 1", 32)
	if err != nil {
		return nil, err
	}
	name, err := hkdf.Key(sha256.New, key, nil, "sallyport blob name 1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the blobs: %w", err)
	}
	return &Blobs{dir: dir, name: name, aead: aead}, nil
}

// Put keeps data and returns its hash once it is on the disk. It returns Invalid when data is larger than 64 MiB.
func (b *Blobs) Put(ctx context.Context, data []byte) (string, error) {
	if len(data) > maxBlob {
		return "", fault.New("vault.Put", fault.Invalid, "This file is too large.").WithCode("upload.size")
	}
	mac := hmac.New(sha256.New, b.name)
	mac.Write(data)
	hash := hex.EncodeToString(mac.Sum(nil))
	if _, err := b.Get(ctx, hash); err == nil {
		return hash, nil // a damaged file is written anew
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("keep a blob: %w", err)
	}
	sealed := b.aead.Seal([]byte(blobMagic), nil, data, []byte(hash))
	if err := writeFile(b.path(hash), sealed); err != nil {
		return "", fmt.Errorf("keep a blob: %w", err)
	}
	return hash, nil
}

// Get returns what was kept under a hash. It returns Invalid when hash is not one, NotFound when there is nothing, and
// Unavailable when the file is damaged.
func (b *Blobs) Get(ctx context.Context, hash string) ([]byte, error) {
	if err := checkHash(hash); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read a blob: %w", err)
	}
	sealed, err := os.ReadFile(b.path(hash))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New("vault.Get", fault.NotFound, "This file is not kept here.")
	case err != nil:
		return nil, fmt.Errorf("read a blob: %w", err)
	case len(sealed) < len(blobMagic) || string(sealed[:len(blobMagic)]) != blobMagic:
		return nil, fault.New("vault.Get", fault.Unavailable, "This file is damaged.").WithCode("blob.damaged")
	}
	data, err := b.aead.Open(nil, nil, sealed[len(blobMagic):], []byte(hash))
	if err != nil {
		return nil, fault.New("vault.Get", fault.Unavailable, "This file is damaged.").WithCode("blob.damaged").Because(err)
	}
	return data, nil
}

// Erase removes what was kept under a hash; nothing there is as good.
func (b *Blobs) Erase(hash string) error {
	if err := checkHash(hash); err != nil {
		return err
	}
	path := b.path(hash)
	if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("erase a blob: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func (b *Blobs) path(hash string) string { return filepath.Join(b.dir, hash[:2], hash) }

func checkHash(hash string) error {
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != hash {
		return fault.New("vault.Blobs", fault.Invalid, "This is not the name of a kept file.")
	}
	return nil
}

// writeFile puts data at path so that after a power cut there is all of it or nothing.
func writeFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// randomKey returns 32 random bytes.
func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}
