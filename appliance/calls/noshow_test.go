package calls_test

import (
	"testing"
	"time"

	"sallyport/appliance/calls/callstest"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// A visit that has not begun ten minutes after its start is judged by what is stored (rules.md, 5.6).
func TestWhoCausedThatAVisitWasNotHeld(t *testing.T) {
	join := func(s *callstest.Site) {
		for _, err := range []error{
			func() error {
				_, err := s.Calls.Join(s.Ctx, s.AsVisitor(), s.Visit, "", callstest.Fingerprint)
				return err
			}(),
			func() error {
				_, err := s.Calls.Join(s.Ctx, s.AsInmate(), s.Visit, s.Station, callstest.Fingerprint)
				return err
			}(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		before func(s *callstest.Site)
		quiet  bool // gatewayd is away
		want   string
	}{
		{"the gateway is away", join, true, "no_show system_fault"},
		{"the gateway is away and nobody came", func(*callstest.Site) {}, true, "no_show system_fault"},
		{"nobody told the inmate", func(s *callstest.Site) {
			s.Take(s.Fact(linkspec.SeatConnected, "v1", linkspec.SeatData{Generation: 1}))
		}, false, "no_show inmate_not_told"},
		{"the inmate waited alone", func(s *callstest.Site) {
			s.Take(s.Fact(linkspec.SeatConnected, "i1", linkspec.SeatData{Generation: 1}))
		}, false, "no_show visitor_absent"},
		{"the visitor's device failed", func(s *callstest.Site) {
			join(s)
			s.Take(s.Fact(linkspec.SeatConnected, "i1", linkspec.SeatData{Generation: 1}))
		}, false, "no_show visitor_device"},
		{"both are there at last", func(s *callstest.Site) {
			s.Take(s.Fact(linkspec.SeatConnected, "v1", linkspec.SeatData{Generation: 1}), s.Fact(linkspec.SeatConnected, "i1", linkspec.SeatData{Generation: 1}))
		}, false, "checking_in"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := callstest.New(t, "social")
			tt.before(s)
			s.Clock.Advance(16 * time.Minute)
			if !tt.quiet {
				s.Calls.Heard()
			}
			s.Update(func(tx *store.Tx) error {
				if err := tx.Exec(`UPDATE visits SET due = ?`, store.Ms(tx.Now())); err != nil {
					return err
				}
				return s.Visits.Fall(tx, s.Visit)
			})
			if got := s.VisitState(); got != tt.want {
				t.Errorf("visit %q, want %q", got, tt.want)
			}
		})
	}
}
