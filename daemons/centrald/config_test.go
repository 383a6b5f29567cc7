package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/appliance/fault"
	"sallyport/appliance/logs"
	"sallyport/appliance/unit"
)

// A key that nobody reads is refused by name before anything is opened; unit ends the process with 78 for it.
func TestUnknownKeyIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "centrald.toml")
	if err := os.WriteFile(path, []byte("lissten = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), unit.NewEnv("centrald", []string{"--config", path}, logs.New(io.Discard)))
	if fault.CodeOf(err) != "config.unknown_key" || !strings.Contains(err.Error(), "lissten") {
		t.Errorf("run = %v, want a refusal that names lissten", err)
	}
}
