package phases

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/appliance/unit"
)

// VerdictFile has the last verdict of this boot, below Run.
const VerdictFile = "verdict"

// Version is the version of the image that runs.
func (m *Machine) Version() string {
	return cmp.Or(unit.ImageVersion(filepath.Join(m.Root, "lib/os-release")), "unknown")
}

// Slot is the half of the disk that the system runs from: a or b, by the number of its partition.
func (m *Machine) Slot() string {
	if m.Contained {
		return "-"
	}
	var st unix.Stat_t
	if err := unix.Stat(m.Root, &st); err != nil {
		return "-"
	}
	at := filepath.Join(m.Sys, "dev/block", fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	device, err := filepath.EvalSymlinks(at)
	if err != nil {
		return "-"
	}
	below, err := filepath.Glob(filepath.Join(device, "slaves/*/partition"))
	if err != nil {
		return "-"
	}
	var numbers []int
	for _, path := range below {
		raw, err := os.ReadFile(path)
		if n, nerr := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && nerr == nil {
			numbers = append(numbers, n)
		}
	}
	// 1 is for starting; 2 and 3 are slot A, 4 and 5 slot B.
	switch {
	case len(numbers) == 0:
		return "-"
	case slices.Max(numbers) <= 3:
		return "a"
	}
	return "b"
}

// VerdictLine is the line that the serial console, the updates and tests read.
func (m *Machine) VerdictLine(failed []string) string {
	verdict := "good"
	if len(failed) > 0 {
		verdict = "bad"
	}
	return fmt.Sprintf("SALLYPORT version=%s slot=%s verdict=%s failed=[%s]", m.Version(), m.Slot(), verdict, strings.Join(failed, " "))
}
