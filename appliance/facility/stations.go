package facility

import (
	"fmt"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Unit is a housing unit: inmates live in it and kiosks hang in it.
type Unit struct {
	ID   ident.Unit
	Name string
}

// StationKind says what a station is.
type StationKind string

// The kinds of stations.
const (
	Kiosk  StationKind = "kiosk"
	Tablet StationKind = "tablet"
	Lobby  StationKind = "lobby" // a visitor's place at the facility; in no unit
)

// StationState says whether a station may be used.
type StationState string

// The states of stations.
const (
	Ready    StationState = "ready"
	Disabled StationState = "disabled" // by staff; visits on it are reassigned or flagged
	Retired  StationState = "retired"  // for ever
)

// Station is one place in front of a camera.
type Station struct {
	ID      ident.Station
	Name    string
	Kind    StationKind
	Unit    ident.Unit // "" in the lobby
	State   StationState
	Private bool // out of hearing: privileged calls may use it
}

// Units returns all housing units by name.
func (*Facilities) Units(tx *store.Tx) ([]Unit, error) {
	return store.All(tx, func(r *store.Rows) (u Unit, err error) {
		err = r.Scan(&u.ID, &u.Name)
		return u, err
	}, `SELECT id, name FROM units ORDER BY name`)
}

// Unit returns one housing unit; NotFound.
func (*Facilities) Unit(tx *store.Tx, id ident.Unit) (Unit, error) {
	u := Unit{ID: id}
	if err := tx.Row(`SELECT name FROM units WHERE id = ?`, string(id)).Scan(&u.Name); err != nil {
		return Unit{}, fmt.Errorf("read unit: %w", err)
	}
	return u, nil
}

// PutUnit adds a housing unit (ID "") or renames one. Conflict when the name is taken.
func (fs *Facilities) PutUnit(tx *store.Tx, by ident.Actor, u Unit) (Unit, error) {
	if u.Name == "" {
		return Unit{}, fault.New("facility.PutUnit", fault.Invalid, "A housing unit needs a name.").WithField("name", "required")
	}
	if u.ID == "" {
		u.ID = ident.New[ident.Unit]()
	}
	if err := tx.Exec(`INSERT INTO units (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name`, string(u.ID), u.Name); err != nil {
		return Unit{}, taken("write unit", err)
	}
	return u, fs.changed(tx, by, "unit.put", string(u.ID), audit.After(u))
}

// RemoveUnit takes away a housing unit that nothing has ever stood in: Conflict when a station, a retired one too, or a
// person refers to it.
func (fs *Facilities) RemoveUnit(tx *store.Tx, by ident.Actor, id ident.Unit) error {
	const op = "facility.RemoveUnit"
	n, err := tx.ExecN(`DELETE FROM units WHERE id = ?`, string(id))
	switch {
	case fault.CodeOf(err) == "store.foreign_key":
		return fault.New(op, fault.Conflict, "Stations or people belong to this housing unit.").WithCode("unit.used").Because(err)
	case err != nil:
		return fmt.Errorf("remove unit: %w", err)
	case n == 0:
		return fault.New(op, fault.NotFound, "There is no such housing unit.").WithCode("not_found")
	}
	return fs.changed(tx, by, "unit.remove", string(id))
}

const stationColumns = `id, name, kind, coalesce(unit, ''), state, private`

func scanStation(scan func(...any) error) (s Station, err error) {
	err = scan(&s.ID, &s.Name, &s.Kind, &s.Unit, &s.State, &s.Private)
	return s, err
}

// Stations returns all stations that are not retired, by unit and name.
func (*Facilities) Stations(tx *store.Tx) ([]Station, error) {
	return store.All(tx, func(r *store.Rows) (Station, error) { return scanStation(r.Scan) },
		`SELECT `+stationColumns+` FROM stations WHERE state <> 'retired' ORDER BY unit, name`)
}

// StationsIn returns the ready stations of a unit ("" for the lobby), kiosks first, by name.
func (*Facilities) StationsIn(tx *store.Tx, unit ident.Unit) ([]Station, error) {
	return store.All(tx, func(r *store.Rows) (Station, error) { return scanStation(r.Scan) },
		`SELECT `+stationColumns+` FROM stations WHERE unit IS nullif(?, '') AND state = 'ready' ORDER BY kind, name`, string(unit))
}

// Station returns one station, also a retired one; NotFound.
func (*Facilities) Station(tx *store.Tx, id ident.Station) (Station, error) {
	s, err := scanStation(tx.Row(`SELECT `+stationColumns+` FROM stations WHERE id = ?`, string(id)).Scan)
	if err != nil {
		return Station{}, fmt.Errorf("read station: %w", err)
	}
	return s, nil
}

// PutStation adds a station (ID "") or changes one. Kind and unit of a station never change, because visits stand on
// them: retire it and add another (Conflict). Invalid when the kind does not fit the place.
func (fs *Facilities) PutStation(tx *store.Tx, by ident.Actor, s Station) (Station, error) {
	if s.State == "" {
		s.State = Ready
	}
	if err := s.check(); err != nil {
		return Station{}, err
	}
	if s.ID == "" {
		s.ID = ident.New[ident.Station]()
	}
	n, err := tx.ExecN(`INSERT INTO stations (id, name, kind, unit, state, private) VALUES (?, ?, ?, nullif(?, ''), ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, state = excluded.state, private = excluded.private
			WHERE kind = excluded.kind AND unit IS excluded.unit AND state <> 'retired'`,
		string(s.ID), s.Name, string(s.Kind), string(s.Unit), string(s.State), s.Private)
	if err != nil {
		return Station{}, taken("write station", err)
	}
	if n == 0 {
		return Station{}, fault.New("facility.PutStation", fault.Conflict, "A station keeps its kind and unit, and stays retired. Add a new station.").WithCode("station.fixed")
	}
	return s, fs.changed(tx, by, "station.put", string(s.ID), audit.After(s))
}

func (s Station) check() error {
	bad := fault.New("facility.PutStation", fault.Invalid, "The station's details are not complete.")
	if s.Name == "" {
		bad = bad.WithField("name", "required")
	}
	if s.Kind != Kiosk && s.Kind != Tablet && s.Kind != Lobby {
		bad = bad.WithField("kind", "unknown")
	}
	if (s.Kind == Lobby) != (s.Unit == "") {
		bad = bad.WithField("unit", "does_not_fit")
	}
	if s.State != Ready && s.State != Disabled && s.State != Retired {
		bad = bad.WithField("state", "unknown")
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

// taken says that a name is in use where that is why a row could not be written.
func taken(doing string, err error) error {
	if fault.Is(err, fault.Conflict) {
		return fault.New("facility.Put", fault.Conflict, "This name is in use. Choose another one.").WithCode("form").WithField("name", "nameTaken").Because(err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
