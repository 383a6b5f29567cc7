package locale_test

import (
	"testing"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/locale"
)

func in(t *testing.T, tag string) *locale.Language {
	t.Helper()
	c, err := locale.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c.In(tag)
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		name, tag, key string
		params         map[string]any
		want           string
	}{
		{"english", "en-GB", "sms.visit.confirmed", map[string]any{"when": "X"}, "Your visit on X is confirmed."},
		{"welsh", "cy-GB", "sms.visit.confirmed", map[string]any{"when": "X"}, "Mae eich ymweliad ar X wedi'i gadarnhau."},
		{"unknown language", "fr-FR", "sms.visit.confirmed", map[string]any{"when": "X"}, "Your visit on X is confirmed."},
		{"one", "en", "unit.minutes", map[string]any{"n": 1}, "1 minute"},
		{"many", "en", "unit.minutes", map[string]any{"n": int64(30)}, "30 minutes"},
		{"two in Welsh", "cy", "unit.minutes", map[string]any{"n": 2}, "2 funud"},
		{"a number that was JSON", "es", "unit.minutes", map[string]any{"n": 1.0}, "1 minuto"},
		{"a parameter is no template", "en", "sms.visit.confirmed", map[string]any{"when": "{ref}"}, "Your visit on {ref} is confirmed."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := in(t, tt.tag).Text(tt.key, tt.params); err != nil || got != tt.want {
				t.Errorf("Text = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestTextRefuses(t *testing.T) {
	if got, err := in(t, "en").Text("sms.visit.confirmed", nil); !fault.Is(err, fault.Internal) {
		t.Errorf("without its parameter: %q, %v", got, err)
	}
	if got, err := in(t, "en").Text("no.such.key", nil); !fault.Is(err, fault.Internal) {
		t.Errorf("no such key: %q, %v", got, err)
	}
}

func TestWhen(t *testing.T) {
	now := time.Date(2027, 2, 20, 9, 0, 0, 0, time.UTC)
	afternoon := time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC)
	london, york := "Europe/London", "America/New_York"
	for _, tt := range []struct {
		name, tag        string
		at               time.Time
		facility, reader string
		want             string
	}{
		{"same zone", "en-GB", afternoon, london, london, "Thursday 4 March, 2:00pm"},
		{"same wall clock", "en-GB", afternoon, london, "Europe/Lisbon", "Thursday 4 March, 2:00pm"},
		{"two zones", "en-GB", afternoon, london, york, "Thursday 4 March, 2:00pm facility time, 9:00am your time"},
		{"american", "en-US", afternoon, york, york, "Thursday, March 4, 9:00am"},
		{"welsh", "cy-GB", afternoon, london, london, "Dydd Iau 4 Mawrth, 2:00yp"},
		{"spanish", "es-US", afternoon, york, york, "jueves 4 de marzo, 9:00 a. m."},
		{"another day", "en-GB", afternoon, york, "Asia/Tokyo", "Thursday 4 March, 9:00am facility time, 11:00pm your time"},
		{"the next day", "en-GB", afternoon.Add(2 * time.Hour), york, "Asia/Tokyo", "Thursday 4 March, 11:00am facility time, Friday 5 March, 1:00am your time"},
		{"midday", "en-GB", time.Date(2027, 3, 4, 12, 0, 0, 0, time.UTC), london, london, "Thursday 4 March, 12:00 midday"},
		{"midnight", "en-GB", time.Date(2027, 3, 4, 0, 0, 0, 0, time.UTC), london, london, "Thursday 4 March, 12:00 midnight"},
		{"next year", "en-GB", afternoon.AddDate(1, 0, 0), london, london, "Saturday 4 March 2028, 2:00pm"},
		{"only one side has changed its clocks", "en-GB", time.Date(2027, 3, 16, 14, 0, 0, 0, time.UTC), london, york, "Tuesday 16 March, 2:00pm facility time, 10:00am your time"},
		{"first of two hours", "en-GB", time.Date(2027, 10, 31, 0, 30, 0, 0, time.UTC), london, london, "Sunday 31 October, 1:30am BST"},
		{"second of two hours", "en-GB", time.Date(2027, 10, 31, 1, 30, 0, 0, time.UTC), london, london, "Sunday 31 October, 1:30am GMT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := in(t, tt.tag).When(tt.at, now, zone(t, tt.facility), zone(t, tt.reader))
			if err != nil || got != tt.want {
				t.Errorf("When = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
