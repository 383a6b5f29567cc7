package record_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/record"
)

const site = "f_00000000000000000000000001"

func TestCheckIsAnAllowList(t *testing.T) {
	v := ident.New[ident.Visit]()
	for _, tt := range []struct {
		name string
		rec  record.Record
		ok   bool
	}{
		{"social visit", record.New(record.TypeVisit, v, &record.Visit{Class: "social"}), true},
		{"on-site visit", record.New(record.TypeVisit, v, &record.Visit{Class: "onsite"}), true},
		{"attorney's visit", record.New(record.TypeVisit, v, &record.Visit{Class: "attorney"}), false},
		{"visit of no class", record.New(record.TypeVisit, v, &record.Visit{}), false},
		{"official visit", record.New(record.TypeVisit, v, &record.Visit{Class: "official"}), false},
		{"social contact", record.New(record.TypeContact, "ct_1", &record.Contact{}), true},
		{"privileged contact", record.New(record.TypeContact, "ct_1", &record.Contact{Privilege: "attorney"}), false},
		{"unknown type", record.New("message", "m_1", &record.Visit{Class: "social"}), false},
		{"body of another type", record.New(record.TypeVisitor, "vr_1", &record.Visit{Class: "social"}), false},
		{"no body", record.New(record.TypeVisitor, "vr_1", nil), false},
		{"a path for an id", record.New(record.TypeVisitor, "../x", &record.Visitor{}), false},
		{"a marker", record.New(record.TypeKey, "k_1", &record.KeyWrap{}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.rec.Check()
			if (err == nil) != tt.ok {
				t.Errorf("Check = %v, want passed %v", err, tt.ok)
			}
			if err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("Check refuses with %v, want Invalid", fault.KindOf(err))
			}
		})
	}
}

func TestPathRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		path string
		ok   bool
	}{
		{record.KeyOf(record.TypeVisit, ident.New[ident.Visit]()).Path(record.SitePrefix(site)), true},
		{record.KeyOf(record.TypeResult, ident.New[ident.Command]()).Path(record.SitePrefix(site)), true},
		{record.KeyOf(record.TypeKey, "k2026q4_x").Path(record.FeedPrefix(site)), true},
		{record.MailPath(site, "cmd_1"), true},
		{record.SitePrefix(site) + "cmd/cmd_1", false}, // a mailbox is in the feed, or anybody could fill it
		{record.FeedPrefix(site) + "res/cmd_1", false},
		{record.SitePrefix(site) + "rec/secret/x_1", false},
		{record.SitePrefix(site) + "rec/cmd/x_1", false},
		{record.SitePrefix(site) + "rec/visit/", false},
		{record.SitePrefix(site) + "rec/visit/V_1", false},
		{record.SitePrefix(site) + "rec/visit/v_1/x", false},
		{record.SitePrefix("..") + "rec/visit/v_1", false},
		{record.CursorPath(site), false},
		{record.FencePath(site), false},
		{"/v1/site/" + strings.Repeat("x", 200), false},
		{"", false},
	} {
		prefix, _, k, err := record.ParsePath(tt.path)
		if (err == nil) != tt.ok {
			t.Errorf("ParsePath(%q) = %v, want passed %v", tt.path, err, tt.ok)
			continue
		}
		if err == nil && k.Path(prefix) != tt.path {
			t.Errorf("ParsePath(%q) leads back to %q", tt.path, k.Path(prefix))
		}
	}
}

func envelopes() *rapid.Generator[*record.Envelope] {
	return rapid.Custom(func(t *rapid.T) *record.Envelope {
		word := rapid.StringMatching(`[a-z]{0,3}`)
		return &record.Envelope{
			Major: record.Major, Minor: rapid.Uint32Range(0, 2).Draw(t, "minor"), Type: word.Draw(t, "type"), Id: word.Draw(t, "id"),
			Owner: word.Draw(t, "owner"), Epoch: rapid.Uint64Range(0, 3).Draw(t, "epoch"), Ver: rapid.Uint64Range(0, 3).Draw(t, "ver"),
			Deleted: rapid.Bool().Draw(t, "deleted"), Cmd: word.Draw(t, "cmd"), KeyId: word.Draw(t, "key"),
			Sealed: rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "sealed"),
		}
	})
}

