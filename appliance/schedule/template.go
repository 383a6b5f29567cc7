// Package schedule owns session templates and the slots that they unfold into, closures, and the capacity of slots.
//
// It knows facilities and their days, not who visits: capacity is claimed and released by number. Slots are unfolded
// 60 days ahead in facility dates and never move; a changed template is a new one, and the old one ends.
package schedule

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
)

// Schema holds the room's migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// Deps are the rooms and functions that Schedule works with.
type Deps struct {
	Facility *facility.Facilities
	Policy   *policy.Policy
	Put      func(*store.Tx, record.Record) error // replicates; nil when the site is on its own
}

// Schedule is the room. It may be shared.
type Schedule struct{ Deps }

// New returns the room; it starts nothing.
func New(d Deps) *Schedule { return &Schedule{Deps: d} }

// Template is a weekly pattern of sessions. Times are minutes after midnight in facility time; empty lists mean
// everything.
type Template struct {
	ID         ident.Template
	Name       string
	Class      string // social, onsite, in_person, official, privileged
	Weekdays   []time.Weekday
	Starts     int
	Ends       int
	Pitch      int   // minutes between starts
	Lengths    []int // minutes; empty: what the policy has
	Capacity   int   // of each slot
	EveryWeeks int   // 1: every week, counted from From
	From, To   string
	Initiators []string // visitor, inmate, staff
	Units      []ident.Unit
	Levels     []string
	Categories []string
	Legal      []string
	Excluded   []string // dates
	Private    bool     // the place is out of hearing
	Unfolded   string   // last date whose slots are made
}

