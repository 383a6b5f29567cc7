package locale

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// forms are the plural forms that a language needs.
var forms = map[string][]string{
	"en": {"one", "other"},
	"es": {"one", "other"},
	"cy": {"few", "many", "one", "other", "two", "zero"},
}

func parameters(text string) []string {
	seen := map[string]bool{}
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		seen[m[1]] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func TestEveryLanguageSaysEverything(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cy", "en", "es"}, c.Languages()); diff != "" {
		t.Fatalf("Languages mismatch (-want +got):\n%s", diff)
	}
	english := c.languages["en"]
	if len(english) < 20 {
		t.Fatalf("only %d English texts", len(english))
	}
	for name, texts := range c.languages {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(english)), slices.Sorted(maps.Keys(texts))); diff != "" {
			t.Errorf("%s has other keys than English (-en +%s):\n%s", name, name, diff)
		}
		for key, m := range texts {
			want := []string{"other"}
			if len(english[key]) > 1 {
				want = forms[name]
			}
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(m))); diff != "" {
				t.Errorf("%s %s has wrong plural forms (-want +got):\n%s", name, key, diff)
			}
			for form, text := range m {
				if strings.TrimSpace(text) == "" {
					t.Errorf("%s %s is empty", name, key)
				}
				if diff := cmp.Diff(parameters(english[key]["other"]), parameters(text)); diff != "" {
					t.Errorf("%s %s (%s) has other parameters than English:\n%s", name, key, form, diff)
				}
				if name != "en" && len(text) > 20 && text == english[key]["other"] {
					t.Errorf("%s %s is English", name, key)
				}
			}
		}
	}
}

func TestEveryMailHasSubjectAndBody(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, notice := range []string{
		"account.activate", "account.active", "visit.invited", "visit.confirmed", "visit.cancelled", "visit.declined", "contact.asked",
		"contact.approved", "identity.received", "identity.verified", "identity.rejected",
	} {
		for _, part := range []string{"subject", "body"} {
			if !c.In("en").Has("mail." + notice + "." + part) {
				t.Errorf("mail.%s has no %s", notice, part)
			}
		}
	}
	for name, texts := range c.languages {
		for key, m := range texts {
			if strings.HasSuffix(key, ".subject") && strings.ContainsAny(m["other"], "\r\n") {
				t.Errorf("%s %s has a line break, which would add a mail header", name, key)
			}
		}
	}
}
