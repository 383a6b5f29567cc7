// Package money owns amounts: whole numbers of a currency's minor unit, their sums and how they are shown.
//
// It must not know prices or wallets. An amount is never a float, and amounts of two currencies never meet.
package money

import (
	"math"
	"strconv"

	"github.com/bojanz/currency"

	"sallyport/appliance/fault"
)

// Amount is a sum of money in minor units: cents, pence.
type Amount struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"` // ISO 4217
}

// New returns an amount. It returns Invalid for a currency that does not exist.
func New(minor int64, code string) (Amount, error) {
	if !currency.IsValid(code) {
		return Amount{}, fault.New("money.New", fault.Invalid, "There is no such currency.").WithCode("money.currency")
	}
	return Amount{Minor: minor, Currency: code}, nil
}

// Parse reads a plain decimal number such as "12.50". It returns Invalid for anything else, and for more decimals than
// the currency has.
func Parse(s, code string) (Amount, error) {
	bad := fault.New("money.Parse", fault.Invalid, "This is not an amount of money.").WithCode("money.amount")
	a, err := currency.NewAmount(s, code)
	if err != nil {
		return Amount{}, bad.Because(err)
	}
	if cmp, err := a.Cmp(a.Round()); err != nil || cmp != 0 {
		return Amount{}, bad
	}
	minor, err := a.Int64()
	if err != nil {
		return Amount{}, bad.Because(err)
	}
	return Amount{Minor: minor, Currency: code}, nil
}

// Add returns the sum. It returns Internal for two currencies and for a sum that does not fit: both are our mistakes.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, fault.New("money.Add", fault.Internal, "Two currencies cannot be added.")
	}
	if b.Minor > 0 && a.Minor > math.MaxInt64-b.Minor || b.Minor < 0 && a.Minor < math.MinInt64-b.Minor {
		return Amount{}, fault.New("money.Add", fault.Internal, "The sum is too large.")
	}
	return Amount{Minor: a.Minor + b.Minor, Currency: a.Currency}, nil
}

// Neg returns the amount with the other sign.
func (a Amount) Neg() Amount { return Amount{Minor: -a.Minor, Currency: a.Currency} }

// IsZero tells whether there is nothing.
func (a Amount) IsZero() bool { return a.Minor == 0 }

// Format shows the amount as people of a locale ("en-GB", "es-US") write it.
func (a Amount) Format(tag string) string {
	amount, err := currency.NewAmountFromInt64(a.Minor, a.Currency)
	if err != nil {
		return a.String()
	}
	return currency.NewFormatter(currency.NewLocale(tag)).Format(amount)
}

// String returns the minor units with the currency, for logs and tests.
func (a Amount) String() string { return strconv.FormatInt(a.Minor, 10) + " " + a.Currency }
