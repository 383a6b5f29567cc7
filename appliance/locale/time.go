package locale

import (
	"fmt"
	"time"
)

// names are the words of a calendar. Weekdays begin with Sunday.
type names struct {
	days, months     []string
	am, pm           string
	midday, midnight string
}

func (l *Language) names() names {
	switch l.Name {
	case "cy":
		return names{
			days:   []string{"Dydd Sul", "Dydd Llun", "Dydd Mawrth", "Dydd Mercher", "Dydd Iau", "Dydd Gwener", "Dydd Sadwrn"},
			months: []string{"Ionawr", "Chwefror", "Mawrth", "Ebrill", "Mai", "Mehefin", "Gorffennaf", "Awst", "Medi", "Hydref", "Tachwedd", "Rhagfyr"},
			am:     "yb", pm: "yp", midday: " canol dydd", midnight: " canol nos",
		}
	case "es":
		return names{
			days:   []string{"domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"},
			months: []string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
			am:     " a. m.", pm: " p. m.", midday: " del mediodía", midnight: " de la medianoche",
		}
	}
	return names{
		days:   []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
		months: []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		am:     "am", pm: "pm", midday: " midday", midnight: " midnight",
	}
}

// Day writes the date of an instant in its own zone: "Thursday 4 March". The year is there only when it is not now's.
func (l *Language) Day(at, now time.Time) string {
	n := l.names()
	day, month := n.days[at.Weekday()], n.months[at.Month()-1]
	var s string
	switch {
	case l.Name == "es":
		s = fmt.Sprintf("%s %d de %s", day, at.Day(), month)
	case l.Name == "en" && l.Region == "US":
		s = fmt.Sprintf("%s, %s %d", day, month, at.Day())
	default:
		s = fmt.Sprintf("%s %d %s", day, at.Day(), month)
	}
	if at.Year() == now.In(at.Location()).Year() {
		return s
	}
	switch {
	case l.Name == "es":
		return fmt.Sprintf("%s de %d", s, at.Year())
	case l.Name == "en" && l.Region == "US":
		return fmt.Sprintf("%s, %d", s, at.Year())
	}
	return fmt.Sprintf("%s %d", s, at.Year())
}

// Clock writes the time of day of an instant in its own zone: "2:00pm", "12:00 midday". An hour that comes twice because
// the clocks go back has its zone's short name with it.
func (l *Language) Clock(at time.Time) string {
	n := l.names()
	hour, half := at.Hour()%12, n.am
	if hour == 0 {
		hour = 12
	}
	if at.Hour() >= 12 {
		half = n.pm
	}
	if at.Minute() == 0 {
		switch at.Hour() {
		case 0:
			half = n.midnight
		case 12:
			half = n.midday
		}
	}
	s := fmt.Sprintf("%d:%02d%s", hour, at.Minute(), half)
	if twice(at) {
		zone, _ := at.Zone()
		s += " " + zone
	}
	return s
}

// twice tells whether the wall clock shows this time again an hour later, or has shown it an hour before.
func twice(at time.Time) bool {
	const wall = "2006-01-02 15:04"
	s := at.Format(wall)
	return at.Add(time.Hour).Format(wall) == s || at.Add(-time.Hour).Format(wall) == s
}

// When writes day and time at the facility, and for a reader elsewhere the reader's own time too, both named: "Thursday 4
// March, 2:00pm facility time, 9:00am your time". The reader's day is there only when it is another one. Two zones that
// show the same are one.
func (l *Language) When(at, now time.Time, facility, reader *time.Location) (string, error) {
	there, here := at.In(facility), at.In(reader)
	when := l.Day(there, now) + ", " + l.Clock(there)
	if there.Format(time.DateTime) == here.Format(time.DateTime) {
		return when, nil
	}
	own := l.Clock(here)
	if there.YearDay() != here.YearDay() {
		own = l.Day(here, now) + ", " + own
	}
	return l.Text("time.both", map[string]any{"facility": when, "own": own})
}
