package audit_test

import (
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

var clerk = ident.Actor{Kind: ident.ByStaff, ID: "sf_1", Door: "staff", Roles: []string{"clerk", "monitor"}}

func record(t *testing.T, db *store.DB, n int) {
	t.Helper()
	for i := range n {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			return audit.Record(tx, clerk, "visit.accept", ident.Visit(fmt.Sprintf("v_%d", i)), audit.Reason("test.reason"),
				audit.Before(map[string]string{"state": "invited"}), audit.After(map[string]string{"state": "confirmed"}), audit.Policy("p7"))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func verify(t *testing.T, db *store.DB, anchors ...audit.Anchor) (r linkspec.AuditReport) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		r, err = audit.Verify(tx, anchors...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRowComesBack(t *testing.T) {
	at := time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC)
	db := storetest.OpenAt(t, clock.NewFake(at), audit.Schema)
	record(t, db, 2)
	var got []audit.Row
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		got, err = audit.List(tx, audit.Filter{Verb: "visit.", Actor: "sf_1", Subject: "v_1", From: at, Until: at.Add(time.Millisecond)})
		return err
	})
	if err != nil || len(got) != 1 {
		t.Fatalf("List = %v, %v", got, err)
	}
	want := audit.Row{
		Seq: 2, At: at, By: clerk, Verb: "visit.accept", Subject: "v_1", Reason: "test.reason",
		Before: []byte(`{"state":"invited"}`), After: []byte(`{"state":"confirmed"}`), Policy: "p7", Hash: got[0].Hash,
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("List mismatch (-want +got):\n%s", diff)
	}
}

func TestRowsAreOnlyAdded(t *testing.T) {
	db := storetest.Open(t, audit.Schema)
	record(t, db, 3)
	for _, stmt := range []string{
		"UPDATE audit_row SET verb = 'x' WHERE seq = 2",
		"DELETE FROM audit_row WHERE seq = 2",
		"INSERT OR REPLACE INTO audit_row SELECT * FROM audit_row WHERE seq = 2",
	} {
		err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.Exec(stmt) })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v, want Conflict", stmt, err)
		}
	}
	if r := verify(t, db); !r.Whole || r.Rows != 3 || len(r.Head) != 64 {
		t.Errorf("Verify = %+v", r)
	}
}

func TestRolledBackActLeavesNoRow(t *testing.T) {
	db := storetest.Open(t, audit.Schema)
	record(t, db, 1)
	_ = db.Update(t.Context(), func(tx *store.Tx) error {
		if err := audit.Record(tx, ident.System(), "visit.sweep", "v_x"); err != nil {
			return err
		}
		return fault.New("test", fault.Conflict, "No.")
	})
	record(t, db, 1)
	if r := verify(t, db); !r.Whole || r.Rows != 2 {
		t.Errorf("Verify = %+v", r)
	}
}

// tampered returns the report about a chain of five rows that somebody changed behind the program's back.
func tampered(t *testing.T, stmts string, anchors ...audit.Anchor) linkspec.AuditReport {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.db")
	o := store.Options{Path: path, Migrations: []fs.FS{audit.Schema}}
	t.Run("record", func(t *testing.T) { // closed at its end, before the file is tampered with
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		storetest.Serve(t, db)
		record(t, db, 5)
	})
	raw, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec("DROP TRIGGER audit_row_kept; DROP TRIGGER audit_row_fixed; DROP TRIGGER audit_row_once; " + stmts); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Serve(t, db)
	return verify(t, db, anchors...)
}

func TestVerifyNamesTheFirstBadRow(t *testing.T) {
	for _, tt := range []struct {
		name    string
		stmts   string
		anchors []audit.Anchor
		bad     int64
		why     string
	}{
		{"nothing", "", nil, 0, ""},
		{"altered", "UPDATE audit_row SET subject = 'v_other' WHERE seq = 3", nil, 3, "altered"},
		{"roles altered", `UPDATE audit_row SET roles = '["lead"]' WHERE seq = 4`, nil, 4, "altered"},
		{"hash replaced", "UPDATE audit_row SET hash = zeroblob(32) WHERE seq = 2", nil, 2, "altered"},
		{"deleted", "DELETE FROM audit_row WHERE seq = 3", nil, 3, "deleted"},
		{"first deleted", "DELETE FROM audit_row WHERE seq = 1", nil, 1, "deleted"},
		{"deleted and closed up", "DELETE FROM audit_row WHERE seq = 3; UPDATE audit_row SET seq = seq - 1 WHERE seq > 3", nil, 3, "altered"},
		{"moved", "UPDATE audit_row SET seq = 99 WHERE seq = 2; UPDATE audit_row SET seq = 2 WHERE seq = 3; UPDATE audit_row SET seq = 3 WHERE seq = 99", nil, 2, "altered"},
		{"inserted", "INSERT INTO audit_row SELECT 6, at, actor_kind, actor_id, door, roles, verb, subject, reason, before, after, policy, prev, hash FROM audit_row WHERE seq = 5", nil, 6, "altered"},
		{"cut off", "DELETE FROM audit_row WHERE seq > 3", []audit.Anchor{{Seq: 5, Hash: "00"}}, 4, "deleted"},
		{"cut off unseen", "DELETE FROM audit_row WHERE seq > 3", nil, 0, ""},
		{"not what was noted", "", []audit.Anchor{{Seq: 5, Hash: "00"}}, 5, "replaced"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tampered(t, tt.stmts, tt.anchors...)
			if r.FirstBad != tt.bad || r.Whole != (tt.bad == 0) || !strings.HasPrefix(r.Why, tt.why) {
				t.Errorf("Verify = %+v, want first bad %d, %q", r, tt.bad, tt.why)
			}
		})
	}
}

func TestVerifySeesARewoundClock(t *testing.T) {
	c := clock.NewFake(time.Date(2027, 3, 4, 14, 0, 0, 0, time.UTC))
	db := storetest.OpenAt(t, c, audit.Schema)
	record(t, db, 2)
	c.Step(c.Now().Add(-2 * time.Second))
	record(t, db, 1)
	if r := verify(t, db); !r.Whole {
		t.Fatalf("a small correction breaks the chain: %+v", r)
	}
	c.Step(c.Now().Add(-time.Hour))
	record(t, db, 1)
	if r := verify(t, db); r.FirstBad != 4 || !strings.HasPrefix(r.Why, "clock") {
		t.Errorf("Verify = %+v, want row 4 for its clock", r)
	}
}

func TestColumnsCannotTradeLetters(t *testing.T) {
	db := storetest.Open(t, audit.Schema)
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.StringMatching(`[a-z]{2,8}`).Draw(rt, "s")
		cut := rapid.IntRange(1, len(s)-1).Draw(rt, "cut")
		var a, b []audit.Row
		err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
			if err := audit.Record(tx, clerk, s[:cut], s[cut:]); err != nil {
				return err
			}
			if a, err = audit.List(tx, audit.Filter{Limit: 1}); err != nil {
				return err
			}
			return fault.New("test", fault.Conflict, "Undo, so that the next row has the same number and neighbour.")
		})
		if !fault.Is(err, fault.Conflict) {
			rt.Fatal(err)
		}
		err = db.Update(t.Context(), func(tx *store.Tx) (err error) {
			if err := audit.Record(tx, clerk, s, ""); err != nil {
				return err
			}
			b, err = audit.List(tx, audit.Filter{Limit: 1})
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
		if a[0].Hash == b[0].Hash {
			rt.Fatalf("%q and %q hash alike", a[0].Verb, b[0].Verb)
		}
	})
}
