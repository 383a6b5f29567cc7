package sfu_test

import (
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"sallyport/appliance/clock"
	"sallyport/appliance/sfu"
)

// TestMediaPortAnswers asks the media port as a stranger does: it answers a plain question, and
// nothing that names a call it does not have.
func TestMediaPortAnswers(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := sfu.NewPionPath(clock.Real{}, sfu.Zone{Doors: []string{"visitor"}, Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Shut)
	asker, err := net.Dial("udp4", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { asker.Close() })
	send := func(setters ...stun.Setter) *stun.Message {
		t.Helper()
		m := stun.MustBuild(append([]stun.Setter{stun.TransactionID, stun.BindingRequest}, setters...)...)
		if _, err := asker.Write(m.Raw); err != nil {
			t.Fatal(err)
		}
		return m
	}
	hear := func() *stun.Message {
		t.Helper()
		buf := make([]byte, 1500)
		if err := asker.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := asker.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		m := &stun.Message{Raw: buf[:n]}
		if err := m.Decode(); err != nil {
			t.Fatal(err)
		}
		return m
	}
	// What comes first must stay unanswered: the answer that is heard is the second question's.
	send(stun.NewUsername("call:seat"))
	asked := send(stun.NewSoftware("test"))
	a := hear()
	var mine stun.XORMappedAddress
	if err := mine.GetFrom(a); err != nil || a.Type != stun.BindingSuccess || a.TransactionID != asked.TransactionID || mine.String() != asker.LocalAddr().String() {
		t.Fatalf("the answer is %v with %v (%v), want %v", a, mine, err, asker.LocalAddr())
	}
}
