package seed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/moderation"
	"sallyport/appliance/people"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
	"sallyport/provisioning/roster"
)

// found makes the facility: rules, stations, staff, the roster, visitors with their contacts, and a week of visits.
func (h *house) found(ctx context.Context) (People, error) {
	var p People
	if err := h.db.Update(ctx, func(tx *store.Tx) error { return h.building(tx, &p) }); err != nil {
		return p, err
	}
	if err := h.staff(ctx, &p); err != nil {
		return p, err
	}
	clerk := p.actor(access.Clerk)
	if _, err := h.people.ImportRoster(ctx, clerk, "sample.csv", true, bytes.NewReader(roster.Sample)); err != nil {
		return p, fmt.Errorf("import the roster: %w", err)
	}
	if err := h.inmates(ctx, &p); err != nil {
		return p, err
	}
	if err := h.visitors(ctx, &p); err != nil {
		return p, err
	}
	if err := h.db.Update(ctx, h.templates); err != nil {
		return p, fmt.Errorf("session templates: %w", err)
	}
	if err := h.schedule.UnfoldAll(ctx, h.db); err != nil {
		return p, fmt.Errorf("unfold slots: %w", err)
	}
	return p, h.week(ctx, p)
}

// actor is the first member of staff with the role.
func (p *People) actor(role string) ident.Actor {
	for _, s := range p.Staff {
		if s.Role == role {
			return ident.Actor{Kind: ident.ByStaff, ID: string(s.ID), Door: "staff", Roles: []string{role}}
		}
	}
	return ident.System()
}

func (h *house) building(tx *store.Tx, p *People) error {
	by := ident.System()
	if _, err := h.facilities.Put(tx, by, facility.Facility{
		Name: h.place.name, Zone: h.place.zone, Country: h.place.country, Currency: h.place.currency, Support: h.place.support, BookingOpen: true,
	}); err != nil {
		return err
	}
	if err := h.policy.Load(tx, h.preset, by); err != nil {
		return err
	}
	for _, c := range overrides() {
		if _, err := h.policy.Set(tx, by, c); err != nil {
			return fmt.Errorf("rule %s: %w", c.Rule, err)
		}
	}
	for _, u := range []struct {
		unit     string
		stations []string
	}{{"A Wing", []string{"Kiosk A1", "Kiosk A2", "Tablet A3"}}, {"B Wing", []string{"Kiosk B1", "Kiosk B2", "Tablet B3"}}} {
		unit, err := h.facilities.PutUnit(tx, by, facility.Unit{Name: u.unit})
		if err != nil {
			return err
		}
		for _, name := range u.stations {
			kind := facility.Kiosk
			if strings.HasPrefix(name, "Tablet") {
				kind = facility.Tablet
			}
			st, err := h.facilities.PutStation(tx, by, facility.Station{Name: name, Kind: kind, Unit: unit.ID, State: facility.Ready})
			if err != nil {
				return err
			}
			p.Stations = append(p.Stations, Station{ID: st.ID, Name: st.Name, Unit: u.unit})
		}
	}
	return nil
}

func (h *house) staff(ctx context.Context, p *People) error {
	for _, s := range []Staff{
		{Name: "Casey Hart", Username: "casey.clerk", Role: access.Clerk},
		{Name: "Morgan Bell", Username: "morgan.moderator", Role: access.Moderator},
		{Name: "Max Stone", Username: "max.monitor", Role: access.Monitor},
		{Name: "Indra Vale", Username: "indra.investigator", Role: access.Investigator},
		{Name: "Alex Reed", Username: "alex.admin", Role: access.Administrator},
	} {
		s.Password = passphrase()
		made, factor, err := h.access.AddStaff(ctx, ident.System(), access.Staff{Name: s.Name, Username: s.Username, Roles: []string{s.Role}, Language: "en"}, s.Password)
		if err != nil {
			return fmt.Errorf("staff %s: %w", s.Role, err)
		}
		s.ID, s.TOTP = made.ID, factor.Secret
		p.Staff = append(p.Staff, s)
	}
	return nil
}

// passphrase is random for each evaluation and short enough to type.
func passphrase() string {
	s := ident.Secret()
	return s[0:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16]
}

// withPIN tries random PINs until one is not on the list of easy ones.
func withPIN(set func(pin string) error) (string, error) {
	for {
		pin := ident.Digits(6)
		err := set(pin)
		if err == nil {
			return pin, nil
		}
		if !fault.Is(err, fault.Invalid) {
			return "", err
		}
	}
}

