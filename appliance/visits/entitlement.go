package visits

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// Allowance is what an inmate has left in one period.
type Allowance struct {
	Off            bool // nothing is counted
	Calls, Minutes int  // left
	From, To       string
}

// Covers tells whether a visit of this length can use the allowance. Both limits hold.
func (a Allowance) Covers(minutes int) bool { return a.Off || a.Calls >= 1 && a.Minutes >= minutes }

// Allowance returns what an inmate has left in the period of a facility date.
func (vs *Visits) Allowance(tx *store.Tx, id ident.Inmate, date string) (Allowance, error) {
	i, err := vs.People.Inmate(tx, id)
	if err != nil {
		return Allowance{}, err
	}
	r, err := vs.Policy.At(tx, policy.Scope{Unit: i.Unit, Level: i.Level, Class: string(Social), Inmate: id})
	if err != nil {
		return Allowance{}, err
	}
	return allowance(tx, id, i.Level, date, r)
}

func allowance(tx *store.Tx, id ident.Inmate, level, date string, r policy.Rules) (Allowance, error) {
	if policy.EntitlementMode.Of(r) == "off" {
		return Allowance{Off: true}, nil
	}
	from, to, err := period(policy.EntitlementPeriod.Of(r), date)
	if err != nil {
		return Allowance{}, err
	}
	a := Allowance{Calls: policy.EntitlementCalls.Of(r), Minutes: policy.EntitlementMinutes.Of(r), From: from, To: to}
	if own, ok := policy.EntitlementByLevel.Of(r)[level]; ok {
		calls, minutes, _ := strings.Cut(own, "/")
		a.Calls, _ = strconv.Atoi(calls) // policy has checked both numbers
		a.Minutes, _ = strconv.Atoi(minutes)
	}
	var calls, minutes int
	if err := tx.Row(`SELECT coalesce(sum(calls), 0), coalesce(sum(minutes), 0) FROM entitlement WHERE inmate = ? AND period = ?`, string(id), from).
		Scan(&calls, &minutes); err != nil {
		return Allowance{}, fmt.Errorf("sum the entitlement: %w", err)
	}
	a.Calls, a.Minutes = max(0, a.Calls-calls), max(0, a.Minutes-minutes)
	return a, nil
}

// period returns the first and the last date of the period of a date. Weeks start on Monday.
func period(kind, date string) (from, to string, err error) {
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return "", "", fmt.Errorf("read date: %w", err)
	}
	monday := d.AddDate(0, 0, -(int(d.Weekday())+6)%7)
	last := monday.AddDate(0, 0, 6)
	switch kind {
	case "month":
		monday = time.Date(d.Year(), d.Month(), 1, 0, 0, 0, 0, time.UTC)
		last = monday.AddDate(0, 1, -1)
	case "14d":
		// Counted from one Monday for all, 5 January 1970, so that every facility date lies in one period only.
		weeks := int(monday.Sub(time.Date(1970, 1, 5, 0, 0, 0, 0, time.UTC)).Hours()) / (24 * 7)
		if weeks%2 != 0 {
			monday = monday.AddDate(0, 0, -7)
		}
		last = monday.AddDate(0, 0, 13)
	}
	return monday.Format(time.DateOnly), last.Format(time.DateOnly), nil
}

// quota adds to the facts what is left, with what the visit itself has reserved given back.
func (vs *Visits) quota(tx *store.Tx, f *Facts, v Visit) (err error) {
	if f.Left, err = allowance(tx, f.Inmate.ID, f.Inmate.Level, f.Date, f.rules); err != nil || f.Left.Off {
		return err
	}
	f.NextPeriod = addDays(f.Left.To, 1)
	f.QuotaTold = f.By.Is(ident.ByInmate) || f.By.Is(ident.ByStaff) || policy.EntitlementShareWithContacts.Of(f.rules) == "always"
	if v.ID != "" {
		calls, minutes, err := counted(tx, v.ID)
		if err != nil {
			return err
		}
		f.Left.Calls, f.Left.Minutes = f.Left.Calls+calls, f.Left.Minutes+minutes
	}
	return nil
}

// counted is what a visit counts against the allowance now. The index is partial, and the planner uses it only when the
// query says so too.
func counted(tx *store.Tx, id ident.Visit) (calls, minutes int, err error) {
	err = tx.Row(`SELECT coalesce(sum(calls), 0), coalesce(sum(minutes), 0) FROM entitlement WHERE visit = ? AND visit <> ''`, string(id)).Scan(&calls, &minutes)
	return calls, minutes, err
}

// enter adds one entry for a visit in the period of its date. sign is +1 for what counts and -1 for what is given back.
func enter(tx *store.Tx, v Visit, kind, reason string, r policy.Rules, sign int) error {
	from, _, err := period(policy.EntitlementPeriod.Of(r), v.Date)
	if err != nil {
		return err
	}
	err = tx.Exec(`INSERT INTO entitlement (inmate, period, type, calls, minutes, visit, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		string(v.Inmate), from, kind, sign, sign*v.Minutes, string(v.ID), reason, store.Ms(tx.Now()))
	if err != nil {
		return fmt.Errorf("enter into the entitlement: %w", err)
	}
	return nil
}

// giveBack takes back whatever the visit still counts, in the period in which it was counted.
func giveBack(tx *store.Tx, v Visit, kind, reason string) error {
	calls, minutes, err := counted(tx, v.ID)
	if err != nil || calls == 0 {
		return err
	}
	n, err := tx.ExecN(`INSERT INTO entitlement (inmate, period, type, calls, minutes, visit, reason, at)
		SELECT inmate, period, ?, ?, ?, visit, ?, ? FROM entitlement WHERE visit = ? AND visit <> '' AND calls > 0 LIMIT 1`,
		kind, -calls, -minutes, reason, store.Ms(tx.Now()), string(v.ID))
	if err == nil && n != 1 {
		err = fault.New("visits.giveBack", fault.Internal, "The entitlement of a visit is gone.")
	}
	return err
}

// fund decides what a visit that is being confirmed uses, and counts it (rules.md, 5.2).
func fund(tx *store.Tx, v *Visit, f Facts) error {
	v.Funding = "none"
	if v.Class != Social || f.Left.Off || !f.Left.Covers(v.Minutes) {
		return nil
	}
	v.Funding = "entitlement"
	if v.Version > 0 { // one that was never written counts nothing yet
		if err := giveBack(tx, *v, "freed", ""); err != nil {
			return err
		}
	}
	return enter(tx, *v, "used", "", f.rules, 1)
}

// reserve counts an open request, so that nobody asks for more than is left.
func reserve(tx *store.Tx, v Visit, f Facts) error {
	if v.Class != Social || f.Left.Off || !needsQuota(f) {
		return nil
	}
	calls, _, err := counted(tx, v.ID)
	if err != nil || calls > 0 {
		return err
	}
	return enter(tx, v, "reserved", "", f.rules, 1)
}
