package visits_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/fault"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

func (s *site) offered(t *testing.T, n int, from, to string) (times []string) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		places, err := s.Visits.Starts(tx, s.by(n), s.ask(n, monday), from, to)
		for _, p := range places {
			times = append(times, p.Starts.Format("02 15:04"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return times
}

func (s *site) book(t *testing.T, n int, r visits.Request) visits.Visit {
	t.Helper()
	r.Mode, r.Ticked = visits.Confirm, true
	var v visits.Visit
	t.Helper()
	s.do(t, func(tx *store.Tx) (err error) { v, err = s.Book(tx, s.by(n), r, ""); return err })
	return v
}

// What is offered can be booked, and what cannot be booked is not offered.
func TestStartsAreThoseThatWouldBeAccepted(t *testing.T) {
	s := open(t, policy.Prison, 1, 2, 2)
	all := []string{"04 14:00", "04 14:15", "04 14:30", "04 14:45", "04 15:00", "04 15:15", "04 15:30", "04 15:45", "04 16:00", "04 16:15"}
	if diff := cmp.Diff(all, s.offered(t, 0, "2027-03-04", "2027-03-04")); diff != "" {
		t.Errorf("an empty day mismatch (-want +got):\n%s", diff)
	}
	s.book(t, 1, s.ask(1, on(4, 15, 0)))
	// The only kiosk is taken from 15:00 to 15:35.
	want := []string{"04 14:00", "04 14:15", "04 15:45", "04 16:00", "04 16:15"}
	if diff := cmp.Diff(want, s.offered(t, 0, "2027-03-04", "2027-03-04")); diff != "" {
		t.Errorf("beside another visit mismatch (-want +got):\n%s", diff)
	}
	s.book(t, 0, s.ask(0, on(5, 14, 0)))
	if got := s.offered(t, 0, "2027-03-05", "2027-03-05"); got != nil {
		t.Errorf("a second visit of the day is offered: %v", got)
	}
	if got := s.offered(t, 0, "2027-03-01", "2027-03-02"); len(got) != 10 || got[0] != "02 14:00" {
		t.Errorf("notice of 24 hours: %v", got)
	}
	if got := s.offered(t, 0, "2027-03-08", "2027-03-20"); len(got) != 10 || got[0] != "08 14:00" {
		t.Errorf("window of 7 days: %v", got)
	}
	s.book(t, 0, s.ask(0, on(6, 14, 0)))
	if got := s.offered(t, 0, "2027-03-04", "2027-03-08"); got != nil {
		t.Errorf("without calls left: %v", got)
	}
}

func TestStartsTellWhatNoDayHelps(t *testing.T) {
	s := open(t, policy.Prison, 1, 1, 1)
	s.do(t, func(tx *store.Tx) error { return tx.Exec(`UPDATE visitor SET identity = 'submitted'`) })
	err := s.View(t.Context(), func(tx *store.Tx) error {
		_, err := s.Visits.Starts(tx, s.by(0), s.ask(0, monday), "2027-03-01", "2027-03-07")
		return err
	})
	if !fault.Is(err, fault.Forbidden) || fault.CodeOf(err) != "visit.identity" {
		t.Errorf("without identity: %v", err)
	}
}

func TestStatementsInThreeLanguages(t *testing.T) {
	version, english := visits.Statements("en")
	var keys []string
	for _, s := range english {
		keys = append(keys, s.Key)
	}
	for _, language := range []string{"cy", "es"} {
		_, items := visits.Statements(language)
		for i, s := range items {
			if s.Key != keys[i] || s.Text == "" || s.Text == english[i].Text {
				t.Errorf("%s: %s has no words of its own", language, s.Key)
			}
		}
	}
	if ok, err := visits.Ticked(version, keys); !ok || err != nil {
		t.Errorf("all ticked: %v %v", ok, err)
	}
	if ok, err := visits.Ticked(version, keys[1:]); ok || err != nil {
		t.Errorf("one left out: %v %v", ok, err)
	}
	if _, err := visits.Ticked("old", keys); !fault.Is(err, fault.Conflict) {
		t.Errorf("old rules: %v", err)
	}
}
