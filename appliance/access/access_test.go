package access_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/vault"
)

var (
	start = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	admin = ident.Actor{Kind: ident.ByStaff, ID: "sf_a", Door: "setup", Roles: []string{"administrator"}}
	key   = bytes.Repeat([]byte{9}, 32)
)

// house is a facility with two units, three kiosks, and the room of access in it.
type house struct {
	*access.Access
	t      testing.TB
	db     *store.DB
	clock  *clock.Fake
	people *people.People
	fs     *facility.Facilities
	rules  *policy.Policy
	units  [2]ident.Unit
	kiosks [3]ident.Station // two in the first unit, one in the second
}

func open(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, clock: clock.NewFake(start), fs: facility.New(), rules: policy.New()}
	h.db = storetest.OpenAt(t, h.clock, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, access.Schema)
	h.people = people.New(people.Deps{DB: h.db, Clock: h.clock, Facility: h.fs, Policy: h.rules})
	h.restart()
	h.write(func(tx *store.Tx) error {
		if err := h.rules.Load(tx, "county-jail", admin); err != nil {
			return err
		}
		if _, err := h.fs.Put(tx, admin, facility.Facility{
			Name: "North", Zone: "Europe/London", Country: "GB", Currency: "GBP", BookingOpen: true,
			Support: facility.Support{Phone: "+441632960000", Hours: "9 to 5", Email: "help@north.example"},
		}); err != nil {
			return err
		}
		for i, name := range []string{"A Wing", "B Wing"} {
			u, err := h.fs.PutUnit(tx, admin, facility.Unit{ID: ident.New[ident.Unit](), Name: name})
			if err != nil {
				return err
			}
			h.units[i] = u.ID
		}
		for i, unit := range []ident.Unit{h.units[0], h.units[0], h.units[1]} {
			s, err := h.fs.PutStation(tx, admin, facility.Station{
				ID: ident.New[ident.Station](), Name: "Kiosk " + string(rune('1'+i)), Kind: facility.Kiosk, Unit: unit, State: facility.Ready,
			})
			if err != nil {
				return err
			}
			h.kiosks[i] = s.ID
		}
		return nil
	})
	return h
}

// restart makes the room anew over the same database, as after a kill: nothing that was only in memory is left.
func (h *house) restart() {
	h.t.Helper()
	a, err := access.New(access.Deps{
		DB: h.db, Clock: h.clock, People: h.people, Policy: h.rules, Facility: h.fs, Hasher: vault.NewHasher([]byte("pepper")), Key: key,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.Access = a
}

func (h *house) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// mail takes the newest notice of a template from the queue, nil when there is none.
func (h *house) mail(template string) (params map[string]any) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		list, err := outbox.Notices(tx, 0, 1000)
		for _, q := range list {
			if q.Template == template {
				if params = q.Params; params == nil {
					params = map[string]any{}
				}
				if err := outbox.Taken(tx, q.Seq); err != nil {
					return err
				}
			}
		}
		return err
	})
	return params
}

const pin = "740913"

func form() access.Registration {
	terms := access.Terms("en")
	r := access.Registration{
		First: "Ann", Last: "Jones", Born: "1980-05-05", Phone: "020 7946 0001", Email: "Ann@Example.org", PIN: pin,
		Language: "en", Zone: "America/New_York", TermsVersion: terms.Version,
	}
	for _, i := range terms.Items {
		r.Ticked = append(r.Ticked, i.Key)
	}
	return r
}

// register makes an account that is turned on and returns the secret of the browser that did it.
func (h *house) register(change func(*access.Registration)) (browser string) {
	h.t.Helper()
	r := form()
	if change != nil {
		change(&r)
	}
	if err := h.Register(context.Background(), r); err != nil {
		h.t.Fatal(err)
	}
	m := h.mail("account.activate")
	if m == nil {
		h.t.Fatal("no activation mail")
	}
	browser, err := h.Activate(context.Background(), m["token"].(string))
	if err != nil {
		h.t.Fatal(err)
	}
	return browser
}

func (h *house) signIn(pin, browser string) (access.Entry, error) {
	return h.SignInVisitor(context.Background(), "+44 20 7946 0001", pin, browser)
}

// agree ticks the boxes of the sign-in agreement.
func (h *house) agree(s access.Session) access.Entry {
	h.t.Helper()
	a := access.Agreement("en")
	var keys []string
	for _, i := range a.Items {
		keys = append(keys, i.Key)
	}
	e, err := h.Agree(context.Background(), s, a.Version, keys)
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

// inmate writes an inmate into a unit, with a PIN.
func (h *house) inmate(number string, unit ident.Unit) ident.Actor {
	h.t.Helper()
	id := ident.New[ident.Inmate]()
	h.write(func(tx *store.Tx) error {
		return tx.Exec(`INSERT INTO inmate (id, number, booking, first, last, folded, born, language, unit, state, created_at, changed_at)
			VALUES (?, ?, 'B1', 'Sam', 'Jones', 'sam jones', '1990-02-03', 'en', ?, 'in_custody', 0, 0)`, id, number, unit)
	})
	if err := h.SetInmatePIN(context.Background(), admin, id, pin); err != nil {
		h.t.Fatal(err)
	}
	return ident.Actor{Kind: ident.ByInmate, ID: string(id)}
}

// enrol turns a device into a station and returns its secret.
func (h *house) enrol(station ident.Station) (device string) {
	h.t.Helper()
	var code string
	h.write(func(tx *store.Tx) (err error) { code, _, err = h.NewEnrolment(tx, admin, station); return err })
	device, got, err := h.Enrol(context.Background(), code)
	if err != nil || got != station {
		h.t.Fatalf("enrolled %q: %v", got, err)
	}
	return device
}
