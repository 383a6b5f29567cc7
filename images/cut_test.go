//go:build image

package images_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/images/guest"
	"sallyport/provisioning/phases"
)

// dataPartition is the label of the encrypted data.
const dataPartition = "sallyport-var"

// ended is what the serial line says when a phase of first boot has ended well, or waits for a person. An emulated line
// doubles a character now and then.
func ended(phase string) *regexp.Regexp {
	twice := func(text string) (p string) {
		for _, c := range text {
			p += regexp.QuoteMeta(string(c)) + "+"
		}
		return p
	}
	return regexp.MustCompile(twice("Phase "+phase+": ") + "(" + twice("done") + "|" + twice("waiting") + ")")
}

// TestPowerCut takes the power away in the middle of a box's first start, again and again: while the data partition is being
// made, and between and in the phases. Each start goes on where the one before was cut, and in the end there is one box: one
// name, one authority, one recovery key that opens, nothing undone.
func TestPowerCut(t *testing.T) {
	_, relay := mailServer(t)
	box, r := unpack(t, seedFor(t, relay))
	cut := func(name string, reach func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, func(t *testing.T) {
			reach(t)
			r.Cut()
			if verdict.MatchString(r.Text()) {
				t.Error("the start was over before the power went")
			}
		}) {
			t.FailNow() // the later cuts need this one
		}
	}

	cut("the partition is encrypted and not in the table", func(t *testing.T) {
		says(t, r, bootWithin, regexp.MustCompile(`(?i)starting (systemd-repart\.service|repartition)[^\n]*`))
		at := formatted(t, box, r)
		r.Cut()
		if p, err := guest.Find(box.Disk(), dataPartition); err == nil {
			t.Errorf("%v is in the table already: the cut came too late", p)
		}
		t.Logf("cut with a LUKS2 header at %d", at)
	})
	// What a phase has told, the next one has not: the cut is in it.
	for _, phase := range []string{phases.Secrets, phases.Site, phases.Authority} {
		cut("after "+phase, func(t *testing.T) {
			r = start(t, box)
			says(t, r, bootWithin, ended(phase))
		})
	}
	var key, name, ca string
	identity := func(t *testing.T) (string, string) {
		t.Helper()
		return shown(t, r, 3*time.Minute, boxName)[1], shown(t, r, 3*time.Minute, issuer)[1]
	}
	cut("the recovery key is shown", func(t *testing.T) {
		r = start(t, box)
		key = recoveryKey(t, r, bootWithin)
		name, ca = identity(t)
	})

	r = start(t, box)
	for _, p := range phases.List() {
		says(t, r, bootWithin, ended(p.Name))
	}
	healthy(t, r)
	if n, c := identity(t); n != name || c != ca {
		t.Errorf("the box is %s of %s, it was %s of %s", n, c, name, ca)
	}
	trust(t, r, box.At("mgmt0", "tcp/443"))
	// A key that nobody has confirmed is replaced at each start, and opens nothing any more.
	last := recoveryKey(t, r, 3*time.Minute)
	if last == key {
		t.Error("the recovery key of the start before is shown again")
	}
	for _, try := range []struct{ key, says string }{{key, `That key does not open the disk`}, {last, `Thank you\. The recovery key is not shown again`}} {
		if err := r.Type(try.key + "\r"); err != nil {
			t.Fatal(err)
		}
		says(t, r, 5*time.Minute, regexp.MustCompile(try.says))
	}
	off(t, r)
	sealed(t, box)
}

// boxName is the name of a box as its console shows it.
var boxName = regexp.MustCompile(`Name: (sallyport-[a-z0-9]{4})\b`)

// formatted waits until systemd-repart has encrypted the data partition, and returns where. It does so before it writes the
// table, so nothing but the disk itself tells.
func formatted(t *testing.T, box *guest.Box, r *guest.Run) (at int64) {
	t.Helper()
	all, err := guest.Partitions(box.Disk())
	if err != nil {
		t.Fatal(err)
	}
	last := slices.MaxFunc(all, func(a, b guest.Partition) int { return int(a.Offset - b.Offset) })
	// The second slot comes before it, as large as the first; systemd-repart begins partitions at pages or megabytes.
	const page, slots = 4 << 10, 64<<20 + 2<<30
	from := last.Offset + last.Size + slots
	doortest.Eventually(t, bootWithin, "the encryption of the data partition", func() bool {
		select {
		case <-r.Ended():
			t.Fatal("the box went off")
		default:
		}
		for at = from; at <= from+8<<20; at += page {
			if _, err := guest.Encrypted(box.Disk(), at); err == nil {
				return true
			}
		}
		return false
	})
	return at
}

