//go:build image

package images_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/images/guest"
)

// Versions of the update test, as `make image-test-update` builds them: one that is in the field, a good one and one whose
// bookingd does not start.
const (
	fielded = "1.0.0"
	better  = "1.1.0"
	broken  = "1.2.0"
)

// What the console says about its versions.
var (
	onTrial = regexp.MustCompile(`Version (\S+) is on trial; (\S+) is kept beside it`)
	kept    = regexp.MustCompile(`The version before, (\S+), is in the other slot`)
	givenUp = regexp.MustCompile(`Version (\S+) was refused on \S+: ([^\r\n]*)`)
	again   = regexp.MustCompile(`Booting initrd of`)
	looked  = regexp.MustCompile(`Finished \S*sallyport-update\.service`)
)

// built is a file of `make image`; without it the test is left out, by name.
func built(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../build/image/out", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		lacking(t, name+" is not built (make image-test-update)")
	}
	return path
}

// stick makes the image of a stick with these files.
func stick(t *testing.T, dir string, files ...string) string {
	t.Helper()
	needs(t, "mkfs.vfat", "dosfstools")
	needs(t, "mcopy", "mtools")
	path := filepath.Join(dir, "stick")
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	var size int64 = 32 << 20
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	write(t, path, "")
	if err := os.Truncate(path, size&^511); err != nil {
		t.Fatal(err)
	}
	if out, err := said(t, "mkfs.vfat", "-n", "SALLYPORT", path); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := said(t, "mcopy", append(append([]string{"-i", path}, files...), "::")...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// windowNow is a window of the site file that holds for the hours of this test.
func windowNow(t *testing.T, zone string) string {
	t.Helper()
	at, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().In(at).Add(-time.Hour)
	return fmt.Sprintf("%s-%s", from.Format("Mon 15:04"), from.Add(12*time.Hour).Format("15:04"))
}

// becomes waits until a version has a verdict, and returns it with the slot that the version runs from.
func becomes(t *testing.T, r *guest.Run, version string) (slot, verdictIs string) {
	t.Helper()
	for {
		m := says(t, r, bootWithin, verdict)
		if m[1] == version {
			return m[2], m[3]
		}
	}
}

// TestUpdate is the life of a box over three versions: the second comes on a stick, is tried, found good and kept with the
// data of the first; the third does not work, is given up by itself after two tries, and is refused from then on. With
// -short nobody books a visit on it, and the stick is there from the first start.
func TestUpdate(t *testing.T) {
	first, second := built(t, "sallyport_"+fielded+".raw"), built(t, "sallyport-"+better+".upd")
	mails, relay := mailServer(t)
	dir := workshop(t)
	box, err := guest.New(t.Context(), dir, first)
	if err != nil {
		t.Fatal(err)
	}
	seed := string(seedFor(t, relay))
	const zone = "America/Chicago"
	if !strings.Contains(seed, zone) {
		t.Fatalf("the site file of the tests is not in %s", zone)
	}
	seed = strings.Replace(seed, "[port.lan1]", fmt.Sprintf("[updates]\ninstall = \"window\"\nwindow = %q\n\n[port.lan1]", windowNow(t, zone)), 1)
	box.Cards, box.Credentials = cards(), map[string][]byte{"site": []byte(seed)}

	s := &site{mails: mails}
	if testing.Short() {
		box.Stick = stick(t, dir, second)
	}
	r := start(t, box)
	if version, slot := healthy(t, r); version != fielded || slot != "a" {
		t.Fatalf("%s runs in slot %s", version, slot)
	}
	if !testing.Short() {
		code := claim.FindStringSubmatch(r.Text())
		if code == nil {
			code = says(t, r, 2*time.Minute, claim)
		}
		s.claim = code[1]
		s.doors = doorsOf(t, trust(t, r, box.At("mgmt0", "tcp/443")), func(name string) dialer {
			return at(func() string { return box.At(zoneOf(name), "tcp/443") })
		})
		s.firstVisit(t)
		off(t, r)
		box.Stick = stick(t, dir, second)
		r = start(t, box)
	}
	run := func(name string, fn func(t *testing.T)) {
		if !t.Failed() {
			t.Run(name, fn)
		}
	}
	run("a good version comes by stick and is kept", func(t *testing.T) {
		if slot, is := becomes(t, r, better); slot != "b" || is != "good" {
			t.Fatalf("%s is %s in slot %s", better, is, slot)
		}
		if m := onTrial.FindStringSubmatch(r.Text()); m == nil || m[1] != better || m[2] != fielded {
			t.Errorf("the console says of the trial: %q", m)
		}
		if m := says(t, r, 5*time.Minute, kept); m[1] != fielded {
			t.Errorf("the version before is %s", m[1])
		}
		if !testing.Short() {
			s.still(t)
		}
		off(t, r)
	})
	run("a bad version is given up and refused", func(t *testing.T) {
		box.Stick = stick(t, dir, built(t, "sallyport-"+broken+".upd"))
		r := start(t, box)
		for try := range 2 {
			if slot, is := becomes(t, r, broken); slot != "a" || is != "bad" {
				t.Fatalf("try %d: %s is %s in slot %s", try+1, broken, is, slot)
			}
			says(t, r, bootWithin, again)
		}
		if slot, is := becomes(t, r, better); slot != "b" || is != "good" {
			t.Fatalf("back on %s, it is %s in slot %s", better, is, slot)
		}
		if m := givenUp.FindStringSubmatch(r.Text()); m == nil || m[1] != broken || !strings.Contains(m[2], "health check") {
			t.Errorf("the console says of the refusal: %q", m)
		}
		if !testing.Short() {
			s.still(t)
		}
		// It has the stick with the refused version before its eyes, in its window.
		says(t, r, bootWithin, looked)
		if last := onTrial.FindAllString(r.Text(), -1); len(last) > 0 && strings.LastIndex(r.Text(), last[len(last)-1]) > givenUp.FindStringIndex(r.Text())[0] {
			t.Error("the refused version is tried again")
		}
		off(t, r)
	})
}
