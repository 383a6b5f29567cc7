package access

import (
	_ "embed"
	"encoding/json"
	"slices"

	"sallyport/appliance/fault"
)

//go:embed statements.json
var statementsFile []byte

// Statement is one text with its tick box.
type Statement struct{ Key, Text string }

// Statements are the texts of one version, each with its own tick box.
type Statements struct {
	Version string
	Items   []Statement
}

type statementsDoc struct {
	Version string `json:"version"`
	Items   []struct {
		Key  string            `json:"key"`
		Text map[string]string `json:"text"`
	} `json:"items"`
}

// Terms returns what a visitor agrees to when the account is made.
func Terms(language string) Statements { return statements("terms", language) }

// Agreement returns what a visitor agrees to when signing in.
func Agreement(language string) Statements { return statements("agreement", language) }

func statements(what, language string) Statements {
	var docs map[string]statementsDoc
	if err := json.Unmarshal(statementsFile, &docs); err != nil {
		panic("access: statements.json: " + err.Error()) // shipped with the program; a test reads it
	}
	doc := docs[what]
	s := Statements{Version: doc.Version}
	for _, i := range doc.Items {
		text, ok := i.Text[language]
		if !ok {
			text = i.Text["en"]
		}
		s.Items = append(s.Items, Statement{Key: i.Key, Text: text})
	}
	return s
}

// ticked refuses unless every box of the present version is ticked.
func ticked(op string, s Statements, version string, keys []string) error {
	if version != s.Version {
		return fault.New(op, fault.Conflict, "The rules have changed. Read them again.").WithCode("terms.changed")
	}
	f := fault.New(op, fault.Invalid, "Tick every box to show that you agree.").WithCode("terms.notAll")
	for _, i := range s.Items {
		if !slices.Contains(keys, i.Key) {
			f.WithField(i.Key, "tick")
		}
	}
	if len(f.Fields) > 0 {
		return f
	}
	return nil
}
