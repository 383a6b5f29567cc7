package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sallyport/appliance/fault"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

const brokenEnv = "STORE_TEST_BROKEN"

// brokenChild writes until the kernel refuses, as a failing disk would, and prints what the store does then.
func brokenChild(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{Path: path, Migrations: oneRoom(things)})
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	served := make(chan error, 1)
	go func() { served <- db.Serve(ctx) }()
	info, err := os.Stat(path + "-wal")
	if err != nil {
		fmt.Println("stat:", err)
		return
	}
	limit := uint64(info.Size()) + 64<<10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		fmt.Println("limit:", err)
		return
	}
	acknowledged := 0
	for ; acknowledged < 10_000; acknowledged++ {
		if err = db.Update(ctx, put(fmt.Sprint(acknowledged), 1)); err != nil {
			break
		}
	}
	fmt.Println("acknowledged", acknowledged)
	fmt.Println("first", fault.CodeOf(err))
	fmt.Println("served", (<-served) != nil)
	fmt.Println("next", fault.CodeOf(db.Update(ctx, put("next", 1))))
}

func TestFailedDiskStopsTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), brokenEnv+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"first store.broken\n", "served true\n", "next store.stopped\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the store does not say %q:\n%s", want, out)
		}
	}
	var acknowledged int
	if _, err := fmt.Sscanf(string(out), "acknowledged %d", &acknowledged); err != nil || acknowledged == 0 {
		t.Fatalf("nothing was acknowledged: %v\n%s", err, out)
	}
	db, err := store.Open(t.Context(), store.Options{Path: path, Migrations: oneRoom(things)})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Serve(t, db)
	if n := count(t, db, "SELECT count(*) FROM thing"); n < acknowledged {
		t.Errorf("%d of %d acknowledged things are there", n, acknowledged)
	}
}

func TestFullDiskRefusesAndHeals(t *testing.T) {
	db := storetest.Open(t, schema(things))
	ctx := t.Context()
	pages := func(n int) {
		t.Helper()
		if err := db.Update(ctx, func(tx *store.Tx) error { return tx.Row(fmt.Sprintf("PRAGMA max_page_count = %d", n)).Scan(new(int)) }); err != nil {
			t.Fatal(err)
		}
	}
	big := func(id string) error {
		return db.Update(ctx, func(tx *store.Tx) error {
			return errors.Join(put(id, 1)(tx), tx.Exec("UPDATE thing SET raw = zeroblob(1000000) WHERE id = ?", id))
		})
	}
	pages(20)
	if err := big("a"); fault.CodeOf(err) != "disk.full" || !fault.Is(err, fault.Unavailable) {
		t.Fatalf("on a full disk Update = %v", err)
	}
	if n := count(t, db, "SELECT count(*) FROM thing"); n != 0 {
		t.Error("half of it was kept")
	}
	pages(10_000)
	if err := big("a"); err != nil {
		t.Errorf("with room again Update = %v", err)
	}
}
