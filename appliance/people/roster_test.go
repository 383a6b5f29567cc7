package people_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
	sample "sallyport/provisioning/roster"
)

// many is a roster of n inmates, without those whose index is to be left out.
func many(n int, without func(i int) bool) string {
	var b strings.Builder
	b.WriteString("number,booking,first_name,last_name,date_of_birth,unit\n")
	for i := range n {
		if without == nil || !without(i) {
			fmt.Fprintf(&b, "N%04d,B%d,First,Last%d,1990-01-01,A Wing\n", i, i, i)
		}
	}
	return b.String()
}

func TestSameFileTwiceChangesNothing(t *testing.T) {
	h := open(t, "county-jail")
	if m := h.roster(many(250, nil), true); m.Added != 250 || m.State != "done" || m.Handled != 250 {
		t.Fatalf("first: %+v", m)
	}
	h.traveled = nil
	if m := h.roster(many(250, nil), true); m.Unchanged != 250 || m.Added+m.Changed+m.Released != 0 {
		t.Errorf("second: %+v", m)
	}
	if len(h.traveled) != 0 || len(h.events) != 0 {
		t.Errorf("second: %d records, %d events", len(h.traveled), len(h.events))
	}
}

func TestFullFileThatTakesTooManyIsRefused(t *testing.T) {
	h := open(t, "county-jail")
	h.roster(many(100, nil), true)
	m := h.roster(many(100, func(i int) bool { return i < 21 }), true)
	if m.State != "refused" || m.Reason != "full_file_drop" || m.Leaving != 21 || m.InCustody != 100 {
		t.Fatalf("21 of 100 missing: %+v", m)
	}
	if i := h.inmate("N0000"); i.State != people.InCustody {
		t.Errorf("refused, and yet %s", i.State)
	}
	if m := h.roster(many(100, func(i int) bool { return i < 20 }), true); m.State != "done" || m.Released != 20 {
		t.Errorf("20 of 100 missing: %+v", m)
	}
	if i := h.inmate("N0000"); i.State != people.Released {
		t.Errorf("missing, and yet %s", i.State)
	}
	if m := h.roster(many(100, func(i int) bool { return i > 40 }), false); m.State != "done" || m.Released != 0 {
		t.Errorf("partial file: %+v", m)
	}
}

func TestBadRowsWaitWithTheirLine(t *testing.T) {
	h := open(t, "county-jail")
	h.roster(many(20, nil), true)
	file := "number,booking,first_name,last_name,date_of_birth,unit,state\n" +
		"N0000,B0,First,Last0,1990-01-01,A Wing,\n" + // 2: good
		"N0001,B1,First,Last1,01/02/1990,A Wing,\n" + // 3
		"N0002,B2,First,Last2,1990-01-01,Z Wing,\n" + // 4
		"N0003,B3,,Last3,1990-01-01,A Wing,\n" + // 5
		"N0000,B9,First,Again,1990-01-01,A Wing,\n" + // 6
		"N0004,B4\n" + // 7
		"N0005,B5,First,Last5,1990-01-01,A Wing,on the moon\n" + // 8
		"N0006,B6,First,\"Two\nlines\",1990-01-01,A Wing,\n" + // 9 and 10: good, the name over two lines
		"N0007,B7,\xff,Last7,1990-01-01,A Wing,\n" // 11
	m := h.roster(file, false)
	want := []people.BadRow{
		{Line: 3, Column: "date_of_birth", Cause: "date"},
		{Line: 4, Column: "unit", Cause: "unit_unknown"},
		{Line: 5, Column: "first_name", Cause: "required"},
		{Line: 6, Column: "number", Cause: "twice"},
		{Line: 7, Cause: "columns"},
		{Line: 8, Column: "state", Cause: "unknown"},
		{Line: 11, Column: "first_name", Cause: "not_utf8"},
	}
	if diff := cmp.Diff(want, m.Bad, cmpopts.IgnoreUnexported(people.BadRow{})); diff != "" {
		t.Errorf("quarantine mismatch (-want +got):\n%s", diff)
	}
	if i := h.inmate("N0006"); i.Last != "Two lines" {
		t.Errorf("a name over two lines: %q", i.Last)
	}
	// In a full file, somebody whose line is bad has not left.
	full := strings.Replace(many(20, nil), "N0001,B1,First,Last1,1990-01-01", "N0001,B1,First,Last1,soon", 1)
	if m := h.roster(full, true); m.State != "done" || m.Released != 0 || len(m.Bad) != 1 {
		t.Errorf("full file with a bad line: %+v", m)
	}
}

func TestFilesRefusedWhole(t *testing.T) {
	h := open(t, "county-jail")
	for name, file := range map[string]string{"empty": "", "no columns": "a,b\n1,2\n", "binary": "\x00\x01\x02"} {
		if _, err := h.ImportRoster(context.Background(), clerk, "test", true, strings.NewReader(file)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m := h.roster("number,booking,first,last,dob,unit\n", true); m.State != "refused" || m.Reason != "nothing_good" {
		t.Errorf("full file without a line: %+v", m)
	}
}

func TestReleaseEndsContactsAfterItIsTold(t *testing.T) {
	h := open(t, "county-jail")
	h.roster(roster, true)
	v, by := h.visitor("Ann", "+441632960001", "ann@example.org")
	sams := h.inmate("A1001")
	var c people.Contact
	h.write(func(tx *store.Tx) (err error) {
		if c, err = h.RequestContact(tx, by, v.ID, sam()); err != nil {
			return err
		}
		c, err = h.AcceptContact(tx, ident.Actor{Kind: ident.ByInmate, ID: string(sams.ID)}, c.ID)
		return err
	})
	m := h.roster("number;booking;first;last;dob;unit;state\nA1001;B1;Sam;Jones;1990-02-03;;Released\n", false)
	if m.Changed != 1 || m.Released != 1 {
		t.Fatalf("%+v", m)
	}
	want := []people.Event{
		{Kind: "released", Inmate: sams.ID, Reason: "released"},
		{Kind: "contact_lost", Inmate: sams.ID, Visitor: v.ID, Contact: c.ID, Reason: "contact_lost"},
	}
	if diff := cmp.Diff(want, h.events); diff != "" {
		t.Errorf("events mismatch (-want +got):\n%s", diff)
	}
	// Admitted again: the contact is looked at by the facility once more.
	h.roster(strings.Replace(roster, "B1", "B7", 1), false)
	h.write(func(tx *store.Tx) (err error) {
		c, err = h.RequestContact(tx, by, v.ID, sam())
		if c.State != people.AwaitingFacility {
			t.Errorf("asked again: %s", c.State)
		}
		return err
	})
}

func TestSampleImports(t *testing.T) {
	h := open(t, "county-jail")
	m := h.roster(string(sample.Sample), true)
	if m.Added < 110 || len(m.Bad) != 0 || m.State != "done" {
		t.Errorf("sample: %d added, bad %+v", m.Added, m.Bad)
	}
}

func FuzzImportRoster(f *testing.F) {
	f.Add(roster)
	f.Add("number;booking;first;last;dob;unit\n\"a\";\"")
	h := open(f, "county-jail")
	f.Fuzz(func(t *testing.T, file string) {
		m, err := h.ImportRoster(context.Background(), clerk, "fuzz", false, strings.NewReader(file))
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
		if err == nil && m.Added+m.Changed+m.Unchanged+len(m.Bad) != m.Rows && len(m.Bad) < 1000 {
			t.Fatalf("lines lost: %+v", m)
		}
	})
}
