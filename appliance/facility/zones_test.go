package facility_test

import (
	"testing"
	"time"

	"sallyport/appliance/facility"
)

func TestEveryZoneLoadsAndLiesInACountry(t *testing.T) {
	zones := facility.Zones()
	if len(zones) < 400 {
		t.Fatalf("%d zones", len(zones))
	}
	for _, z := range zones {
		if _, err := time.LoadLocation(z); err != nil {
			t.Errorf("%s: %v", z, err)
		}
		if c, ok := facility.CountryOf(z); !ok || len(c) != 2 {
			t.Errorf("%s lies in %q", z, c)
		}
	}
	for zone, want := range map[string]string{"Europe/London": "GB", "America/Chicago": "US", "Europe/Belfast": "GB", "Mars/Olympus": ""} {
		if got, ok := facility.CountryOf(zone); got != want || ok != (want != "") {
			t.Errorf("CountryOf(%s) = %q, %v, want %q", zone, got, ok, want)
		}
	}
}
