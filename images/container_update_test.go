//go:build image

package images_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/daemons/demo/mailbox"
	"sallyport/provisioning/bundle"
	"sallyport/provisioning/bundle/bundletest"
	"sallyport/provisioning/signature"
)

// dropIn writes a drop-in of a unit into the running box and has systemd read it.
func (c *container) dropIn(t *testing.T, unit, text string) {
	t.Helper()
	c.write(t, "/run/systemd/system/"+unit+".d/50-test.conf", text)
	if out, err := c.runs(t, "systemctl", "daemon-reload"); err != nil {
		t.Fatalf("daemon-reload: %v\n%s", err, out)
	}
}

// write puts a file into the running box.
func (c *container) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(c.file(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, c.file(path), text)
}

// TestContainerUpdate installs a small update as the unit of the box does it, with all that it is denied, into a disk that is a
// file of the container: what the guest proves on a real one, in a minute. Then the loader has given the version up.
func TestContainerUpdate(t *testing.T) {
	keys := filepath.Join(filepath.Dir(filepath.Dir(diskImage(t))), "keys/update-current.key")
	if _, err := os.Stat(keys); err != nil {
		lacking(t, "the signing key of the image is not beside it (IMAGE_KEYS)")
	}
	mails := mailbox.New()
	c := boot(t, imageRoot(t), func(relay net.Addr) []byte { return seedFor(t, relay) }, func(ln net.Listener) {
		done := make(chan error, 1)
		go func() { done <- mails.ServeSMTP(t.Context(), ln) }()
		t.Cleanup(func() {
			_ = ln.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
	doortest.Eventually(t, 5*time.Minute, "the verdict", func() bool {
		line, err := os.ReadFile(c.file("/run/sallyport/verdict"))
		return err == nil && verdict.Match(line)
	})

	running, err := bundle.ReadRelease([]byte(read(t, c.file("/usr/share/sallyport/release.json"))))
	if err != nil {
		t.Fatal(err)
	}

	// A disk with two slots, of which the first has the version that runs, and the loader's partition.
	const folder = "/var/lib/sallyport/update"
	definitions := t.TempDir()
	for i, p := range []struct{ kind, label, size string }{
		{"root-verity", "sallyport_" + running.Version.String() + "_verity", "4M"}, {"root", "sallyport_" + running.Version.String(), "16M"}, {"root-verity", "_empty", "4M"}, {"root", "_empty", "16M"},
	} {
		write(t, filepath.Join(definitions, fmt.Sprintf("%d0.conf", i+1)),
			fmt.Sprintf("[Partition]\nType=%s\nLabel=%s\nSizeMinBytes=%s\nSizeMaxBytes=%s\n", p.kind, p.label, p.size, p.size))
	}
	disk := c.file(folder + "/disk")
	if out, err := said(t, "systemd-repart", "--empty=create", "--size=64M", "--dry-run=no", "--definitions="+definitions, disk); err != nil {
		t.Fatalf("make a disk: %v\n%s", err, out)
	}
	c.write(t, "/efi/EFI/Linux/sallyport_"+running.Version.String()+".efi", "")
	here := strings.NewReplacer("Path=auto", "Path="+folder+"/disk", "Path=/EFI/Linux", "Path=/efi/EFI/Linux", "PathRelativeTo=boot\n", "")
	for _, path := range found(t, overlay+"/usr/lib/sysupdate.d/*.transfer") {
		c.write(t, "/etc/sysupdate.d/"+filepath.Base(path), here.Replace(read(t, path)))
	}
	key, err := signature.OpenSigner(keys)
	if err != nil {
		t.Fatal(err)
	}
	next := running
	next.Version.Minor++
	better := next.Version.String()
	c.write(t, folder+"/incoming/sallyport-"+better+".upd", read(t, bundletest.Pack(t, t.TempDir(), next, key)))

	// The unit as it is, but for the window and the restart.
	c.dropIn(t, "sallyport-update.service", "[Service]\nExecStart=\nExecStart=/usr/bin/sallyportctl update install\n")
	began := time.Now()
	if out, err := c.runs(t, "systemctl", "start", "sallyport-update.service"); err != nil {
		said, _ := c.runs(t, "journalctl", "--no-pager", "-u", "sallyport-update.service", "-n", "50")
		t.Fatalf("install: %v\n%s%s", err, out, said)
	}
	t.Logf("installed after %.0f s", time.Since(began).Seconds())
	for _, path := range []string{"/efi/EFI/Linux/sallyport_" + better + "+2-0.efi", "/var/lib/sallyport/booking/before-" + better + ".age", "/var/lib/sallyport/secrets/snapshot-identity"} {
		if _, err := os.Stat(c.file(path)); err != nil {
			t.Errorf("after the install: %v", err)
		}
	}
	status := func() string {
		t.Helper()
		out, err := c.runs(t, "sallyportctl", "update", "status")
		if err != nil {
			t.Fatalf("update status: %v\n%s", err, out)
		}
		return out
	}
	if out := status(); !strings.Contains(out, "on trial") || !strings.Contains(out, "2 tries left") {
		t.Errorf("update status:\n%s", out)
	}

	// An administrator asks at the setup door for a version that is not there: a unit notices, takes the request with all that it
	// is denied, and says so where bookingd reads it.
	const request, told = "/run/sallyport/booking/request.json", "/run/sallyport/update.json"
	c.write(t, request, `{"do":"install","version":"9.9.9"}`)
	doortest.Eventually(t, 2*time.Minute, "the answer to an administrator", func() bool {
		answer, err := os.ReadFile(c.file(told))
		return err == nil && strings.Contains(string(answer), `"update.gone"`)
	})
	if _, err := os.Stat(c.file(request)); err == nil {
		t.Error("the request is not taken")
	}
	if out, err := c.runs(t, "systemctl", "is-failed", "sallyport-asked.service", "sallyport-asked.path"); err == nil {
		t.Errorf("what takes requests has failed: %s", out)
	}
	doortest.Eventually(t, time.Minute, "how versions stand", func() bool {
		stands, err := os.ReadFile(c.file("/run/sallyport/versions.json"))
		return err == nil && strings.Contains(string(stands), `"running":"`+running.Version.String()) && strings.Contains(string(stands), `"trial":{"version":"`+better)
	})

	// Both tries are used up, and this version came up again.
	if err := os.Rename(c.file("/efi/EFI/Linux/sallyport_"+better+"+2-0.efi"), c.file("/efi/EFI/Linux/sallyport_"+better+"+0-2.efi")); err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"sallyport-trial.service", "sallyport-keep.service"} {
		if out, err := c.runs(t, "systemctl", "restart", unit); err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
	if out := status(); !strings.Contains(out, "refused") || !strings.Contains(out, "did not start") || strings.Contains(out, "on trial") {
		t.Errorf("update status:\n%s", out)
	}
	if out, err := c.runs(t, "systemctl", "start", "sallyport-update.service"); err == nil {
		t.Errorf("a refused version is installed again\n%s", out)
	}
	said, _ := c.runs(t, "journalctl", "--no-pager", "-u", "sallyport-update.service", "-n", "5")
	if !strings.Contains(said, "was refused on") {
		t.Errorf("the unit does not say why it installs nothing:\n%s", said)
	}

	// The version that runs is on trial and its health has failed: the reason is noted, and the box starts anew by itself.
	c.write(t, folder+"/state.json", fmt.Sprintf(`{"trial":{"version":%q,"from":"0.9.0","at":"2026-01-01T00:00:00Z","installed":true}}`, running.Version))
	c.write(t, "/run/sallyport/verdict", fmt.Sprintf("SALLYPORT version=%v slot=a verdict=bad failed=[link doors]\n", running.Version))
	c.dropIn(t, "sallyport-rollback.service", "[Unit]\nConditionPathExists=\n[Service]\nExecStart=\nExecStart=/usr/bin/sallyportctl update refuse\n")
	if out, err := c.runs(t, "systemctl", "start", "sallyport-rollback.service"); err != nil {
		t.Errorf("note the failure: %v\n%s", err, out)
	}
	if out := status(); !strings.Contains(out, "health check link doors") {
		t.Errorf("update status:\n%s", out)
	}
	c.dropIn(t, "sallyport-rollback.service", "[Unit]\nConditionPathExists=\n")
	if out, err := c.runs(t, "systemctl", "start", "--no-block", "sallyport-rollback.service"); err != nil {
		t.Errorf("give the version up: %v\n%s", err, out)
	}
	// systemd-nspawn itself may not come back after it; what the box does is seen before.
	doortest.Eventually(t, time.Minute, "the box to start anew", func() bool { return strings.Contains(c.log.String(), "Reached target reboot.target") })
}
