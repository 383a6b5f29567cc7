package facility_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/audit"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

var admin = ident.Actor{Kind: ident.ByStaff, ID: "sf_a", Door: "setup", Roles: []string{"administrator"}}

func north() facility.Facility {
	return facility.Facility{
		Name: "North", Zone: "Europe/London", Country: "GB", Currency: "GBP", BookingOpen: true,
		Support: facility.Support{Phone: "+441632960000", Hours: "9 to 5", Email: "help@north.example"},
	}
}

func update(t *testing.T, db *store.DB, fn func(*store.Tx) error) error {
	t.Helper()
	return db.Update(t.Context(), fn)
}

func TestPutAndGet(t *testing.T) {
	db := storetest.Open(t, audit.Schema, facility.Schema)
	fs := facility.New()
	if err := db.View(t.Context(), func(tx *store.Tx) error { _, err := fs.Get(tx); return err }); !fault.Is(err, fault.NotFound) {
		t.Fatalf("Get before set-up: %v", err)
	}
	var put, got facility.Facility
	if err := update(t, db, func(tx *store.Tx) (err error) { put, err = fs.Put(tx, admin, north()); return err }); err != nil {
		t.Fatal(err)
	}
	if err := db.View(t.Context(), func(tx *store.Tx) (err error) { got, err = fs.Get(tx); return err }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(put, got); diff != "" || got.ID == "" || got.Version != 1 {
		t.Errorf("Get mismatch (-put +got):\n%s", diff)
	}
}

func TestPutRefuses(t *testing.T) {
	db := storetest.Open(t, audit.Schema, facility.Schema)
	fs := facility.New()
	for _, tt := range []struct {
		name  string
		spoil func(*facility.Facility)
		field string
	}{
		{"no name", func(f *facility.Facility) { f.Name = "" }, "name"},
		{"unknown zone", func(f *facility.Facility) { f.Zone = "Europe/Nowhere" }, "zone"},
		{"machine's zone", func(f *facility.Facility) { f.Zone = "Local" }, "zone"},
		{"country in words", func(f *facility.Facility) { f.Country = "Wales" }, "country"},
		{"small letters", func(f *facility.Facility) { f.Currency = "gbp" }, "currency"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := north()
			tt.spoil(&f)
			err := update(t, db, func(tx *store.Tx) error { _, err := fs.Put(tx, admin, f); return err })
			e, ok := fault.Of(err)
			if !ok || e.Kind != fault.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != tt.field {
				t.Errorf("got %v, want the field %s", err, tt.field)
			}
		})
	}
}

func TestZoneAndIDStay(t *testing.T) {
	db := storetest.Open(t, audit.Schema, facility.Schema)
	fs := facility.New()
	put := func(f facility.Facility) error {
		return update(t, db, func(tx *store.Tx) error { _, err := fs.Put(tx, admin, f); return err })
	}
	if err := put(north()); err != nil {
		t.Fatal(err)
	}
	moved := north()
	moved.Zone = "Europe/Paris"
	if err := put(moved); !fault.Is(err, fault.Conflict) {
		t.Errorf("zone changed: %v", err)
	}
	other := north()
	other.ID = ident.New[ident.Facility]()
	if err := put(other); !fault.Is(err, fault.Conflict) {
		t.Errorf("another facility: %v", err)
	}
}

