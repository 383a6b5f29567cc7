package images_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// debian are the users of the image's packages that rules and units of ours name; the image has them from those packages.
const debian = `u root 0 - /root
u systemd-network 998 -
u systemd-resolve 997 -
u _chrony 996 -
g systemd-journal 995 -
g tty 5 -
g disk 6 -
`

// scratch is an empty root with the users of the image, made by systemd itself.
func scratch(t *testing.T) string {
	t.Helper()
	needs(t, "systemd-sysusers", "systemd")
	needsRoot(t, "to give files to the users of the image")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etc/passwd"), "")
	write(t, filepath.Join(dir, "etc/group"), "")
	write(t, filepath.Join(dir, "usr/lib/sysusers.d/00-debian.conf"), debian)
	for _, path := range found(t, overlay+"/usr/lib/sysusers.d/*.conf") {
		write(t, filepath.Join(dir, "usr/lib/sysusers.d", filepath.Base(path)), read(t, path))
	}
	out, err := said(t, "systemd-sysusers", "--root="+dir)
	if err != nil {
		t.Fatalf("systemd-sysusers: %v\n%s", err, out)
	}
	// It goes on with exit 0 when it could not do what a line says.
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "Creating ") {
			t.Errorf("systemd-sysusers says: %s", line)
		}
	}
	return dir
}

// accounts returns the names and numbers of a passwd or group file.
func accounts(t *testing.T, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(read(t, path)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 2 {
			all[f[0]] = f[2]
		}
	}
	return all
}

// TestUsersAreThere makes the users as the image does and finds everybody whom a unit names. Their numbers are fixed: both
// slots must agree who owns /var.
func TestUsersAreThere(t *testing.T) {
	dir := scratch(t)
	users, groups := accounts(t, filepath.Join(dir, "etc/passwd")), accounts(t, filepath.Join(dir, "etc/group"))
	for name, number := range map[string]string{"booking": "701", "gateway": "702", "split": "703", "syncd": "704", "courier": "705"} {
		if users[name] != number || groups[name] != number {
			t.Errorf("%s is user %q and group %q, not %s", name, users[name], groups[name], number)
		}
	}
	if groups["link"] != "700" || groups["recordings"] != "706" {
		t.Errorf("the groups link and recordings are %q and %q", groups["link"], groups["recordings"])
	}
	for _, u := range units(t) {
		if !u.ofTheBox() {
			continue
		}
		for _, s := range u.lines {
			for _, name := range strings.Fields(s.value) {
				switch s.key {
				case "User", "SocketUser":
					if users[name] == "" {
						t.Errorf("%s: there is no user %s", u.path, name)
					}
				case "Group", "SocketGroup", "SupplementaryGroups":
					if groups[name] == "" {
						t.Errorf("%s: there is no group %s", u.path, name)
					}
				}
			}
		}
	}
}

