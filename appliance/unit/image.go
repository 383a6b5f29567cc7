package unit

import (
	"os"
	"strings"
)

// OSRelease is where a system says what it is, os-release(5).
const OSRelease = "/usr/lib/os-release"

// ImageVersion returns the version of the image that a system was started from, as its os-release file at path has it;
// "" for a system that is no image.
func ImageVersion(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "IMAGE_VERSION="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}
