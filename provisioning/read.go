package provisioning

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFile bounds a site file; the sample has 5 KiB.
const maxFile = 256 << 10

// Read turns the text of a site file into a site with all defaults filled in, or says everything that is wrong with it.
func Read(text []byte) (*Site, Problems) {
	if len(text) > maxFile {
		return nil, Problems{{Say: fmt.Sprintf("the file has more than %d KiB: a site file is a page of text", maxFile>>10)}}
	}
	var tree map[string]any
	if _, err := toml.Decode(string(text), &tree); err != nil {
		return nil, Problems{syntax(err)}
	}
	r := reader{at: scanLines(string(text)), wrong: map[string]bool{}, given: map[string]bool{}}
	site := defaults()
	r.table(reflect.ValueOf(site).Elem(), tree, "")
	c := checker{site: site, reader: &r}
	c.all()
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	return site, nil
}

// syntax is the problem of a text that is not TOML at all.
func syntax(err error) Problem {
	p := Problem{Say: "this is not TOML"}
	if e, ok := errors.AsType[toml.ParseError](err); ok {
		p.Line, p.Key = e.Position.Line, e.LastKey
		p.Say = "this is not TOML: " + strings.TrimSuffix(e.Message, ".")
		if e.Usage != "" {
			p.Say += "; write text in double quotes, lists as [\"a\", \"b\"], yes and no as true and false"
		}
	}
	return p
}

// reader fills a site from the tree of a file and gathers what does not fit.
type reader struct {
	at       lines
	problems Problems
	wrong    map[string]bool // keys with a problem: no second one is said about them
	given    map[string]bool // keys that the file has
}

// say adds a problem of a key.
func (r *reader) say(key, format string, args ...any) {
	if r.wrong[key] {
		return
	}
	r.wrong[key] = true
	r.problems = append(r.problems, Problem{Line: r.at.of(key), Key: shown(key), Say: fmt.Sprintf(format, args...)})
}

// shown is a key for people: lease.0.mac is said as lease[1].mac.
func shown(key string) string {
	parts := strings.Split(key, ".")
	out := parts[0]
	for _, p := range parts[1:] {
		if n, err := strconv.Atoi(p); err == nil {
			out += fmt.Sprintf("[%d]", n+1)
		} else {
			out += "." + p
		}
	}
	return out
}

// has says whether the file has a key.
func (r *reader) has(key string) bool { return r.given[key] }

// table fills a struct from a table. Unknown keys are problems: a misspelt rule must not be silently without effect.
func (r *reader) table(into reflect.Value, tree map[string]any, path string) {
	fields := fieldsOf(into)
	for _, key := range sortedKeys(tree) {
		value := tree[key]
		full := join(path, key)
		if field, ok := fields[key]; ok {
			r.given[full] = true
			r.value(field, value, full)
			continue
		}
		r.say(full, "there is no such key; %s", instead(key, fields))
	}
}

// fieldsOf are the fields of a struct by their key; those of an embedded one are its own.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			for k, sub := range fieldsOf(v.Field(i)) {
				fields[k] = sub
			}
			continue
		}
		fields[f.Tag.Get("toml")] = v.Field(i)
	}
	return fields
}

// instead names the key that was probably meant, or all that there are.
func instead(key string, fields map[string]reflect.Value) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	best, least := "", 3
	for _, name := range names {
		if d := distance(key, name); d < least {
			best, least = name, d
		}
	}
	if best != "" {
		return "write " + best
	}
	return "take it out, or write one of " + strings.Join(names, ", ")
}

// distance is how many letters differ between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// value sets one field, or says what it should have been.
func (r *reader) value(into reflect.Value, value any, key string) {
	switch into.Kind() {
	case reflect.String:
		if s, ok := value.(string); ok {
			into.SetString(s)
			return
		}
		r.say(key, "write a text in double quotes instead of %s", written(value))
	case reflect.Int:
		if n, ok := value.(int64); ok {
			into.SetInt(n)
			return
		}
		r.say(key, "write a whole number without quotes instead of %s", written(value))
	case reflect.Bool:
		if b, ok := value.(bool); ok {
			into.SetBool(b)
			return
		}
		r.say(key, "write true or false without quotes instead of %s", written(value))
	case reflect.Slice:
		r.list(into, value, key)
	case reflect.Map:
		r.named(into, value, key)
	case reflect.Pointer:
		into.Set(reflect.ValueOf(newInmates()))
		r.value(into.Elem(), value, key)
	case reflect.Struct:
		if t, ok := value.(map[string]any); ok {
			r.table(into, t, key)
			return
		}
		r.say(key, "write a table, [%s], instead of %s", key, written(value))
	}
}

// list sets a list of texts or an array of tables.
func (r *reader) list(into reflect.Value, value any, key string) {
	if tables, ok := value.([]map[string]any); ok && into.Type().Elem().Kind() == reflect.Struct {
		all := reflect.MakeSlice(into.Type(), len(tables), len(tables))
		for i, t := range tables {
			r.table(all.Index(i), t, join(key, strconv.Itoa(i)))
		}
		into.Set(all)
		return
	}
	items, ok := value.([]any)
	if !ok {
		want := `write a list such as ["a", "b"]`
		if into.Type().Elem().Kind() == reflect.Struct {
			want = "write a table [[" + key + "]] for each"
		}
		r.say(key, "%s instead of %s", want, written(value))
		return
	}
	all := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		r.value(all.Index(i), item, join(key, strconv.Itoa(i)))
	}
	into.Set(all)
}

// named sets a map of tables with names of the installer's choice.
func (r *reader) named(into reflect.Value, value any, key string) {
	tables, ok := value.(map[string]any)
	if !ok {
		r.say(key, "write a table for each, [%s.NAME], instead of %s", key, written(value))
		return
	}
	all := reflect.MakeMap(into.Type())
	for _, name := range sortedKeys(tables) {
		one := reflect.New(into.Type().Elem()).Elem()
		r.given[join(key, name)] = true
		r.value(one, tables[name], join(key, name))
		all.SetMapIndex(reflect.ValueOf(name), one)
	}
	into.Set(all)
}

// written is a value as the problem quotes it.
func written(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v)
	case int64, float64, bool:
		return fmt.Sprint(v)
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "this"
}