// TestFoldersAreMade has systemd make the folders of /run and /var in an empty root.
func TestFoldersAreMade(t *testing.T) {
	dir := scratch(t)
	var files []string
	for _, path := range found(t, overlay+"/usr/lib/tmpfiles.d/*.conf") {
		at := filepath.Join(dir, "usr/lib/tmpfiles.d", filepath.Base(path))
		write(t, at, read(t, path))
		files = append(files, at)
	}
	for _, d := range []string{"run", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := said(t, "systemd-tmpfiles", append([]string{"--create", "--root=" + dir}, files...)...); err != nil || out != "" {
		t.Errorf("systemd-tmpfiles: %v\n%s", err, out)
	}
	users := accounts(t, filepath.Join(dir, "etc/passwd"))
	for path, want := range map[string]string{
		"run/sallyport": "0755 root", "var/lib/sallyport/booking": "0700 booking", "var/lib/sallyport/secrets": "0700 root",
		"var/lib/sallyport/site": "0755 root", "var/lib/sallyport/provision": "0700 root", "var/lib/sallyport/update": "0711 root",
	} {
		mode, user, _ := strings.Cut(want, " ")
		out, err := said(t, "stat", "-c", "%04a %u", filepath.Join(dir, path))
		if err != nil {
			t.Errorf("/%s is not made: %s", path, out)
		} else if got := strings.TrimSpace(out); got != mode+" "+users[user] {
			t.Errorf("/%s is %s, want %s %s (%s)", path, got, mode, users[user], user)
		}
	}
}

// TestPartitionsAgree compares the partitions of the build with those that the device makes: the same five, in order, of
// fixed sizes, and /var after them.
func TestPartitionsAgree(t *testing.T) {
	build, device := partitions(t, "appliance/repart"), partitions(t, overlay+"/usr/lib/repart.d")
	kinds := func(all []map[string]string) (k []string) {
		for _, p := range all {
			k = append(k, p["Type"])
		}
		return k
	}
	if got, want := kinds(device), []string{"esp", "root-verity", "root", "root-verity", "root", "var"}; !slices.Equal(got, want) {
		t.Fatalf("the device makes %v, want %v", got, want)
	}
	if got, want := kinds(build), kinds(device)[:len(build)]; len(build) < 3 || !slices.Equal(got, want) {
		t.Fatalf("the build makes %v, the device %v", got, kinds(device))
	}
	size := func(p map[string]string) string { return p["SizeMinBytes"] + "-" + p["SizeMaxBytes"] }
	for i, p := range device[:5] {
		if p["SizeMinBytes"] == "" || p["SizeMinBytes"] != p["SizeMaxBytes"] || p["Minimize"] != "" {
			t.Errorf("%s: sizes are fixed, or the device finds no room between the partitions", p["file"])
		}
		if i < len(build) && size(build[i]) != size(p) {
			t.Errorf("%s is %s, %s is %s", build[i]["file"], size(build[i]), p["file"], size(p))
		}
	}
	for i := range 2 {
		if size(device[1+i]) != size(device[3+i]) {
			t.Errorf("slot B differs from slot A: %s is %s, %s is %s", device[1+i]["file"], size(device[1+i]), device[3+i]["file"], size(device[3+i]))
		}
	}
	for _, p := range build {
		if p["Minimize"] != "" {
			t.Errorf("%s: Minimize leaves no room for the next version", p["file"])
		}
	}
	if v := device[5]; v["Encrypt"] == "" || v["Label"] != "sallyport-var" || v["FactoryReset"] != "yes" {
		t.Errorf("%s: /var is %v; it must be encrypted, called sallyport-var, and wiped by a factory reset", v["file"], v)
	}
}

// partitions reads a folder of repart definitions in the order in which repart reads it.
func partitions(t *testing.T, dir string) (all []map[string]string) {
	t.Helper()
	for _, path := range found(t, dir+"/*.conf") {
		p := map[string]string{"file": path}
		for _, s := range parse(read(t, path)) {
			p[s.key] = s.value
		}
		all = append(all, p)
	}
	return all
}

// TestPresetsEnable has systemctl apply the image's presets to our units in an empty root: what has an [Install] section is
// enabled by a rule of ours, or stands in the list of what starts only when asked.
func TestPresetsEnable(t *testing.T) {
	needs(t, "systemctl", "systemd")
	dir := t.TempDir()
	installed := map[string]bool{}
	for _, u := range units(t) {
		if !u.ofTheBox() {
			continue
		}
		write(t, filepath.Join(dir, "usr/lib/systemd/system", u.name), u.text)
		if slices.ContainsFunc(u.lines, func(s setting) bool { return s.section == "Install" && s.key != "Alias" }) {
			installed[u.name] = true
		}
	}
	for _, path := range found(t, overlay+"/usr/lib/systemd/system-preset/*.preset") {
		write(t, filepath.Join(dir, "usr/lib/systemd/system-preset", filepath.Base(path)), read(t, path))
	}
	if out, err := said(t, "systemctl", "--root="+dir, "preset-all"); err != nil {
		t.Fatalf("systemctl preset-all: %v\n%s", err, out)
	}
	enabled := map[string]bool{}
	for _, path := range found(t, filepath.Join(dir, "etc/systemd/system/*.*/*")) {
		enabled[filepath.Base(path)] = true
	}
	for name := range installed {
		if !enabled[name] && !enabled[instance(enabled, name)] {
			t.Errorf("%s has an [Install] section, and no preset enables it", name)
		}
	}
}

// instance is an enabled instance of a template, "" when there is none.
func instance(enabled map[string]bool, name string) string {
	head, _, cut := strings.Cut(name, "@.")
	for e := range enabled {
		if cut && strings.HasPrefix(e, head+"@") {
			return e
		}
	}
	return ""
}

// TestNoEvaluationInTheImage holds that what makes the image names nothing that is for workshops or other machines.
func TestNoEvaluationInTheImage(t *testing.T) {
	for _, name := range []string{"demo", "bench", "centrald"} {
		for _, file := range []string{"stage", "finalize", "appliance/finalize"} {
			for n, fields := range rows(read(t, file)) {
				if slices.ContainsFunc(fields, func(f string) bool { return strings.Trim(f, `"';)`) == name || strings.HasSuffix(f, "daemons/"+name) }) {
					t.Errorf("images/%s puts %s into the image (statement %s)", file, name, fmt.Sprint(n+1, fields))
				}
			}
		}
	}
}