// recoveryKey reads the key from the console. The line may garble a character; an empty line has the page told once more.
func recoveryKey(t *testing.T, r *guest.Run, within time.Duration) string {
	t.Helper()
	shown(t, r, within, regexp.MustCompile(`Recovery key: [a-z]`)) // it may have been said a while ago
	for range 5 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, errors.New("no whole key"))
		all := recovery.FindStringSubmatch(r.Text())
		for all == nil && ctx.Err() == nil {
			_, _, _ = r.Expect(ctx, regexp.MustCompile(`\n`)) // until the line of the key is whole
			all = recovery.FindStringSubmatch(r.Text())
		}
		cancel()
		if all != nil {
			return all[1]
		}
		if err := r.Type("\r"); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the console shows no whole recovery key")
	return ""
}

// TestNoTPM starts a box without a TPM: it says so and makes no data partition until somebody chooses a passphrase, and then
// asks for it at every start.
func TestNoTPM(t *testing.T) {
	_, relay := mailServer(t)
	box, err := guest.New(t.Context(), workshop(t), diskImage(t))
	if err != nil {
		t.Fatal(err)
	}
	box.Cards, box.NoTPM, box.Credentials = cards(), true, map[string][]byte{"site": seedFor(t, relay)}
	const passphrase = "correct horse battery"
	types := func(t *testing.T, r *guest.Run, after *regexp.Regexp, text string) {
		t.Helper()
		says(t, r, bootWithin, after)
		if err := r.Type(text + "\r"); err != nil {
			t.Fatal(err)
		}
	}
	// systemd writes its whole question before it turns the echo off; who types faster than people do is echoed.
	opens := func(t *testing.T, r *guest.Run, text string) {
		t.Helper()
		says(t, r, bootWithin, asked)
		if err := r.Type("\t"); err != nil { // a tab asks for no echo, not even stars, and is answered
			t.Fatal(err)
		}
		types(t, r, regexp.MustCompile(`\(no echo\)`), text)
	}

	r := start(t, box)
	says(t, r, bootWithin, regexp.MustCompile(`This machine has no TPM, so its disk cannot open by itself`))
	says(t, r, time.Minute, regexp.MustCompile(`type the word passphrase and press Enter`))
	if p, err := guest.Find(box.Disk(), dataPartition); err == nil {
		t.Fatalf("nobody has chosen, and %v is made", p)
	}
	if err := r.Type("yes\r"); err != nil { // which is not the word
		t.Fatal(err)
	}
	types(t, r, regexp.MustCompile(`To go on without a TPM, type the word passphrase`), "passphrase")
	types(t, r, regexp.MustCompile(`A passphrase of \d+ letters or more`), "short")
	types(t, r, regexp.MustCompile(`That is too short[^:]*: `), passphrase)
	types(t, r, regexp.MustCompile(`The same once more`), passphrase)
	opens(t, r, passphrase)
	healthy(t, r)
	p, err := guest.Find(box.Disk(), dataPartition)
	if err != nil {
		t.Fatal(err)
	}
	off(t, r)
	if e, err := guest.Encrypted(box.Disk(), p.Offset); err != nil || e.Slots != 1 || len(e.Tokens) != 0 {
		t.Errorf("the disk opens by %+v (%v), want one passphrase and nothing else", e, err)
	}
	if raw, err := os.ReadFile(box.Log()); err != nil || regexp.MustCompile(regexp.QuoteMeta(passphrase)).Match(raw) {
		t.Errorf("the passphrase stands on the console (%v)", err)
	}

	r = start(t, box)
	opens(t, r, "another passphrase")
	opens(t, r, passphrase)
	healthy(t, r)
	if recovery.MatchString(r.Text()) {
		t.Error("a box that seals nothing shows a recovery key")
	}
}
