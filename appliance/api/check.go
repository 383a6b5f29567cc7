package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"sallyport/appliance/fault"
)

// maxDepth bounds the nesting of a body before anything recurses into it.
const maxDepth = 8

// checkBody reads a JSON body and compares it with the contract: types, bounds, closed lists, no unknown and no double
// names. It returns Invalid with one field for each mistake, named by its JSON path.
func (o *Operation) checkBody(raw []byte) error {
	if o.body == nil {
		if o.stream || len(bytes.TrimSpace(raw)) == 0 {
			return nil
		}
		return fault.New("api.checkBody", fault.Invalid, "This address takes no body.").WithCode("body.unexpected")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := decodeStrict(dec, 0)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the body")
		}
	}
	if err != nil {
		return fault.New("api.checkBody", fault.Invalid, "The body is not JSON that this address takes.").WithCode("body.json").Because(err)
	}
	f := fault.New("api.checkBody", fault.Invalid, "Some fields are missing or wrong.").WithCode("fields")
	o.body.check("", v, f)
	if len(f.Fields) > 0 {
		return f
	}
	return nil
}

// decodeStrict reads one JSON value and refuses double names and deep nesting, which encoding/json lets pass.
func decodeStrict(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	switch delim {
	case '{':
		m := map[string]any{}
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name := k.(string) // a name in JSON is always text, the decoder has seen to that
			if _, twice := m[name]; twice {
				return nil, fmt.Errorf("the name %q comes twice", name)
			}
			if m[name], err = decodeStrict(dec, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = dec.Token()
		return m, err
	default: // '[', because the decoder reports a stray closing mark as an error
		list := []any{}
		for dec.More() {
			v, err := decodeStrict(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	}
}

// check adds to f what is wrong with v at the path.
func (s *schema) check(path string, v any, f *fault.Error) {
	s = s.resolved()
	switch s.Type {
	case "object":
		s.checkObject(path, v, f)
	case "array":
		list, ok := v.([]any)
		switch {
		case !ok:
			f.WithField(path, "field.type")
		case len(list) > *s.MaxItems:
			f.WithField(path, "field.too_many")
		default:
			for i, item := range list {
				s.Items.check(fmt.Sprintf("%s[%d]", path, i), item, f)
			}
		}
	case "string":
		text, ok := v.(string)
		if !ok {
			f.WithField(path, "field.type")
			return
		}
		if code := s.checkText(text); code != "" {
			f.WithField(path, code)
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			f.WithField(path, "field.type")
		}
	case "integer", "number":
		n, ok := v.(json.Number)
		if !ok {
			f.WithField(path, "field.type")
			return
		}
		if code := s.checkNumber(string(n)); code != "" {
			f.WithField(path, code)
		}
	}
}

func (s *schema) checkObject(path string, v any, f *fault.Error) {
	m, ok := v.(map[string]any)
	if !ok {
		f.WithField(path, "field.type")
		return
	}
	join := func(name string) string {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	for _, name := range s.Required {
		if _, there := m[name]; !there {
			f.WithField(join(name), "field.required")
		}
	}
	for name, item := range m {
		p, known := s.Properties[name]
		if !known {
			f.WithField(join(name), "field.unknown")
			continue
		}
		p.check(join(name), item, f)
	}
	slices.SortFunc(f.Fields, func(a, b fault.Field) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
}

// checkText returns the code of what is wrong with a text, "" when nothing is.
func (s *schema) checkText(text string) string {
	n := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text):
		return "field.type"
	case n == 0 && s.MinLength > 0:
		return "field.required"
	case n < s.MinLength:
		return "field.too_short"
	case s.MaxLength != nil && n > *s.MaxLength:
		return "field.too_long"
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, any(text)):
		return "field.choice"
	case s.pattern != nil && !s.pattern.MatchString(text):
		return "field.shape"
	}
	if s.Format == "date-time" {
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			return "field.shape"
		}
	}
	return ""
}

func (s *schema) checkNumber(text string) string {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsInf(n, 0):
		return "field.type"
	case s.Type == "integer" && n != math.Trunc(n):
		return "field.type"
	case s.Minimum != nil && n < *s.Minimum:
		return "field.too_small"
	case s.Maximum != nil && n > *s.Maximum:
		return "field.too_big"
	}
	return ""
}

// checkParameter compares a path, query or header value with the contract and returns the code of what is wrong.
func (s *schema) checkParameter(text string) string {
	s = s.resolved()
	switch s.Type {
	case "integer", "number":
		return s.checkNumber(text)
	case "boolean":
		if text != "true" && text != "false" {
			return "field.type"
		}
		return ""
	default:
		return s.checkText(text)
	}
}