// PutTemplate adds a template (its ID must be empty: slots never move, so a changed pattern is a new template) and
// returns it. Invalid names each wrong field.
func (s *Schedule) PutTemplate(tx *store.Tx, by ident.Actor, t Template) (Template, error) {
	if t.ID != "" {
		return Template{}, fault.New("schedule.PutTemplate", fault.Conflict, "A session template is not changed. End it and add another.").WithCode("template.fixed")
	}
	if t.EveryWeeks == 0 {
		t.EveryWeeks = 1
	}
	opening, err := s.Facility.Opening(tx)
	if err != nil {
		return Template{}, err
	}
	if err := t.check(opening); err != nil {
		return Template{}, err
	}
	t.ID = ident.New[ident.Template]()
	err = tx.Exec(`INSERT INTO session_templates (id, name, class, weekdays, starts, ends, pitch, lengths, capacity, every_weeks, valid_from, valid_to,
			initiators, units, levels, categories, legal, excluded, private)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(t.ID), t.Name, t.Class, weekdayBits(t.Weekdays), t.Starts, t.Ends, t.Pitch, numbers(t.Lengths), t.Capacity, t.EveryWeeks, t.From, t.To,
		words(t.Initiators), words(t.Units), words(t.Levels), words(t.Categories), words(t.Legal), words(t.Excluded), t.Private)
	if err != nil {
		return Template{}, fmt.Errorf("write template: %w", err)
	}
	if err := audit.Record(tx, by, "template.put", t.ID, audit.After(t)); err != nil {
		return Template{}, err
	}
	return t, s.replicate(tx, by, t)
}

// EndTemplate ends a template after a date. Slots after that date that nobody has taken are removed; taken ones stay
// for the visits on them, and their number is returned.
func (s *Schedule) EndTemplate(tx *store.Tx, by ident.Actor, id ident.Template, last string) (taken int, err error) {
	if !isDate(last) {
		return 0, fault.New("schedule.EndTemplate", fault.Invalid, "The last date is not a date.").WithField("to", "format")
	}
	n, err := tx.ExecN(`UPDATE session_templates SET valid_to = ? WHERE id = ? AND (valid_to = '' OR valid_to > ?)`, last, string(id), last)
	if err != nil {
		return 0, fmt.Errorf("end template: %w", err)
	}
	if n == 0 {
		if _, err := s.Template(tx, id); err != nil {
			return 0, err
		}
		return 0, fault.New("schedule.EndTemplate", fault.Conflict, "This session template ends before.").WithCode("template.ended")
	}
	if err := tx.Exec(`DELETE FROM slots WHERE template = ? AND date > ? AND taken = 0`, string(id), last); err != nil {
		return 0, fmt.Errorf("remove free slots: %w", err)
	}
	if err := tx.Row(`SELECT count(*) FROM slots WHERE template = ? AND date > ?`, string(id), last).Scan(&taken); err != nil {
		return 0, fmt.Errorf("count taken slots: %w", err)
	}
	if err := audit.Record(tx, by, "template.end", id, audit.After(last)); err != nil {
		return 0, err
	}
	t, err := s.Template(tx, id)
	if err != nil {
		return 0, err
	}
	return taken, s.replicate(tx, by, t)
}

func (s *Schedule) replicate(tx *store.Tx, by ident.Actor, t Template) error {
	if s.Put == nil || !record.Travels(t.Class) {
		return nil
	}
	body := &record.Template{
		Name: t.Name, Class: t.Class, Starts: fmt.Sprintf("%02d:%02d", t.Starts/60, t.Starts%60),
		Minutes: int32(t.Ends - t.Starts), Capacity: int32(t.Capacity), From: t.From, Until: t.To,
	}
	for _, d := range t.Weekdays {
		body.Weekdays = append(body.Weekdays, int32(d))
	}
	if len(t.Units) == 1 {
		body.Unit = string(t.Units[0])
	}
	return s.Put(tx, record.New(record.TypeTemplate, t.ID, body).ByActor(by))
}

func (t Template) check(opening facility.Opening) error {
	bad := fault.New("schedule.PutTemplate", fault.Invalid, "The session template is not complete.").WithCode("form")
	if t.Name == "" {
		bad.WithField("name", "required")
	}
	if !slices.Contains([]string{"social", "onsite", "in_person", "official", "privileged"}, t.Class) {
		bad.WithField("class", "unknown")
	}
	if t.Starts < 0 || t.Ends > 24*60 || t.Starts >= t.Ends {
		bad.WithField("ends", "order")
	}
	if t.Pitch < 5 || t.Pitch > 240 || t.Pitch > t.Ends-t.Starts {
		bad.WithField("pitch", "range")
	}
	if t.Capacity < 1 || t.Capacity > 1000 {
		bad.WithField("capacity", "range")
	}
	if t.EveryWeeks < 1 || t.EveryWeeks > 52 {
		bad.WithField("every_weeks", "range")
	}
	if !isDate(t.From) || t.To != "" && (!isDate(t.To) || t.To < t.From) {
		bad.WithField("from", "format")
	}
	if len(t.Weekdays) == 0 {
		bad.WithField("weekdays", "required")
	}
	for _, d := range t.Weekdays {
		if d < time.Sunday || d > time.Saturday {
			bad.WithField("weekdays", "unknown")
		} else if !opening.Covers(d, t.Starts, t.Ends) {
			bad.WithField("starts", "closed")
		}
	}
	for _, m := range t.Lengths {
		if m < 5 || m > 120 || m%5 != 0 || m > t.Ends-t.Starts {
			bad.WithField("lengths", "range")
		}
	}
	for _, d := range t.Excluded {
		if !isDate(d) {
			bad.WithField("excluded", "format")
		}
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

const templateColumns = `id, name, class, weekdays, starts, ends, pitch, lengths, capacity, every_weeks, valid_from, valid_to,
	initiators, units, levels, categories, legal, excluded, private, unfolded`

func scanTemplate(scan func(...any) error) (t Template, err error) {
	var bits int
	var id, lengths, initiators, units, levels, categories, legal, excluded string
	err = scan(&id, &t.Name, &t.Class, &bits, &t.Starts, &t.Ends, &t.Pitch, &lengths, &t.Capacity, &t.EveryWeeks, &t.From, &t.To,
		&initiators, &units, &levels, &categories, &legal, &excluded, &t.Private, &t.Unfolded)
	t.ID = ident.Template(id)
	for d := time.Sunday; d <= time.Saturday; d++ {
		if bits&(1<<d) != 0 {
			t.Weekdays = append(t.Weekdays, d)
		}
	}
	for _, w := range list[string](lengths) {
		m, convErr := strconv.Atoi(w)
		if convErr != nil {
			return t, convErr
		}
		t.Lengths = append(t.Lengths, m)
	}
	t.Initiators, t.Units, t.Levels = list[string](initiators), list[ident.Unit](units), list[string](levels)
	t.Categories, t.Legal, t.Excluded = list[string](categories), list[string](legal), list[string](excluded)
	return t, err
}

// Template returns one template; NotFound.
func (s *Schedule) Template(tx *store.Tx, id ident.Template) (Template, error) {
	t, err := scanTemplate(tx.Row(`SELECT `+templateColumns+` FROM session_templates WHERE id = ?`, string(id)).Scan)
	if err != nil {
		return Template{}, fmt.Errorf("read template: %w", err)
	}
	return t, nil
}

// Templates returns all templates by name and time.
func (s *Schedule) Templates(tx *store.Tx) ([]Template, error) {
	return store.All(tx, func(r *store.Rows) (Template, error) { return scanTemplate(r.Scan) },
		`SELECT `+templateColumns+` FROM session_templates ORDER BY name, starts, id`)
}

func weekdayBits(days []time.Weekday) (bits int) {
	for _, d := range days {
		bits |= 1 << d
	}
	return bits
}

func words[T ~string](list []T) string {
	parts := make([]string, len(list))
	for i, w := range list {
		parts[i] = string(w)
	}
	return strings.Join(parts, ",")
}

func numbers(list []int) string {
	parts := make([]string, len(list))
	for i, n := range list {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, ",")
}

func list[T ~string](text string) []T {
	if text == "" {
		return nil
	}
	var out []T
	for w := range strings.SplitSeq(text, ",") {
		out = append(out, T(w))
	}
	return out
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}
