package visits_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// Two visits are booked, one on Wednesday and one on Friday; only those on the ground that goes are marked, once.
func TestDisplacedVisitsAreMarked(t *testing.T) {
	s := open(t, "county-jail", 2, 2, 2)
	booked := make([]visits.Visit, 2)
	s.do(t, func(tx *store.Tx) (err error) {
		for n, day := range []int{3, 5} {
			r := s.ask(n, on(day, 14, 0))
			r.Mode, r.Ticked = visits.Confirm, true
			if booked[n], err = s.Book(tx, clerk, r, "key-of-the-booking-"+string(rune('a'+n))); err != nil {
				return err
			}
		}
		return nil
	})
	if booked[0].State != visits.Confirmed || booked[0].Station == "" {
		t.Fatalf("booked %+v", booked[0])
	}
	for _, tt := range []struct {
		name   string
		ground visits.Ground
		want   int
	}{
		{"the whole facility on Wednesday", visits.Under(schedule.Closure{From: on(3, 0, 0), To: on(4, 0, 0), Scope: schedule.CloseFacility}), 1},
		{"an hour that touches neither", visits.Under(schedule.Closure{From: on(3, 15, 0), To: on(3, 16, 0), Scope: schedule.CloseFacility}), 0},
		{"the unit for the week", visits.Under(schedule.Closure{From: on(1, 0, 0), To: on(8, 0, 0), Scope: schedule.CloseUnit, Key: string(s.unit.ID)}), 2},
		{"another unit", visits.Under(schedule.Closure{From: on(1, 0, 0), To: on(8, 0, 0), Scope: schedule.CloseUnit, Key: string(ident.New[ident.Unit]())}), 0},
		{"a session after Wednesday", visits.Ground{Template: booked[0].Template, After: "2027-03-03"}, 1},
		{"the session for the week", visits.Under(schedule.Closure{From: on(1, 0, 0), To: on(8, 0, 0), Scope: schedule.CloseTemplate, Key: string(booked[0].Template)}), 2},
		{"a station without visits", visits.Ground{Station: s.kiosks[1]}, 0},
	} {
		s.do(t, func(tx *store.Tx) error {
			n, err := s.Standing(tx, tt.ground)
			if n != tt.want {
				t.Errorf("%s: %d visits stand, want %d", tt.name, n, tt.want)
			}
			return err
		})
	}
	wednesday := visits.Ground{Template: booked[0].Template, From: on(3, 0, 0), To: on(4, 0, 0)}
	for range 2 {
		s.do(t, func(tx *store.Tx) error {
			more, err := s.Displace(tx, clerk, wednesday, "closed")
			if more {
				t.Error("one visit is more than a transaction takes")
			}
			return err
		})
	}
	s.do(t, func(tx *store.Tx) error {
		for n, want := range [][]string{{"closed"}, nil} {
			v, err := s.Get(tx, booked[n].ID)
			if err != nil {
				return err
			}
			if !slices.Equal(v.Review, want) || n == 0 && v.Version != booked[0].Version+1 {
				t.Errorf("visit %d: issues %v in version %d, want %v", n, v.Review, v.Version, want)
			}
		}
		return nil
	})
	s.clock.Advance(5 * 24 * time.Hour)
	s.do(t, func(tx *store.Tx) error {
		n, err := s.Standing(tx, visits.Ground{Template: booked[0].Template})
		if n != 0 {
			t.Errorf("%d visits of the past stand", n)
		}
		return err
	})
}

// More visits than one transaction takes are marked in several, and each once.
func TestManyDisplacedVisits(t *testing.T) {
	const many = 53
	s := open(t, "county-jail", many, many, many)
	for n := range many {
		s.do(t, func(tx *store.Tx) error {
			r := s.ask(n, on(3, 14, 0))
			r.Mode, r.Ticked = visits.Confirm, true
			_, err := s.Book(tx, clerk, r, fmt.Sprintf("key-of-the-booking-%03d", n))
			return err
		})
	}
	ground := visits.Ground{From: on(3, 0, 0), To: on(4, 0, 0)}
	for round, want := range []bool{true, false, false} {
		s.do(t, func(tx *store.Tx) error {
			more, err := s.Displace(tx, clerk, ground, "closed")
			if more != want {
				t.Errorf("after round %d: more %v, want %v", round, more, want)
			}
			return err
		})
	}
	s.do(t, func(tx *store.Tx) error {
		var marked, moved int
		err := tx.Row(`SELECT sum(review = 'closed'), max(version) FROM visits`).Scan(&marked, &moved)
		if marked != many || moved > 2 {
			t.Errorf("%d of %d visits are marked, the most often moved in version %d", marked, many, moved)
		}
		return err
	})
}
