package visits

import (
	_ "embed" // for the visit's rules
	"encoding/json"
	"slices"

	"sallyport/appliance/fault"
)

//go:embed statements.json
var statementsFile []byte

// Statement is one rule of a visit with its tick box.
type Statement struct{ Key, Text string }

// Statements returns the rules that a visitor ticks for each visit, and their version. A language that they do not
// have gets English.
func Statements(language string) (version string, items []Statement) {
	var doc struct {
		Version string `json:"version"`
		Items   []struct {
			Key  string            `json:"key"`
			Text map[string]string `json:"text"`
		} `json:"items"`
	}
	if err := json.Unmarshal(statementsFile, &doc); err != nil {
		panic("visits: statements.json: " + err.Error()) // shipped with the program; a test reads it
	}
	for _, i := range doc.Items {
		text, ok := i.Text[language]
		if !ok {
			text = i.Text["en"]
		}
		items = append(items, Statement{Key: i.Key, Text: text})
	}
	return doc.Version, items
}

// Ticked tells whether every box of the present rules is ticked; Conflict when the rules have changed meanwhile.
func Ticked(version string, keys []string) (bool, error) {
	now, items := Statements("en")
	if version != now {
		return false, fault.New("visits.Ticked", fault.Conflict, "The rules have changed. Read them again.").WithCode("terms.changed")
	}
	return !slices.ContainsFunc(items, func(s Statement) bool { return !slices.Contains(keys, s.Key) }), nil
}

// Tips returns the advice before a visit: place, light, faces, children. Nobody ticks it.
func Tips(language string) []string {
	var doc struct {
		Tips []map[string]string `json:"tips"`
	}
	if err := json.Unmarshal(statementsFile, &doc); err != nil {
		panic("visits: statements.json: " + err.Error()) // shipped with the program; a test reads it
	}
	tips := make([]string, 0, len(doc.Tips))
	for _, t := range doc.Tips {
		text, ok := t[language]
		if !ok {
			text = t["en"]
		}
		tips = append(tips, text)
	}
	return tips
}
