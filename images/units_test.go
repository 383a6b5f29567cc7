package images_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// unit is a unit file or drop-in as it stands in the tree.
type unit struct {
	name  string
	path  string
	text  string
	lines []setting
}

// setting is one line of a unit.
type setting struct{ section, key, value string }

// parse reads the lines of a unit as systemd joins them.
func parse(text string) (all []setting) {
	section := ""
	for _, fields := range rows(strings.ReplaceAll(text, "\\\n", " ")) {
		line := strings.Join(fields, " ")
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		all = append(all, setting{section, strings.TrimSpace(key), strings.TrimSpace(value)})
	}
	return all
}

// all returns the values of a key, in order.
func (u unit) all(key string) (values []string) {
	for _, s := range u.lines {
		if s.key == key {
			values = append(values, s.value)
		}
	}
	return values
}

// last is the value that counts of a key that is set once, "" when it is not set.
func (u unit) last(key string) string {
	if all := u.all(key); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

func (u unit) service() bool { return strings.HasSuffix(u.name, ".service") }

// units are all that we write: beside the programs that they start, and in the overlay.
func units(t *testing.T) []unit {
	t.Helper()
	var all []unit
	for _, path := range found(t, "../daemons/*/*.service", "../daemons/*/*.socket", "../daemons/*/*.target", "../daemons/*/*.timer",
		"../daemons/*/*.path", "../daemons/*/*.mount", overlay+"/usr/lib/systemd/system/*.*") {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			continue // drop-ins of Debian's units; they are read by dropIns
		}
		text := read(t, path)
		all = append(all, unit{name: filepath.Base(path), path: path, text: text, lines: parse(text)})
	}
	return all
}

// services are the units of kind service.
func services(t *testing.T) (all []unit) {
	t.Helper()
	for _, u := range units(t) {
		if u.service() {
			all = append(all, u)
		}
	}
	return all
}

// ofTheBox tells whether a unit is on the appliance: the central site's is not.
func (u unit) ofTheBox() bool { return u.name != "centrald.service" }

// executed finds the programs of a unit: systemd-analyze would look for them on this machine.
var executed = regexp.MustCompile(`(?m)^(Exec\w+=[-@:+!]*)/usr/bin/\S+`)

// newer are settings that the systemd of Debian 12 does not know and that of the image does. An older host reads the units
// without them; the guest's own systemd reads them whole.
var newer = map[string]int{"ImportCredential": 254, "MemoryZSwapMax": 253, "SetLoginEnvironment": 255, "PrivatePIDs": 257}

