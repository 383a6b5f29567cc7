package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sallyport/appliance/fault"
	"sallyport/appliance/reel"
)

type recordingCmd struct {
	Verify recordingVerifyCmd `cmd:"" help:"Check a recording's folder, or one file in it; names the first bad place of each segment."`
}

type recordingVerifyCmd struct {
	Path string `arg:"" help:"The folder of a recording, or a file in it." type:"path"`
	Key  string `help:"File with the recorder's public key (32 bytes, base64 or hex), to check the manifest's signature." type:"existingfile"`
}

// Run verifies chain, order, completeness and, with a key, the signature. It needs neither the appliance nor a data key.
func (c recordingVerifyCmd) Run(t *tool) error {
	folder := c.Path
	info, err := os.Stat(folder)
	if err != nil {
		return fault.Newf("sallyportctl.recording", fault.NotFound, "There is no %s.", folder).Because(err)
	}
	if !info.IsDir() {
		folder = filepath.Dir(folder)
	}
	var keys reel.VerifyKeys
	if c.Key != "" {
		if keys.Signer, err = publicKey(c.Key); err != nil {
			return err
		}
	}
	r, err := reel.VerifyFolder(folder, keys)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "recording %s, call %s\n%d segments, %d chunks, %d bytes\n", r.Recording, r.Call, r.Segments, r.Chunks, r.Bytes)
	if r.Manifest != "" {
		fmt.Fprintf(t.out, "manifest %s%s\n", r.Manifest, map[bool]string{true: ", signature good"}[r.Signed])
	}
	for _, p := range r.Damage {
		fmt.Fprintln(t.out, "altered:", p)
	}
	for _, p := range r.Gaps {
		fmt.Fprintln(t.out, "gap:", p)
	}
	switch r.Verdict() {
	case reel.Whole:
		fmt.Fprintln(t.out, "whole")
		return nil
	case reel.Altered:
		return fault.New("sallyportctl.recording", fault.Conflict, "This recording was altered.")
	case reel.Unsealed:
		fmt.Fprintln(t.out, "not sealed yet: what is there fits")
		return errGaps
	default:
		fmt.Fprintln(t.out, errGaps)
		return errGaps
	}
}

// publicKey reads an Ed25519 key.
func publicKey(path string) (ed25519.PublicKey, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text := strings.TrimSpace(string(raw))
	if key, err := hex.DecodeString(text); err == nil && len(key) == ed25519.PublicKeySize {
		return key, nil
	}
	if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == ed25519.PublicKeySize {
		return key, nil
	}
	return nil, fault.Newf("sallyportctl.recording", fault.Invalid, "%s holds no Ed25519 public key.", path)
}
