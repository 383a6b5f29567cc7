package outbox_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

func (b *bench) batch(after int64) (linkspec.SyncBatch, bool) {
	b.t.Helper()
	var some bool
	got := view(b, func(tx *store.Tx) (batch linkspec.SyncBatch, err error) {
		batch, some, err = b.out.Batch(tx, after, record.MaxBatch, record.MaxBatchSize)
		return batch, err
	})
	return got, some
}

func (b *bench) chain(seq int64) linkspec.SyncChain {
	b.t.Helper()
	return view(b, func(tx *store.Tx) (linkspec.SyncChain, error) { return b.out.Chain(tx, seq) })
}

// Whatever local transactions are written, the batches are whole transactions in order, hold each key once in its last
// version, keep to the limits, and end with the hash and the signature of their last row.
func TestBatchesAreWholeAndLast(t *testing.T) {
	ids := make([]ident.Visit, 400)
	for i := range ids {
		ids[i] = ident.New[ident.Visit]()
	}
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t)
		ends := map[int64]bool{}
		for range rapid.IntRange(1, 4).Draw(rt, "transactions") {
			n := rapid.IntRange(30, 99).Draw(rt, "records")
			b.update(func(tx *store.Tx) error {
				for range n {
					if err := b.out.Put(tx, visit(rapid.SampledFrom(ids).Draw(rt, "id"), "x")); err != nil {
						return err
					}
				}
				return nil
			})
			ends[view(b, b.out.State).Head] = true
		}
		there := map[string]linkspec.SyncRecord{}
		after := int64(0)
		for {
			batch, some := b.batch(after)
			if !some {
				break
			}
			if batch.From != after+1 || !ends[batch.To] || len(batch.Records) > record.MaxBatch {
				rt.Fatalf("batch %d to %d with %d records; transactions end at %v", batch.From, batch.To, len(batch.Records), ends)
			}
			for _, r := range batch.Records {
				if there[r.Key].Ver >= r.Ver {
					rt.Fatalf("%s went back from %d to %d", r.Key, there[r.Key].Ver, r.Ver)
				}
				there[r.Key] = r
			}
			s := view(b, b.out.State)
			c := &record.Cursor{Epoch: batch.Epoch, Incarnation: s.Incarnation, Seq: batch.To, Chain: batch.Chain, Sig: batch.Sig}
			if err := b.options.Party.Peer().VerifyCursor(string(site), c); err != nil || !slices.Equal(b.chain(batch.To).Chain, batch.Chain) {
				rt.Fatalf("the cursor at %d: %v", batch.To, err)
			}
			after = batch.To
		}
		own := view(b, func(tx *store.Tx) (linkspec.SyncRecords, error) { return b.out.Records(tx, "", after, 1000) })
		if after != view(b, b.out.State).Head || len(own.Records) != len(there) {
			rt.Fatalf("%d rows and %d keys travelled of %d and %d", after, len(there), view(b, b.out.State).Head, len(own.Records))
		}
		for _, r := range own.Records {
			if there[r.Key].Ver != r.Ver || !slices.Equal(there[r.Key].Sealed, r.Sealed) {
				rt.Fatalf("%s travelled as version %d, is %d", r.Key, there[r.Key].Ver, r.Ver)
			}
		}
	})
}

func TestRolledBackRecordLeavesNoTrace(t *testing.T) {
	b := newBench(t)
	id := ident.New[ident.Visit]()
	b.update(func(tx *store.Tx) error { return b.out.Put(tx, visit(id, "requested")) })
	before := view(b, b.out.State)
	refused := errors.New("refused")
	err := b.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := b.out.Put(tx, visit(id, "confirmed")); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if after := view(b, b.out.State); after.Head != before.Head {
		t.Errorf("head %d after a rollback, %d before", after.Head, before.Head)
	}
	b.update(func(tx *store.Tx) error { return b.out.Put(tx, visit(id, "confirmed")) })
	batch, _ := b.batch(before.Head)
	if batch.From != before.Head+1 || len(batch.Records) != 1 || batch.Records[0].Ver != 2 {
		t.Errorf("batch after a rollback: %+v", batch)
	}
}

