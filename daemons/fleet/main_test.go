package fleet

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// bin is the folder of the daemons, built once.
var bin string

// all tells that nothing is left out.
func all() bool { return os.Getenv("FLEET") == "all" }

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = filepath.Join(dir, "bin")
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	args := []string{"build", "-o", bin + "/"}
	for _, name := range []string{"demo", "bookingd", "gatewayd", "syncd", "centrald", "sallyportctl"} {
		args = append(args, "../"+name)
	}
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "fleet: build the daemons: %v\n%s", err, out)
		return 1
	}
	// The houses wait more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		return 1
	}
	if !all() {
		fmt.Println("fleet: short form; left out: the fixed end of a call of five minutes (staff end it). FLEET=all or `make fleet` runs it.")
	}
	return m.Run()
}
