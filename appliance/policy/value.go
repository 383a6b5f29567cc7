package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// limits is a parsed range. Numbers are in the value's own unit: durations in nanoseconds, decimals in thousandths.
type limits struct {
	min, max, step int64
	bounded        bool // max counts
	words          []string
	keys           []string // of a map; nil: any key
	parts          []limits // of a map whose values are pairs of numbers
}

func parseLimits(typ, text string) (limits, error) {
	switch typ {
	case "bool", "text", "zone", "hours":
		return limits{}, nil
	case "int", "duration", "money", "decimal", "ints", "durations":
		return numberLimits(typ, text)
	case "enum":
		if text == "-" {
			return limits{}, nil
		}
		return limits{words: strings.Split(text, "|")}, nil
	case "set":
		return limits{words: strings.Split(text, "|")}, nil
	case "map":
		return mapLimits(text)
	}
	return limits{}, fmt.Errorf("no type %q", typ)
}

func numberLimits(typ, text string) (l limits, err error) {
	text, step, stepped := strings.Cut(text, "/")
	from, to, ok := strings.Cut(text, "..")
	if !ok {
		return l, fmt.Errorf("range %q is not from..to", text)
	}
	if l.min, err = number(typ, from); err != nil {
		return l, err
	}
	if to != "" {
		l.bounded = true
		if l.max, err = number(typ, to); err != nil {
			return l, err
		}
	}
	if stepped {
		l.step, err = number(typ, step)
	}
	return l, err
}

func mapLimits(text string) (limits, error) {
	keys, values, ok := strings.Cut(text, "=")
	if !ok {
		return limits{}, fmt.Errorf("range %q is not keys=values", text)
	}
	var l limits
	if keys != "*" {
		l.keys = strings.Split(keys, "|")
	}
	if !strings.Contains(values, "..") {
		l.words = strings.Split(values, "|")
		return l, nil
	}
	for _, part := range strings.Split(values, "/") {
		n, err := numberLimits("int", part)
		if err != nil {
			return limits{}, err
		}
		l.parts = append(l.parts, n)
	}
	return l, nil
}

// number reads one number of a type in its unit.
func number(typ, text string) (int64, error) {
	switch typ {
	case "duration", "durations":
		d, err := parseDuration(text)
		return int64(d), err
	case "decimal":
		f, err := strconv.ParseFloat(text, 64)
		return int64(f*1000 + 0.5), err
	}
	return strconv.ParseInt(text, 10, 64)
}

// parseDuration reads "90s", "10m", "48h" and, as Go does not, "14d".
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

func (l limits) check(n int64) error {
	if n < l.min || l.bounded && n > l.max {
		return errors.New("out of range")
	}
	if l.step > 0 && (n-l.min)%l.step != 0 {
		return errors.New("not in steps")
	}
	return nil
}

// parse turns text into the rule's value, or says what is wrong with it.
func (r Row) parse(text string) (any, error) {
	switch r.Type {
	case "bool":
		if text != "true" && text != "false" {
			return nil, errors.New("neither true nor false")
		}
		return text == "true", nil
	case "int", "money", "duration", "decimal":
		n, err := r.number(text)
		if err != nil {
			return nil, err
		}
		switch r.Type {
		case "int":
			return int(n), nil
		case "duration":
			return time.Duration(n), nil
		case "decimal":
			return float64(n) / 1000, nil
		}
		return n, nil
	case "enum":
		if r.limits.words != nil && !slices.Contains(r.limits.words, text) {
			return nil, fmt.Errorf("not one of %s", strings.Join(r.limits.words, ", "))
		}
		return text, nil
	case "set":
		return r.set(text)
	case "ints":
		return list(r, text, func(n int64) int { return int(n) })
	case "durations":
		return list(r, text, func(n int64) time.Duration { return time.Duration(n) })
	case "map":
		return r.mapping(text)
	case "hours":
		return parseSpan(text)
	case "zone":
		if _, err := time.LoadLocation(text); err != nil {
			return nil, err
		}
	}
	return text, nil
}

func (r Row) number(text string) (int64, error) {
	n, err := number(r.Type, text)
	if err != nil {
		return 0, errors.New("not a number of this kind")
	}
	return n, r.limits.check(n)
}

// set returns the members in the table's order, so that equal sets are equal values.
func (r Row) set(text string) ([]string, error) {
	members := []string{}
	given := split(text)
	for _, w := range r.limits.words {
		if slices.Contains(given, w) {
			members = append(members, w)
		}
	}
	if len(members) != len(given) {
		return nil, fmt.Errorf("only %s, each once", strings.Join(r.limits.words, ", "))
	}
	return members, nil
}

func list[T any](r Row, text string, of func(int64) T) ([]T, error) {
	out := []T{}
	for _, part := range split(text) {
		n, err := r.number(part)
		if err != nil {
			return nil, err
		}
		out = append(out, of(n))
	}
	if len(out) == 0 {
		return nil, errors.New("empty list")
	}
	return out, nil
}

func (r Row) mapping(text string) (map[string]string, error) {
	m := map[string]string{}
	for _, pair := range split(text) {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" || r.limits.keys != nil && !slices.Contains(r.limits.keys, k) {
			return nil, fmt.Errorf("%q is not one of the keys with a value", pair)
		}
		if _, twice := m[k]; twice {
			return nil, fmt.Errorf("%s stands twice", k)
		}
		if err := r.limits.word(v); err != nil {
			return nil, err
		}
		m[k] = v
	}
	return m, nil
}

// word checks one value of a map: one of the words, or numbers parted by "/".
func (l limits) word(v string) error {
	if l.parts == nil {
		if !slices.Contains(l.words, v) {
			return fmt.Errorf("%q is not one of %s", v, strings.Join(l.words, ", "))
		}
		return nil
	}
	parts := strings.Split(v, "/")
	if len(parts) != len(l.parts) {
		return fmt.Errorf("%q needs %d numbers", v, len(l.parts))
	}
	for i, p := range parts {
		n, err := strconv.ParseInt(p, 10, 64)
		if err != nil {
			return errors.New("not a number")
		}
		if err := l.parts[i].check(n); err != nil {
			return err
		}
	}
	return nil
}

func parseSpan(text string) (Span, error) {
	from, to, ok := strings.Cut(text, "-")
	a, err1 := time.Parse("15:04", from)
	b, err2 := time.Parse("15:04", to)
	if !ok || err1 != nil || err2 != nil {
		return Span{}, errors.New("not a span such as 21:00-08:00")
	}
	return Span{From: a.Hour()*60 + a.Minute(), To: b.Hour()*60 + b.Minute()}, nil
}

func split(text string) []string {
	if text == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
