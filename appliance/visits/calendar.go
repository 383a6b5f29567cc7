package visits

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// CalendarWords are the words of a calendar file in the reader's language. They name nobody.
type CalendarWords struct {
	Summary     string // "Video visit"
	Description string // rules, and the link to the visit
	Online      string // "Online"
	Link        string
}

// Calendar returns the visit as an iCalendar file (RFC 5545, RFC 5546): one UID for ever, SEQUENCE one more with each
// version, times in the facility's zone with its rules written out, no inmate's name, no attendee.
func Calendar(v Visit, host string, loc *time.Location, now time.Time, w CalendarWords) []byte {
	cal := ics.NewCalendarFor("Sallyport")
	status, method := ics.ObjectStatusConfirmed, ics.MethodRequest
	switch {
	case v.called():
		status, method = ics.ObjectStatusCancelled, ics.MethodCancel
	case v.State == Held || v.Open():
		status = ics.ObjectStatusTentative
	}
	cal.SetMethod(method)
	addZone(cal, loc, v.Starts)
	e := cal.AddEvent(string(v.ID) + "@" + host)
	e.SetDtStampTime(now)
	e.SetSequence(v.Version - 1)
	e.SetStatus(status)
	zoned := func(p ics.ComponentProperty, t time.Time) {
		e.SetProperty(p, t.In(loc).Format("20060102T150405"), ics.WithTZID(loc.String()))
	}
	zoned(ics.ComponentPropertyDtStart, v.Starts)
	zoned(ics.ComponentPropertyDtEnd, v.Ends)
	e.SetSummary(w.Summary)
	e.SetDescription(strings.TrimSpace(w.Description))
	e.SetClass(ics.ClassificationPrivate)
	if w.Link != "" {
		e.SetURL(w.Link)
	}
	if v.Class == Social || v.Class == Official || v.Class == Privileged {
		e.SetLocation(w.Online)
	}
	if status == ics.ObjectStatusConfirmed {
		alarm := e.AddAlarm()
		alarm.SetAction(ics.ActionDisplay)
		alarm.SetTrigger("-PT1H")
		alarm.SetDescription(w.Summary)
	}
	return []byte(cal.Serialize())
}

// CalendarFile is the visit as a file for its visitor, in the visitor's language, with the iTIP method that goes with it.
func (vs *Visits) CalendarFile(tx *store.Tx, id ident.Visit) (body []byte, method string, err error) {
	v, err := vs.Get(tx, id)
	if err != nil {
		return nil, "", err
	}
	site, err := vs.Facility.Get(tx)
	if err != nil {
		return nil, "", err
	}
	loc, err := site.Location()
	if err != nil {
		return nil, "", err
	}
	who, err := vs.People.Visitor(tx, v.Main)
	if err != nil {
		return nil, "", err
	}
	words := calendarWords(who.Language)
	_, rules := Statements(who.Language)
	for _, r := range rules {
		words.Description += "\n- " + r.Text
	}
	if vs.Link != "" {
		words.Link = vs.Link + "/visits/" + string(v.ID)
	}
	host := string(site.ID) + ".invalid"
	if u, err := url.Parse(vs.Link); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	method = string(ics.MethodRequest)
	if v.called() {
		method = string(ics.MethodCancel)
	}
	return Calendar(v, host, loc, tx.Now(), words), method, nil
}

// called tells whether the visit will not take place.
func (v Visit) called() bool {
	switch v.State {
	case Declined, Expired, Withdrawn, Rejected, AutoRejected, Cancelled:
		return true
	}
	return false
}

func calendarWords(language string) CalendarWords {
	switch language {
	case "cy":
		return CalendarWords{Summary: "Ymweliad fideo", Description: "Rheolau’r ymweliad:", Online: "Ar-lein"}
	case "es":
		return CalendarWords{Summary: "Visita por vídeo", Description: "Reglas de la visita:", Online: "En línea"}
	}
	return CalendarWords{Summary: "Video visit", Description: "Rules of the visit:", Online: "Online"}
}

// addZone writes the rules of the zone around a moment: the offset in force and the next change of it, which is all that
// one visit needs and stays right when the world changes its clocks elsewhere.
func addZone(cal *ics.Calendar, loc *time.Location, at time.Time) {
	zone := cal.AddTimezone(loc.String())
	local := at.In(loc)
	starts, ends := local.ZoneBounds()
	if starts.IsZero() {
		starts = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	observe(zone, starts, loc)
	if !ends.IsZero() {
		observe(zone, ends, loc)
	}
}

// observe writes one change of the zone's offset: the moment is told by the clock that was in force before it.
func observe(zone *ics.VTimezone, change time.Time, loc *time.Location) {
	_, before := change.Add(-time.Second).In(loc).Zone()
	after := change.In(loc)
	name, offset := after.Zone()
	var part ics.Component
	var base *ics.ComponentBase
	if after.IsDST() {
		d := &ics.Daylight{}
		part, base = d, &d.ComponentBase
	} else {
		s := zone.AddStandard()
		base = &s.ComponentBase
	}
	if part != nil {
		zone.Components = append(zone.Components, part)
	}
	base.SetProperty(ics.ComponentPropertyDtStart, change.In(time.FixedZone("", before)).Format("20060102T150405"))
	base.SetProperty(ics.ComponentProperty(ics.PropertyTzoffsetfrom), offsetText(before))
	base.SetProperty(ics.ComponentProperty(ics.PropertyTzoffsetto), offsetText(offset))
	base.SetProperty(ics.ComponentProperty(ics.PropertyTzname), name)
}

func offsetText(seconds int) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	return fmt.Sprintf("%c%02d%02d", sign, seconds/3600, seconds/60%60)
}
