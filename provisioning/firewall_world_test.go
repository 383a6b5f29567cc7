package provisioning_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/provisioning"
)

// asProgram tells this test binary to be one of the programs inside the test's networks.
const asProgram = "SALLYPORT_FIREWALL_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "":
		os.Exit(m.Run())
	case "hold":
		_, _ = io.Copy(io.Discard, os.Stdin) // the namespace lives until the test ends
	case "listen":
		listen(os.Args[1], os.Args[2:])
	case "ask":
		ask(os.Args[1], os.Args[2:])
	}
}

// become drops root, so that sockets are those of a user: the firewall looks at who made them.
func become(uid string) {
	n, err := strconv.Atoi(uid)
	if err == nil && n != 0 {
		err = syscall.Setuid(n)
	}
	if err != nil {
		panic(err)
	}
}

// listen answers on ports such as tcp:443 and udp:53 with what it gets, until the test ends.
func listen(uid string, ports []string) {
	become(uid)
	signal.Ignore(syscall.SIGPIPE)
	for _, p := range ports {
		network, port, _ := strings.Cut(p, ":")
		if network == "tcp" {
			ln, err := net.Listen("tcp", ":"+port)
			if err != nil {
				panic(err)
			}
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					_, _ = c.Write([]byte("here"))
					_ = c.Close()
				}
			}()
			continue
		}
		pc, err := net.ListenPacket("udp", ":"+port)
		if err != nil {
			panic(err)
		}
		go func() {
			b := make([]byte, 64)
			for {
				n, from, err := pc.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = pc.WriteTo(b[:n], from)
			}
		}()
	}
	fmt.Println("listening")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// How long an answer is waited for, that must come and that must not.
const (
	mustCome    = 20 * time.Second
	mustNotCome = 600 * time.Millisecond
)

// question is one line of a test: from this user, over this network, to there; +tcp:10.20.0.1:443 must answer,
// -udp:10.20.0.1:5353 must not. udp/50000:... sends from that port; tcp@10.1.98.20:... from that address.
type question struct {
	text, network, to string
	answers           bool
	from              string
}

func parse(text string) question {
	q := question{text: text, answers: text[0] == '+'}
	q.network, q.to, _ = strings.Cut(text[1:], ":")
	if n, port, ok := strings.Cut(q.network, "/"); ok {
		q.network, q.from = n, ":"+port
	}
	if n, addr, ok := strings.Cut(q.network, "@"); ok {
		q.network, q.from = n, net.JoinHostPort(addr, "0")
	}
	return q
}

// ask puts all questions at once and prints those that had another answer.
func ask(uid string, texts []string) {
	become(uid)
	var wg sync.WaitGroup
	for _, text := range texts {
		q := parse(text)
		wg.Go(func() {
			limit := mustNotCome
			if q.answers {
				limit = mustCome
			}
			if err := q.put(time.Now().Add(limit)); (err == nil) != q.answers {
				fmt.Printf("%s: %v\n", q.text, err)
			}
		})
	}
	wg.Wait()
}

func (q question) put(until time.Time) error {
	d := net.Dialer{Deadline: until}
	if q.from != "" {
		from := netip.MustParseAddrPort(strings.Replace(q.from, ":", "0.0.0.0:", map[bool]int{true: 1}[q.from[0] == ':']))
		if q.network == "tcp" {
			d.LocalAddr = net.TCPAddrFromAddrPort(from)
		} else {
			d.LocalAddr = net.UDPAddrFromAddrPort(from)
		}
	}
	c, err := d.Dial(q.network, q.to)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, 64)
	if q.network == "tcp" {
		_ = c.SetReadDeadline(until)
		_, err = io.ReadFull(c, b[:4])
		return err
	}
	for { // a packet may be lost while neighbours look for each other
		_, _ = c.Write([]byte("ping"))
		step := min(time.Until(until), 300*time.Millisecond)
		_ = c.SetReadDeadline(time.Now().Add(step))
		if _, err = c.Read(b); err == nil || time.Now().After(until) {
			return err
		}
	}
}

// world is a box in a network of its own, with the ruleset of the image, and a machine in each zone.
type world struct {
	t    *testing.T
	pids map[string]int
}

// zones are the interfaces of the box: its addresses, and those of the machine at the other end.
var zones = []struct{ name, box, outside string }{
	{"wan0", "203.0.113.10/24 2001:db8:1::10/64", "203.0.113.20/24 2001:db8:1::20/64"},
	{"kiosk0", "10.20.0.1/24", "10.20.0.50/24"},
	{"tablet0", "10.21.0.1/23", "10.21.0.50/23"},
	{"staff0", "10.1.30.5/24 10.77.0.5/24", "10.1.30.20/24 10.77.0.20/24"},
	{"mgmt0", "10.1.99.5/24 10.1.98.5/24", "10.1.99.20/24 10.1.98.20/24"},
}

