package visits

import (
	"fmt"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
)

// Mode is what a request asks for.
type Mode string

// The modes. A hold has none yet.
const (
	Suggest Mode = "suggest" // the other side answers
	Confirm Mode = "confirm" // at once, or after staff where they approve
)

// Request is what somebody wants.
type Request struct {
	Contact ident.Contact
	Party   []ident.Person // with the main caller
	Class   Class
	Start   time.Time
	Minutes int
	Mode    Mode // "" while a time is only held
	Ticked  bool // every box of the visit's rules
}

// Guest is one person with the main caller.
type Guest struct {
	ID     ident.Person
	Born   string
	Listed bool // on the main caller's list
}

// Limits are the rules of policy that the checks need, read once.
type Limits struct {
	Classes                                 []string
	Remote                                  bool
	IDRequired                              string
	PhotoIDAge                              int
	Party, Adults, Minors, MainAge, AdultAt int
	MinorNeedsAdult                         bool
	WindowDays                              int
	Notice                                  time.Duration // for this actor, class and step
	PairDay, InmateDay, InmateWeek, Remand  int
	MaxMinutes                              int
	Accept, Staff                           string // booking.needs_inmate_accept, booking.needs_staff_approval
	FirstSuggestOnly, ConfirmAfterFirst     bool
	Entitlement                             string
	Charged                                 bool // a tariff above 0
}

// Facts are everything that the checks look at. They are gathered in the transaction that decides.
type Facts struct {
	By          ident.Actor
	Now         time.Time
	Today, Date string // of the facility
	BookingOpen bool
	Limits      Limits
	Inmate      people.Inmate
	Main        people.Visitor
	Contact     people.Contact
	Guests      []Guest
	Twice       bool // somebody stands twice in the party
	Limiting    []people.Restriction
	Place       schedule.Place
	HasPlace    bool
	OwnBusy     bool // the asker
	Busy        bool // anybody else
	PairDay     int  // other visits and open requests, official and privileged ones left out
	InmateDay   int
	InmateWeek  int
	Left        Allowance
	QuotaTold   bool
	NextPeriod  string
	Station     ident.Station // free and fitting, "" when there is none
	Lobby       ident.Station
	NeedsPlace  bool // a device is needed

	rules policy.Rules
}

// step says which moment of a visit's life the facts are for.
type step uint8

const (
	asking    step = iota // hold, suggest, request, confirm
	answering             // accept, approve: the notice was kept when it was asked
)

// facts gathers what the checks need. v is the visit as it stands, zero for a new one: what it holds itself does not
// stand in its way.
func (vs *Visits) facts(tx *store.Tx, by ident.Actor, r Request, v Visit, at step) (f Facts, err error) {
	f = Facts{By: by, Now: tx.Now()}
	site, err := vs.Facility.Get(tx)
	if err != nil {
		return f, err
	}
	loc, err := site.Location()
	if err != nil {
		return f, err
	}
	f.BookingOpen = site.BookingOpen
	f.Today, f.Date = f.Now.In(loc).Format(time.DateOnly), r.Start.In(loc).Format(time.DateOnly)
	if f.Contact, err = vs.People.Contact(tx, r.Contact); err != nil {
		return f, err
	}
	if f.Inmate, err = vs.People.Inmate(tx, f.Contact.Inmate); err != nil {
		return f, err
	}
	if f.Main, err = vs.People.Visitor(tx, f.Contact.Visitor); err != nil {
		return f, err
	}
	if f.Limiting, err = vs.People.Restrictions(tx, f.Inmate.ID, f.Main.ID); err != nil {
		return f, err
	}
	f.rules, err = vs.Policy.At(tx, policy.Scope{Unit: f.Inmate.Unit, Level: f.Inmate.Level, Class: string(r.Class), Inmate: f.Inmate.ID, Visitor: f.Main.ID})
	if err != nil {
		return f, err
	}
	f.Limits = limits(f.rules, by, r.Class, at)
	if err := vs.guests(tx, &f, r.Party); err != nil {
		return f, err
	}
	if err := vs.count(tx, &f, v.ID); err != nil {
		return f, err
	}
	if err := vs.quota(tx, &f, v); err != nil {
		return f, err
	}
	return f, vs.findPlace(tx, &f, r, v)
}

