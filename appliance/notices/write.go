package notices

import (
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
)

// letter is a mail that is written but not sent.
type letter struct {
	title, body string
	calendar    []byte
	method      string
	late        any // unix milliseconds after which it is of no use, nil: never
}

// onlyNews are the notices to a visitor that come as news alone.
var onlyNews = map[string]bool{"contact.received": true, "visit.requested": true, "visit.suggested": true}

// pages are the places of the visitor's pages that mails lead to. A token travels behind '#', which no server sees.
var pages = map[string]string{
	"account.activate": "/activate#", "account.active": "/sign-in", "account.exists": "/sign-in", "account.locked": "/sign-in",
	"identity": "/identity", "identity.verified": "/people/add", "contact": "/people", "visit": "/visits",
}

// write writes a notice as a mail in the visitor's language, with the times of the facility's zone and their own. A
// template that has no text of its own gets the general one. An empty title stands for "no mail".
func (n *Notices) write(tx *store.Tx, q outbox.Queued, v people.Visitor) (letter, error) {
	if onlyNews[q.Template] {
		return letter{}, nil
	}
	site, err := n.Facility.Get(tx)
	if err != nil {
		return letter{}, err
	}
	there, err := site.Location()
	if err != nil {
		return letter{}, err
	}
	here, err := time.LoadLocation(v.Zone)
	if err != nil {
		here = there
	}
	words := n.Words.In(v.Language + "-" + site.Country)
	params := map[string]any{"first": v.First, "facility": site.Name, "support": site.Support.Phone, "link": n.link(q)}
	for _, k := range []string{"ref", "code", "name", "hours"} {
		if p, ok := q.Params[k]; ok {
			params[k] = p
		}
	}
	var m letter
	if at, ok := instantOf(q.Params["until"]); ok {
		params["until"], err = words.When(at, tx.Now(), there, here)
	}
	if err != nil {
		return letter{}, err
	}
	if hours, ok := q.Params["hours"].(float64); ok {
		until := q.At.Add(time.Duration(hours) * time.Hour)
		if params["until"], err = words.When(until, tx.Now(), there, here); err != nil {
			return letter{}, err
		}
		m.late = store.Ms(until)
	}
	if at, ok := instantOf(q.Params["starts"]); ok {
		if params["when"], err = words.When(at, tx.Now(), there, here); err != nil {
			return letter{}, err
		}
	}
	if minutes, ok := q.Params["minutes"].(float64); ok {
		if params["length"], err = words.Text("unit.minutes", map[string]any{"n": int64(minutes)}); err != nil {
			return letter{}, err
		}
	}
	if at, ok := instantOf(q.Params["ends"]); ok && q.Template != "visit.outcome" && q.Template != "visit.no_show" && q.Template != "visit.cancelled" {
		m.late = store.Ms(at)
	}
	if q.Template == "account.new_device" {
		m.late = store.Ms(q.At.Add(15 * time.Minute))
	}
	key := "mail." + q.Template
	if !words.Has(key + ".subject") {
		key = "mail.general"
	}
	if m.title, err = words.Text(key+".subject", params); err != nil {
		return letter{}, err
	}
	if m.body, err = words.Text(key+".body", params); err != nil {
		return letter{}, err
	}
	if n.Calendar == nil || !strings.HasPrefix(q.Template, "visit.") {
		return m, nil
	}
	visit, err := ident.Parse[ident.Visit](q.Subject)
	if err != nil {
		return m, nil // about something else
	}
	m.calendar, m.method, err = n.Calendar(tx, visit)
	if fault.Is(err, fault.NotFound) {
		return m, nil
	}
	return m, err
}

// link is the page that a mail leads to.
func (n *Notices) link(q outbox.Queued) string {
	if token, ok := q.Params["token"].(string); ok {
		return n.Site + pages[q.Template] + token
	}
	page, ok := pages[q.Template]
	if !ok {
		room, _, _ := strings.Cut(q.Template, ".")
		page = pages[room]
	}
	return n.Site + page
}

// instantOf reads a time that went through JSON: RFC 3339, or unix milliseconds.
func instantOf(v any) (time.Time, bool) {
	switch v := v.(type) {
	case string:
		at, err := time.Parse(time.RFC3339, v)
		return at, err == nil
	case float64:
		return store.Time(int64(v)), true
	}
	return time.Time{}, false
}
