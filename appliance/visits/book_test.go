package visits_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sallyport/appliance/audit"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// Booking in one go is one act: what is returned is what stands in the table, as its first version, and the audit has
// one row that came from nothing.
func TestBookIsOneAct(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mode   visits.Mode
		staff  string
		verb   string
		state  visits.State
		taken  bool
		waits  string
		credit string
	}{
		{"confirmed", visits.Confirm, "never", "visit.confirm", visits.Confirmed, true, "", "entitlement"},
		{"requested", visits.Confirm, "always", "visit.request", visits.AwaitingStaff, false, "staff", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, policy.Prison, 2, 2, 1)
			s.set(t, string(policy.BookingNeedsStaffApproval), tt.staff)
			s.set(t, string(policy.BookingRequestReserves), "false")
			r := s.ask(0, on(4, 14, 0))
			r.Mode, r.Ticked = tt.mode, true
			var booked, kept visits.Visit
			var rows []audit.Row
			s.do(t, func(tx *store.Tx) (err error) {
				if booked, err = s.Book(tx, s.by(0), r, ""); err != nil {
					return err
				}
				if kept, err = s.Get(tx, booked.ID); err != nil {
					return err
				}
				rows, err = audit.List(tx, audit.Filter{Subject: string(booked.ID)})
				return err
			})
			if diff := cmp.Diff(booked, kept, cmpopts.IgnoreUnexported(visits.Visit{})); diff != "" {
				t.Errorf("Get mismatch (-booked +kept):\n%s", diff)
			}
			if kept.State != tt.state || kept.Version != 1 || kept.Taken != tt.taken || kept.WaitingOn != tt.waits || kept.Funding != tt.credit {
				t.Errorf("booked %+v", kept)
			}
			if len(rows) != 1 || rows[0].Verb != tt.verb || rows[0].Before != nil {
				t.Errorf("audit has %+v, want one row %s from nothing", rows, tt.verb)
			}
			s.exact(t)
		})
	}
}

// Two visits never have one reference: the later one gets another, and nobody is refused for it.
func TestReferencesDiffer(t *testing.T) {
	s := open(t, policy.Prison, 2, 2, 2)
	all := []string{"BBB-222", "BBB-222", "BBB-222", "CCC-333"}
	s.SetReference(func() string {
		next := all[0]
		all = all[1:]
		return next
	})
	var refs []string
	for n := range 2 {
		r := s.ask(n, on(4, 14, 0))
		r.Mode, r.Ticked = visits.Confirm, true
		var kept visits.Visit
		s.do(t, func(tx *store.Tx) error {
			booked, err := s.Book(tx, s.by(n), r, "")
			if err != nil {
				return err
			}
			kept, err = s.Get(tx, booked.ID)
			if booked.Ref != kept.Ref {
				t.Errorf("told %s, wrote %s", booked.Ref, kept.Ref)
			}
			return err
		})
		refs = append(refs, kept.Ref)
	}
	if diff := cmp.Diff([]string{"BBB-222", "CCC-333"}, refs); diff != "" {
		t.Errorf("references mismatch (-want +got):\n%s", diff)
	}
}

// Who has suggested a time is not asked for an answer: only the other side is invited.
func TestOnlyTheOtherSideIsInvited(t *testing.T) {
	for _, tt := range []struct {
		name       string
		by         func(*site) ident.Actor
		to, waiter string
	}{
		{"the visitor suggests", func(s *site) ident.Actor { return s.visitorBy }, "inmate", "visitor"},
		{"the inmate suggests", func(s *site) ident.Actor { return s.inmateBy }, "visitor", "inmate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, policy.CountyJail, 2, 2, 1)
			r := s.ask(0, on(4, 14, 0))
			r.Mode, r.Ticked = visits.Suggest, true
			got := map[string]string{}
			s.do(t, func(tx *store.Tx) error {
				v, err := s.Book(tx, tt.by(s), r, "")
				if err != nil {
					return err
				}
				side := map[string]string{string(v.Main): "visitor", string(v.Inmate): "inmate"}
				all, err := outbox.Notices(tx, 0, 100)
				for _, n := range all {
					if n.Subject == string(v.ID) {
						got[n.Template] += side[n.To]
					}
				}
				return err
			})
			if diff := cmp.Diff(map[string]string{"visit.invited": tt.to, "visit.suggested": tt.waiter}, got); diff != "" {
				t.Errorf("notices mismatch (-want +got):\n%s", diff)
			}
		})
	}
}
