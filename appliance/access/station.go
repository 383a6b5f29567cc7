package access

import (
	"context"
	"strings"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
)

// enrolmentTTL is how long a station's code can be typed.
const enrolmentTTL = 15 * time.Minute

// NewEnrolment makes the code that turns one device into a station. Codes made before for the same station end.
func (a *Access) NewEnrolment(tx *store.Tx, by ident.Actor, station ident.Station) (code string, expires time.Time, err error) {
	if _, err := a.Facility.Station(tx, station); err != nil {
		return "", time.Time{}, err
	}
	code, expires = ident.Reference()+"-"+ident.Digits(2), tx.Now().Add(enrolmentTTL)
	if err := tx.Exec(`DELETE FROM enrolment WHERE station = ? AND used_at IS NULL`, station); err != nil {
		return "", time.Time{}, err
	}
	if err := tx.Exec(`INSERT INTO enrolment (hash, station, expires_at) VALUES (?,?,?)`, digest("enrol", typed(code)), station, store.Ms(expires)); err != nil {
		return "", time.Time{}, err
	}
	return code, expires, audit.Record(tx, by, "device.enrol", station)
}

// Enrol turns a device into the station of a code, once, and returns the secret for its cookie. The device that was the
// station before is not it any more.
func (a *Access) Enrol(ctx context.Context, code string) (secret string, station ident.Station, err error) {
	const op = "access.Enrol"
	secret = ident.Secret()
	station, err = update(ctx, a.DB, func(tx *store.Tx) (ident.Station, error) {
		var id ident.Station
		err := tx.Row(`SELECT station FROM enrolment WHERE hash = ? AND used_at IS NULL AND expires_at > ?`, digest("enrol", typed(code)), store.Ms(tx.Now())).Scan(&id)
		if fault.Is(err, fault.NotFound) {
			return "", fault.New(op, fault.Invalid, "That code is not right. Ask for a new one.").WithCode("auth.codeWrong")
		}
		if err != nil {
			return "", err
		}
		if err := tx.Exec(`UPDATE enrolment SET used_at = ? WHERE hash = ?`, store.Ms(tx.Now()), digest("enrol", typed(code))); err != nil {
			return "", err
		}
		if err := a.revoke(tx, id); err != nil {
			return "", err
		}
		if err := tx.Exec(`INSERT INTO device (station, hash, enrolled_at) VALUES (?,?,?)
			ON CONFLICT (station) DO UPDATE SET hash = excluded.hash, enrolled_at = excluded.enrolled_at, revoked_at = NULL`,
			id, digest(secret), store.Ms(tx.Now())); err != nil {
			return "", err
		}
		if err := outbox.Tell(tx, outbox.ToStaff(), "station", id); err != nil {
			return "", err
		}
		return id, audit.Record(tx, ident.Actor{Kind: ident.BySystem, Door: DoorKiosk}, "device.approve", id)
	})
	return secret, station, err
}

// Device returns the station that a device is, by the secret of its cookie; Unauthenticated when it is none or the
// station is out of use.
func (a *Access) Device(ctx context.Context, secret string) (facility.Station, error) {
	none := fault.New("access.Device", fault.Unauthenticated, "This device is not a station of the facility yet.").WithCode("device.unknown")
	if secret == "" {
		return facility.Station{}, none
	}
	return view(ctx, a.DB, func(tx *store.Tx) (facility.Station, error) {
		var id ident.Station
		err := tx.Row(`SELECT station FROM device WHERE hash = ? AND revoked_at IS NULL`, digest(secret)).Scan(&id)
		if fault.Is(err, fault.NotFound) {
			return facility.Station{}, none
		}
		if err != nil {
			return facility.Station{}, err
		}
		st, err := a.Facility.Station(tx, id)
		if err == nil && st.State != facility.Ready {
			return facility.Station{}, fault.New("access.Device", fault.Forbidden, "This device is out of use.").WithCode("device.disabled")
		}
		return st, err
	})
}

// Enrolled tells since when a station has a device; zero when it has none.
func (a *Access) Enrolled(tx *store.Tx, station ident.Station) (time.Time, error) {
	var at int64
	err := tx.Row(`SELECT enrolled_at FROM device WHERE station = ? AND revoked_at IS NULL`, station).Scan(&at)
	if fault.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	return store.Time(at), err
}

// RevokeDevice cuts a station's device off; who is signed in there is out at the next request.
func (a *Access) RevokeDevice(tx *store.Tx, by ident.Actor, station ident.Station) error {
	if err := a.revoke(tx, station); err != nil {
		return err
	}
	return audit.Record(tx, by, "device.retire", station)
}

func (a *Access) revoke(tx *store.Tx, station ident.Station) error {
	if err := tx.Exec(`UPDATE device SET revoked_at = ? WHERE station = ? AND revoked_at IS NULL`, store.Ms(tx.Now()), station); err != nil {
		return err
	}
	return tx.Exec(`UPDATE session SET ended_at = ? WHERE station = ? AND ended_at IS NULL`, store.Ms(tx.Now()), station)
}

// typed brings a code that people type into one form.
func typed(code string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, strings.ToUpper(code))
}