func TestDifferentEnvelopesBindDifferently(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := envelopes().Draw(t, "a"), envelopes().Draw(t, "b")
		p := rapid.SampledFrom([]string{"/v1/site/a/x", "/v1/site/b/x"})
		pa, pb := p.Draw(t, "pa"), p.Draw(t, "pb")
		same := pa == pb && proto.Equal(a, b)
		if got := bytes.Equal(record.Signed(pa, a), record.Signed(pb, b)); got != same {
			t.Fatalf("signed bytes equal %v, envelopes equal %v:\n%v\n%v", got, same, a, b)
		}
	})
}

func TestChainTellsHistoriesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(envelopes(), 1, 5).Draw(t, "a")
		n := rapid.IntRange(0, len(a)-1).Draw(t, "n")
		other := proto.Clone(a[n]).(*record.Envelope)
		other.Sealed = append(other.Sealed, 1)
		var one, two record.Chain
		for i, e := range a {
			one = one.Link(int64(i+1), "/v1/site/a/rec/visit/v", e)
			if i == n {
				e = other
			}
			two = two.Link(int64(i+1), "/v1/site/a/rec/visit/v", e)
		}
		if one == two {
			t.Fatal("two histories share a chain")
		}
	})
}

func TestPadding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "plain")
		padded := record.Pad(plain)
		if len(padded)%64 != 0 || len(padded) <= len(plain) || len(padded) > len(plain)+64 {
			t.Fatalf("%d bytes padded to %d", len(plain), len(padded))
		}
		got, err := record.Unpad(padded)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Unpad = %x, %v, want %x", got, err, plain)
		}
	})
	for _, bad := range [][]byte{nil, {0}, {1}, make([]byte, 64)} {
		if _, err := record.Unpad(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("Unpad(%x) passed", bad)
		}
	}
}

func TestFence(t *testing.T) {
	f := record.Fence{Epoch: 7, Incarnation: [16]byte{1, 2, 3}}
	got, err := record.ParseFence(f.Bytes())
	if err != nil || got != f {
		t.Errorf("ParseFence = %v, %v, want %v", got, err, f)
	}
	if _, err := record.ParseFence(f.Bytes()[1:]); !fault.Is(err, fault.Invalid) {
		t.Error("a short fence passed")
	}
}

func TestDecodeEnvelopeRefuses(t *testing.T) {
	path := record.KeyOf(record.TypeVisit, "v_1").Path(record.SitePrefix(site))
	good := &record.Envelope{Major: 1, Type: "visit", Id: "v_1", Ver: 1}
	with := func(change func(*record.Envelope)) []byte {
		e := proto.Clone(good).(*record.Envelope)
		change(e)
		raw, err := record.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if _, _, err := record.DecodeEnvelope(path, with(func(*record.Envelope) {})); err != nil {
		t.Fatalf("a good envelope is refused: %v", err)
	}
	for _, tt := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"newer major", with(func(e *record.Envelope) { e.Major = 2 }), "sync.schema"},
		{"no major", with(func(e *record.Envelope) { e.Major = 0 }), "sync.key"},
		{"moved to another key", with(func(e *record.Envelope) { e.Id = "v_2" }), "sync.key"},
		{"no version", with(func(e *record.Envelope) { e.Ver = 0 }), "sync.bounds"},
		{"too large", make([]byte, 10<<20), "sync.bounds"},
		{"sealed too large", with(func(e *record.Envelope) { e.Sealed = make([]byte, record.MaxSealed+1) }), "sync.bounds"},
		{"noise", []byte{0xff, 0xff, 0xff}, "sync.damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := record.DecodeEnvelope(path, tt.raw)
			if got := fault.CodeOf(err); got != tt.want {
				t.Errorf("refused with %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

func FuzzEnvelope(f *testing.F) {
	raw, err := record.Marshal(&record.Envelope{Major: 1, Type: "visit", Id: "v_1", Ver: 1, Sealed: []byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	path := record.KeyOf(record.TypeVisit, "v_1").Path(record.SitePrefix(site))
	f.Add(path, raw)
	f.Fuzz(func(t *testing.T, path string, raw []byte) {
		e, k, err := record.DecodeEnvelope(path, raw)
		if err == nil && (e.GetId() != k.ID || len(e.GetSealed()) > record.MaxSealed) {
			t.Errorf("passed %v under %q", e, path)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	f.Add(record.MailPath(site, "cmd_1"))
	f.Fuzz(func(t *testing.T, path string) {
		if prefix, _, k, err := record.ParsePath(path); err == nil && k.Path(prefix) != path {
			t.Errorf("ParsePath(%q) leads back to %q", path, k.Path(prefix))
		}
	})
}
