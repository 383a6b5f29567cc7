package moderation_test

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/moderation"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
)

var (
	mo   = ident.Actor{Kind: ident.ByStaff, ID: "sf_mo", Roles: []string{"moderator"}}
	nia  = ident.Actor{Kind: ident.ByStaff, ID: "sf_nia", Roles: []string{"moderator"}}
	carl = ident.Actor{Kind: ident.ByStaff, ID: "sf_carl", Roles: []string{"clerk"}}
)

type desk struct {
	*moderation.Cases
	t        testing.TB
	db       *store.DB
	clock    *clock.Fake
	verdicts []moderation.Verdict
}

func open(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t, clock: clock.NewFake(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))}
	d.db = storetest.OpenAt(t, d.clock, audit.Schema, outbox.Schema, moderation.Schema)
	d.Cases = moderation.New(moderation.Deps{
		May:   func(by ident.Actor, _ string) bool { return by.Has("moderator") },
		Lease: func(*store.Tx) (time.Duration, error) { return 5 * time.Minute, nil },
		Clock: func(*store.Tx, string) (time.Duration, error) { return 24 * time.Hour, nil },
	})
	d.Register("identity", func(_ *store.Tx, _ moderation.Case, v moderation.Verdict) error {
		if v.Reason == "handler says no" {
			return fault.New("test", fault.Conflict, "No.")
		}
		d.verdicts = append(d.verdicts, v)
		return nil
	})
	return d
}

func (d *desk) try(fn func(tx *store.Tx) error) error { return d.db.Update(context.Background(), fn) }

func (d *desk) write(fn func(tx *store.Tx) error) {
	d.t.Helper()
	if err := d.try(fn); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) open(item string, two bool) (id ident.Case) {
	d.t.Helper()
	d.write(func(tx *store.Tx) (err error) {
		id, err = d.Open(tx, moderation.Item{Kind: "identity", Item: item, Hash: "h-" + item, Submitter: "vr_1", Two: two})
		return err
	})
	return id
}

func (d *desk) claim(by ident.Actor, id ident.Case) error {
	return d.try(func(tx *store.Tx) error { _, err := d.Claim(tx, by, id); return err })
}

func (d *desk) decide(id ident.Case, v moderation.Verdict) (c moderation.Case, err error) {
	err = d.try(func(tx *store.Tx) error { c, err = d.Decide(tx, id, v); return err })
	return c, err
}

func TestClaimIsALease(t *testing.T) {
	d := open(t)
	id := d.open("vr_1", false)
	if err := d.claim(carl, id); !fault.Is(err, fault.NotFound) {
		t.Errorf("a clerk may know of the case: %v", err)
	}
	if err := d.claim(mo, id); err != nil {
		t.Fatal(err)
	}
	if err := d.claim(nia, id); fault.CodeOf(err) != "staff.claimed" {
		t.Errorf("claimed by two: %v", err)
	}
	if _, err := d.decide(id, moderation.Verdict{By: nia, Decision: moderation.Approve}); fault.CodeOf(err) != "staff.claimed" {
		t.Errorf("decided without a claim: %v", err)
	}
	d.clock.Advance(5 * time.Minute)
	if err := d.claim(nia, id); err != nil {
		t.Errorf("after the lease: %v", err)
	}
	if _, err := d.decide(id, moderation.Verdict{By: mo, Decision: moderation.Approve}); fault.CodeOf(err) != "staff.claimed" {
		t.Errorf("decided with a lease that was over: %v", err)
	}
	if _, err := d.decide(id, moderation.Verdict{By: nia, Decision: moderation.Approve, Hash: "h-vr_1"}); err != nil || len(d.verdicts) != 1 {
		t.Fatalf("%v, %d verdicts", err, len(d.verdicts))
	}
	if _, err := d.decide(id, moderation.Verdict{By: nia, Decision: moderation.Reject, Reason: "blurred"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("decided twice: %v", err)
	}
}

func TestOneClaimAPersonAndKind(t *testing.T) {
	d := open(t)
	a, b := d.open("vr_1", false), d.open("vr_2", false)
	for _, id := range []ident.Case{a, b} {
		if err := d.claim(mo, id); err != nil {
			t.Fatal(err)
		}
	}
	d.write(func(tx *store.Tx) error {
		c, err := d.Get(tx, a)
		if c.State != moderation.Open {
			t.Errorf("the first case is %s", c.State)
		}
		return err
	})
}

func TestVerdictsRefused(t *testing.T) {
	d := open(t)
	id := d.open("vr_1", false)
	if err := d.claim(mo, id); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]moderation.Verdict{
		"no reason":       {Decision: moderation.Reject},
		"other, no note":  {Decision: moderation.Reject, Reason: "other"},
		"changed item":    {Decision: moderation.Approve, Hash: "h-old"},
		"unknown":         {Decision: "perhaps"},
		"handler refuses": {Decision: moderation.Reject, Reason: "handler says no"},
	} {
		v.By = mo
		if _, err := d.decide(id, v); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
	d.write(func(tx *store.Tx) error {
		c, err := d.Get(tx, id)
		if c.State != moderation.Claimed || len(d.verdicts) != 0 {
			t.Errorf("refused, and yet %s with %d verdicts", c.State, len(d.verdicts))
		}
		return err
	})
}

func TestTwoPeople(t *testing.T) {
	for _, tt := range []struct {
		name          string
		first, second string
		state         string
		effects       int
	}{
		{"agree", moderation.Approve, moderation.Approve, moderation.Decided, 1},
		{"differ", moderation.Approve, moderation.Reject, moderation.Escalated, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t)
			id := d.open("vr_1", true)
			if err := d.claim(mo, id); err != nil {
				t.Fatal(err)
			}
			c, err := d.decide(id, moderation.Verdict{By: mo, Decision: tt.first, Reason: "blurred"})
			if err != nil || c.State != moderation.Second || len(d.verdicts) != 0 {
				t.Fatalf("first: %s, %v", c.State, err)
			}
			if c.Verdict != "" {
				t.Error("the second person can read the first verdict")
			}
			if err := d.claim(mo, id); !fault.Is(err, fault.Forbidden) {
				t.Errorf("the same person twice: %v", err)
			}
			if err := d.claim(nia, id); err != nil {
				t.Fatal(err)
			}
			c, err = d.decide(id, moderation.Verdict{By: nia, Decision: tt.second, Reason: "blurred"})
			if err != nil || c.State != tt.state || len(d.verdicts) != tt.effects {
				t.Errorf("second: %s, %d effects, %v", c.State, len(d.verdicts), err)
			}
		})
	}
}

