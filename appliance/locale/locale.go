// Package locale owns the words that the appliance itself writes, in mails, SMS and on its command line, and how it
// writes days and times. The screens have their own catalogue with the same keys.
//
// It must not know who is written to. A text is a key and parameters; every language has every key with the same
// parameters, which a test checks, and a missing parameter is an error, so that no letter ever says "{when}".
package locale

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	_ "time/tzdata" // the appliance's image and small test machines have no zone files

	"github.com/BurntSushi/toml"

	"sallyport/appliance/fault"
)

//go:embed text/*.toml
var texts embed.FS

// Catalogue is all languages.
type Catalogue struct{ languages map[string]map[string]message }

// message is one text with its plural forms; a text without plural has "other" only.
type message map[string]string

// Load reads the catalogue. It returns an error only when a file of the program itself is wrong.
func Load() (*Catalogue, error) {
	c := &Catalogue{languages: map[string]map[string]message{}}
	files, err := texts.ReadDir("text")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		b, err := texts.ReadFile(path.Join("text", f.Name()))
		if err != nil {
			return nil, err
		}
		var tree map[string]any
		if err := toml.Unmarshal(b, &tree); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		name := strings.TrimSuffix(f.Name(), ".toml")
		c.languages[name] = map[string]message{}
		if err := flatten(c.languages[name], "", tree); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
	}
	return c, nil
}

// flatten turns tables into dotted keys. A table with "other" in it is one text with plural forms.
func flatten(into map[string]message, prefix string, tree map[string]any) error {
	for name, v := range tree {
		key := strings.TrimPrefix(prefix+"."+name, ".")
		switch v := v.(type) {
		case string:
			into[key] = message{"other": strings.TrimSpace(v)}
		case map[string]any:
			if _, ok := v["other"]; !ok {
				if err := flatten(into, key, v); err != nil {
					return err
				}
				continue
			}
			m := message{}
			for form, text := range v {
				s, ok := text.(string)
				if !ok {
					return fmt.Errorf("%s.%s is not a text", key, form)
				}
				m[form] = s
			}
			into[key] = m
		default:
			return fmt.Errorf("%s is not a text", key)
		}
	}
	return nil
}

// Languages returns the languages that there are, sorted: "cy", "en", "es".
func (c *Catalogue) Languages() []string { return slices.Sorted(maps.Keys(c.languages)) }

// In returns the language of a tag: "cy-GB" is Welsh in Britain. A language that is not there is English.
func (c *Catalogue) In(tag string) *Language {
	name, region, _ := strings.Cut(tag, "-")
	name = strings.ToLower(name)
	if _, ok := c.languages[name]; !ok {
		name = "en"
	}
	return &Language{Name: name, Region: strings.ToUpper(region), texts: c.languages[name]}
}

// Language is one language as one country writes it.
type Language struct {
	Name   string // "en"
	Region string // "GB", or ""
	texts  map[string]message
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// Has tells whether there is a text with this key.
func (l *Language) Has(key string) bool { _, ok := l.texts[key]; return ok }

// Text returns the text of a key with its parameters put in. The parameter n chooses the plural form. It returns
// Internal when the key or a parameter is missing: both are our mistakes.
func (l *Language) Text(key string, params map[string]any) (string, error) {
	m, ok := l.texts[key]
	if !ok {
		return "", fault.Newf("locale.Text", fault.Internal, "There is no text %q in %s.", key, l.Name)
	}
	text := m["other"]
	if n, ok := number(params["n"]); ok && len(m) > 1 {
		if t, ok := m[plural(l.Name, n)]; ok {
			text = t
		}
	}
	var missing []string
	text = placeholder.ReplaceAllStringFunc(text, func(p string) string {
		v, ok := params[p[1:len(p)-1]]
		if !ok {
			missing = append(missing, p)
		}
		if f, isFloat := v.(float64); isFloat && f == float64(int64(f)) {
			v = int64(f) // a number that went through JSON
		}
		return fmt.Sprint(v)
	})
	if missing != nil {
		return "", fault.Newf("locale.Text", fault.Internal, "The text %q in %s lacks %s.", key, l.Name, strings.Join(missing, ", "))
	}
	return text, nil
}

func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case float64: // from JSON
		return int64(n), n == float64(int64(n))
	}
	return 0, false
}

// plural returns the form of a whole number, by the rules of CLDR.
func plural(language string, n int64) string {
	if language == "cy" {
		switch n {
		case 0:
			return "zero"
		case 1:
			return "one"
		case 2:
			return "two"
		case 3:
			return "few"
		case 6:
			return "many"
		}
		return "other"
	}
	if n == 1 {
		return "one"
	}
	return "other"
}