func TestStations(t *testing.T) {
	db := storetest.Open(t, audit.Schema, facility.Schema)
	fs := facility.New()
	var a facility.Unit
	var kiosk facility.Station
	err := update(t, db, func(tx *store.Tx) (err error) {
		if a, err = fs.PutUnit(tx, admin, facility.Unit{Name: "A"}); err != nil {
			return err
		}
		if kiosk, err = fs.PutStation(tx, admin, facility.Station{Name: "A1", Kind: facility.Kiosk, Unit: a.ID}); err != nil {
			return err
		}
		if _, err = fs.PutStation(tx, admin, facility.Station{Name: "A9", Kind: facility.Tablet, Unit: a.ID, State: facility.Disabled}); err != nil {
			return err
		}
		_, err = fs.PutStation(tx, admin, facility.Station{Name: "L1", Kind: facility.Lobby})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names := func(list func(*store.Tx) ([]facility.Station, error)) (out []string) {
		t.Helper()
		var found []facility.Station
		if err := db.View(t.Context(), func(tx *store.Tx) (err error) { found, err = list(tx); return err }); err != nil {
			t.Fatal(err)
		}
		for _, s := range found {
			out = append(out, s.Name)
		}
		return out
	}
	ready := func(tx *store.Tx) ([]facility.Station, error) { return fs.StationsIn(tx, a.ID) }
	lobby := func(tx *store.Tx) ([]facility.Station, error) { return fs.StationsIn(tx, "") }
	if diff := cmp.Diff([]string{"L1", "A1", "A9"}, names(fs.Stations)); diff != "" {
		t.Errorf("Stations mismatch (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"A1"}, names(ready)); diff != "" {
		t.Errorf("StationsIn mismatch (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"L1"}, names(lobby)); diff != "" {
		t.Errorf("lobby mismatch (-want +got):\n%s", diff)
	}
	kiosk.Kind = facility.Tablet
	if err := update(t, db, func(tx *store.Tx) error { _, err := fs.PutStation(tx, admin, kiosk); return err }); !fault.Is(err, fault.Conflict) {
		t.Errorf("a kiosk became a tablet: %v", err)
	}
	loose := facility.Station{Name: "X", Kind: facility.Kiosk}
	if err := update(t, db, func(tx *store.Tx) error { _, err := fs.PutStation(tx, admin, loose); return err }); !fault.Is(err, fault.Invalid) {
		t.Errorf("a kiosk outside of every unit: %v", err)
	}
}

func TestOpening(t *testing.T) {
	if !(facility.Opening{}).Covers(time.Monday, 0, 1440) {
		t.Error("without hours the facility is closed")
	}
	db := storetest.Open(t, audit.Schema, facility.Schema)
	fs := facility.New()
	hours := facility.Opening{{time.Monday, 540, 720}, {time.Monday, 780, 1020}}
	if err := update(t, db, func(tx *store.Tx) error { return fs.SetOpening(tx, admin, hours) }); err != nil {
		t.Fatal(err)
	}
	var got facility.Opening
	if err := db.View(t.Context(), func(tx *store.Tx) (err error) { got, err = fs.Opening(tx); return err }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hours, got); diff != "" {
		t.Errorf("Opening mismatch (-want +got):\n%s", diff)
	}
	if !got.Covers(time.Monday, 540, 600) || got.Covers(time.Monday, 700, 800) || got.Covers(time.Tuesday, 540, 600) {
		t.Error("hours cover the wrong spans")
	}
	bad := facility.Opening{{time.Monday, 540, 720}, {time.Monday, 700, 800}}
	if err := update(t, db, func(tx *store.Tx) error { return fs.SetOpening(tx, admin, bad) }); !fault.Is(err, fault.Invalid) {
		t.Errorf("overlapping hours: %v", err)
	}
}

func TestChangesReplicate(t *testing.T) {
	db := storetest.Open(t, audit.Schema, facility.Schema)
	var sent []record.Record
	fs := facility.Replicated(func(_ *store.Tx, r record.Record) error { sent = append(sent, r); return r.Check() })
	err := update(t, db, func(tx *store.Tx) error {
		u, err := fs.PutUnit(tx, admin, facility.Unit{Name: "A"})
		if err != nil {
			return err
		}
		if _, err = fs.Put(tx, admin, north()); err != nil {
			return err
		}
		_, err = fs.PutStation(tx, admin, facility.Station{Name: "A1", Kind: facility.Kiosk, Unit: u.ID})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	last, ok := sent[len(sent)-1].Body.(*record.Facility)
	if len(sent) != 2 || !ok || len(last.GetStations()) != 1 || len(last.GetUnits()) != 1 || last.GetZone() != "Europe/London" {
		t.Errorf("replicated %d records, the last one %v", len(sent), sent[len(sent)-1].Body)
	}
}

func TestUnitsGoOnlyWhenEmpty(t *testing.T) {
	db := storetest.Open(t, audit.Schema, facility.Schema)
	fs := facility.New()
	var a, b facility.Unit
	var kiosk facility.Station
	if err := update(t, db, func(tx *store.Tx) (err error) {
		if a, err = fs.PutUnit(tx, admin, facility.Unit{Name: "A"}); err != nil {
			return err
		}
		if b, err = fs.PutUnit(tx, admin, facility.Unit{Name: "B"}); err != nil {
			return err
		}
		kiosk, err = fs.PutStation(tx, admin, facility.Station{Name: "A1", Kind: facility.Kiosk, Unit: a.ID})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	try := func(fn func(tx *store.Tx) error) *fault.Error {
		f, _ := fault.Of(update(t, db, fn))
		return f
	}
	named := func(f *fault.Error) bool {
		return f != nil && f.Kind == fault.Conflict && len(f.Fields) == 1 && f.Fields[0].Code == "nameTaken"
	}
	if f := try(func(tx *store.Tx) error { _, err := fs.PutUnit(tx, admin, facility.Unit{Name: "A"}); return err }); !named(f) {
		t.Errorf("two units of one name: %v", f)
	}
	if f := try(func(tx *store.Tx) error {
		_, err := fs.PutStation(tx, admin, facility.Station{Name: "A1", Kind: facility.Lobby})
		return err
	}); !named(f) {
		t.Errorf("two stations of one name: %v", f)
	}
	kiosk.State = facility.Retired
	if f := try(func(tx *store.Tx) error { _, err := fs.PutStation(tx, admin, kiosk); return err }); f != nil {
		t.Fatal(f)
	}
	remove := func(id ident.Unit) *fault.Error {
		return try(func(tx *store.Tx) error { return fs.RemoveUnit(tx, admin, id) })
	}
	if f := remove(a.ID); f == nil || f.Code != "unit.used" {
		t.Errorf("a unit with a retired station: %v", f)
	}
	if f := remove(b.ID); f != nil {
		t.Errorf("an empty unit: %v", f)
	}
	if f := remove(b.ID); f == nil || f.Kind != fault.NotFound {
		t.Errorf("twice: %v", f)
	}
}
