package outbox_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/fault"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

func TestNoticesAreTakenOnce(t *testing.T) {
	db := storetest.Open(t, outbox.Schema)
	n := outbox.Notice{Template: "visit.confirmed", To: "vr_1", Subject: "v_1", Params: map[string]any{"minutes": 30.0, "zone": "Europe/London"}}
	read := func() (all []outbox.Queued) {
		t.Helper()
		err := db.View(t.Context(), func(tx *store.Tx) (err error) { all, err = outbox.Notices(tx, 0, 10); return err })
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(outbox.Notify(tx, n), outbox.Notify(tx, outbox.Notice{Template: "account.active", To: "vr_2"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	got := read()
	if len(got) != 2 {
		t.Fatalf("%d notices, want 2", len(got))
	}
	if diff := cmp.Diff(n, got[0].Notice); diff != "" {
		t.Errorf("Notices mismatch (-want +got):\n%s", diff)
	}
	for range 2 {
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return outbox.Taken(tx, got[0].Seq) }); err != nil {
			t.Fatal(err)
		}
	}
	if left := read(); len(left) != 1 || left[0].Template != "account.active" {
		t.Errorf("left are %+v", left)
	}
}

func TestNotifyRefusesANoticeForNobody(t *testing.T) {
	db := storetest.Open(t, outbox.Schema)
	for _, n := range []outbox.Notice{{Template: "visit.confirmed"}, {To: "vr_1"}} {
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return outbox.Notify(tx, n) }); !fault.Is(err, fault.Invalid) {
			t.Errorf("Notify(%+v) = %v", n, err)
		}
	}
}