func TestChangedItemIsANewCase(t *testing.T) {
	d := open(t)
	old := d.open("vr_1", false)
	if err := d.claim(mo, old); err != nil {
		t.Fatal(err)
	}
	d.open("vr_1", false)
	if _, err := d.decide(old, moderation.Verdict{By: mo, Decision: moderation.Approve}); !fault.Is(err, fault.Conflict) {
		t.Errorf("decided on what is not there any more: %v", err)
	}
	d.write(func(tx *store.Tx) error {
		list, total, err := d.List(tx, moderation.Filter{Kinds: []string{"identity"}, Limit: 10})
		if total != 1 || len(list) != 1 {
			t.Errorf("%d in the queue", total)
		}
		return err
	})
}

// Whatever people do in whatever order: nobody holds two cases of a kind, and no case has an effect twice.
func TestClaimsStayApart(t *testing.T) {
	d := open(t)
	rapid.Check(t, func(t *rapid.T) {
		var ids []ident.Case
		for i := range 3 {
			ids = append(ids, d.open("vr_"+string(rune('a'+i)), false))
		}
		before := len(d.verdicts)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			by := rapid.SampledFrom([]ident.Actor{mo, nia}).Draw(t, "by")
			id := rapid.SampledFrom(ids).Draw(t, "case")
			switch rapid.SampledFrom([]string{"claim", "release", "decide", "wait"}).Draw(t, "do") {
			case "claim":
				d.claim(by, id)
			case "release":
				d.try(func(tx *store.Tx) error { return d.Release(tx, by, id) })
			case "decide":
				d.decide(id, moderation.Verdict{By: by, Decision: moderation.Approve})
			case "wait":
				d.clock.Advance(3 * time.Minute)
			}
		}
		var doubles, decided int
		if err := d.db.View(context.Background(), func(tx *store.Tx) error {
			if err := tx.Row(`SELECT count(*) FROM (SELECT 1 FROM mod_case WHERE state = 'claimed' GROUP BY claimed_by, kind HAVING count(*) > 1)`).Scan(&doubles); err != nil {
				return err
			}
			return tx.Row(`SELECT count(*) FROM mod_case WHERE state = 'decided' AND id IN (?, ?, ?)`, ids[0], ids[1], ids[2]).Scan(&decided)
		}); err != nil {
			t.Fatal(err)
		}
		if doubles != 0 || decided != len(d.verdicts)-before {
			t.Fatalf("%d people hold two cases; %d decided with %d effects", doubles, decided, len(d.verdicts)-before)
		}
	})
}
