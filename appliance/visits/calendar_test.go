package visits_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

func TestCalendarFile(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	v := visits.Visit{
		ID: "v_00000000000000000000000000", Class: visits.Social, State: visits.Confirmed, Version: 3,
		Starts: time.Date(2027, 3, 16, 18, 0, 0, 0, time.UTC), Ends: time.Date(2027, 3, 16, 18, 30, 0, 0, time.UTC),
	}
	words := visits.CalendarWords{Summary: "Video visit", Description: "Rules of the visit:\n- One, two; three", Online: "Online", Link: "https://visits.example/visits/v_00000000000000000000000000"}
	for _, state := range []visits.State{visits.Suggested, visits.Confirmed, visits.Cancelled} {
		t.Run(string(state), func(t *testing.T) {
			v.State = state
			got := string(visits.Calendar(v, "visits.example", newYork, monday, words))
			golden := "testdata/" + string(state) + ".ics"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("Calendar mismatch (-want +got):\n%s", diff)
			}
			if strings.Contains(got, "ATTENDEE") || strings.Contains(got, "Sam") {
				t.Error("the file names somebody")
			}
		})
	}
}

func TestCalendarFileOfVisit(t *testing.T) {
	s := open(t, "prison", 1, 1, 1)
	r := s.ask(0, on(4, 14, 0))
	r.Mode, r.Ticked = visits.Confirm, true
	s.do(t, func(tx *store.Tx) error {
		v, err := s.Book(tx, s.by(0), r, "")
		if err != nil {
			return err
		}
		body, method, err := s.CalendarFile(tx, v.ID)
		if err != nil {
			return err
		}
		for _, want := range []string{"UID:" + string(v.ID), "DTSTART;TZID=Europe/London:20270304T140000", "STATUS:TENTATIVE", "BEGIN:VTIMEZONE", "SEQUENCE:0"} {
			if !strings.Contains(string(body), want) {
				t.Errorf("the file has no %s:\n%s", want, body)
			}
		}
		if method != "REQUEST" || strings.Contains(string(body), "Jones") {
			t.Errorf("method %s, or the inmate is named", method)
		}
		return nil
	})
}
