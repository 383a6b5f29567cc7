package money_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"sallyport/appliance/fault"
	"sallyport/appliance/money"
)

func TestParseAndFormat(t *testing.T) {
	for _, tt := range []struct {
		name, in, code, tag string
		minor               int64
		want                string
	}{
		{"pounds", "12.50", "GBP", "en-GB", 1250, "£12.50"},
		{"welsh", "12.50", "GBP", "cy-GB", 1250, "£12.50"},
		{"dollars", "1234.5", "USD", "en-US", 123450, "$1,234.50"},
		{"spanish dollars", "1234.50", "USD", "es-US", 123450, "$1,234.50"},
		{"yen has no decimals", "500", "JPY", "en-US", 500, "¥500"},
		{"negative", "-0.01", "GBP", "en-GB", -1, "-£0.01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := money.Parse(tt.in, tt.code)
			if err != nil || a.Minor != tt.minor {
				t.Fatalf("Parse(%s) = %v, %v, want %d", tt.in, a, err, tt.minor)
			}
			if got := a.Format(tt.tag); got != tt.want {
				t.Errorf("Format(%s) = %q, want %q", tt.tag, got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{"", "twelve", "1,50", "0.001", "1e400", "NaN", "99999999999999999999"} {
		if a, err := money.Parse(in, "GBP"); !fault.Is(err, fault.Invalid) {
			t.Errorf("Parse(%q) = %v, %v", in, a, err)
		}
	}
	if _, err := money.New(1, "XYZ"); !fault.Is(err, fault.Invalid) {
		t.Error("a currency that does not exist passed")
	}
}

func TestAdd(t *testing.T) {
	gbp := func(n int64) money.Amount { return money.Amount{Minor: n, Currency: "GBP"} }
	if _, err := gbp(1).Add(money.Amount{Minor: 1, Currency: "USD"}); err == nil {
		t.Error("pounds and dollars were added")
	}
	for _, pair := range [][2]int64{{math.MaxInt64, 1}, {math.MinInt64, -1}} {
		if _, err := gbp(pair[0]).Add(gbp(pair[1])); err == nil {
			t.Errorf("%d + %d fits", pair[0], pair[1])
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := gbp(int64(rapid.Int32().Draw(t, "a"))), gbp(int64(rapid.Int32().Draw(t, "b")))
		sum, err := a.Add(b)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := sum.Add(b.Neg()); err != nil || back != a {
			t.Fatalf("%v + %v - %v = %v, %v", a, b, b, back, err)
		}
	})
}