// known are the inmates of the sample roster who get a PIN.
const known = 6

func (h *house) inmates(ctx context.Context, p *People) error {
	for line := range strings.Lines(string(roster.Sample)) {
		number, _, _ := strings.Cut(line, ",")
		if number == "number" {
			continue
		}
		var i people.Inmate
		if err := h.db.View(ctx, func(tx *store.Tx) (err error) { i, err = h.people.InmateByNumber(tx, number); return err }); err != nil {
			return fmt.Errorf("roster: %w", err)
		}
		pin, err := withPIN(func(pin string) error { return h.access.SetInmatePIN(ctx, ident.System(), i.ID, pin) })
		if err != nil {
			return err
		}
		one := Inmate{ID: i.ID, Name: i.Name(), First: i.First, Last: i.Last, Number: i.Number, Born: i.Born, PIN: pin}
		if err := h.db.View(ctx, func(tx *store.Tx) error {
			stations, err := h.facilities.StationsIn(tx, i.Unit)
			if err == nil && len(stations) > 0 {
				one.Station = stations[0].Name
			}
			return err
		}); err != nil {
			return err
		}
		if p.Inmates = append(p.Inmates, one); len(p.Inmates) == known {
			return nil
		}
	}
	return errors.New("the sample roster is too short")
}

func (h *house) visitors(ctx context.Context, p *People) error {
	for n, v := range []struct {
		first, last, born, language, zone, relationship, note string
		upTo                                                  int // 0 account, 1 ID sent, 2 verified, 3 contact approved, 4 has met
		inmate                                                int
	}{
		{"Ann", "Rowlands", "1962-05-08", "en", "America/New_York", "parent", "verified, has visited before", 4, 0},
		{"Gwen", "Bowen", "1988-11-23", "cy", "Europe/London", "spouse", "verified, first visit: may only suggest", 3, 1},
		{"Lucía", "Vega", "1990-02-14", "es", "America/Chicago", "sibling", "verified, first visit: may only suggest", 3, 2},
		{"Omar", "Haddad", "1979-07-30", "en", "Europe/London", "friend", "ID sent, waits for a moderator", 1, 3},
		{"Ivy", "Clarke", "2001-09-02", "en", "America/Chicago", "partner", "new account, ID not sent", 0, 4},
	} {
		made := people.Visitor{
			First: v.first, Last: v.last, Born: v.born, Language: v.language, Zone: v.zone,
			Phone: h.place.phones[n], Email: strings.ToLower(v.first) + "@families.example",
		}
		made.Email = strings.ReplaceAll(made.Email, "í", "i")
		if err := h.db.Update(ctx, func(tx *store.Tx) (err error) {
			if made, err = h.people.AddVisitor(tx, ident.System(), made); err != nil {
				return err
			}
			made, err = h.people.MoveVisitor(tx, ident.System(), "visitor.activate", made.ID, "", time.Time{})
			return err
		}); err != nil {
			return fmt.Errorf("visitor %d: %w", n, err)
		}
		pin, err := withPIN(func(pin string) error { return h.access.SetVisitorPIN(ctx, ident.System(), made.ID, pin) })
		if err != nil {
			return err
		}
		if err := h.prove(ctx, *p, made.ID, v.upTo); err != nil {
			return fmt.Errorf("ID of visitor %d: %w", n, err)
		}
		if v.upTo >= 3 {
			if err := h.join(ctx, *p, made.ID, p.Inmates[v.inmate].ID, v.relationship, v.upTo >= 4); err != nil {
				return fmt.Errorf("contact of visitor %d: %w", n, err)
			}
		}
		p.Visitors = append(p.Visitors, Visitor{ID: made.ID, Name: made.Name(), Phone: made.Phone, Email: made.Email, PIN: pin, Note: v.note})
	}
	return nil
}

// prove sends a visitor's documents and, from 2 on, has them verified.
func (h *house) prove(ctx context.Context, p People, id ident.Visitor, upTo int) error {
	if upTo < 1 {
		return nil
	}
	self := ident.Actor{Kind: ident.ByVisitor, ID: string(id), Door: "visitor"}
	for n, kind := range []string{"id_front", "id_back", "selfie", "address"} {
		raw, err := picture(ctx, n)
		if err != nil {
			return err
		}
		if _, err := h.people.AddDocument(ctx, self, id, kind, raw); err != nil {
			return err
		}
	}
	return h.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := h.people.SubmitIdentity(tx, self, id); err != nil || upTo < 2 {
			return err
		}
		return h.approve(tx, p, "identity", string(id))
	})
}

