package ports

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

const asked = "PORTS_TEST_TAKES"

// This program takes ports for the test below when it is asked to, and prints them.
func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv(asked))
	if err != nil {
		os.Exit(m.Run())
	}
	for range n {
		p, err := Take()
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString(strconv.Itoa(p) + "\n")
	}
	os.Stdout.Close()
	var b [1]byte
	os.Stdin.Read(b[:]) //nolint:errcheck // its end is the sign to go
}

// Houses that start at the same time choose at the same time: with 200 numbers each out of 12,000, four of them would
// share dozens.
func TestNoNumberGoesToTwoProcesses(t *testing.T) {
	const processes, each = 4, 200
	all := map[string]bool{}
	for range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asked+"="+strconv.Itoa(each))
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = stdin.Close()
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
		out, err := io.ReadAll(stdout)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range strings.Fields(string(out)) {
			if all[p] {
				t.Errorf("%s went to two", p)
			}
			all[p] = true
		}
	}
	if len(all) != processes*each {
		t.Errorf("%d numbers, want %d", len(all), processes*each)
	}
}

func TestTakenPortsAreNotFree(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "127.0.0.2:0"} {
		l, err := net.Listen("tcp4", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.ListenPacket("udp4", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n := l.Addr().(*net.TCPAddr).Port; free(n) {
			t.Errorf("TCP port %d of %s is in use", n, at)
		}
		if n := c.LocalAddr().(*net.UDPAddr).Port; free(n) {
			t.Errorf("UDP port %d of %s is in use", n, at)
		}
	}
}
