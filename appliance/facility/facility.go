// Package facility owns the one site that this appliance serves: its name, zone and currency, its housing units, its
// stations (kiosks, tablets, lobby places) and its opening hours.
//
// It must not know inmates, visitors or visits: who sits where and when is other rooms' business. A facility is set up
// once and then changed by administrators; a unit or station that visits refer to is retired, never removed.
package facility

import (
	"embed"
	"fmt"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

// Schema holds the room's migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// Facility is the site.
type Facility struct {
	ID          ident.Facility
	Name        string
	Zone        string // IANA name
	Country     string // ISO 3166, two letters
	Currency    string // ISO 4217
	Support     Support
	BookingOpen bool // false: nobody books, whatever else is allowed
	Version     int64
}

// Support is where visitors get help; it stands on every page.
type Support struct{ Phone, Hours, Email string }

// Location returns the facility's zone. Put has checked that it loads.
func (f Facility) Location() (*time.Location, error) {
	loc, err := time.LoadLocation(f.Zone)
	if err != nil {
		return nil, fault.New("facility.Location", fault.Internal, "The facility's time zone is not known on this machine.").Because(err)
	}
	return loc, nil
}

// Facilities reads and changes the site. It holds no state and may be shared.
type Facilities struct {
	put func(*store.Tx, record.Record) error // nil: the site is on its own
}

// New returns the room.
func New() *Facilities { return &Facilities{} }

// Replicated returns the room with a function that every change is given to, in its own transaction.
func Replicated(put func(*store.Tx, record.Record) error) *Facilities { return &Facilities{put: put} }

// changed audits a change and replicates the facility as it is now.
func (fs *Facilities) changed(tx *store.Tx, by ident.Actor, verb, subject string, d ...audit.Detail) error {
	if err := audit.Record(tx, by, verb, subject, d...); err != nil {
		return err
	}
	if fs.put == nil {
		return nil
	}
	f, err := fs.Get(tx)
	if fault.Is(err, fault.NotFound) {
		return nil // units and stations of a site that is still being set up travel with the facility
	}
	if err != nil {
		return err
	}
	body := &record.Facility{Name: f.Name, Zone: f.Zone, Country: f.Country, Currency: f.Currency}
	units, err := fs.Units(tx)
	if err != nil {
		return err
	}
	for _, u := range units {
		body.Units = append(body.Units, &record.Unit{Id: string(u.ID), Name: u.Name})
	}
	stations, err := fs.Stations(tx)
	if err != nil {
		return err
	}
	for _, s := range stations {
		body.Stations = append(body.Stations, &record.Station{Id: string(s.ID), Name: s.Name, Kind: string(s.Kind), Unit: string(s.Unit), State: string(s.State)})
	}
	return fs.put(tx, record.New(record.TypeFacility, f.ID, body).ByActor(by))
}

// Get returns the facility; NotFound before it was set up.
func (*Facilities) Get(tx *store.Tx) (Facility, error) {
	var f Facility
	err := tx.Row(`SELECT id, name, zone, country, currency, support_phone, support_hours, support_email, booking_open, version
		FROM facility WHERE one = 1`).
		Scan(&f.ID, &f.Name, &f.Zone, &f.Country, &f.Currency, &f.Support.Phone, &f.Support.Hours, &f.Support.Email, &f.BookingOpen, &f.Version)
	if fault.Is(err, fault.NotFound) {
		return Facility{}, fault.New("facility.Get", fault.NotFound, "The facility is not set up yet.").WithCode("facility.not_set_up")
	}
	if err != nil {
		return Facility{}, fmt.Errorf("read the facility: %w", err)
	}
	return f, nil
}

// Put sets the facility up or changes it, and returns it with its new version. The id and the zone of a facility never
// change: Conflict. Invalid names each wrong field.
func (fs *Facilities) Put(tx *store.Tx, by ident.Actor, f Facility) (Facility, error) {
	if err := f.check(); err != nil {
		return Facility{}, err
	}
	before, err := fs.Get(tx)
	switch {
	case fault.Is(err, fault.NotFound):
		if f.ID == "" {
			f.ID = ident.New[ident.Facility]()
		}
	case err != nil:
		return Facility{}, err
	case f.ID != "" && f.ID != before.ID:
		return Facility{}, fault.New("facility.Put", fault.Conflict, "This appliance already serves another facility.").WithCode("facility.other")
	case f.Zone != before.Zone:
		// Slots are instants: another zone would silently move every visit that families know by its local time.
		return Facility{}, fault.New("facility.Put", fault.Conflict, "The time zone of a facility with visits cannot be changed.").WithCode("facility.zone_fixed")
	default:
		f.ID = before.ID
	}
	f.Version = before.Version + 1
	err = tx.Exec(`INSERT INTO facility (one, id, name, zone, country, currency, support_phone, support_hours, support_email, booking_open, version)
		VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (one) DO UPDATE SET name = excluded.name, country = excluded.country, currency = excluded.currency,
			support_phone = excluded.support_phone, support_hours = excluded.support_hours, support_email = excluded.support_email,
			booking_open = excluded.booking_open, version = excluded.version`,
		string(f.ID), f.Name, f.Zone, f.Country, f.Currency, f.Support.Phone, f.Support.Hours, f.Support.Email, f.BookingOpen, f.Version)
	if err != nil {
		return Facility{}, fmt.Errorf("write the facility: %w", err)
	}
	if err := fs.changed(tx, by, "facility.put", string(f.ID), audit.Before(before), audit.After(f)); err != nil {
		return Facility{}, err
	}
	return f, nil
}

func (f Facility) check() error {
	bad := fault.New("facility.Put", fault.Invalid, "The facility's details are not complete.")
	if f.Name == "" {
		bad = bad.WithField("name", "required")
	}
	if _, err := time.LoadLocation(f.Zone); err != nil || f.Zone == "" || f.Zone == "Local" {
		bad = bad.WithField("zone", "unknown")
	}
	if !capitals(f.Country, 2) {
		bad = bad.WithField("country", "format")
	}
	if !capitals(f.Currency, 3) {
		bad = bad.WithField("currency", "format")
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

func capitals(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for _, c := range s {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}
