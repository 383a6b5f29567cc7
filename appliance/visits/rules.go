package visits

import (
	"slices"
	"time"

	"sallyport/appliance/ident"
	"sallyport/appliance/people"
)

// Check is the checks B1 to B19 of rules.md, 4.1, in their order: everything that stands against the request. It is
// pure; a family member is told the first conflict, staff all of them.
func Check(f Facts, r Request) (found []Conflict) {
	add := func(c Conflict, failed bool) {
		if failed && !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	social := r.Class != Privileged && r.Class != Official
	add(ServiceOff, !f.BookingOpen || !slices.Contains(f.Limits.Classes, string(r.Class)) || r.Class == Social && !f.Limits.Remote)
	add(Account, f.Main.State != people.Active)
	add(Identity, !identified(f))
	add(Party, !partyFits(f))
	add(NoContact, f.Contact.State != people.Approved || slices.ContainsFunc(f.Guests, func(g Guest) bool { return !g.Listed }))
	add(NotAvailable, barred(f, r) || f.Inmate.State != people.InCustody)
	add(WrongClass, (r.Class == Privileged) != (f.Contact.Privilege == "verified"))
	add(TooFar, f.Date > addDays(f.Today, f.Limits.WindowDays) && !f.By.Is(ident.ByStaff) || f.Date > addDays(f.Today, staffWindow))
	add(TooLate, r.Start.Before(f.Now.Add(f.Limits.Notice)))
	add(Blocked, f.HasPlace && f.Place.Closed)
	add(NoSession, !f.HasPlace || r.Minutes > f.Limits.MaxMinutes)
	add(OwnOverlap, f.OwnBusy)
	add(Overlap, f.Busy)
	if social {
		add(OwnLimit, over(f.PairDay, f.Limits.PairDay))
		add(Limit, over(f.InmateDay, f.Limits.InmateDay) || over(f.InmateWeek, f.Limits.InmateWeek) || f.Inmate.Legal == "remand" && over(f.InmateWeek, f.Limits.Remand))
	}
	if r.Class == Social {
		add(NoQuota, needsQuota(f) && !f.Left.Covers(r.Minutes))
	}
	add(Full, f.HasPlace && f.Place.Full)
	add(NoStation, f.HasPlace && f.NeedsPlace && f.Station == "")
	if r.Mode != "" {
		add(SuggestOnly, r.Mode == Confirm && !slices.Contains(Modes(f, r.Class), Confirm))
		add(Terms, !r.Ticked)
	}
	return found
}

// staffWindow is how far ahead staff may book: as far as slots stand.
const staffWindow = 60

func over(have, limit int) bool { return limit > 0 && have >= limit }

// identified is B3: the main caller and every adult with a document that holds through the visit. A person without an
// account cannot show one yet, so an adult on the list does not pass.
func identified(f Facts) bool {
	if f.Limits.IDRequired == "none" {
		return true
	}
	if f.Main.Identity != "verified" || !f.Main.IdentityUntil.IsZero() && f.Main.IdentityUntil.Before(f.Place.Ends) {
		return false
	}
	return !slices.ContainsFunc(f.Guests, func(g Guest) bool { return g.Listed && people.Age(g.Born, f.Date) >= f.Limits.PhotoIDAge })
}

// partyFits is B4. Nothing lets a main caller under 16 pass, whatever the policy says.
func partyFits(f Facts) bool {
	age := people.Age(f.Main.Born, f.Date)
	adults, minors := 0, 0
	count := func(age int) {
		if age >= f.Limits.AdultAt {
			adults++
		} else {
			minors++
		}
	}
	count(age)
	for _, g := range f.Guests {
		if g.Listed {
			count(people.Age(g.Born, f.Date))
		}
	}
	return !f.Twice && age >= f.Limits.MainAge && age >= 16 && 1+len(f.Guests) <= f.Limits.Party &&
		adults <= f.Limits.Adults && minors <= f.Limits.Minors && (minors == 0 || adults > 0 || !f.Limits.MinorNeedsAdult)
}

// barred is B6 and the suspension of B7: a restriction in force on the visit's date.
func barred(f Facts, r Request) bool {
	minor := slices.ContainsFunc(f.Guests, func(g Guest) bool { return people.Age(g.Born, f.Date) < f.Limits.AdultAt })
	return slices.ContainsFunc(f.Limiting, func(n people.Restriction) bool {
		return n.On(f.Date) && (n.Blocks() || n.Code == people.VisitsLost && r.Class != Privileged || n.Code == people.ChildProtection && minor)
	})
}

// needsQuota tells whether a social visit cannot be without entitlement: where it is required, and where a visit costs
// money, because nobody can pay by a wallet yet.
func needsQuota(f Facts) bool {
	return f.Limits.Entitlement == "required" || f.Limits.Entitlement == "free_then_paid" && f.Limits.Charged
}

// Modes are what may be asked for: suggest, confirm or both. The first is what a page offers first.
func Modes(f Facts, class Class) []Mode {
	switch {
	case f.By.Is(ident.ByStaff), class == Privileged, class == Official, f.By.Is(ident.ByVisitor) && f.Limits.Accept == "never", f.By.Is(ident.ByCentral) && f.Limits.Accept == "never":
		return []Mode{Confirm}
	case f.By.Is(ident.ByInmate), f.By.Is(ident.ByCentral), f.Limits.Accept == "always":
		return []Mode{Suggest} // an inmate's wish is answered by the visitor
	case f.Limits.ConfirmAfterFirst && (f.Contact.Met || !f.Limits.FirstSuggestOnly):
		return []Mode{Confirm, Suggest}
	}
	return []Mode{Suggest}
}

// staffDecide tells whether staff must approve before the visit is confirmed.
func staffDecide(f Facts, class Class) bool {
	if f.By.Is(ident.ByStaff) || class == Privileged || class == Official {
		return false
	}
	flagged := slices.ContainsFunc(f.Limiting, func(n people.Restriction) bool { return n.Flags() && n.On(f.Date) })
	return f.Limits.Staff == "always" || f.Limits.Staff == "flagged" && flagged
}

// addDays moves a date; dates are compared as text.
func addDays(date string, n int) string {
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return d.AddDate(0, 0, n).Format(time.DateOnly)
}