func TestLocalTransactionIsBounded(t *testing.T) {
	b := newBench(t)
	put := func(n int) error {
		return b.db.Update(t.Context(), func(tx *store.Tx) error {
			for range n {
				if err := b.out.Put(tx, visit(ident.New[ident.Visit](), "x")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := put(record.MaxLocal); err != nil { // and the data key, which does not count
		t.Errorf("%d records: %v", record.MaxLocal, err)
	}
	if err := put(record.MaxLocal + 1); !fault.Is(err, fault.Invalid) {
		t.Errorf("%d records: %v, want Invalid", record.MaxLocal+1, err)
	}
}

func TestDropLeavesATombstone(t *testing.T) {
	b := newBench(t)
	id := ident.New[ident.Visit]()
	key := record.KeyOf(record.TypeVisit, id)
	b.update(func(tx *store.Tx) error {
		if err := b.out.Drop(tx, key); err != nil { // never put: nothing to bury
			return err
		}
		return b.out.Put(tx, visit(id, "x"))
	})
	for range 2 {
		b.update(func(tx *store.Tx) error { return b.out.Drop(tx, key) })
	}
	batch, _ := b.batch(0)
	last := batch.Records[len(batch.Records)-1]
	e, _, err := record.DecodeEnvelope(last.Key, last.Sealed)
	if err != nil || !e.GetDeleted() || e.GetVer() != 2 || e.GetDeletedMs() == 0 {
		t.Errorf("tombstone %v, %v", e, err)
	}
	if head := view(b, b.out.State).Head; head != 3 { // the data key, the visit, one tombstone
		t.Errorf("%d rows, want 3", head)
	}
}

func TestAcknowledgement(t *testing.T) {
	b := newBench(t)
	for range 3 {
		b.update(func(tx *store.Tx) error { return b.out.Put(tx, visit(ident.New[ident.Visit](), "x")) })
	}
	head := view(b, b.out.State).Head
	for _, tt := range []struct {
		name string
		ack  linkspec.SyncAcked
		ok   bool
		want int64
	}{
		{"another epoch", linkspec.SyncAcked{Epoch: 2, Seq: 1}, false, 0},
		{"more than there is", linkspec.SyncAcked{Epoch: 1, Seq: head + 1}, false, 0},
		{"two", linkspec.SyncAcked{Epoch: 1, Seq: 2, Generation: "g"}, true, 2},
		{"an older one", linkspec.SyncAcked{Epoch: 1, Seq: 1, Generation: "g"}, true, 2},
		{"all", linkspec.SyncAcked{Epoch: 1, Seq: head, Generation: "g"}, true, head},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := b.out.Acked(t.Context(), b.db, tt.ack)
			if (err == nil) != tt.ok || err != nil && !fault.Is(err, fault.Conflict) {
				t.Errorf("Acked = %v, want accepted %v", err, tt.ok)
			}
			if got := view(b, b.out.State).Acked; got != tt.want {
				t.Errorf("acknowledged %d, want %d", got, tt.want)
			}
		})
	}
	s := view(b, b.out.Status)
	if s.Waiting != 0 || s.LastFull.IsZero() || s.State != "away" {
		t.Errorf("status %+v", s)
	}
}

func TestParkedRecordWaitsAndTheRestGoesOn(t *testing.T) {
	b := newBench(t)
	bad, good := ident.New[ident.Visit](), ident.New[ident.Visit]()
	b.update(func(tx *store.Tx) error {
		return errors.Join(b.out.Put(tx, visit(bad, "x")), b.out.Put(tx, visit(good, "x")))
	})
	path := record.KeyOf(record.TypeVisit, bad).Path(record.SitePrefix(string(site)))
	b.update(func(tx *store.Tx) error {
		return b.out.Park(tx, linkspec.SyncPark{Key: path, Ver: 1, Reason: "refused"})
	})
	b.update(func(tx *store.Tx) error { return b.out.Put(tx, visit(bad, "y")) })
	batch, _ := b.batch(0)
	for _, r := range batch.Records {
		if r.Key == path {
			t.Error("a parked record travels")
		}
	}
	if len(batch.Records) != 2 || batch.To != 4 {
		t.Errorf("batch to %d with %d records, want to 4 with the key and the good one", batch.To, len(batch.Records))
	}
	err := b.db.Update(t.Context(), func(tx *store.Tx) error {
		return b.out.Park(tx, linkspec.SyncPark{Key: record.KeyOf(record.TypeVisit, bad).Path(record.SitePrefix("f_2"))})
	})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("another site's record was parked: %v", err)
	}
}

func TestCentreNamedLaterReadsEarlierRecords(t *testing.T) {
	if _, err := outbox.New(outbox.Options{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an outbox without a secret: %v", err)
	}
	alone := newBenchWithout(t)
	alone.update(func(tx *store.Tx) error { return alone.out.Put(tx, visit(ident.New[ident.Visit](), "x")) })
	alone.options.Centre = alone.centre.Peer()
	alone.out = alone.open()
	batch, _ := alone.batch(0)
	opened := 0
	for _, r := range batch.Records {
		e, k, err := record.DecodeEnvelope(r.Key, r.Sealed)
		if err != nil {
			t.Fatal(err)
		}
		if k.Type != record.TypeKey {
			continue
		}
		w := &record.KeyWrap{}
		if err := record.Decode(e.GetSealed(), w); err != nil {
			t.Fatal(err)
		}
		if _, err := alone.centre.Unwrap(e.GetId(), w); err != nil {
			t.Errorf("the centre cannot read what was captured before it was named: %v", err)
		}
		opened++
	}
	if opened != 1 {
		t.Errorf("%d data keys in %d records", opened, len(batch.Records))
	}
}
