package sfu

import (
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"sallyport/appliance/clock"
)

// TestMediaPortFloodsNobody asks more often in one second than is answered. The test is the socket's reader: when the mark
// behind the questions has come, all questions were handled.
func TestMediaPortFloodsNobody(t *testing.T) {
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	c := clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	r := answering(socket, c).(*reachable)
	asker, err := net.Dial("udp4", socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { asker.Close() })
	answers := func(questions int) (n int) {
		t.Helper()
		for range questions {
			if _, err := asker.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := asker.Write([]byte("mark")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1500)
		if n, _, err := r.ReadFromAddrPort(buf); err != nil || string(buf[:n]) != "mark" {
			t.Fatalf("read %q, %v", buf[:n], err)
		}
		if _, err := socket.WriteTo([]byte("mark"), asker.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		for {
			k, err := asker.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if string(buf[:k]) == "mark" {
				return n
			}
			n++
		}
	}
	if n := answers(answersASecond + 10); n != answersASecond {
		t.Errorf("%d answers in one second, want %d", n, answersASecond)
	}
	c.Advance(time.Second)
	if n := answers(1); n != 1 {
		t.Errorf("%d answers to one question of the next second", n)
	}
}

func TestPlainBinding(t *testing.T) {
	build := func(setters ...stun.Setter) []byte {
		return stun.MustBuild(append([]stun.Setter{stun.TransactionID}, setters...)...).Raw
	}
	plain := build(stun.BindingRequest)
	for _, tt := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"plain", plain, true},
		{"with software and fingerprint", build(stun.BindingRequest, stun.NewSoftware("abc"), stun.Fingerprint), true},
		{"of a call", build(stun.BindingRequest, stun.NewUsername("a:b")), false},
		{"of a call, name last", build(stun.BindingRequest, stun.NewSoftware("abc"), stun.NewUsername("a:b")), false},
		{"answer", build(stun.BindingSuccess), false},
		{"another method", build(stun.NewType(stun.MethodAllocate, stun.ClassRequest)), false},
		{"cut", plain[:stunHeader-1], false},
		{"longer than it says", append(append([]byte{}, plain...), 0, 0, 0, 0), false},
		{"attribute beyond the end", append(append(append([]byte{}, plain[:2]...), 0, 4), append(plain[4:20:20], 0x80, 0x22, 0, 8)...), false},
		{"empty", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := plainBinding(tt.packet); got != tt.want {
				t.Errorf("plainBinding = %v, want %v", got, tt.want)
			}
		})
	}
}
