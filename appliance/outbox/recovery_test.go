package outbox_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
)

func (b *bench) putOne() {
	b.t.Helper()
	b.update(func(tx *store.Tx) error { return b.out.Put(tx, visit(ident.New[ident.Visit](), "x")) })
}

// wipe takes the history away, as an older copy of the file would.
func wipe(tx *store.Tx) error {
	return errors.Join(tx.Exec(`DELETE FROM outbox`), tx.Exec(`DELETE FROM sync_record`), tx.Exec(`DELETE FROM sync_key`), tx.Exec(`DELETE FROM sync_chain`))
}

func TestGuardTellsARestoredDatabase(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, b *bench)
		want   string
	}{
		{"nothing happened", func(*testing.T, *bench) {}, "normal"},
		{"the guard is gone", func(t *testing.T, b *bench) {
			if err := os.Remove(b.options.Guard); err != nil {
				t.Fatal(err)
			}
		}, "recovery"},
		{"the guard is torn", func(t *testing.T, b *bench) {
			if err := os.WriteFile(b.options.Guard, []byte(`{"incarn`), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "recovery"},
		{"the guard is another appliance's", func(t *testing.T, b *bench) {
			raw, err := os.ReadFile(newBench(t).options.Guard)
			if err == nil {
				err = os.WriteFile(b.options.Guard, raw, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "recovery"},
		{"the database went back", func(t *testing.T, b *bench) {
			b.putOne()
			head := view(b, b.out.State).Head
			if err := b.out.Acked(t.Context(), b.db, linkspec.SyncAcked{Epoch: 1, Seq: head, Generation: "g"}); err != nil {
				t.Fatal(err)
			}
			b.update(func(tx *store.Tx) error {
				return errors.Join(wipe(tx), tx.Exec(`UPDATE sync_state SET head = 0, acked = 0, chain = zeroblob(32)`))
			})
		}, "recovery"},
		{"the database is lost", func(t *testing.T, b *bench) {
			b.putOne()
			if err := b.out.Acked(t.Context(), b.db, linkspec.SyncAcked{Epoch: 1, Seq: 1, Generation: "g"}); err != nil {
				t.Fatal(err)
			}
			b.update(func(tx *store.Tx) error { return errors.Join(wipe(tx), tx.Exec(`DELETE FROM sync_state`)) })
		}, "recovery"},
		{"a crash before the first start was done", func(t *testing.T, b *bench) {
			b.update(func(tx *store.Tx) error { return tx.Exec(`DELETE FROM sync_state`) })
		}, "normal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			before := view(b, b.out.State)
			tt.change(t, b)
			b.out = b.open()
			got := view(b, b.out.State)
			if got.Mode != tt.want {
				t.Fatalf("mode %q, want %q", got.Mode, tt.want)
			}
			if same := bytes.Equal(got.Incarnation, before.Incarnation); same != (tt.want == "normal") {
				t.Errorf("incarnation kept %v in mode %q", same, got.Mode)
			}
			b.out = b.open()
			if again := view(b, b.out.State); again.Mode != got.Mode || !bytes.Equal(again.Incarnation, got.Incarnation) {
				t.Errorf("another start changed mode or incarnation: %+v", again)
			}
			b.putOne() // the site works on in any case
		})
	}
}

// TestGuardIsWrittenWhenItChanges: a start of a site whose disk is full has nothing to write.
func TestGuardIsWrittenWhenItChanges(t *testing.T) {
	b := newBench(t)
	look := func() os.FileInfo {
		t.Helper()
		info, err := os.Stat(b.options.Guard)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := look()
	b.out = b.open()
	if !os.SameFile(first, look()) {
		t.Error("a guard that says what it should is written anew")
	}
	if err := b.out.Recover(t.Context(), b.db, outbox.CauseForked); err != nil {
		t.Fatal(err)
	}
	if os.SameFile(first, look()) {
		t.Error("recovery leaves the guard as it was")
	}
}

func TestRecoveryStopsReplicationOnly(t *testing.T) {
	b := newBench(t)
	b.putOne()
	if err := b.out.Recover(t.Context(), b.db, "no such cause"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a cause that is none: %v", err)
	}
	if err := b.out.Recover(t.Context(), b.db, outbox.CauseForked); err != nil {
		t.Fatal(err)
	}
	first := view(b, b.out.State)
	if err := b.out.Recover(t.Context(), b.db, outbox.CauseFenced); err != nil {
		t.Fatal(err)
	}
	if s := view(b, b.out.Status); s.Mode != "recovery" || s.Cause != outbox.CauseForked || !bytes.Equal(s.Incarnation, first.Incarnation) {
		t.Errorf("status after a second cause %+v", s)
	}
	b.putOne()
	for name, try := range map[string]func(tx *store.Tx) error{
		"apply": func(tx *store.Tx) error {
			_, err := b.out.Apply(tx, linkspec.SyncApply{}, outbox.Handlers{})
			return err
		},
		"relist": func(tx *store.Tx) error {
			_, err := b.out.Relist(tx, linkspec.SyncRelist{Phase: "begin", R0: 1, Generation: "g"}, outbox.Handlers{})
			return err
		},
	} {
		if err := b.db.Update(t.Context(), try); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s in recovery: %v", name, err)
		}
	}
	if err := b.out.Acked(t.Context(), b.db, linkspec.SyncAcked{Epoch: 1, Seq: 1}); !fault.Is(err, fault.Conflict) {
		t.Errorf("acknowledged in recovery: %v", err)
	}
	b.out = b.open()
	if s := view(b, b.out.Status); s.Mode != "recovery" || s.Cause != outbox.CauseForked {
		t.Errorf("status after a restart %+v", s)
	}
}
