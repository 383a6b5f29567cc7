package images_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestUnitsStartWhatIsThere finds the source of each program and each unit of ours that another one names.
func TestUnitsStartWhatIsThere(t *testing.T) {
	there := map[string]bool{}
	for _, u := range units(t) {
		there[u.name] = true
	}
	staged := map[string]bool{"centrald": true} // the central site's machine is not this image
	for _, fields := range rows(read(t, "stage")) {
		if fields[0] == "program" {
			staged[fields[1]] = true
		}
	}
	ours := regexp.MustCompile(`^(sallyport|bookingd|gatewayd|syncd|signal|turn|https|names)[\w@-]*\.(service|socket|target|timer)$`)
	for _, u := range units(t) {
		for _, p := range u.programs() {
			if p == "systemctl" || p == "kmod" {
				continue // Debian's
			}
			if names, err := filepath.Glob("../daemons/" + p + "/main.go"); err != nil || len(names) != 1 {
				t.Errorf("%s starts /usr/bin/%s, which nobody builds", u.path, p)
			}
			if !staged[p] {
				t.Errorf("%s starts /usr/bin/%s, which images/stage does not put into the image", u.path, p)
			}
		}
		for _, s := range u.lines {
			switch s.key {
			case "Requires", "Wants", "BindsTo", "Requisite", "After", "Before", "OnFailure", "Sockets", "Service", "Unit", "PartOf", "Upholds", "Also":
				for _, name := range strings.Fields(s.value) {
					if ours.MatchString(name) && !there[name] && !there[template(name)] {
						t.Errorf("%s: %s=%s is not there", u.path, s.key, name)
					}
				}
			}
		}
	}
}

// template is the file of an instance: console@tty1.service is in console@.service.
func template(name string) string {
	head, tail, cut := strings.Cut(name, "@")
	if !cut {
		return name
	}
	return head + "@" + tail[strings.LastIndex(tail, "."):]
}