func limits(r policy.Rules, by ident.Actor, class Class, at step) Limits {
	l := Limits{
		Classes: policy.ServiceClasses.Of(r), Remote: policy.ServiceRemoteVisits.Of(r),
		IDRequired: policy.IDRequiredBefore.Of(r), PhotoIDAge: policy.IDPhotoIDMinAge.Of(r),
		Party: policy.VisitPartyMax.Of(r), Adults: policy.VisitPartyAdultsMax.Of(r), Minors: policy.VisitPartyMinorsMax.Of(r),
		MainAge: policy.VisitMainCallerMinAge.Of(r), AdultAt: policy.VisitAdultAge.Of(r), MinorNeedsAdult: policy.VisitMinorRequiresAdult.Of(r),
		WindowDays: policy.BookingWindowMaxDays.Of(r), Notice: policy.BookingMinNotice.Of(r),
		PairDay: policy.LimitPairPerDay.Of(r), InmateDay: policy.LimitInmatePerDay.Of(r), InmateWeek: policy.LimitInmatePerWeek.Of(r), Remand: policy.LimitRemandPerWeek.Of(r),
		MaxMinutes: policy.VisitMaxMinutes.Of(r),
		Accept:     policy.BookingNeedsInmateAccept.Of(r), Staff: policy.BookingNeedsStaffApproval.Of(r),
		FirstSuggestOnly: policy.BookingFirstVisitSuggestOnly.Of(r), ConfirmAfterFirst: policy.BookingConfirmAfterFirst.Of(r),
		Entitlement: policy.EntitlementMode.Of(r),
		Charged:     policy.WalletEnabled.Of(r) && policy.TariffVideoPerMinute.Of(r) > 0,
	}
	switch {
	case at == answering:
		l.Notice = 0
	case by.Is(ident.ByStaff):
		l.Notice = policy.BookingMinNoticeStaff.Of(r)
	case class == Privileged:
		l.Notice = policy.BookingMinNoticePrivileged.Of(r)
	}
	return l
}

func (vs *Visits) guests(tx *store.Tx, f *Facts, party []ident.Person) error {
	if len(party) == 0 {
		return nil
	}
	listed, err := vs.People.Persons(tx, f.Main.ID)
	if err != nil {
		return err
	}
	seen := map[ident.Person]bool{}
	for _, id := range party {
		f.Twice = f.Twice || seen[id]
		seen[id] = true
		g := Guest{ID: id}
		for _, p := range listed {
			if p.ID == id {
				g.Born, g.Listed = p.Born, true
			}
		}
		f.Guests = append(f.Guests, g)
	}
	return nil
}

// count counts what the limits are about: everything that was asked for or planned and not given up.
func (vs *Visits) count(tx *store.Tx, f *Facts, except ident.Visit) error {
	day, err := time.Parse(time.DateOnly, f.Date)
	if err != nil {
		return err
	}
	monday := day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
	err = tx.Row(`SELECT coalesce(sum(visitor = ? AND date = ?), 0), coalesce(sum(date = ?), 0), count(*) FROM visits
		WHERE inmate = ? AND date BETWEEN ? AND ? AND id <> ? AND class NOT IN ('official', 'privileged')
			AND state <> 'declined' AND state <> 'expired' AND state <> 'withdrawn' AND state <> 'rejected'
			AND state <> 'auto_rejected' AND state <> 'cancelled'`,
		string(f.Main.ID), f.Date, f.Date, string(f.Inmate.ID), monday.Format(time.DateOnly), monday.AddDate(0, 0, 6).Format(time.DateOnly), string(except)).
		Scan(&f.PairDay, &f.InmateDay, &f.InmateWeek)
	if err != nil {
		return fmt.Errorf("count visits: %w", err)
	}
	return nil
}

// findPlace looks for the slots, for who is busy then and for a free station.
func (vs *Visits) findPlace(tx *store.Tx, f *Facts, r Request, v Visit) (err error) {
	f.NeedsPlace = r.Class != InPerson
	f.Place, f.HasPlace, err = vs.Schedule.Find(tx, r.Start, schedule.For{
		Class: string(r.Class), Initiator: initiator(f.By), Unit: f.Inmate.Unit, Level: f.Inmate.Level,
		Category: f.Inmate.Category, Legal: f.Inmate.Legal, Minutes: r.Minutes, Rules: f.rules,
	})
	if err != nil {
		return err
	}
	if v.Taken { // it has its slots, its people and its station already
		closed := f.Place.Closed
		f.Place, f.HasPlace = v.place(), true
		f.Place.Closed, f.Station, f.Lobby = closed, v.Station, v.Lobby
		return nil
	}
	if !f.HasPlace {
		return nil
	}
	until := f.Place.Ends.Add(policy.VisitTurnaround.Of(f.rules))
	inmate, err := busy(tx, string(f.Inmate.ID), r.Start, until)
	if err != nil {
		return err
	}
	main, err := busy(tx, string(f.Main.ID), r.Start, until)
	if err != nil {
		return err
	}
	for _, g := range f.Guests {
		b, err := busy(tx, string(g.ID), r.Start, until)
		if err != nil {
			return err
		}
		main = main || b
	}
	f.OwnBusy, f.Busy = main, inmate
	if f.By.Is(ident.ByInmate) {
		f.OwnBusy, f.Busy = inmate, main
	}
	return vs.findStations(tx, f, r, until)
}

// initiator is the word of session templates for whoever asks.
func initiator(by ident.Actor) string {
	switch by.Kind {
	case ident.ByInmate:
		return "inmate"
	case ident.ByVisitor, ident.ByCentral:
		return "visitor"
	}
	return "staff"
}

// busy tells whether a subject has a visit that touches the span.
func busy(tx *store.Tx, subject string, from, to time.Time) (bool, error) {
	// The pair is compared, and not each column, because SQLite would plan the query anew for every subject.
	var taken bool
	err := tx.Row(`SELECT subject = ?1 AND ends > ?3 FROM visit_spans WHERE (subject, starts) < (?1, ?2) ORDER BY subject DESC, starts DESC LIMIT 1`,
		subject, store.Ms(to), store.Ms(from)).Scan(&taken)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return taken, err
}
