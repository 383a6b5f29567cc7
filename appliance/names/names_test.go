package names_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"sallyport/appliance/fault"
	"sallyport/appliance/names"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func table() names.Table {
	return names.Table{
		"kiosk.harbour.internal": netip.MustParseAddr("10.20.0.1"),
		"media.harbour.internal": netip.MustParseAddr("10.20.0.1"),
	}
}

// question is a query as a stub resolver sends it.
func question(t testing.TB, name string, kind dnsmessage.Type, change ...func(*dnsmessage.Message)) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 0x1234, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	for _, c := range change {
		c(&m)
	}
	out, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// told is what an answer says, in a form that can be compared.
type told struct {
	Code      string
	Questions int
	Address   string
	Owner     string // of the address
	Sure      bool   // authoritative, and offers nothing more
}

func read(t testing.TB, answer []byte) told {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(answer); err != nil {
		t.Fatal(err)
	}
	if !m.Response || m.ID != 0x1234 || m.RecursionAvailable || m.Truncated || len(m.Authorities)+len(m.Additionals) > 0 {
		t.Fatalf("answer %+v", m.Header)
	}
	out := told{Code: strings.TrimPrefix(m.RCode.String(), "RCode"), Questions: len(m.Questions), Sure: m.Authoritative}
	for _, a := range m.Answers {
		out.Address += netip.AddrFrom4(a.Body.(*dnsmessage.AResource).A).String()
		out.Owner = a.Header.Name.String()
	}
	return out
}

func TestAnswers(t *testing.T) {
	const known = "kiosk.harbour.internal."
	for _, tt := range []struct {
		name  string
		query []byte
		want  told
	}{
		{"address", question(t, known, dnsmessage.TypeA), told{"Success", 1, "10.20.0.1", known, true}},
		{"in capitals, as some ask", question(t, "Kiosk.hARBOUR.internal.", dnsmessage.TypeA), told{"Success", 1, "10.20.0.1", "Kiosk.hARBOUR.internal.", true}},
		{"address of IPv6", question(t, known, dnsmessage.TypeAAAA), told{"Success", 1, "", "", true}},
		{"service binding", question(t, known, dnsmessage.Type(65)), told{"Success", 1, "", "", true}},
		{"everything", question(t, known, dnsmessage.TypeALL), told{"Success", 1, "", "", true}},
		{"another name", question(t, "example.com.", dnsmessage.TypeA), told{"Refused", 1, "", "", false}},
		{"a name below", question(t, "secret.kiosk.harbour.internal.", dnsmessage.TypeA), told{"Refused", 1, "", "", false}},
		{"a name above", question(t, "internal.", dnsmessage.TypeA), told{"Refused", 1, "", "", false}},
		{"text of a tunnel", question(t, "aGVsbG8.t.example.com.", dnsmessage.TypeTXT), told{"Refused", 1, "", "", false}},
		{"zone transfer", question(t, "harbour.internal.", dnsmessage.TypeAXFR), told{"Refused", 1, "", "", false}},
		{"version", question(t, "version.bind.", dnsmessage.TypeTXT, func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }), told{"Refused", 1, "", "", false}},
		{"of another class", question(t, known, dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }), told{"Refused", 1, "", "", false}},
		{"update", question(t, known, dnsmessage.TypeA, func(m *dnsmessage.Message) { m.OpCode = 5 }), told{"NotImplemented", 0, "", "", false}},
		{"two questions", question(t, known, dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }), told{"FormatError", 0, "", "", false}},
		{"no question", question(t, known, dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Questions = nil }), told{"FormatError", 0, "", "", false}},
		{"cut", question(t, known, dnsmessage.TypeA)[:20], told{"FormatError", 0, "", "", false}},
		{"with extensions", question(t, known, dnsmessage.TypeA, func(m *dnsmessage.Message) {
			h := dnsmessage.ResourceHeader{}
			if err := h.SetEDNS0(4096, dnsmessage.RCodeSuccess, true); err != nil {
				t.Fatal(err)
			}
			m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
		}), told{"Success", 1, "10.20.0.1", known, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, read(t, table().Answer(tt.query))); diff != "" {
				t.Errorf("answer mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// What is no question is not answered: two servers could go on for ever.
func TestSilence(t *testing.T) {
	for name, query := range map[string][]byte{
		"empty":     nil,
		"short":     {0x12, 0x34, 1},
		"an answer": question(t, "kiosk.harbour.internal.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Response = true }),
		"long":      append(question(t, "kiosk.harbour.internal.", dnsmessage.TypeA), make([]byte, 512)...),
	} {
		if got := table().Answer(query); got != nil {
			t.Errorf("%s: answered %x", name, got)
		}
	}
}

func TestServe(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := names.New(conn, table())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, conn.LocalAddr().String())
	}}
	for range 2 {
		found, err := r.LookupNetIP(t.Context(), "ip4", "kiosk.harbour.internal.")
		if err != nil || len(found) != 1 || found[0].Unmap() != netip.MustParseAddr("10.20.0.1") {
			t.Errorf("looked up %v, %v", found, err)
		}
		// The next question comes after one that gets no answer.
		stranger, err := net.Dial("udp4", conn.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stranger.Write([]byte("what")); err != nil {
			t.Fatal(err)
		}
		_ = stranger.Close()
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it does not end")
	}
}

func TestTableIsOfIPv4(t *testing.T) {
	if _, err := names.New(nil, names.Table{"a.example": netip.MustParseAddr("2001:db8::1")}); !fault.Is(err, fault.Invalid) {
		t.Errorf("New = %v, want Invalid", err)
	}
}

// FuzzAnswer holds that an answer is never much longer than its question, is an answer, and tells no address but ours.
func FuzzAnswer(f *testing.F) {
	f.Add(question(f, "kiosk.harbour.internal.", dnsmessage.TypeA))
	f.Add(question(f, "example.com.", dnsmessage.TypeTXT))
	f.Add([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01")) // a name that points to itself
	f.Fuzz(func(t *testing.T, query []byte) {
		answer := table().Answer(query)
		if answer == nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil {
			t.Fatalf("%x: %v", answer, err)
		}
		if len(answer) > 12+255+4+16 || len(answer) > len(query)+272 {
			t.Errorf("%d bytes answer %d", len(answer), len(query))
		}
		if !m.Response || answer[0] != query[0] || answer[1] != query[1] || len(m.Answers) > 1 {
			t.Errorf("answer %+v", m)
		}
		for _, a := range m.Answers {
			if a.Body.(*dnsmessage.AResource).A != [4]byte{10, 20, 0, 1} {
				t.Errorf("answer %+v", a)
			}
		}
	})
}
