package images_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestFirewallLoads has nft read the rules with the users of the image, in a network of its own.
func TestFirewallLoads(t *testing.T) {
	needs(t, "nft", "nftables")
	dir := scratch(t)
	rules, err := filepath.Abs(overlay + "/etc/nftables.conf")
	if err != nil {
		t.Fatal(err)
	}
	load := func(rules string) (string, error) {
		return said(t, "unshare", "--net", "--mount", "sh", "-ec",
			`mount --bind "$1/etc/passwd" /etc/passwd; mount --bind "$1/etc/group" /etc/group; nft -c -f "$2"`, "sh", dir, rules)
	}
	if out, err := load(rules); err != nil || out != "" {
		t.Errorf("nft says: %v\n%s", err, out)
	}
	stranger := filepath.Join(dir, "stranger.conf")
	write(t, stranger, strings.ReplaceAll(read(t, rules), "skuid gateway", "skuid nobodyhere"))
	if _, err := load(stranger); err == nil {
		t.Error("rules with a user that the image does not have pass")
	}
}
