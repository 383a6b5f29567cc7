package guest

import (
	"bytes"
	"net"
	"testing"
	"time"
)

// TestTrunk has a box that speaks with two networks over one cable: each frame comes where its tag says and without it, and
// what has no tag or another one comes nowhere.
func TestTrunk(t *testing.T) {
	b := Open(t.TempDir())
	b.Cards = []Card{{Name: "lan2"}, {Name: "tablet0", On: "lan2", VLAN: 21}, {Name: "staff0", On: "lan2", VLAN: 0x130}}
	ends := map[string]*net.UnixConn{}
	for _, c := range b.Cards { // qemu's ends
		_, theirs := b.sockets(c.Name)
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: theirs, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ends[c.Name] = conn
	}
	r := &Run{box: b}
	t.Cleanup(r.Cut)
	if err := r.trunks(t.Context()); err != nil {
		t.Fatal(err)
	}
	send := func(from string, frame ...byte) {
		t.Helper()
		ours, _ := b.sockets(from)
		if _, err := ends[from].WriteToUnix(frame, &net.UnixAddr{Name: ours, Net: "unixgram"}); err != nil {
			t.Fatal(err)
		}
	}
	hears := func(at string, want []byte) {
		t.Helper()
		buf := make([]byte, 100)
		if err := ends[at].SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := ends[at].Read(buf)
		if err != nil || !bytes.Equal(buf[:n], want) {
			t.Errorf("%s hears %x (%v), want %x", at, buf[:n], err, want)
		}
	}
	who := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	frame := func(rest ...byte) []byte { return append(bytes.Clone(who), rest...) }

	send("lan2", frame(8, 0, 1)...)                // no tag
	send("lan2", frame(0x81, 0, 0, 9, 8, 0, 2)...) // nobody's
	send("lan2", 1)
	send("lan2", frame(0x81, 0, 0xe0, 21, 8, 0, 3)...) // with a priority
	hears("tablet0", frame(8, 0, 3))
	send("lan2", frame(0x81, 0, 1, 0x30, 8, 6, 4)...)
	hears("staff0", frame(8, 6, 4))
	send("staff0", frame(8, 0, 5)...)
	hears("lan2", frame(0x81, 0, 1, 0x30, 8, 0, 5))
	send("tablet0", frame(8, 6, 6)...)
	hears("lan2", frame(0x81, 0, 0, 21, 8, 6, 6))
}