// needsRoot skips a test that makes networks, or fails it where it must run, and names what is missing.
func needsRoot(t *testing.T, tools ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("IMAGE_TESTS") == "required" {
			t.Fatal("network namespaces and users need root")
		}
		t.Skip("skipped: network namespaces and users need root")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: apt-get install nftables iproute2 util-linux systemd udev, or run .ci/install", tool)
		}
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	needsRoot(t, "nft", "ip", "nsenter")
	w := &world{t: t, pids: map[string]int{}}
	for _, z := range append(slices.Clone(zones), zones[0]) {
		name := z.name
		if w.pids[name] != 0 {
			name = "box"
		}
		w.pids[name] = w.hold()
	}
	for _, z := range zones {
		w.ip("box", "link", "add", z.name, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(w.pids[z.name]))
		for _, a := range strings.Fields(z.box) {
			w.ip("box", "address", "add", a, "dev", z.name, "nodad")
		}
		w.ip("box", "link", "set", z.name, "up")
		for _, a := range strings.Fields(z.outside) {
			w.ip(z.name, "address", "add", a, "dev", "eth0", "nodad")
		}
		w.ip(z.name, "link", "set", "eth0", "up")
		w.ip(z.name, "link", "set", "lo", "up")
		w.ip(z.name, "route", "add", "default", "via", strings.Split(strings.Fields(z.box)[0], "/")[0])
	}
	w.ip("box", "link", "set", "lo", "up")
	w.in("box", "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; echo 1 >/proc/sys/net/ipv4/ip_forward")
	w.load()
	return w
}

// hold makes a process with a network and mounts of its own that ends with the test.
func (w *world) hold() int {
	w.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asProgram+"=hold")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS}
	w.start(cmd)
	return cmd.Process.Pid
}

// start starts a process that lives as long as its input is open: until the test ends, however it ends.
func (w *world) start(cmd *exec.Cmd) {
	w.t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
}

// inside is a command in a network.
func (w *world) inside(where string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", strconv.Itoa(w.pids[where]), "-n", "-m"}, args...)...)
}

func (w *world) in(where string, args ...string) string {
	w.t.Helper()
	out, err := w.inside(where, args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v: %v\n%s", where, args, err, out)
	}
	return string(out)
}

func (w *world) ip(where string, args ...string) {
	w.t.Helper()
	w.in(where, append([]string{"ip"}, args...)...)
}

// users are those of the image; Debian's own get any number that is free.
var users = map[string]int{
	"booking": 701, "gateway": 702, "split": 703, "syncd": 704, "courier": 705, "_chrony": 7001, "systemd-resolve": 7002, "systemd-network": 7003,
}

// load loads the ruleset of the image with the sets of the sample.
func (w *world) load() {
	w.t.Helper()
	dir := w.t.TempDir()
	passwd := "root:x:0:0::/:/bin/false\n"
	for name, uid := range users {
		passwd += fmt.Sprintf("%s:x:%d:%d::/:/bin/false\n", name, uid, uid)
	}
	text := strings.NewReplacer(`"10.1.0.53"`, `"10.1.30.20"`, `"10.1.0.123"`, `"10.1.30.20"`).Replace(string(provisioning.Sample))
	site, problems := provisioning.Read([]byte(text))
	if len(problems) > 0 {
		w.t.Fatal(problems)
	}
	for _, f := range provisioning.Render(site, machine) {
		if strings.HasSuffix(f.Path, ".nft") {
			w.write(filepath.Join(dir, filepath.Base(f.Path)), f.Text)
		}
	}
	rules := string(readFile(w.t, "../images/appliance/root/etc/nftables.conf"))
	const include = "/run/sallyport/firewall/"
	if !strings.Contains(rules, include) {
		w.t.Fatal("the ruleset does not take in what the site says")
	}
	w.write(filepath.Join(dir, "nftables.conf"), strings.ReplaceAll(rules, include, dir+"/"))
	w.write(filepath.Join(dir, "passwd"), passwd)
	w.in("box", "mount", "--bind", filepath.Join(dir, "passwd"), "/etc/passwd")
	w.in("box", "nft", "-f", filepath.Join(dir, "nftables.conf"))
}

func (w *world) write(path, text string) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// listen has a user listen on ports in a network.
func (w *world) listen(where, user string, ports ...string) {
	w.t.Helper()
	cmd := w.inside(where, append([]string{os.Args[0], strconv.Itoa(users[user])}, ports...)...)
	cmd.Env = append(os.Environ(), asProgram+"=listen")
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.start(cmd)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		w.t.Fatalf("%s in %s does not listen: %q %v", user, where, line, err)
	}
}

// ask has a user ask questions from a network and reports each that had the wrong answer.
func (w *world) ask(where, user string, questions ...string) {
	w.t.Helper()
	cmd := w.inside(where, append([]string{os.Args[0], strconv.Itoa(users[user])}, questions...)...)
	cmd.Env = append(os.Environ(), asProgram+"=ask")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s in %s: %v\n%s", user, where, err, out)
	}
	for line := range strings.Lines(string(out)) {
		w.t.Errorf("%s in %s: %s", user, where, line)
	}
}
