package vault_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"sallyport/appliance/fault"
	"sallyport/appliance/record"
	"sallyport/appliance/vault"
)

func newParty(t *testing.T, name string) *vault.Party {
	t.Helper()
	p, err := vault.NewParty([]byte(strings.Repeat(name, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sealed(t *testing.T) (*vault.DataKey, string, *record.Envelope) {
	t.Helper()
	key, err := vault.NewDataKey("2026q4")
	if err != nil {
		t.Fatal(err)
	}
	path := record.KeyOf(record.TypeVisit, "v_1").Path(record.SitePrefix("f_1"))
	e := &record.Envelope{Major: 1, Type: "visit", Id: "v_1", Owner: "f_1", Epoch: 2, Ver: 3}
	if err := key.SealRecord(path, e, &record.Plain{Body: []byte("planted")}); err != nil {
		t.Fatal(err)
	}
	return key, path, e
}

func TestSealedRecordIsBoundToItsPlaceAndVersion(t *testing.T) {
	key, path, good := sealed(t)
	plain, err := key.OpenRecord(path, good)
	if err != nil || string(plain.GetBody()) != "planted" {
		t.Fatalf("OpenRecord = %v, %v", plain, err)
	}
	if bytes.Contains(good.GetSealed(), []byte("planted")) {
		t.Error("the body stands in clear")
	}
	for _, tt := range []struct {
		name   string
		path   string
		change func(*record.Envelope)
	}{
		{"moved to another key", path + "2", func(*record.Envelope) {}},
		{"moved to another site", record.KeyOf(record.TypeVisit, "v_1").Path(record.SitePrefix("f_2")), func(*record.Envelope) {}},
		{"replayed as a later version", path, func(e *record.Envelope) { e.Ver++ }},
		{"another epoch", path, func(e *record.Envelope) { e.Epoch++ }},
		{"made a tombstone", path, func(e *record.Envelope) { e.Deleted = true }},
		{"another owner", path, func(e *record.Envelope) { e.Owner = "f_2" }},
		{"another command", path, func(e *record.Envelope) { e.Cmd = "cmd_1" }},
		{"a bit flipped", path, func(e *record.Envelope) { e.Sealed[20] ^= 1 }},
		{"cut short", path, func(e *record.Envelope) { e.Sealed = e.Sealed[:10] }},
		{"another key's name", path, func(e *record.Envelope) { e.KeyId = "other" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := proto.Clone(good).(*record.Envelope)
			tt.change(e)
			if _, err := key.OpenRecord(tt.path, e); !fault.Is(err, fault.Forbidden) {
				t.Errorf("it opens: %v", err)
			}
		})
	}
}

func TestSealRefusesTooLarge(t *testing.T) {
	key, path, e := sealed(t)
	err := key.SealRecord(path, e, &record.Plain{Body: make([]byte, record.MaxSealed)})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("SealRecord = %v, want Invalid", err)
	}
}

func TestDataKeyOpensForItsReadersOnly(t *testing.T) {
	site, centre, other := newParty(t, "a"), newParty(t, "b"), newParty(t, "c")
	key, path, e := sealed(t)
	w, err := key.Wrap("2026q4", site.Peer(), centre.Peer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*vault.Party{site, centre} {
		got, err := p.Unwrap(key.ID, w)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := got.OpenRecord(path, e); err != nil {
			t.Errorf("the unwrapped key does not open: %v", err)
		}
	}
	if _, err := other.Unwrap(key.ID, w); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a stranger unwraps: %v", err)
	}
	if _, err := site.Unwrap("k_another", w); !fault.Is(err, fault.Forbidden) {
		t.Errorf("it unwraps under another name: %v", err)
	}
	w.To[0].Key = w.To[1].Key
	if _, err := site.Unwrap(key.ID, w); !fault.Is(err, fault.Forbidden) {
		t.Errorf("the key of another reader unwraps: %v", err)
	}
}

func TestSignatures(t *testing.T) {
	centre, forger := newParty(t, "b"), newParty(t, "c")
	_, path, e := sealed(t)
	if err := centre.Peer().VerifyRecord(path, e); !fault.Is(err, fault.Forbidden) {
		t.Error("an unsigned record passes")
	}
	forger.SignRecord(path, e)
	if err := centre.Peer().VerifyRecord(path, e); !fault.Is(err, fault.Forbidden) {
		t.Error("a forged record passes")
	}
	centre.SignRecord(path, e)
	if err := centre.Peer().VerifyRecord(path, e); err != nil {
		t.Error(err)
	}
	if err := (vault.Peer{}).VerifyRecord(path, e); !fault.Is(err, fault.Forbidden) {
		t.Error("nobody's signature passes")
	}
	e.Ver++
	if err := centre.Peer().VerifyRecord(path, e); !fault.Is(err, fault.Forbidden) {
		t.Error("a signature passes for another version")
	}
	c := &record.Cursor{Epoch: 1, Incarnation: make([]byte, 16), Seq: 7, Chain: make([]byte, 32)}
	centre.SignCursor("f_1", c)
	if err := centre.Peer().VerifyCursor("f_1", c); err != nil {
		t.Error(err)
	}
	if err := centre.Peer().VerifyCursor("f_2", c); !fault.Is(err, fault.Forbidden) {
		t.Error("a cursor passes for another site")
	}
}

func TestPeerOnPaper(t *testing.T) {
	p := newParty(t, "a").Peer()
	got, err := vault.ParsePeer(p.String())
	if err != nil || got.Fingerprint() != p.Fingerprint() {
		t.Errorf("ParsePeer = %v, %v", got, err)
	}
	for _, bad := range []string{"", "x", p.String()[:40], p.String() + "AAAA"} {
		if _, err := vault.ParsePeer(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("ParsePeer(%.12q) passed", bad)
		}
	}
	if newParty(t, "b").Peer().Fingerprint() == p.Fingerprint() {
		t.Error("two parties share a fingerprint")
	}
}

func TestQuarter(t *testing.T) {
	for month, want := range map[time.Month]string{1: "2026q1", 3: "2026q1", 4: "2026q2", 9: "2026q3", 10: "2026q4", 12: "2026q4"} {
		if got := vault.Quarter(time.Date(2026, month, 15, 0, 0, 0, 0, time.UTC)); got != want {
			t.Errorf("Quarter(%v) = %q, want %q", month, got, want)
		}
	}
}
