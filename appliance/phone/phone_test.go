package phone_test

import (
	"strings"
	"testing"

	"sallyport/appliance/fault"
	"sallyport/appliance/phone"
)

func TestE164(t *testing.T) {
	for _, tt := range []struct{ name, number, country, want string }{
		{"national", "020 7946 0958", "GB", "+442079460958"},
		{"lower-case country", "(212) 555-2368", "us", "+12125552368"},
		{"international", "+44 (0)20 7946 0958", "US", "+442079460958"},
		{"other digits", "٠٢٠ ٧٩٤٦ ٠٩٥٨", "GB", "+442079460958"},
		{"too short", "12345", "GB", ""},
		{"words", "call me", "GB", ""},
		{"empty", "", "GB", ""},
		{"extension", "+442079460958 ext 12", "GB", ""},
		{"no country", "020 7946 0958", "", ""},
		{"very long", strings.Repeat("1", 5000), "GB", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := phone.E164(tt.number, tt.country)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Fatalf("E164 = %q, %v, want %q", got, err, tt.want)
			}
			if err != nil && (!fault.Is(err, fault.Invalid) || len(tt.number) > 8 && strings.Contains(err.Error(), tt.number)) {
				t.Errorf("error %v: want Invalid, without the number", err)
			}
		})
	}
}

func TestDisplay(t *testing.T) {
	for _, tt := range []struct{ e164, country, want string }{
		{"+442079460958", "GB", "020 7946 0958"},
		{"+442079460958", "US", "+44 20 7946 0958"},
		{"nonsense", "GB", "nonsense"},
	} {
		if got := phone.Display(tt.e164, tt.country); got != tt.want {
			t.Errorf("Display(%s, %s) = %q, want %q", tt.e164, tt.country, got, tt.want)
		}
	}
	if got := phone.Masked("+442079460958"); got != "••••58" {
		t.Errorf("Masked = %q", got)
	}
}

func FuzzE164(f *testing.F) {
	f.Add("020 7946 0958", "GB")
	f.Add("+1 212 555 2368;ext=1", "")
	f.Fuzz(func(t *testing.T, number, country string) {
		got, err := phone.E164(number, country)
		if err != nil {
			return
		}
		if again, err := phone.E164(got, ""); err != nil || again != got {
			t.Errorf("E164(%q) = %q, then %q, %v", number, got, again, err)
		}
	})
}
