// Package bundletest owns the small updates of tests: real bundles of parts that nothing could boot from.
//
// It must not be imported by anything but tests.
package bundletest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"sallyport/provisioning/bundle"
	"sallyport/provisioning/signature"
)

// Keys returns a signing key and writes the public half as current.pub into a folder, as an image has it. It is the same
// key each time, so that the processes of a fuzzing run agree on what is signed.
func Keys(t testing.TB, folder string) signature.Signer {
	t.Helper()
	work := t.TempDir()
	private, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte("test"), 8)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(work, "test.key")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := signature.OpenSigner(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(key.Write(filepath.Join(work, "current")), os.MkdirAll(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(work, "current.pub"))
	if err := errors.Join(err, os.WriteFile(filepath.Join(folder, "current.pub"), public, 0o600)); err != nil {
		t.Fatal(err)
	}
	return key
}

// Release describes a version whose database is at a level.
func Release(t testing.TB, version string, schema int) bundle.Release {
	t.Helper()
	v, err := bundle.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Release{
		Product: bundle.Product, Version: v, Minimum: bundle.Version{Major: 1}, Floor: 1, Schema: schema, Reads: [2]int{schema, schema}, Built: "2026-01-01",
	}
}

// Sources writes the parts of a version into a folder. The root is mostly empty, as a slot is.
func Sources(t testing.TB, folder string, v bundle.Version) bundle.Sources {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(v.Major), uint64(v.Minor<<16+v.Patch)))
	write := func(name string, size, full int) string {
		raw := make([]byte, size)
		for i := range full {
			raw[i] = byte(rng.Uint32() | 1)
		}
		copy(raw[size-1:], []byte{1}) // the end is not empty, so that its hole is in the middle
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	base := bundle.Product + "_" + v.String()
	return bundle.Sources{
		UKI:    write(base+".efi", 5000, 5000),
		Loader: write(base+".loader", 1024, 1024),
		Root:   write(base+".root-x86-64.11111111222233334444555555555555.raw", 1<<20, 70_000),
		Verity: write(base+".root-x86-64-verity.66666666777788889999aaaaaaaaaaaa.raw", 128<<10, 8000),
	}
}

// Pack makes the bundle of a release in a folder and returns its path.
func Pack(t testing.TB, folder string, rel bundle.Release, key signature.Signer) string {
	t.Helper()
	path := filepath.Join(folder, bundle.Product+"-"+rel.Version.String()+".upd")
	if err := bundle.Pack(t.Context(), path, rel, Sources(t, t.TempDir(), rel.Version), key); err != nil {
		t.Fatal(err)
	}
	return path
}
