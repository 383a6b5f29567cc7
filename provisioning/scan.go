package provisioning

import (
	"strconv"
	"strings"
)

// lines is where each key and table of a TOML text begins: "zone.kiosk.pool" -> 87; the second [[lease]] is "lease.1".
// The text has been parsed before, so what is scanned is correct TOML; of anything else the lines are merely useless.
type lines map[string]int

// scanLines finds the lines of all keys, also of those inside inline tables.
func scanLines(text string) lines {
	s := scanner{text: text, line: 1, at: lines{}, count: map[string]int{}}
	s.document()
	return s.at
}

// of is the line of a key, or that of the nearest table around it.
func (l lines) of(key string) int {
	for {
		if n, ok := l[key]; ok {
			return n
		}
		i := strings.LastIndexByte(key, '.')
		if i < 0 {
			return 0
		}
		key = key[:i]
	}
}

type scanner struct {
	text  string
	pos   int
	line  int
	at    lines
	count map[string]int // elements of each array of tables
}

// peek is the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) next() byte {
	c := s.peek()
	if s.pos < len(s.text) {
		s.pos++
	}
	if c == '\n' {
		s.line++
	}
	return c
}

// skip passes blanks; over line ends and comments too where they mean nothing.
func (s *scanner) skip(newlines bool) {
	for s.pos < len(s.text) {
		switch c := s.peek(); {
		case c == ' ' || c == '\t' || c == '\r' || newlines && c == '\n':
			s.next()
		case c == '#' && newlines:
			s.restOfLine()
		default:
			return
		}
	}
}

func (s *scanner) restOfLine() {
	for s.pos < len(s.text) && s.peek() != '\n' {
		s.next()
	}
}

func (s *scanner) document() {
	table := ""
	for {
		s.skip(true)
		if s.pos >= len(s.text) {
			return
		}
		if s.peek() != '[' {
			s.pair(table)
			s.restOfLine()
			continue
		}
		line := s.line
		s.next()
		array := s.peek() == '['
		if array {
			s.next()
		}
		table = s.inArrays(s.key(), array)
		s.note(table, line)
		s.restOfLine()
	}
}

// inArrays puts the number of the element behind each array of tables in a path.
func (s *scanner) inArrays(path []string, array bool) string {
	full := ""
	for i, part := range path {
		full = join(full, part)
		if array && i == len(path)-1 {
			s.note(full, s.line)
			s.count[full]++
		}
		if n := s.count[full]; n > 0 {
			full = join(full, strconv.Itoa(n-1))
		}
	}
	return full
}

// note keeps the first line of a key.
func (s *scanner) note(key string, line int) {
	if _, ok := s.at[key]; !ok && key != "" {
		s.at[key] = line
	}
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

// pair is key = value.
func (s *scanner) pair(table string) {
	line, begin := s.line, s.pos
	full := table
	for _, part := range s.key() {
		full = join(full, part)
		s.note(full, line)
	}
	s.skip(false)
	if s.peek() == '=' {
		s.next()
	}
	s.skip(false)
	s.value(full)
	if s.pos == begin {
		s.next() // not TOML: go on anyway
	}
}

// key is a dotted key.
func (s *scanner) key() (parts []string) {
	for {
		s.skip(false)
		switch c := s.peek(); c {
		case '"', '\'':
			parts = append(parts, s.quoted())
		default:
			begin := s.pos
			for strings.IndexByte("=.] \t\r\n", s.peek()) < 0 && s.pos < len(s.text) {
				s.next()
			}
			parts = append(parts, s.text[begin:s.pos])
		}
		s.skip(false)
		if s.peek() != '.' {
			return parts
		}
		s.next()
	}
}

// value passes one value and notes the keys inside it.
func (s *scanner) value(key string) {
	switch c := s.peek(); c {
	case '"', '\'':
		s.quoted()
	case '{':
		s.next()
		for s.skip(true); s.pos < len(s.text) && s.peek() != '}'; s.skip(true) {
			if s.peek() == ',' {
				s.next()
				continue
			}
			s.pair(key)
		}
		s.next()
	case '[':
		s.next()
		n := 0
		for s.skip(true); s.pos < len(s.text) && s.peek() != ']'; s.skip(true) {
			if s.peek() == ',' {
				s.next()
				continue
			}
			begin := s.pos
			element := join(key, strconv.Itoa(n))
			s.note(element, s.line)
			s.value(element)
			n++
			if s.pos == begin {
				s.next()
			}
		}
		s.next()
	default:
		for s.pos < len(s.text) && strings.IndexByte(",]}\n#", s.peek()) < 0 {
			s.next()
		}
	}
}

// quoted passes a string of any of the four kinds and returns what is between the quotes.
func (s *scanner) quoted() string {
	quote := s.next()
	marks := string(quote)
	if three := strings.Repeat(marks, 3); strings.HasPrefix(s.text[s.pos-1:], three) {
		marks = three
		s.next()
		s.next()
	}
	begin := s.pos
	for s.pos < len(s.text) {
		if strings.HasPrefix(s.text[s.pos:], marks) {
			inside := s.text[begin:s.pos]
			for range marks {
				s.next()
			}
			for len(marks) == 3 && s.peek() == quote { // up to two quotes may stand before the closing three
				s.next()
			}
			return inside
		}
		if s.next() == '\\' && quote == '"' {
			s.next()
		}
	}
	return s.text[begin:]
}
