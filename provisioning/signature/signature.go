// Package signature owns the two keys that a box trusts with its own future, and what they sign: updates and seeds.
//
// It must not know what an update or a seed is: a purpose is part of every signed message, so that a signature over one
// kind of thing never vouches for another.
//
// A release key is made once ([Generate]) and kept away from the machines that build; its public half is part of the
// verified root as current.pub. Its successor is there as next.pub before it is needed: what next has signed is
// accepted as well, and an image that carries it as current.pub has retired the old one.
package signature

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/appliance/fault"
)

// Purpose is what a signature is for. It is signed with the message.
type Purpose string

// The purposes.
const (
	Update Purpose = "sallyport-update-1" // manifest of an update
	Seed   Purpose = "sallyport-seed-1"   // site file on a stick
)

// Folder is where an image has its public keys.
const Folder = "/usr/share/sallyport/keys"

// The PEM blocks of keys, as openssl writes them.
const (
	privateBlock = "PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
)

// Size is the length of a signature in bytes.
const Size = ed25519.SignatureSize

// Key is a public key and the name that it has on the box.
type Key struct {
	Name   string // current, next
	Public ed25519.PublicKey
}

// Keys are those that a box trusts, the current one first.
type Keys []Key

// Load reads current.pub and next.pub of a folder; next may be absent. It returns Unavailable when the folder has no
// current key, and Invalid when a file is not a key.
func Load(folder string) (Keys, error) {
	var keys Keys
	for _, name := range []string{"current", "next"} {
		path := filepath.Join(folder, name+".pub")
		raw, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == "next":
			continue
		case errors.Is(err, fs.ErrNotExist):
			return nil, fault.Newf("signature.Load", fault.Unavailable, "There is no key %s, so no signature can be checked.", path)
		case err != nil:
			return nil, fmt.Errorf("read a public key: %w", err)
		}
		public, err := decode[ed25519.PublicKey](path, raw, publicBlock, x509.ParsePKIXPublicKey)
		if err != nil {
			return nil, err
		}
		keys = append(keys, Key{Name: name, Public: public})
	}
	return keys, nil
}

// Verify returns the name of the key that has signed the message for this purpose, and Forbidden when none has.
func (k Keys) Verify(p Purpose, message, sig []byte) (name string, err error) {
	for _, key := range k {
		if len(key.Public) == ed25519.PublicKeySize && ed25519.Verify(key.Public, signed(p, message), sig) {
			return key.Name, nil
		}
	}
	return "", fault.New("signature.Verify", fault.Forbidden,
		"The signature is wrong: this file was altered, or it does not come from the maker of this appliance.").WithCode("signature.wrong")
}

// Signer signs with a private key.
type Signer struct{ key ed25519.PrivateKey }

// Generate makes a signing key.
func Generate() (Signer, error) {
	_, key, err := ed25519.GenerateKey(nil)
	return Signer{key}, err
}

// OpenSigner reads a private key. It returns Forbidden when others may read the file as well, and Invalid when it is not
// a key; the error never shows what the file holds.
func OpenSigner(path string) (Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Signer{}, fault.Newf("signature.OpenSigner", fault.NotFound, "There is no signing key %s.", path).Because(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Signer{}, fault.Newf("signature.OpenSigner", fault.Forbidden, "Others may read the signing key %s: chmod 600 it.", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Signer{}, fmt.Errorf("read a signing key: %w", err)
	}
	key, err := decode[ed25519.PrivateKey](path, raw, privateBlock, x509.ParsePKCS8PrivateKey)
	return Signer{key}, err
}

// Sign returns the signature over a message for this purpose.
func (s Signer) Sign(p Purpose, message []byte) []byte {
	return ed25519.Sign(s.key, signed(p, message))
}

// Public returns the public half.
func (s Signer) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// Write writes the private key to path.key, for its owner alone, and the public one to path.pub. It returns Conflict
// when either exists: a signing key that is lost by accident takes every box in the field with it.
func (s Signer) Write(path string) error {
	private, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		block pem.Block
		mode  fs.FileMode
	}{
		{path + ".key", pem.Block{Type: privateBlock, Bytes: private}, 0o600},
		{path + ".pub", pem.Block{Type: publicBlock, Bytes: public}, 0o644},
	} {
		out, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if errors.Is(err, fs.ErrExist) {
			return fault.Newf("signature.Write", fault.Conflict, "%s exists already.", f.name)
		}
		if err != nil {
			return fmt.Errorf("write a key: %w", err)
		}
		if err := errors.Join(pem.Encode(out, &f.block), out.Sync(), out.Close()); err != nil {
			return fmt.Errorf("write a key: %w", err)
		}
	}
	return nil
}

func signed(p Purpose, message []byte) []byte {
	return append([]byte(string(p)+"\n"), message...)
}

// decode reads a key of one kind; what the file holds is in no error.
func decode[K any](path string, raw []byte, kind string, parse func([]byte) (any, error)) (key K, err error) {
	bad := fault.Newf("signature", fault.Invalid, "%s does not hold an Ed25519 %s in PEM.", path, strings.ToLower(kind))
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != kind {
		return key, bad
	}
	parsed, err := parse(block.Bytes)
	if err != nil {
		return key, bad
	}
	key, ok := parsed.(K)
	if !ok {
		return key, bad
	}
	return key, nil
}
