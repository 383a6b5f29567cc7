package outbox_test

import (
	"context"
	"path/filepath"
	"testing"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/vault"
)

const site = ident.Facility("f_00000000000000000000000001")

type bench struct {
	t       *testing.T
	db      *store.DB
	out     *outbox.Outbox
	centre  *vault.Party
	options outbox.Options
}

func party(t *testing.T, name string) *vault.Party {
	t.Helper()
	p, err := vault.NewParty([]byte(name + "-00000000000000000000000000000000"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := newBenchWithout(t)
	b.options.Centre = b.centre.Peer()
	b.out = b.open()
	return b
}

// newBenchWithout is a site that does not know its centre yet.
func newBenchWithout(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, db: storetest.Open(t, outbox.Schema), centre: party(t, "centre")}
	b.options = outbox.Options{Site: site, Party: party(t, "site"), Guard: filepath.Join(t.TempDir(), "incarnation")}
	b.out = b.open()
	return b
}

func (b *bench) open() *outbox.Outbox {
	b.t.Helper()
	out, err := outbox.New(b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := out.Begin(b.t.Context(), b.db); err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) update(fn func(*store.Tx) error) {
	b.t.Helper()
	if err := b.db.Update(b.t.Context(), fn); err != nil {
		b.t.Fatal(err)
	}
}

func view[T any](b *bench, fn func(*store.Tx) (T, error)) T {
	b.t.Helper()
	var out T
	err := b.db.View(context.Background(), func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func visit(id ident.Visit, state string) record.Record {
	return record.New(record.TypeVisit, id, &record.Visit{Class: "social", State: state})
}

func TestPutRefusesWhatMayNotLeave(t *testing.T) {
	b := newBench(t)
	err := b.db.Update(t.Context(), func(tx *store.Tx) error {
		return b.out.Put(tx, record.New(record.TypeVisit, ident.New[ident.Visit](), &record.Visit{Class: "attorney"}))
	})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("an attorney's visit left: %v", err)
	}
}