// approve claims and decides the open case about an item, as a moderator does.
func (h *house) approve(tx *store.Tx, p People, kind, item string) error {
	by := p.actor(access.Moderator)
	open, _, err := h.cases.List(tx, moderation.Filter{Kinds: []string{kind}, Limit: 50})
	if err != nil {
		return err
	}
	for _, c := range open {
		if c.Item != item {
			continue
		}
		if _, err := h.cases.Claim(tx, by, c.ID); err != nil {
			return err
		}
		_, err := h.cases.Decide(tx, c.ID, moderation.Verdict{By: by, Decision: moderation.Approve})
		return err
	}
	return fmt.Errorf("no %s case was opened", kind)
}

// join makes an approved contact in the steps that it takes in life.
func (h *house) join(ctx context.Context, p People, v ident.Visitor, i ident.Inmate, relationship string, met bool) error {
	return h.db.Update(ctx, func(tx *store.Tx) error {
		c, err := h.people.AddContact(tx, p.actor(access.Clerk), v, i, relationship)
		if err != nil {
			return err
		}
		if c.State == people.AwaitingInmate {
			if c, err = h.people.AcceptContact(tx, ident.Actor{Kind: ident.ByInmate, ID: string(i), Door: "kiosk"}, c.ID); err != nil {
				return err
			}
		}
		if c.State == people.AwaitingFacility {
			if err := h.approve(tx, p, "contact", string(c.ID)); err != nil {
				return err
			}
		}
		if met {
			return h.people.MarkMet(tx, c.ID)
		}
		return nil
	})
}

// templates let visits begin every five minutes, day and night: an evaluation has no opening hours.
func (h *house) templates(tx *store.Tx) error {
	shift := h.shift()
	for n, name := range []string{"Night", "Morning", "Afternoon", "Evening"} {
		if _, err := h.schedule.PutTemplate(tx, ident.System(), schedule.Template{
			Name: name, Class: "social", EveryWeeks: 1, Starts: n*6*60 + shift, Ends: min((n+1)*6*60+shift, 24*60), Pitch: 5, Lengths: []int{5, 15, 30, 60}, Capacity: 5,
			Weekdays: []time.Weekday{0, 1, 2, 3, 4, 5, 6}, From: tx.Now().AddDate(0, 0, -1).Format(time.DateOnly),
			Initiators: []string{"visitor", "inmate", "staff"},
		}); err != nil {
			return err
		}
	}
	return nil
}

// shift is how many minutes after round times visits begin.
func (h *house) shift() int {
	if h.anchor == 0 {
		return 0
	}
	return (h.first.Minute() + 1) % 5
}

// week books what a facility would have in its calendar.
func (h *house) week(ctx context.Context, p People) error {
	for day := 1; day <= 7; day++ {
		for n := range 3 {
			at := h.localDay(day).Add(time.Duration(10+2*n+day%3)*time.Hour + time.Duration(h.shift())*time.Minute)
			if _, err := h.book(ctx, p, p.Visitors[n].ID, p.Inmates[n].ID, at, 30); err != nil {
				return fmt.Errorf("visit of day %d: %w", day, err)
			}
		}
	}
	return nil
}

// localDay is midnight at the facility, days from today.
func (h *house) localDay(days int) time.Time {
	zone, err := time.LoadLocation(h.place.zone)
	if err != nil {
		zone = time.UTC
	}
	y, m, d := time.Now().In(zone).Date()
	return time.Date(y, m, d+days, 0, 0, 0, 0, zone)
}

// book has a clerk book a visit.
func (h *house) book(ctx context.Context, p People, v ident.Visitor, i ident.Inmate, at time.Time, minutes int) (visits.Visit, error) {
	var made visits.Visit
	err := h.db.Update(ctx, func(tx *store.Tx) error {
		c, found, err := h.people.ContactOf(tx, v, i)
		if err != nil {
			return err
		}
		if !found {
			return errors.New("there is no contact")
		}
		made, err = h.visits.Book(tx, p.actor(access.Clerk), visits.Request{
			Contact: c.ID, Class: visits.Social, Start: at, Minutes: minutes, Mode: visits.Confirm, Ticked: true,
		}, ident.Secret())
		return err
	})
	return made, err
}
