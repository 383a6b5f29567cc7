package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/reel"
)

// do runs a command line and returns its exit code and everything that it said.
func do(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := run(context.Background(), args, &out, &out)
	return code, out.String()
}

func TestWrongCommandLine(t *testing.T) {
	for _, args := range [][]string{{"nothing"}, {"media", "stop"}, {"media", "stop", "--all", "--unit", "u_1"}, {"recording", "verify"}} {
		if code, said := do(t, args...); code != exitUsage {
			t.Errorf("%v: exit %d, said %s", args, code, said)
		}
	}
}

func TestApplianceIsAway(t *testing.T) {
	code, said := do(t, "--link", filepath.Join(t.TempDir(), "no.sock"), "status")
	if code != exitFailed || !strings.Contains(said, "does not answer") {
		t.Errorf("exit %d, said %s", code, said)
	}
}

// record writes a sealed recording of three chunks and returns its folder.
func record(t *testing.T) (folder string, signer ed25519.PublicKey) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), string(ident.New[ident.Recording]()))
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	at := linkspec.Instant{BootID: "b", Boot: int64(time.Hour), Wall: time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC)}
	h := reel.Header{
		Facility: ident.New[ident.Facility](), Recording: ident.Recording(filepath.Base(folder)), Call: ident.New[ident.Call](), Segment: 1, Opened: at,
	}
	w, err := reel.Create(folder, h, []age.Recipient{identity.Recipient()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		var flags reel.Flags
		if i == 2 {
			flags = reel.Final
		}
		when := linkspec.Instant{BootID: "b", Boot: at.Boot + int64(time.Second)*int64(i), Wall: at.Wall.Add(time.Duration(i) * time.Second)}
		if err := w.Append(when, flags, []reel.Record{reel.Mark{Kind: reel.MarkLive}.Record(time.Duration(i) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := reel.Manifest{Facility: h.Facility, Recording: h.Recording, Call: h.Call, Start: at.Wall, End: at.Wall.Add(3 * time.Second), Code: "time_up"}
	if _, err := reel.Seal(folder, m, reel.Signer{KID: "r1", Key: private}); err != nil {
		t.Fatal(err)
	}
	return folder, public
}

func TestRecordingVerifyNamesTheFlippedByte(t *testing.T) {
	folder, _ := record(t)
	if code, said := do(t, "recording", "verify", folder); code != 0 || !strings.Contains(said, "whole") {
		t.Fatalf("untouched: exit %d, said %s", code, said)
	}
	file := filepath.Join(folder, reel.SegmentName(1))
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-40] ^= 1
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	code, said := do(t, "recording", "verify", file)
	if code != exitFailed || !strings.Contains(said, "segment 1, chunk 3") {
		t.Errorf("flipped: exit %d, said %s", code, said)
	}
}
