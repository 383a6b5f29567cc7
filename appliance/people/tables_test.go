package people_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"sallyport/appliance/people"
)

var updateTables = flag.Bool("update", false, "rewrite the transcripts")

// TestTables writes every move of the contact's and the identity's table, so that a change is read in review.
func TestTables(t *testing.T) {
	contact := []string{
		"", people.Requested, people.AwaitingInmate, people.AwaitingVisitor, people.AwaitingFacility, people.Approved, people.Declined,
		people.Rejected, people.BlockedByInmate, people.BlockedByVisitor, people.Paused, people.Ended, people.Unanswered,
	}
	identity := []string{
		people.IdentityNone, people.IdentitySubmitted, people.IdentityInReview, people.IdentityVerified, people.IdentityMoreInfo,
		people.IdentityRejected, people.IdentityBlocked, people.IdentityExpired, people.IdentityRevoked,
	}
	got := &txtar.Archive{Comment: []byte("Every move there is: from, event, to. Anything else is refused.\n")}
	for _, table := range []struct {
		name   string
		states []string
		events []string
		may    func(event, from, to string) bool
	}{
		{"contact", contact, []string{
			"contact.request", "contact.route", "contact.accept", "contact.decline", "contact.expire", "contact.approve", "contact.reject",
			"contact.block", "contact.unblock", "contact.suspend", "contact.restore", "contact.end", "contact.reopen",
		}, people.MayMove},
		{"identity", identity, []string{
			"identity.submit", "case.claim", "case.release", "identity.verify", "identity.reject", "identity.ask", "identity.expire",
			"identity.revoke", "identity.reopen",
		}, people.MayProve},
	} {
		var b strings.Builder
		for _, from := range table.states {
			for _, event := range table.events {
				for _, to := range table.states {
					if table.may(event, from, to) {
						fmt.Fprintf(&b, "%-18s %-17s %s\n", from+".", event, to)
					}
				}
			}
		}
		got.Files = append(got.Files, txtar.File{Name: table.name, Data: []byte(b.String())})
	}
	path := filepath.Join("testdata", "tables.txtar")
	text := txtar.Format(got)
	if *updateTables {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("tables mismatch (-want +got):\n%s", diff)
	}
}

func TestAge(t *testing.T) {
	for _, tt := range []struct {
		name, born, on string
		want           int
	}{
		{"day before", "2009-03-02", "2027-03-01", 17},
		{"birthday", "2009-03-02", "2027-03-02", 18},
		{"leap day in a common year", "2008-02-29", "2026-02-28", 17},
		{"the day after it", "2008-02-29", "2026-03-01", 18},
		{"leap day in a leap year", "2008-02-29", "2028-02-29", 20},
		{"not born yet", "2030-01-01", "2027-03-01", 0},
		{"not a date", "soon", "2027-03-01", 0},
	} {
		if got := people.Age(tt.born, tt.on); got != tt.want {
			t.Errorf("%s: Age(%s, %s) = %d, want %d", tt.name, tt.born, tt.on, got, tt.want)
		}
	}
}

// However a number is typed, it names the same person, and folding twice changes nothing.
func TestNumbersFoldOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		once := people.FoldNumber(s)
		if twice := people.FoldNumber(once); twice != once {
			t.Fatalf("FoldNumber(%q) = %q, again %q", s, once, twice)
		}
	})
}
