package people_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/vault"
)

var (
	start = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	admin = ident.Actor{Kind: ident.ByStaff, ID: "sf_a", Door: "staff", Roles: []string{"administrator"}}
	clerk = ident.Actor{Kind: ident.ByStaff, ID: "sf_c", Door: "staff", Roles: []string{"clerk"}}
)

// house is a facility with two units and the room of people in it.
type house struct {
	*people.People
	t        testing.TB
	db       *store.DB
	clock    *clock.Fake
	cases    []people.CaseItem
	events   []people.Event
	traveled []record.Record
}

func open(t testing.TB, preset string) *house {
	t.Helper()
	h := &house{t: t, clock: clock.NewFake(start)}
	h.db = storetest.OpenAt(t, h.clock, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema)
	blobs, err := vault.OpenBlobs(t.TempDir(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	fs, rules := facility.New(), policy.New()
	h.People = people.New(people.Deps{
		DB: h.db, Clock: h.clock, Blobs: blobs, Facility: fs, Policy: rules,
		OpenCase: func(_ *store.Tx, i people.CaseItem) (ident.Case, error) {
			h.cases = append(h.cases, i)
			return ident.New[ident.Case](), nil
		},
		Put:  func(_ *store.Tx, r record.Record) error { h.traveled = append(h.traveled, r); return r.Check() },
		Drop: func(*store.Tx, record.Key) error { return nil },
	})
	h.OnEvent(func(_ *store.Tx, _ ident.Actor, e people.Event) error { h.events = append(h.events, e); return nil })
	h.write(func(tx *store.Tx) error {
		if err := rules.Load(tx, preset, admin); err != nil {
			return err
		}
		if _, err := fs.Put(tx, admin, facility.Facility{
			Name: "North", Zone: "Europe/London", Country: "GB", Currency: "GBP", BookingOpen: true,
			Support: facility.Support{Phone: "+441632960000", Hours: "9 to 5", Email: "help@north.example"},
		}); err != nil {
			return err
		}
		for _, name := range []string{"A Wing", "B Wing"} {
			if _, err := fs.PutUnit(tx, admin, facility.Unit{ID: ident.New[ident.Unit](), Name: name}); err != nil {
				return err
			}
		}
		return nil
	})
	return h
}

func (h *house) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) try(fn func(tx *store.Tx) error) error { return h.db.Update(context.Background(), fn) }

const roster = "Inmate Number,Booking,First,Surname,DOB,Housing,Status,Level\n" +
	"A1001,B1,Sam,Jones,1990-02-03,A Wing,in custody,standard\n" +
	"A1002,B2,Siân,O’Neill,1985-12-24,B Wing,,enhanced\n"

func (h *house) roster(file string, full bool) people.Import {
	h.t.Helper()
	m, err := h.ImportRoster(context.Background(), clerk, "test", full, strings.NewReader(file))
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *house) inmate(number string) (i people.Inmate) {
	h.t.Helper()
	h.write(func(tx *store.Tx) (err error) { i, err = h.InmateByNumber(tx, number); return err })
	return i
}

// visitor makes an active account.
func (h *house) visitor(first, phone, email string) (v people.Visitor, by ident.Actor) {
	h.t.Helper()
	h.write(func(tx *store.Tx) (err error) {
		v, err = h.AddVisitor(tx, ident.System(), people.Visitor{
			First: first, Last: "Jones", Born: "1980-05-05", Phone: phone, Email: email, Zone: "America/New_York", Language: "en",
		})
		if err != nil {
			return err
		}
		v, err = h.MoveVisitor(tx, ident.System(), "visitor.activate", v.ID, "", time.Time{})
		return err
	})
	return v, ident.Actor{Kind: ident.ByVisitor, ID: string(v.ID), Door: "visitor"}
}

// picture is a small photograph as a telephone sends it.
func picture(t testing.TB, w, h int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		img.Set(x, h/2, color.RGBA{R: 200, A: 255})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sam() people.Lookup {
	return people.Lookup{First: "Sam", Last: "Jones", Number: "a-1001", Born: "1990-02-03", Relationship: "sibling"}
}

func TestContactFromRequestToApproved(t *testing.T) {
	for _, tt := range []struct {
		preset string
		want   string // after the inmate's answer
	}{
		{"county-jail", people.Approved},
		{"prison", people.AwaitingFacility},
	} {
		t.Run(tt.preset, func(t *testing.T) {
			h := open(t, tt.preset)
			h.roster(roster, true)
			v, by := h.visitor("Ann", "+441632960001", "ann@example.org")
			if tt.preset == "prison" { // asks for the ID before a contact
				h.verify(v, by)
			}
			inmate := ident.Actor{Kind: ident.ByInmate, ID: string(h.inmate("A1001").ID), Door: "kiosk"}
			var c people.Contact
			h.write(func(tx *store.Tx) (err error) { c, err = h.RequestContact(tx, by, v.ID, sam()); return err })
			if c.State != people.AwaitingInmate {
				t.Fatalf("asked: %s", c.State)
			}
			if err := h.try(func(tx *store.Tx) error { _, err := h.AcceptContact(tx, by, c.ID); return err }); !fault.Is(err, fault.Conflict) {
				t.Errorf("the asker accepted for the inmate: %v", err)
			}
			other := ident.Actor{Kind: ident.ByInmate, ID: string(h.inmate("A1002").ID), Door: "kiosk"}
			if err := h.try(func(tx *store.Tx) error { _, err := h.AcceptContact(tx, other, c.ID); return err }); !fault.Is(err, fault.NotFound) {
				t.Errorf("another inmate accepted: %v", err)
			}
			h.write(func(tx *store.Tx) (err error) { c, err = h.AcceptContact(tx, inmate, c.ID); return err })
			if c.State != tt.want {
				t.Fatalf("accepted: %s, want %s", c.State, tt.want)
			}
			if tt.want == people.AwaitingFacility {
				if k := h.cases[len(h.cases)-1]; k.Kind != "contact" || k.Item != string(c.ID) {
					t.Fatalf("case %+v", k)
				}
				h.write(func(tx *store.Tx) (err error) { c, err = h.ApproveContact(tx, clerk, c.ID); return err })
			}
			h.write(func(tx *store.Tx) error {
				got, ok, err := h.ContactOf(tx, v.ID, ident.Inmate(inmate.ID))
				if err != nil || !ok || got.State != people.Approved || got.Met {
					t.Errorf("ContactOf = %+v, %v, %v", got, ok, err)
				}
				return h.MarkMet(tx, c.ID)
			})
			h.write(func(tx *store.Tx) error {
				if got, err := h.Contact(tx, c.ID); err != nil || !got.Met {
					t.Errorf("met: %+v, %v", got, err)
				}
				return nil
			})
		})
	}
}

func TestEveryMissAnswersTheSame(t *testing.T) {
	h := open(t, "county-jail")
	h.roster(roster, true)
	v, by := h.visitor("Ann", "+441632960001", "ann@example.org")
	gone := "A1003,B3,Lee,Gone,1970-01-01,A Wing,released,\n"
	h.roster("number,booking,first,last,dob,unit,state,level\n"+gone, false)
	h.write(func(tx *store.Tx) error {
		_, err := h.Restrict(tx, admin, people.Restriction{Code: people.NoContact, Visitor: v.ID, Inmate: h2(h, tx, "A1002"), Starts: "2027-01-01", Comment: "court order"})
		return err
	})
	answers := map[string]bool{}
	for name, change := range map[string]func(*people.Lookup){
		"name":       func(l *people.Lookup) { l.First = "Sim" },
		"number":     func(l *people.Lookup) { l.Number = "A9999" },
		"born":       func(l *people.Lookup) { l.Born = "1990-02-04" },
		"released":   func(l *people.Lookup) { l.First, l.Last, l.Number, l.Born = "Lee", "Gone", "A1003", "1970-01-01" },
		"no contact": func(l *people.Lookup) { l.First, l.Last, l.Number, l.Born = "Sian", "ONeill", "A1002", "1985-12-24" },
	} {
		l := sam()
		change(&l)
		err := h.try(func(tx *store.Tx) error { _, err := h.RequestContact(tx, by, v.ID, l); return err })
		if !fault.Is(err, fault.NotFound) || fault.CodeOf(err) != "contact.cannotAdd" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		answers[err.Error()] = true
	}
	if len(answers) != 1 {
		t.Errorf("misses can be told apart: %v", answers)
	}
	h.write(func(tx *store.Tx) error { _, err := h.RequestContact(tx, by, v.ID, sam()); return err })
}

func h2(h *house, tx *store.Tx, number string) ident.Inmate {
	i, err := h.InmateByNumber(tx, number)
	if err != nil {
		h.t.Fatal(err)
	}
	return i.ID
}

func TestRequestNobodyAnswersExpires(t *testing.T) {
	h := open(t, "county-jail")
	h.roster(roster, true)
	v, by := h.visitor("Ann", "+441632960001", "ann@example.org")
	var c people.Contact
	h.write(func(tx *store.Tx) (err error) { c, err = h.RequestContact(tx, by, v.ID, sam()); return err })
	h.clock.Advance(30*24*time.Hour - time.Second)
	h.write(func(tx *store.Tx) error {
		if n, err := h.ExpireContacts(tx, 100); n != 0 || err != nil {
			t.Errorf("a second early: %d, %v", n, err)
		}
		return nil
	})
	h.clock.Advance(time.Second)
	h.write(func(tx *store.Tx) error {
		if n, err := h.ExpireContacts(tx, 100); n != 1 || err != nil {
			t.Errorf("in time: %d, %v", n, err)
		}
		got, err := h.Contact(tx, c.ID)
		if got.State != people.Unanswered {
			t.Errorf("state %s", got.State)
		}
		return err
	})
	h.write(func(tx *store.Tx) error { _, err := h.RequestContact(tx, by, v.ID, sam()); return err })
}

func TestPrivilegedContactStaysHere(t *testing.T) {
	h := open(t, "county-jail")
	h.roster(roster, true)
	v, by := h.visitor("Ann", "+441632960001", "ann@example.org")
	var c people.Contact
	h.write(func(tx *store.Tx) (err error) { c, err = h.RequestContact(tx, by, v.ID, sam()); return err })
	h.write(func(tx *store.Tx) error {
		return tx.Exec(`UPDATE contact SET privilege = 'verified' WHERE id = ?`, c.ID)
	})
	h.traveled = nil
	h.write(func(tx *store.Tx) error {
		_, err := h.AcceptContact(tx, ident.Actor{Kind: ident.ByInmate, ID: string(c.Inmate)}, c.ID)
		return err
	})
	for _, r := range h.traveled {
		if r.Key.Type == record.TypeContact {
			t.Errorf("a privileged contact left: %+v", r.Key)
		}
	}
}

// What touches a pair is the visitor's own, the inmate's own and the pair's, by date; nothing of other pairs and
// nothing that was lifted.
func TestRestrictionsOfAPair(t *testing.T) {
	h := open(t, policy.Prison)
	h.roster(roster, false)
	sam, sian := h.inmate("A1001"), h.inmate("A1002")
	ann, _ := h.visitor("Ann", "+441632960101", "ann@mail.example")
	bob, _ := h.visitor("Bob", "+441632960102", "bob@mail.example")
	var got []string
	h.write(func(tx *store.Tx) error {
		for i, n := range []people.Restriction{
			{Comment: "of others", Code: people.StaffReview, Visitor: bob.ID, Inmate: sam.ID},
			{Comment: "pair", Code: people.NoContact, Visitor: ann.ID, Inmate: sam.ID},
			{Comment: "visitor", Code: people.MustMonitor, Visitor: ann.ID},
			{Comment: "inmate", Code: people.VisitsLost, Inmate: sam.ID},
			{Comment: "of another pair", Code: people.StaffReview, Visitor: ann.ID, Inmate: sian.ID},
			{Comment: "of another inmate", Code: people.VisitsLost, Inmate: sian.ID},
			{Comment: "lifted", Code: people.Health, Visitor: ann.ID},
		} {
			n.Starts = time.Date(2027, 3, 30-i, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
			n, err := h.Restrict(tx, admin, n)
			if err != nil {
				return err
			}
			if n.Comment == "lifted" {
				if err := h.Lift(tx, admin, n.ID, "", "well again"); err != nil {
					return err
				}
			}
		}
		list, err := h.Restrictions(tx, sam.ID, ann.ID)
		for _, n := range list {
			got = append(got, n.Comment)
		}
		return err
	})
	if diff := cmp.Diff([]string{"inmate", "visitor", "pair"}, got); diff != "" {
		t.Errorf("Restrictions mismatch (-want +got):\n%s", diff)
	}
}
