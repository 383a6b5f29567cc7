package relay

import (
	"testing"

	"github.com/pion/stun/v3"
	"github.com/pion/turn/v4"
)

// FuzzJudge holds the wrapper's two promises: no message makes it panic, and what pion would read as a request for
// another transport never passes.
func FuzzJudge(f *testing.F) {
	for _, value := range []byte{17, 6, 132} {
		m, err := stun.Build(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), raw{stun.AttrRequestedTransport, []byte{value, 0, 0, 0}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.Raw)
	}
	f.Add([]byte{0x40, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		v := judge(in)
		if v.code != 0 && (v.pass || len(answer(in, v.code)) == 0) {
			t.Fatal("an answer that is none, or to what passes")
		}
		m := &stun.Message{Raw: append([]byte(nil), in...)}
		if !v.pass || !stun.IsMessage(in) || m.Decode() != nil || m.Type != stun.NewType(stun.MethodAllocate, stun.ClassRequest) {
			return
		}
		if got, err := m.Get(stun.AttrRequestedTransport); err == nil && (len(got) != 4 || got[0] != transportUDP) {
			t.Fatalf("transport %v passes", got)
		}
		for _, kind := range []stun.AttrType{stun.AttrEvenPort, stun.AttrReservationToken} {
			if m.Contains(kind) {
				t.Fatalf("attribute %v passes", kind)
			}
		}
	})
}

type raw struct {
	kind  stun.AttrType
	value []byte
}

func (r raw) AddTo(m *stun.Message) error { m.Add(r.kind, r.value); return nil }

// pion's own hook for relays over TCP must refuse as well: it is the wall behind the wrapper.
func TestTheGeneratorGivesNoTCP(t *testing.T) {
	var g turn.RelayAddressGenerator = generator{}
	if c, _, err := g.AllocateConn("tcp4", 0); err == nil {
		c.Close()
		t.Error("a relay over TCP")
	}
}
