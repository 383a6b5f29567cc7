package guest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Run is a box that is switched on.
type Run struct {
	Began time.Time

	box        *Box
	qemu, tpm  *exec.Cmd
	serial     net.Conn
	cables     []net.Conn    // to the switches of trunks
	ended      chan struct{} // closed when qemu has ended
	complaints mutexBuffer   // of qemu and swtpm

	mu   sync.Mutex // guards what follows
	text []byte     // what the serial line said, without escape codes
	read int        // up to where Expect has looked
	said chan struct{}
}

// mutexBuffer is a buffer that two children write to.
type mutexBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (m *mutexBuffer) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.Write(p)
}

func (m *mutexBuffer) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.String()
}

// escapes are what a terminal would do and a reader does not want: colours, cursor moves, titles, and other controls.
var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b[@-Z\\^_]|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]|\r`)

// listen gathers what the serial line says until it closes.
func (r *Run) listen() {
	buf := make([]byte, 64<<10)
	var rest []byte // an escape code may come in two pieces
	for {
		n, err := r.serial.Read(buf)
		if n > 0 {
			raw := slices.Concat(rest, buf[:n])
			cut := len(raw)
			if i := bytes.LastIndexByte(raw, 0x1b); i >= 0 && len(raw)-i < 32 && !escapes.Match(raw[i:]) {
				cut = i
			}
			rest = bytes.Clone(raw[cut:])
			r.mu.Lock()
			r.text = append(r.text, escapes.ReplaceAll(raw[:cut], nil)...)
			close(r.said)
			r.said = make(chan struct{})
			r.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// Text is everything that the serial line has said in this run.
func (r *Run) Text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.text)
}

// Tail is the end of [Run.Text], for messages.
func (r *Run) Tail(lines int) string {
	all := strings.Split(strings.TrimRight(r.Text(), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// ErrEnded is returned by Expect when the box went off.
var ErrEnded = errors.New("the box is off")

// Expect waits until the serial line says something that matches, after what the last Expect found, and returns the match
// with its groups and the time since power-on.
func (r *Run) Expect(ctx context.Context, pattern *regexp.Regexp) (match []string, after time.Duration, err error) {
	for {
		r.mu.Lock()
		at, said := pattern.FindSubmatchIndex(r.text[r.read:]), r.said
		if at != nil {
			for i := 0; i < len(at); i += 2 {
				s := ""
				if at[i] >= 0 {
					s = string(r.text[r.read+at[i] : r.read+at[i+1]])
				}
				match = append(match, s)
			}
			r.read += at[1]
		}
		r.mu.Unlock()
		if at != nil {
			return match, time.Since(r.Began), nil
		}
		select {
		case <-said:
		case <-r.ended:
			return nil, time.Since(r.Began), fmt.Errorf("wait for %q: %w\n%s", pattern, ErrEnded, r.complaints.String())
		case <-ctx.Done():
			return nil, time.Since(r.Began), fmt.Errorf("wait for %q: %w", pattern, context.Cause(ctx))
		}
	}
}

// Type types on the serial line.
func (r *Run) Type(text string) error {
	_, err := r.serial.Write([]byte(text))
	return err
}

// Cut takes the power away and waits until nothing of the box is left. Doing it again is harmless.
func (r *Run) Cut() {
	if r.qemu != nil && r.qemu.Process != nil {
		_ = r.qemu.Process.Signal(syscall.SIGKILL) // it may have ended by itself
		<-r.ended
		r.qemu = nil
	}
	if r.serial != nil {
		_ = r.serial.Close()
	}
	for _, c := range r.cables {
		_ = c.Close()
	}
	if r.tpm != nil && r.tpm.Process != nil {
		_ = r.tpm.Process.Signal(syscall.SIGTERM)
		_ = r.tpm.Wait() // it ends with qemu's connection as well
		r.tpm = nil
	}
}

// Ended is closed when the box has gone off.
func (r *Run) Ended() <-chan struct{} { return r.ended }

// Press presses the power button: the box shuts down by itself. It does not wait; see [Run.Ended].
func (r *Run) Press(ctx context.Context) error { return r.ask(ctx, "system_powerdown") }

// Unplug takes the cable out of a card, or puts it in again.
func (r *Run) Unplug(ctx context.Context, card string, out bool) error {
	for i, c := range r.box.Cards {
		if c.Name == card {
			return r.ask(ctx, "set_link", "name", fmt.Sprintf("user%d", i), "up", !out)
		}
	}
	return fmt.Errorf("there is no card %q", card)
}

// ask sends one command to qemu.
func (r *Run) ask(ctx context.Context, command string, arguments ...any) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", r.box.file("qmp.sock"))
	if err != nil {
		return err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return err
		}
	}
	args := map[string]any{}
	for i := 0; i+1 < len(arguments); i += 2 {
		args[arguments[i].(string)] = arguments[i+1]
	}
	dec, enc := json.NewDecoder(conn), json.NewEncoder(conn)
	var greeting map[string]any
	if err := dec.Decode(&greeting); err != nil {
		return err
	}
	for _, c := range []map[string]any{{"execute": "qmp_capabilities"}, {"execute": command, "arguments": args}} {
		if err := enc.Encode(c); err != nil {
			return err
		}
		for {
			var answer struct {
				Return any             `json:"return"`
				Error  json.RawMessage `json:"error"`
				Event  string          `json:"event"`
			}
			if err := dec.Decode(&answer); err != nil {
				return err
			}
			if answer.Error != nil {
				return fmt.Errorf("qemu refuses %v: %s", c["execute"], answer.Error)
			}
			if answer.Event == "" {
				break
			}
		}
	}
	return nil
}

// credential is a value as systemd reads it from SMBIOS.
func credential(name string, value []byte) string {
	return "io.systemd.credential.binary:" + name + "=" + base64.StdEncoding.EncodeToString(value)
}
