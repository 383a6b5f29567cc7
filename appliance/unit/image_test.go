package unit

import (
	"os"
	"path/filepath"
	"testing"
)

func TestImageVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "os-release")
	if got := ImageVersion(path); got != "" {
		t.Errorf("without a file it is %q", got)
	}
	for text, want := range map[string]string{
		"ID=debian\nIMAGE_ID=sallyport\nIMAGE_VERSION=\"1.2.3\"\n": "1.2.3",
		"IMAGE_VERSION='1.2.3'":                               "1.2.3",
		"IMAGE_VERSION=1.2.3\n":                               "1.2.3",
		"ID=debian\nVERSION_ID=\"13\"\nSUB_IMAGE_VERSION=9\n": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ImageVersion(path); got != want {
			t.Errorf("%q is version %q, want %q", text, got, want)
		}
	}
}