func systemdVersion(t *testing.T) int {
	t.Helper()
	needs(t, "systemd-analyze", "systemd")
	out, err := said(t, "systemd-analyze", "--version")
	fields := strings.Fields(out)
	if err != nil || len(fields) < 2 {
		t.Fatalf("systemd-analyze --version: %v %s", err, out)
	}
	n, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// known takes the settings out that this machine's systemd cannot know.
func known(text string, version int) string {
	for key, since := range newer {
		if version < since {
			text = regexp.MustCompile(`(?m)^`+key+`=.*\n`).ReplaceAllString(text, "")
		}
	}
	return text
}

// analyze runs systemd-analyze over copies of the units that change returns, and starts nothing.
func analyze(t *testing.T, all []unit, change func(unit) string, args ...string) string {
	t.Helper()
	version, dir := systemdVersion(t), t.TempDir()
	var files []string
	for _, u := range all {
		at := filepath.Join(dir, u.name)
		write(t, at, known(executed.ReplaceAllString(change(u), "${1}/bin/true"), version))
		files = append(files, at)
	}
	t.Setenv("SYSTEMD_UNIT_PATH", dir+":")
	out, err := said(t, "systemd-analyze", append(args, files...)...)
	if err != nil && out == "" {
		t.Fatalf("systemd-analyze %v: %v", args, err)
	}
	return out
}

func asItIs(u unit) string { return u.text }

// TestUnitsAreUnderstood has systemd read all units: it must find nothing to say, because an unknown key is only a remark to
// it and would leave a door open.
func TestUnitsAreUnderstood(t *testing.T) {
	verify := func(change func(unit) string) string {
		return analyze(t, units(t), change, "verify", "--man=no", "--recursive-errors=no")
	}
	if out := verify(asItIs); out != "" {
		t.Errorf("systemd says:\n%s", out)
	}
	misspelt := func(u unit) string { return strings.ReplaceAll(u.text, "ProtectHome=", "ProtectHomes=") }
	if out := verify(misspelt); !strings.Contains(out, "ProtectHomes") {
		t.Error("a setting that systemd does not know passes")
	}
}

// The worst figures that systemd may give, in tenths (O4): a bare service has 96.
const (
	exposedDaemon = 16 // speaks to people or networks
	exposedOther  = 20
)

// daemons are the services that people or networks speak to.
var daemons = []string{"bookingd.service", "gatewayd.service", "gatewayd-split.service", "syncd.service", "centrald.service"}

var overall = regexp.MustCompile(`Overall exposure level for (\S+): ([0-9]+)\.([0-9])`)

// exposure returns systemd's figure of each service in tenths.
func exposure(t *testing.T, change func(unit) string) map[string]int {
	t.Helper()
	out := analyze(t, services(t), change, "security", "--offline=true", "--no-pager")
	figures := map[string]int{}
	for _, m := range overall.FindAllStringSubmatch(out, -1) {
		n, err := strconv.Atoi(m[2] + m[3])
		if err != nil {
			t.Fatal(err)
		}
		figures[m[1]] = n
	}
	return figures
}

// TestUnitsAreShut has systemd rate what each service could do if it were taken over.
func TestUnitsAreShut(t *testing.T) {
	figures := exposure(t, asItIs)
	for _, u := range services(t) {
		figure, ok := figures[u.name]
		limit := exposedOther
		if slices.Contains(daemons, u.name) {
			limit = exposedDaemon
		}
		switch {
		case !ok && strings.Contains(u.name, "@."): // rated under its instance
		case !ok:
			t.Errorf("%s has no figure", u.path)
		case figure > limit:
			t.Errorf("%s has %d tenths, more than %d: systemd-analyze security --offline=true names what weighs", u.path, figure, limit)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		t.Logf("%-32s %d.%d", name, figures[name]/10, figures[name]%10)
	}
	open := func(u unit) string { return strings.ReplaceAll(u.text, "SystemCallFilter=", "#") }
	for name, figure := range exposure(t, open) {
		if figure <= figures[name] && strings.Contains(name, "bookingd") {
			t.Errorf("%s is rated %d without a filter of system calls, %d with it", name, figure, figures[name])
		}
	}
}

// commonSet is what every service of the box has.
const commonSet = `NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateIPC=yes
PrivateUsers=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
UMask=0077
LimitCORE=0
CapabilityBoundingSet=
AmbientCapabilities=
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM`

// differs is where a service has to do without a line of the common set, or has another in its place: "Key" is left out,
// "Key=value" stands instead. Each has its reason beside it in the unit.
var differs = map[string][]string{
	// The link and the operators' socket must see the true uid of a caller, not 65534.
	"bookingd.service": {"PrivateUsers"},
	"centrald.service": {"PrivateUsers"},
	// Recordings are for a group, which erases them.
	"gatewayd.service": {"UMask=0007"},
	// Rules and networks are the machine's. Before /var there is no folder for a PrivateTmp; what follows from a site is read
	// by other users.
	"sallyport-firewall.service": {"PrivateUsers", "PrivateTmp", "CapabilityBoundingSet=CAP_NET_ADMIN"},
	"sallyport-site.service":     {"PrivateUsers", "UMask=0022", "CapabilityBoundingSet=CAP_NET_ADMIN"},
	// Its question is answered by who asks, and its answer is in the firewall.
	"sallyport-host.service": {"PrivateUsers", "CapabilityBoundingSet=CAP_NET_ADMIN", "AmbientCapabilities=CAP_NET_ADMIN"},
	// Root of the machine writes a slot of its disk; what was fetched is read by another user.
	"sallyport-update.service": {"PrivateUsers", "PrivateDevices", "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_DAC_OVERRIDE"},
	"sallyport-asked.service":  {"PrivateUsers", "PrivateDevices", "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_DAC_OVERRIDE"},
	"sallyport-fetch.service":  {"UMask=0022"},
	// The disk's header and the TPM are devices; what bookingd leaves for the console is in its own folder.
	"sallyport-provision.service": {"PrivateUsers", "PrivateDevices", "ProcSubset", "CapabilityBoundingSet=CAP_DAC_OVERRIDE"},
	"sallyport-console@.service":  {"PrivateUsers", "PrivateDevices", "ProcSubset", "CapabilityBoundingSet=CAP_DAC_OVERRIDE", "AmbientCapabilities=CAP_DAC_OVERRIDE"},
	// The kernel tells whether its clock was set by the call that would set it.
	"sallyport-late.service": {"PrivateUsers", "ProtectClock"},
	// Secrets are those of root.
	"sallyport-renew.service": {"PrivateUsers"},
	// It loads modules and does nothing else.
	"sallyport-stick.service": {"PrivateUsers", "ProtectKernelModules", "ProcSubset", "CapabilityBoundingSet=CAP_SYS_MODULE"},
	// Rules are read by the call that would change them.
	"sallyport-health.service": {"PrivateUsers", "CapabilityBoundingSet=CAP_NET_ADMIN"},
}

// missing names the lines of the common set that a service does not have.
func missing(name string, lines []setting) (lacks []string) {
	var instead []string
	for _, d := range differs[name] {
		if strings.Contains(d, "=") {
			instead = append(instead, d)
		}
	}
	has := map[string]bool{}
	for _, s := range lines {
		if s.section == "Service" {
			has[s.key+"="+s.value] = true
		}
	}
	for line := range strings.Lines(commonSet) {
		line = strings.TrimSpace(line)
		key, _, _ := strings.Cut(line, "=")
		if slices.Contains(differs[name], key) || slices.ContainsFunc(instead, func(d string) bool { return strings.HasPrefix(d, key+"=") }) {
			continue
		}
		if !has[line] {
			lacks = append(lacks, line)
		}
	}
	for _, d := range instead {
		if !has[d] {
			lacks = append(lacks, d)
		}
	}
	return lacks
}

// TestUnitsHaveTheCommonSet names the line that is missing, and proves of each single line that it would be missed.
func TestUnitsHaveTheCommonSet(t *testing.T) {
	for _, u := range services(t) {
		if lacks := missing(u.name, u.lines); len(lacks) > 0 {
			t.Errorf("%s lacks %s", u.path, strings.Join(lacks, ", "))
			continue
		}
		for i, s := range u.lines {
			if s.section != "Service" || !inCommonSet(u.name, s) {
				continue
			}
			if lacks := missing(u.name, slices.Delete(slices.Clone(u.lines), i, i+1)); len(lacks) == 0 {
				t.Errorf("%s: nobody would notice that %s=%s was taken away", u.path, s.key, s.value)
			}
		}
	}
	for name, lines := range differs {
		at := slices.IndexFunc(services(t), func(u unit) bool { return u.name == name })
		if at < 0 {
			t.Errorf("differs has a row for %s, which is not there", name)
			continue
		}
		for _, line := range lines {
			if !strings.Contains(line, "=") && !strings.Contains(services(t)[at].text, "No "+line) {
				t.Errorf("%s does without %s and does not say why: \"# No %s: ...\"", name, line, line)
			}
		}
	}
}

func inCommonSet(name string, s setting) bool {
	line := fmt.Sprintf("%s=%s", s.key, s.value)
	return slices.Contains(differs[name], line) || slices.Contains(strings.Split(commonSet, "\n"), line)
}
